//! Faults of all kinds, seeded: whatever happens to the bytes on disk, no key ever gives other bytes
//! than some that were put under it in its namespace.

mod simulated;
mod world;

use super::*;
use crate::{catalog::Attributes, memory::Arena};
use simulated::Faults;
use world::World;

#[test]
fn headers_come_back_and_any_flipped_bit_is_seen() {
    let record = Record {
        segment: 3,
        offset: 4096,
        serial: 77,
        dead: false,
        len: 5000,
        sum: u128::MAX / 3,
        expires_unix_ms: 12,
        attributes: Attributes::Lm(std::sync::Arc::new(onefill_wire::lm::Layout {
            format: 1,
            dtype: 3,
            shape: [2, 32, -1, 1024],
            location: 0,
        })),
        namespace: b"tenant/model".to_vec(),
        key: vec![7; 500],
    };
    let bytes = record.encode(42);
    let place = (3, 4096);
    assert_eq!(Record::parse(&bytes, 42, place), Ok(record.clone()));
    assert!(matches!(
        Record::parse(&bytes[..200], 42, place),
        Err(FormatError::Longer(_))
    ));
    // In another place, or with another segment's secret, it is no record.
    assert!(Record::parse(&bytes, 42, (3, 8192)).is_err());
    assert!(Record::parse(&bytes, 43, place).is_err());
    let header = 112 + record.namespace.len() + record.key.len();
    for bit in 0..header * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Record::parse(&bytes, 42, place).is_err(), "bit {bit}");
    }
}

/// Only kills of the process: whatever was written is found again, the last of each key, also where
/// segments were dropped meanwhile; and what was taken out or put again never comes back.
#[test]
fn what_was_written_outlives_kills() {
    for seed in 0..5 {
        let mut world = World::new(seed, Faults::none());
        for step in 0..3000 {
            world.put_or_delete();
            if step % 100 == 99 {
                world.restart();
                world.read_all_strictly();
            }
        }
    }
}

/// Kills at any call of the device, in the middle of writes too: of puts, deletes, the drop of segments,
/// and of the starts after them.
#[test]
fn kills_come_at_any_point() {
    for seed in 100..102 {
        let mut world = World::new(seed, Faults::none());
        for calls in 1..200 {
            world.kill_after(calls);
            world.read_all_strictly();
            assert!(world.disk_bytes() <= world::BOUNDS.disk_bytes + (512 << 10));
        }
    }
}

/// A full or failing disk loses what it refused, and nothing else: what it took is there after a start.
#[test]
fn what_a_failing_disk_took_is_kept() {
    for seed in 200..210 {
        let faults = Faults {
            eio: 30,
            full: 30,
            ..Faults::none()
        };
        let mut world = World::new(seed, faults);
        for _ in 0..10 {
            for _ in 0..100 {
                world.put_or_delete();
            }
            world.read_all();
            world.repair();
            assert!(world.disk_bytes() <= world::BOUNDS.disk_bytes + (512 << 10));
        }
        assert!(world.faults() > 50 && world.hits > 100);
    }
}

/// Everything at once. `ONEFILL_FAULTS` says how many; the store's own tests run a million.
#[test]
fn no_fault_gives_a_wrong_byte() {
    let wanted = std::env::var("ONEFILL_FAULTS").ok();
    let wanted: u64 = wanted
        .and_then(|wanted| wanted.parse().ok())
        .unwrap_or(50_000);
    let (mut seed, mut faults, mut reads, mut hits) = (1000, 0, 0, 0);
    while faults < wanted {
        let mut world = World::new(seed, Faults::all());
        for round in 0..40 {
            for _ in 0..60 {
                world.put_or_delete();
                world.read();
            }
            world.damage();
            world.read_all();
            if round % 4 == 3 {
                world.power_cut();
                world.read_all();
            }
        }
        faults += world.faults();
        reads += world.reads;
        hits += world.hits;
        seed += 1;
    }
    println!("{faults} faults, {reads} reads, {hits} hits, no wrong byte");
    assert!(hits > reads / 10, "the faults left something to read");
}

#[test]
fn whole_segments_go_when_the_disk_is_full() {
    let mut world = World::new(5, Faults::none());
    for _ in 0..5000 {
        world.put_or_delete();
    }
    assert!(world.bytes() <= world::BOUNDS.disk_bytes);
    assert!(world.blocks() > 0);
    world.restart();
    world.read_all();
    assert!(world.bytes() <= world::BOUNDS.disk_bytes);
}

