//! What the fuzz target `usage` promises.

#[cfg(test)]
mod tests;

use crate::usage::Tail;
use bytes::Bytes;

/// Any answer in any pieces: no panic; what is kept has a bound; and the report does not depend on
/// where the answer was cut. The first byte says how often it is, the next ones how far apart.
pub fn usage(bytes: &[u8]) {
    let Some((cuts, rest)) = bytes.split_first() else {
        return;
    };
    let cuts = usize::from(cuts % 16).min(rest.len());
    let (lengths, answer) = rest.split_at(cuts);
    let answer = Bytes::copy_from_slice(answer);

    let mut whole = Tail::default();
    whole.push(&answer);
    let mut pieces = Tail::default();
    let mut rest = answer;
    while !rest.is_empty() {
        let before = rest.len();
        for length in lengths {
            let piece = rest.split_to(usize::from(*length).min(rest.len()));
            pieces.push(&piece);
            pieces.assert_bounded();
        }
        if rest.len() == before {
            pieces.push(&rest.split_off(0));
        }
    }
    assert_eq!(pieces.usage(), whole.usage());
}
