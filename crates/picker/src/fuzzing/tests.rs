#[path = "../../../../fuzz/replay.rs"]
mod replay;

use proptest::prelude::*;

#[test]
fn seeds_of_ext_proc() {
    replay::replay("ext_proc", super::ext_proc);
}

proptest! {
    #[test]
    fn any_messages_in_any_order_keep_the_promises(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        super::ext_proc(&bytes);
    }
}