#[test]
fn a_folder_has_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let first = Folder::open(folder.path().to_owned()).unwrap();
    assert!(Folder::open(folder.path().to_owned()).is_err());
    drop(first);
    assert!(Folder::open(folder.path().to_owned()).is_ok());
}

#[test]
fn real_files_keep_records() {
    let folder = tempfile::tempdir().unwrap();
    let namespaces = crate::Namespaces::default();
    let namespace = namespaces.open("n", None).unwrap();
    let config = DiskConfig {
        path: folder.path().to_owned(),
        bytes: 64 << 20,
        queue_bytes: 32 << 20,
        index_bytes: 1 << 20,
    };
    let arena = Arena::new(32 << 20);
    let stored = |byte: u8, len: usize| {
        let mut draft = arena.draft(len).unwrap();
        draft.copy_from(&vec![byte; len]);
        std::sync::Arc::new(crate::catalog::Stored {
            block: draft.finish().unwrap(),
            attributes: Attributes::None,
        })
    };
    let tier = DiskTier::open(&config, &namespaces).unwrap();
    for byte in 0..20 {
        tier.offer(
            &namespace,
            &[byte],
            &stored(byte, 1000 + usize::from(byte) * 4096),
            0,
        );
    }
    tier.forget(&namespace, &[3]);
    drop(tier);
    let tier = DiskTier::open(&config, &namespaces).unwrap();
    assert!(tier.find(namespace.id, &[3]).is_none());
    for byte in (0..20).filter(|byte| *byte != 3) {
        let place = tier.find(namespace.id, &[byte]).unwrap();
        let draft = arena.draft(usize::try_from(place.len).unwrap()).unwrap();
        let block = tier.read(namespace.id, &[byte], &place, draft).unwrap();
        assert_eq!(block.checksum(), stored(byte, block.len()).block.checksum());
    }
    assert_eq!(tier.stat().broken.get(), 0);
}

#[test]
fn a_segment_of_another_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{:016x}.segment", 0));
    let mut bytes = vec![0; 4 * ALIGN];
    bytes[..ALIGN].copy_from_slice(&format::segment_header(0, 7));
    bytes[4] -= 1;
    let sum = twox_hash::XxHash3_64::oneshot(&bytes[..24]);
    bytes[24..32].copy_from_slice(&sum.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let device = Folder::open(folder.path().to_owned()).unwrap();
    let mut index = Index::default();
    let found = recover::recover(&device, &mut index, &crate::Namespaces::default()).unwrap();
    assert_eq!((index.len(), found.broken, found.next_segment), (0, 1, 1));
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "as it was");
}

/// 100 GB of blocks of 2 MiB: headers as they are, the blocks' bytes as holes of sparse files.
#[test]
fn a_start_over_100_gigabytes_is_short() {
    const BLOCK: u64 = 2 << 20;
    const SEGMENTS: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let device = Folder::open(folder.path().to_owned()).unwrap();
    let (mut blocks, mut bytes) = (0, 0);
    for segment in 0..SEGMENTS {
        let file = device.create(segment, 0).unwrap();
        let write = |at, bytes: &[u8]| file.write_at(at, &[std::io::IoSlice::new(bytes)]);
        write(0, &format::segment_header(segment, 7)).unwrap();
        let mut at = ALIGN as u64;
        while at < 512 << 20 {
            let record = Record {
                segment,
                offset: at,
                serial: blocks,
                dead: false,
                len: BLOCK,
                sum: 0,
                expires_unix_ms: 0,
                attributes: Attributes::None,
                namespace: b"n".to_vec(),
                key: format!("meta-llama/Llama-3.1-8B-Instruct@01000100@0@{blocks:064x}")
                    .into_bytes(),
            };
            write(at, &record.encode(7)).unwrap();
            at += record.disk_len();
            blocks += 1;
            bytes += BLOCK;
        }
        // The last block's bytes end the file.
        write(at - 1, &[0]).unwrap();
    }
    assert!(bytes > 100_000_000_000);
    let start = std::time::Instant::now();
    let mut index = Index::default();
    let found = recover::recover(&device, &mut index, &crate::Namespaces::default()).unwrap();
    let took = start.elapsed();
    println!("{blocks} blocks, {} GB: {took:?}", bytes / 1_000_000_000);
    assert_eq!((index.len() as u64, found.broken), (blocks, 0));
    // The promise is the release build's.
    let most = if cfg!(debug_assertions) { 60 } else { 10 };
    assert!(took.as_secs() < most, "{took:?}");
}
