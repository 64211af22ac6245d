use super::{SpecialTokens, Template, is_content, without_generation};
use crate::template::Conversation;
use serde_json::{Value as Json, json};

fn render(source: &str, value: Json) -> Result<String, String> {
    let template =
        Template::new(source, SpecialTokens::new()).map_err(|error| error.to_string())?;
    let conversation = Conversation {
        messages: value,
        tools: Json::Null,
        documents: Json::Null,
        kwargs: json!({}),
        add_generation_prompt: false,
    };
    template
        .render(&conversation)
        .map_err(|error| error.to_string())
}

#[test]
fn generation_tags_cut_whitespace_as_any() {
    let source = "a\n  {%- generation %}\n b {% endgeneration -%}\n c{% if x %}{% endif %}";
    assert_eq!(
        without_generation(source),
        "a\n  {%- if true %}\n b {% endif -%}\n c{% if x %}{% endif %}"
    );
    assert_eq!(render(source, json!([])).as_deref(), Ok("a b c"));
    assert_eq!(without_generation("{% generation"), "{% if true");
}

#[test]
fn loops_over_content_are_told_from_others() {
    for over in [
        "m.content",
        "m['content']",
        "content",
        "m[\"content\"] | list",
        "content[1:]",
        "content if x",
    ] {
        assert!(is_content(over), "{over}");
    }
    for other in [
        "m.content.split('\n')",
        "m['contents']",
        "contents",
        "m.content[0]",
        "f(content)",
        "x.y",
    ] {
        assert!(!is_content(other), "{other}");
    }
}

#[test]
fn the_present_time_is_the_replicas_once_it_is_shown() {
    let source =
        "{% set now = strftime_now('%d %b') %}{% if messages %}{{ 'on ' ~ now }}{% endif %}x";
    assert_eq!(render(source, json!([])).as_deref(), Ok("x"));
    let error = render(source, json!([1])).expect_err("shown");
    assert!(error.contains("present time"), "{error}");
}

#[test]
fn a_wide_indent_is_paid_for() {
    let source = "{% for i in range(99) %}{{ messages|tojson(indent=1000) }}{% endfor %}";
    let nested = (0..100).fold(json!([1]), |inner, _| json!([inner, 1]));
    let error = render(source, nested).expect_err("megabytes of spaces");
    assert!(error.contains("fuel"), "{error}");
}

#[test]
fn what_a_template_nests_is_not_followed_for_ever() {
    let source = "{% set ns = namespace(x=1) %}{% for i in range(2000) %}{% set ns.x = [ns.x] %}\
                  {% endfor %}{{ ns.x|tojson }}";
    let error = render(source, json!([])).expect_err("deep");
    assert!(error.contains("nested too deep"), "{error}");
}
