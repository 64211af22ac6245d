//! Redis's patterns: `*`, `?`, `[a-z]`, `[^a]`, and `\` before any of them.

/// Steps that one comparison may take; a pattern of many stars needs more and does not match.
const STEPS_MAX: usize = 1 << 16;

/// Whether a key fits a pattern.
#[must_use]
pub fn glob(pattern: &[u8], key: &[u8]) -> bool {
    let (mut p, mut k) = (0, 0);
    // Where to go on when what follows the last star did not fit: one byte later in the key.
    let mut retry: Option<(usize, usize)> = None;
    for _ in 0..STEPS_MAX {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p + 1, k));
            p += 1;
            continue;
        }
        if k == key.len() && p == pattern.len() {
            return true;
        }
        let fits = key.get(k).and_then(|byte| one(&pattern[p..], *byte));
        match (fits, retry) {
            (Some(used), _) => {
                p += used;
                k += 1;
            }
            (None, Some((after, from))) if from < key.len() => {
                retry = Some((after, from + 1));
                (p, k) = (after, from + 1);
            }
            _ => return false,
        }
    }
    false
}

/// Bytes of the pattern that a byte fits.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => class(rest, byte).map(|used| used + 1),
        [b'\\', literal, ..] => (*literal == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
    }
}

/// Bytes behind a `[` up to and with its `]`, if the byte is in the class.
fn class(rest: &[u8], byte: u8) -> Option<usize> {
    let (negated, start) = match rest {
        [b'^', ..] => (true, 1),
        _ => (false, 0),
    };
    let end = start + rest[start..].iter().position(|byte| *byte == b']')?;
    let mut members = &rest[start..end];
    let mut found = false;
    while let [first, after @ ..] = members {
        members = after;
        if let [b'-', last, after @ ..] = members {
            found |= (*first.min(last)..=*first.max(last)).contains(&byte);
            members = after;
        } else {
            found |= *first == byte;
        }
    }
    (found != negated).then_some(end + 1)
}
