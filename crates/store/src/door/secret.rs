//! Passwords and tokens.

/// Compares without telling by time where the difference is.
pub(crate) fn is_same(left: &[u8], right: &[u8]) -> bool {
    let differences = left.iter().zip(right).fold(0, |all, (l, r)| all | (l ^ r));
    left.len() == right.len() && differences == 0
}
