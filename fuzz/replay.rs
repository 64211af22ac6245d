//! Runs a fuzz target's promise on its committed seeds: what a test build includes of this folder.

use std::{fs, path::PathBuf};

/// Calls `promise` with each file of `seeds/TARGET`.
pub(crate) fn replay(target: &str, promise: impl Fn(&[u8])) {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds"));
    let files = fs::read_dir(folder.join(target)).expect("a folder of seeds");
    let mut seeds = 0;
    for file in files {
        let path = file.expect("a file").path();
        println!("{}", path.display()); // seen only where the promise is broken
        promise(&fs::read(path).expect("a seed"));
        seeds += 1;
    }
    assert!(seeds > 0, "no seeds of {target}");
}
