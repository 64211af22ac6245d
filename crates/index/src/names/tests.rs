//! The map beside a plain one, growing, shrinking and crowded.

use std::collections::HashMap;

use onefill_kv::EngineHash;

use super::{Names, Place, Put};

fn hash(number: u64) -> EngineHash {
    EngineHash(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn place(number: u64) -> Place {
    Place {
        run: (number % (1 << 24)) as u32,
        at: (number % 4096) as u16,
    }
}

fn check(names: &Names, plain: &HashMap<u64, Place>, numbers: u64) {
    for number in 0..numbers {
        let found = names.find(names.name(hash(number)), |_| true);
        let found = found.map(|(_, place)| place);
        assert_eq!(found, plain.get(&number).copied(), "{number}");
    }
}

#[test]
fn it_equals_a_plain_map_while_it_grows_and_shrinks() {
    const NUMBERS: u64 = 60_000;
    let (mut names, mut plain) = (Names::new(6), HashMap::new());
    for number in 0..NUMBERS {
        let put = names.put(names.name(hash(number)), place(number), |_| true);
        assert_eq!(put, Put::New);
        plain.insert(number, place(number));
        if number.is_power_of_two() {
            check(&names, &plain, 2 * number);
        }
        if number % 3 == 0 {
            let gone = number / 2;
            if let Some((slot, _)) = names.find(names.name(hash(gone)), |_| true) {
                names.remove(slot);
            }
            plain.remove(&gone);
        }
    }
    check(&names, &plain, NUMBERS);
    let grown = names.used_bytes();
    names.retain(|place| place.run % 64 == 0);
    plain.retain(|_, place| place.run % 64 == 0);
    check(&names, &plain, NUMBERS);
    assert!(names.used_bytes() < grown / 8);
    for number in 0..NUMBERS {
        if plain.insert(number, place(number)).is_none() {
            names.put(names.name(hash(number)), place(number), |_| true);
        }
    }
    check(&names, &plain, NUMBERS);
    assert_eq!(names.iter().count(), plain.len());
}

#[test]
fn a_crowd_in_one_shard_finds_room() {
    // Shards by the top bits of what is mixed: look for hashes of one shard.
    let (mut names, mut crowd) = (Names::new(12), Vec::new());
    let shard = names.name(hash(0)).shard;
    for number in 0..400_000 {
        if names.name(hash(number)).shard == shard {
            names.put(names.name(hash(number)), place(number), |_| true);
            crowd.push(number);
        }
    }
    for number in crowd {
        let found = names.find(names.name(hash(number)), |found| found == place(number));
        assert!(found.is_some(), "{number}");
    }
}
