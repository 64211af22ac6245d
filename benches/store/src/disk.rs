//! The disk tier beside `fio` on the same file system: blocks of 1 MiB, written behind one another until
//! the disk has promised them, and read in that order.

use onefill_store::{
    Namespaces,
    catalog::{Attributes, Stored},
    disk::{DiskConfig, DiskTier},
    memory::Arena,
};
use std::{io, path::Path, process::Command, sync::Arc, time::Instant};

const BLOCK: usize = 1 << 20;
const BLOCKS: usize = 2048;
/// Blocks that wait to be written at most.
const QUEUE: usize = 64;
/// Share of fio's rate that the tier must reach.
const SHARE_MIN: f64 = 0.8;

/// GB/s.
#[derive(Clone, Copy, Default, Debug)]
struct Rates {
    write: f64,
    read: f64,
}

impl Rates {
    fn best(self, other: Self) -> Self {
        Self {
            write: self.write.max(other.write),
            read: self.read.max(other.read),
        }
    }
}

/// Prints both and their ratio; whether the goal is reached. `None` where there is no fio.
pub fn run(rounds: usize) -> io::Result<bool> {
    let folder = std::env::var_os("ONEFILL_DISK").unwrap_or_else(|| std::env::temp_dir().into());
    let folder = Path::new(&folder).join(format!("onefill-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (mut ours, mut direct, mut cached) = (Rates::default(), Rates::default(), Rates::default());
    for _ in 0..rounds {
        direct = direct.best(fio(&folder, true)?);
        cached = cached.best(fio(&folder, false)?);
        ours = ours.best(tier(&folder)?);
    }
    std::fs::remove_dir_all(&folder)?;
    println!("| disk, 1 MiB, one after the other | write GB/s | read GB/s |");
    println!("|---|---|---|");
    let rows = [
        ("onefill", ours),
        ("fio, direct", direct),
        ("fio, cached", cached),
    ];
    for (name, rates) in rows {
        println!("| {name} | {:.2} | {:.2} |", rates.write, rates.read);
    }
    let fio = direct.best(cached);
    let (write, read) = (ours.write / fio.write, ours.read / fio.read);
    let kept = write >= SHARE_MIN && read >= SHARE_MIN;
    let verdict = if kept { "ok    " } else { "FAILED" };
    println!("{verdict} of fio's better rate: write {write:.2}, read {read:.2} (>= {SHARE_MIN})");
    Ok(kept)
}

/// fio's own figures: a block at a time, and until the disk has promised all.
fn fio(folder: &Path, direct: bool) -> io::Result<Rates> {
    let file = folder.join("fio");
    let mut rates = Rates::default();
    for (job, rate, field) in [
        ("write", &mut rates.write, 47),
        ("read", &mut rates.read, 6),
    ] {
        let mut fio = Command::new("fio");
        fio.arg("--name=sequential")
            .arg(format!("--filename={}", file.display()));
        fio.arg(format!("--rw={job}")).arg(format!("--bs={BLOCK}"));
        fio.arg(format!("--size={}", BLOCK * BLOCKS));
        fio.arg(format!("--direct={}", u8::from(direct)));
        fio.args(["--ioengine=psync", "--end_fsync=1", "--output-format=terse"]);
        let output = fio.arg("--terse-version=3").output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let kib = text
            .trim()
            .split(';')
            .nth(field)
            .and_then(|field| field.parse::<f64>().ok());
        *rate = kib.ok_or_else(|| io::Error::other("fio gave no figure"))? * 1024.0 / 1e9;
    }
    std::fs::remove_file(&file)?;
    Ok(rates)
}

fn tier(folder: &Path) -> io::Result<Rates> {
    let namespaces = Namespaces::default();
    let namespace = namespaces.open("bench", None).expect("a namespace");
    let config = DiskConfig {
        path: folder.join("tier"),
        bytes: 8 << 30,
        queue_bytes: QUEUE * BLOCK,
        index_bytes: 32 << 20,
    };
    let arena = Arena::new(2 * QUEUE * BLOCK);
    // The memory has been touched, and the hash of each block is known, as in a store that runs.
    let blocks: Vec<Arc<Stored>> = (0..QUEUE).map(|number| block(&arena, number)).collect();
    let disk = DiskTier::open(&config, &namespaces).map_err(io::Error::other)?;
    let key = |number: usize| (number as u64).to_le_bytes();
    let start = Instant::now();
    for number in 0..BLOCKS {
        while disk.sizes().waiting_bytes + BLOCK > config.queue_bytes {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        disk.offer(&namespace, &key(number), &blocks[number % QUEUE], 0);
    }
    disk.close();
    let write = (BLOCK * BLOCKS) as f64 / 1e9 / start.elapsed().as_secs_f64();
    drop(disk);
    forget(&config.path)?;
    let disk = DiskTier::open(&config, &namespaces).map_err(io::Error::other)?;
    let start = Instant::now();
    for number in 0..BLOCKS {
        let place = disk.find(namespace.id, &key(number)).expect("a block");
        let draft = arena.draft(BLOCK).expect("room");
        let read = disk.read(namespace.id, &key(number), &place, draft);
        assert!(read.is_some(), "block {number}");
    }
    let read = (BLOCK * BLOCKS) as f64 / 1e9 / start.elapsed().as_secs_f64();
    assert_eq!(disk.stat().faults.get() + disk.stat().corrupt.get(), 0);
    drop(disk);
    std::fs::remove_dir_all(&config.path)?;
    Ok(Rates { write, read })
}

fn block(arena: &Arena, number: usize) -> Arc<Stored> {
    let mut draft = arena.draft(BLOCK).expect("room");
    draft.copy_from(&vec![number as u8; BLOCK]);
    Arc::new(Stored {
        block: draft.finish().expect("whole"),
        attributes: Attributes::None,
    })
}

/// Takes the files out of the system's cache: what is read comes from the disk.
fn forget(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let file = std::fs::File::open(entry?.path())?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}
