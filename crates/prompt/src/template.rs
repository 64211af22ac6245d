//! Chat templates: Jinja as Hugging Face's `apply_chat_template` runs it, by minijinja.

use minijinja::{
    Environment, Error, ErrorKind, Value, context, syntax::SyntaxConfig, value::Serde,
};
use serde_json::Value as Json;

/// Most steps a template may take: a hostile one ends with an error, not with a stall.
const FUEL: u64 = 5_000_000;

/// A model's chat template.
pub(crate) struct Template {
    environment: Environment<'static>,
    bos: String,
    eos: String,
    /// Whether it loops over a message's content itself, so that parts stay a list (vLLM calls
    /// this content format "openai"); else vLLM joins text parts before.
    pub(crate) takes_parts: bool,
}

/// What a template is given.
pub(crate) struct Conversation {
    pub(crate) messages: Json,
    pub(crate) tools: Json,
    pub(crate) documents: Json,
    pub(crate) kwargs: Json,
    pub(crate) add_generation_prompt: bool,
}

impl Template {
    pub(crate) fn new(source: &str, bos: &str, eos: &str) -> Result<Self, Error> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<Value, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment.add_function("strftime_now", |_: String| -> Result<Value, Error> {
            // The replica's clock, not ours, decides what it renders: its tokens must be asked.
            Err(Error::new(
                ErrorKind::InvalidOperation,
                "the template uses the present time",
            ))
        });
        environment.add_filter("tojson", to_json);
        let plain = source
            .replace("{% generation %}", "")
            .replace("{% endgeneration %}", "");
        let plain = plain
            .replace("{%- generation -%}", "")
            .replace("{%- endgeneration -%}", "");
        environment.add_template_owned("chat", plain)?;
        let takes_parts = loops_over_content(source);
        Ok(Self {
            environment,
            bos: bos.into(),
            eos: eos.into(),
            takes_parts,
        })
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn with_fuel(mut self, fuel: u64) -> Self {
        self.environment.set_fuel(Some(fuel));
        self
    }

    pub(crate) fn render(&self, conversation: &Conversation) -> Result<String, Error> {
        let template = self.environment.get_template("chat")?;
        let or_none = |value: &Json| {
            if value.is_null() {
                Value::from(())
            } else {
                Value::from(Serde(value))
            }
        };
        let given = context! {
            messages => Value::from(Serde(&conversation.messages)),
            tools => or_none(&conversation.tools),
            documents => or_none(&conversation.documents),
            add_generation_prompt => conversation.add_generation_prompt,
            bos_token => &self.bos,
            eos_token => &self.eos,
            ..Value::from(Serde(&conversation.kwargs))
        };
        template.render(given)
    }
}

/// vLLM reads the template's syntax tree; names and forms in use are few enough for the text.
fn loops_over_content(source: &str) -> bool {
    let squeezed: String = source.split_whitespace().collect::<Vec<_>>().join(" ");
    let loops = squeezed
        .split("for ")
        .skip(1)
        .filter_map(|rest| rest.split_once(" in "));
    let mut over = loops.map(|(_, iterable)| iterable.split(['%', '}']).next().unwrap_or_default());
    over.any(|iterable| {
        iterable.contains("['content']")
            || iterable.contains("[\"content\"]")
            || iterable.contains(".content")
            || iterable.trim() == "content"
    })
}

/// Python's `json.dumps(value, ensure_ascii=False)`: a space after each comma and colon.
#[expect(clippy::needless_pass_by_value, reason = "the form of a filter")]
fn to_json(value: &Value, kwargs: minijinja::value::Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = kwargs.get("indent")?;
    let wrong =
        |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    let json = serde_json::to_value(value).map_err(wrong)?;
    let mut text = String::new();
    write_json(&json, indent, 0, &mut text);
    Ok(Value::from_safe_string(text))
}

fn write_json(json: &Json, indent: Option<usize>, depth: usize, text: &mut String) {
    let line = |text: &mut String, depth: usize| {
        if let Some(indent) = indent {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent * depth));
        }
    };
    let separator = if indent.is_some() { "," } else { ", " };
    match json {
        Json::Array(items) if !items.is_empty() => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                text.push_str(if place > 0 { separator } else { "" });
                line(text, depth + 1);
                write_json(item, indent, depth + 1, text);
            }
            line(text, depth);
            text.push(']');
        }
        Json::Object(fields) if !fields.is_empty() => {
            text.push('{');
            for (place, (name, item)) in fields.iter().enumerate() {
                text.push_str(if place > 0 { separator } else { "" });
                line(text, depth + 1);
                text.push_str(&Json::from(name.as_str()).to_string());
                text.push_str(": ");
                write_json(item, indent, depth + 1, text);
            }
            line(text, depth);
            text.push('}');
        }
        plain => text.push_str(&plain.to_string()),
    }
}
