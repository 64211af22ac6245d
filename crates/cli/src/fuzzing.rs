//! What the fuzz target `config` promises.

#[cfg(test)]
mod tests;

use crate::config::{Settings, print, read};

/// Any file: no panic; every fault has a line of the file; and what is printed of a good one is
/// read as the same again.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match read("file", text) {
        Ok(settings) => printed_is_read(settings),
        Err(faults) => {
            assert!(!faults.0.is_empty());
            let lines = 1 + text.matches('\n').count();
            for fault in faults.0 {
                let line = fault.place.strip_prefix("file:").map(str::parse::<usize>);
                let in_file = matches!(&line, Some(Ok(line)) if (1..=lines).contains(line));
                assert!(in_file, "{fault}");
                assert!(!fault.what.is_empty(), "{fault}");
            }
        }
    }
}

fn printed_is_read(mut settings: Settings) {
    settings.api_keys.clear(); // they stay hidden
    let printed = print(&settings);
    match read("printed", &printed) {
        Ok(again) => assert_eq!(again, settings, "{printed}"),
        Err(faults) => assert!(faults.0.is_empty(), "{faults}of\n{printed}"),
    }
}
