use std::sync::atomic::{AtomicU64, Ordering};

use super::{PIECE_BYTES, Piece, zeros};
use crate::memory::{CHUNK_LINES, LINE_WORDS, Line};

#[test]
fn a_piece_is_zero_aligned_and_ours_to_write() {
    let piece: Box<Piece<Line, CHUNK_LINES>> = zeros();
    assert_eq!(size_of_val(&*piece), PIECE_BYTES);
    assert_eq!(std::ptr::from_ref(&*piece).addr() % PIECE_BYTES, 0);
    let words = || [0, CHUNK_LINES / 2, CHUNK_LINES - 1].map(|at| &piece.0[at].0);
    let zero = |word: &AtomicU64| word.load(Ordering::Relaxed) == 0;
    assert!(words().into_iter().flatten().all(zero));
    for line in words() {
        line[LINE_WORDS - 1].store(7, Ordering::Relaxed);
    }
    let written = |line: &[AtomicU64; LINE_WORDS]| line[LINE_WORDS - 1].load(Ordering::Relaxed);
    assert_eq!(words().map(written), [7, 7, 7]);
}
