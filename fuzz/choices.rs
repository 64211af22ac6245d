//! Choices made by a fuzzer's bytes, for targets that want a made thing and not raw bytes.

/// Bytes that choose, first to last. At their end every choice is the first.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl Choices<'_> {
    pub(crate) fn are_left(&self) -> bool {
        !self.0.is_empty()
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            if let Some((first, rest)) = self.0.split_first() {
                (*byte, self.0) = (*first, rest);
            }
        }
        bytes
    }

    /// A number below `end`, which is at most 256.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let [byte] = self.bytes();
        usize::from(byte) % end
    }
}
