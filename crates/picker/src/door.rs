//! What a path takes. Gateways put prefixes before the paths of engines, so ends are compared.

use onefill_prompt::Door;

const ENDS: [(&str, Door); 5] = [
    ("chat/completions", Door::Chat),
    ("completions", Door::Completions),
    ("responses", Door::Responses),
    ("messages", Door::Messages),
    ("embeddings", Door::Embeddings),
];

/// The door of a path; one that is not told takes completions.
pub(crate) fn of(path: Option<&str>) -> Door {
    let Some(path) = path else {
        return Door::Completions;
    };
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let ends = |end: &str| {
        let before = path.strip_suffix(end);
        before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    let found = ENDS.iter().find(|(end, _)| ends(end));
    found.map_or(Door::Other, |(_, door)| *door)
}

#[cfg(test)]
mod tests {
    use super::of;
    use onefill_prompt::Door;

    #[test]
    fn the_longest_end_of_a_path_counts() {
        for (path, door) in [
            ("/v1/chat/completions", Door::Chat),
            ("/v1/completions?x=/v1/messages", Door::Completions),
            ("/tenant/a/v1/messages", Door::Messages),
            ("/v1/mycompletions", Door::Other),
            ("/v1/messages/count_tokens", Door::Other),
            ("/", Door::Other),
        ] {
            assert_eq!(of(Some(path)), door, "{path}");
        }
        assert_eq!(of(None), Door::Completions);
    }
}
