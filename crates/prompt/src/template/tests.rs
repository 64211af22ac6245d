use super::{PlainMessage, SpecialTokens, Template, is_content, without_generation};
use crate::template::{Conversation, Messages};
use serde_json::{Value as Json, json};

fn render(source: &str, messages: Json) -> Result<String, String> {
    render_messages(source, Messages::Json(messages))
}

fn render_messages(source: &str, messages: Messages) -> Result<String, String> {
    let template =
        Template::new(source, SpecialTokens::new()).map_err(|error| error.to_string())?;
    let conversation = Conversation {
        messages,
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
fn plain_messages_are_to_templates_what_objects_are() {
    let sources = [
        "{% for m in messages %}{{ m.role }}:{{ m['content'] }}|{{ m.tool_calls }}{% endfor %}",
        "{{ messages }}{{ messages[0] }}{{ messages[-1] | tojson }}{{ messages | tojson(indent=2) }}",
        "{% for m in messages %}{% for k, v in m.items() %}{{ k }}={{ v }};{% endfor %}{% endfor %}",
        "{{ messages[1].get('content') }}{{ messages[0].get('name', 'nobody') }}{{ messages[0].keys() | list }}",
        "{{ 'role' in messages[0] }}{{ 'name' in messages[0] }}{{ messages[0] is mapping }}{{ messages[0] | length }}",
        "{{ messages[0] == messages[0] }}{{ messages[0] == messages[1] }}{{ messages[0].name is defined }}",
        "{{ messages | map(attribute='content') | join('+') }}{{ messages[1:] | length }}{{ messages | last }}",
        "{{ messages | selectattr('role', 'equalto', 'user') | list | tojson }}{% set m = dict(messages[0]) %}{{ m }}",
    ];
    let texts = [("system", "be \"kind\""), ("user", "hi\n<b>"), ("user", "")];
    for source in sources {
        let objects = texts.map(|(role, content)| json!({"role": role, "content": content}));
        let plain = texts.map(|(role, content)| PlainMessage {
            role: role.into(),
            content: content.into(),
        });
        let rendered = render_messages(source, Messages::Plain(plain.to_vec()));
        assert_eq!(
            rendered,
            render(source, objects.as_slice().into()),
            "{source}"
        );
        assert!(rendered.is_ok(), "{source}: {rendered:?}");
    }
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
