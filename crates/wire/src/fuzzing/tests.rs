#[path = "../../../../fuzz/replay.rs"]
mod replay;

use proptest::prelude::*;

#[test]
fn seeds_of_frames() {
    replay::replay("frames", super::frames);
}

proptest! {
    #[test]
    fn any_bytes_keep_the_promises(
        op in 0u8..14,
        items in 0u8..5,
        table in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut frame = vec![0; 64];
        frame[4] = op;
        frame[16] = items;
        frame.extend(table);
        super::frames(&frame);
    }
}
