#[path = "../../../../fuzz/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn seeds_of_bodies() {
    replay("bodies", super::bodies);
}

#[test]
fn seeds_of_templates() {
    replay("templates", |bytes| {
        super::templates(bytes);
    });
}
