//! A record's folder: files by age, the oldest leave.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The text of all files, oldest first.
pub fn read_folder(folder: &Path) -> io::Result<String> {
    read_newest(folder, u64::MAX)
}

/// The text of the newest files that have at most `bytes_max` together, oldest first.
pub fn read_newest(folder: &Path, bytes_max: u64) -> io::Result<String> {
    let all = files(folder)?;
    let mut left = bytes_max;
    let fits = |(_, bytes): &&(PathBuf, u64)| {
        let fits = *bytes <= left;
        left = left.saturating_sub(*bytes);
        fits
    };
    let newest = all.iter().rev().take_while(fits).count();
    let mut text = String::new();
    for (path, _) in all.iter().skip(all.len() - newest) {
        match fs::read_to_string(path) {
            Ok(more) => text.push_str(whole_lines(&more)),
            // It left between the look and the reading.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(text)
}

/// Without a last line that is being written.
fn whole_lines(text: &str) -> &str {
    let end = text.rfind('\n').map_or(0, |at| at + 1);
    text.get(..end).unwrap_or_default()
}

/// Files and their bytes, oldest first: names begin with the time.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("record-") && name.ends_with(".jsonl") {
            found.push((entry.path(), entry.metadata()?.len()));
        }
    }
    found.sort();
    Ok(found)
}

/// Deletes the oldest files until all together have at most `bytes_max`.
pub(crate) fn trim(folder: &Path, bytes_max: u64) -> io::Result<()> {
    let found = files(folder)?;
    let mut all: u64 = found.iter().map(|(_, bytes)| bytes).sum();
    for (path, bytes) in found {
        if all <= bytes_max {
            break;
        }
        fs::remove_file(path)?;
        all -= bytes;
    }
    Ok(())
}
