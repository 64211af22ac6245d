//! What was asked of a fleet, without a word of it: lengths, times, picks, outcomes, and names of
//! blocks that say which prompts begin alike and nothing else.
//!
//! A folder of files, each readable by itself. A file is lines of JSON: a head, then one request
//! a line, in the order in which they ended.
//!
//! ```text
//! {"onefill_record":1,"policy":"kv"}
//! {"t":1790000000000,"in":229,"out":16,"b":64,"p":"9f..16 digits","k":"16 digits a block","n":3,
//!  "s":"16 digits","r":1,"ov":128,"ca":128,"q":0.0,"f":31.2,"d":412.0,"cap":12288,"e":"done"}
//!
//! t    arrival, ms since 1970                  r    replica, by number
//! in   tokens of the prompt                    ov   tokens expected in its cache
//! out  tokens of the answer, where told        ca   tokens that it reported from there
//! b    tokens a block (of this record)         q    ms that it was expected to wait
//! n    blocks of the prompt                    f    ms to the first byte
//! k    names of those not seen in this file    d    ms to the last
//! p    name of the block before those          cap  tokens that the replica's cache holds
//! s    what names the session                  e    done, failed or cancelled
//! ```
//!
//! Names are the router's block keys, which a secret of the deployment goes into, mixed once more:
//! who has a record but not that secret can't test guesses against it. Of engine blocks shorter
//! than [`BLOCK_TOKENS_MIN`] only every so many-th is named: a name stands for all before it.

mod entry;
mod folder;
mod recorder;
mod write;

pub use entry::{BLOCK_TOKENS_MIN, Ended, Entry, LineError, Reader};
pub use folder::{read_folder, read_newest};
pub use recorder::{Config, Observed, RecordError, Recorder};
pub use write::Writer;

#[cfg(test)]
mod tests;
