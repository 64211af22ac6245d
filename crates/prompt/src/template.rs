//! Chat templates: Jinja as Hugging Face's `apply_chat_template` runs it, by minijinja.

mod json;
mod methods;

use minijinja::{
    Environment, Error, ErrorKind, Value, context, escape_formatter,
    syntax::SyntaxConfig,
    value::{Enumerator, Object, Serde, ValueKind},
};
use serde_json::Value as Json;
use std::{collections::BTreeMap, sync::Arc};

/// Most steps a template may take, and 64 bytes of memory each: a hostile one ends with an error,
/// not with a stall. What fuel does not bound is how deep lists lie in lists: some ten thousand
/// levels, which only a template made for it builds, end in a stack overflow when minijinja drops
/// them. Templates are the operator's (a request's own are never rendered here), and what clients
/// send nests 128 deep at most.
const FUEL: u64 = 5_000_000;

/// Stands for the present time: the replica's clock, not ours, decides what it shows. Many templates
/// ask for it and few show it; of those the replica must be asked. No text has this character.
const PRESENT: char = '\u{10fffd}';

/// A model's chat template.
pub(crate) struct Template {
    environment: Environment<'static>,
    special_tokens: Value,
    /// Whether it loops over a message's content itself, so that parts stay a list (vLLM calls
    /// this content format "openai"); else vLLM joins text parts before.
    pub(crate) takes_parts: bool,
    /// Whether it knows the role "developer".
    pub(crate) knows_developer: bool,
    /// Whether it speaks of "content", without which no message can be continued.
    shows_content: bool,
}

/// Names and texts of a tokenizer's special tokens, as in `bos_token`; templates ask by name.
pub(crate) type SpecialTokens = BTreeMap<String, String>;

/// Messages as templates see them.
pub(crate) enum Messages {
    /// Texts only.
    Plain(Vec<PlainMessage>),
    /// Of any form.
    Json(Json),
}

/// The mapping `{"role": .., "content": ..}`.
#[derive(Clone, Debug)]
pub(crate) struct PlainMessage {
    pub(crate) role: Value,
    pub(crate) content: Value,
}

impl Object for PlainMessage {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "role" => Some(self.role.clone()),
            "content" => Some(self.content.clone()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["role", "content"])
    }
}

impl Messages {
    fn value(&self) -> Value {
        match self {
            Self::Plain(messages) => messages.iter().cloned().map(Value::from_object).collect(),
            Self::Json(messages) => Value::from(Serde(messages)),
        }
    }

    /// The last message's text; of several parts the last one's.
    fn last_text(&self) -> Option<&str> {
        match self {
            Self::Plain(messages) => messages.last()?.content.as_str(),
            Self::Json(messages) => match &messages.as_array()?.last()?["content"] {
                Json::Array(parts) => parts
                    .iter()
                    .rev()
                    .find_map(|part| part.get("text")?.as_str()),
                content => content.as_str(),
            },
        }
    }

    fn set_last_text(&mut self, text: &str) {
        match self {
            Self::Plain(messages) => {
                if let Some(last) = messages.last_mut() {
                    last.content = text.into();
                }
            }
            Self::Json(messages) => {
                let all = messages.as_array_mut();
                let last = all.and_then(|all| all.last_mut());
                let place = match last.and_then(|last| last.get_mut("content")) {
                    Some(Json::Array(parts)) => {
                        let mut texts = parts.iter_mut().rev();
                        texts.find_map(|part| part.get_mut("text"))
                    }
                    content => content,
                };
                if let Some(place) = place {
                    *place = text.into();
                }
            }
        }
    }
}

/// What a template is given.
pub(crate) struct Conversation {
    pub(crate) messages: Messages,
    pub(crate) tools: Json,
    pub(crate) documents: Json,
    pub(crate) kwargs: Json,
    pub(crate) add_generation_prompt: bool,
}

impl Template {
    pub(crate) fn new(source: &str, special_tokens: SpecialTokens) -> Result<Self, Error> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(methods::unknown);
        environment.set_formatter(|out, state, value| match f64::try_from(value.clone()) {
            Ok(number) if value.kind() == ValueKind::Number && !value.is_integer() => out
                .write_str(&json::python_float(number))
                .map_err(Error::from),
            _ => escape_formatter(out, state, value),
        });
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<Value, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment.add_function("strftime_now", |_: String| PRESENT.to_string().repeat(16));
        environment.add_filter("tojson", json::to_json);
        environment.add_template_owned("chat", without_generation(source))?;
        Ok(Self {
            environment,
            special_tokens: Value::from(special_tokens),
            takes_parts: loops_over_content(source),
            knows_developer: source.contains("'developer'") || source.contains("\"developer\""),
            shows_content: source.contains("content"),
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
            messages => conversation.messages.value(),
            tools => or_none(&conversation.tools),
            documents => or_none(&conversation.documents),
            add_generation_prompt => conversation.add_generation_prompt,
            ..context! {
                ..Value::from(Serde(&conversation.kwargs)),
                ..self.special_tokens.clone(),
            }
        };
        let rendered = template.render(given)?;
        if rendered.contains(PRESENT) {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "the template shows the present time",
            ));
        }
        Ok(rendered)
    }

    /// The chat up to the end of its last message's text, which the model is to continue: as
    /// transformers does it, by a mark behind that text.
    pub(crate) fn render_continued(&self, mut conversation: Conversation) -> Result<String, Error> {
        const MARK: &str = "CONTINUE_FINAL_MESSAGE_TAG ";
        let wrong = |what: &'static str| Error::new(ErrorKind::InvalidOperation, what);
        let text = conversation.messages.last_text();
        let Some(text) = text.filter(|_| self.shows_content) else {
            return Err(wrong("there is no text to continue"));
        };
        let (continued, marked) = (text.trim().to_owned(), [text, MARK].concat());
        conversation.messages.set_last_text(&marked);
        let mut rendered = self.render(&conversation)?;
        let Some(end) = rendered.rfind(MARK.trim_end()) else {
            return Err(wrong("the template does not show the text to continue"));
        };
        if !rendered.contains(&continued) {
            return Err(wrong("the template changes the text to continue"));
        }
        // Where the template took the mark's space away, it takes the text's own away too.
        let keeps_space = rendered
            .get(end..)
            .is_some_and(|rest| rest.starts_with(MARK));
        rendered.truncate(end);
        if !keeps_space {
            rendered.truncate(rendered.trim_end().len());
        }
        Ok(rendered)
    }
}

/// `{% generation %}` blocks, which only mark what a model said, become blocks that are always
/// there: so whitespace around their tags is cut as around any.
fn without_generation(source: &str) -> String {
    let mut plain = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(place) = rest.find("{%") {
        let (before, tag) = rest.split_at(place + 2);
        plain.push_str(before);
        let inside = tag.split("%}").next().unwrap_or_default();
        match inside.trim_matches(['-', '+']).trim() {
            "generation" => plain.push_str(&inside.replace("generation", "if true")),
            "endgeneration" => plain.push_str(&inside.replace("endgeneration", "endif")),
            _ => plain.push_str(inside),
        }
        rest = tag.get(inside.len()..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

/// vLLM reads the template's syntax tree; the forms in use are few enough for the text: a loop over
/// a message's content or over a variable of that name, perhaps sliced or filtered.
fn loops_over_content(source: &str) -> bool {
    let squeezed: String = source.split_whitespace().collect::<Vec<_>>().join(" ");
    let loops = squeezed
        .split("for ")
        .skip(1)
        .filter_map(|rest| rest.split_once(" in "));
    let mut over = loops.map(|(_, iterable)| iterable.split(['%', '}']).next().unwrap_or_default());
    over.any(|iterable| is_content(iterable.trim()))
}

fn is_content(iterable: &str) -> bool {
    let is_part_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let name = iterable.find(|letter| !is_part_of_word(letter));
    let (name, rest) = iterable.split_at(name.unwrap_or(iterable.len()));
    let accesses = ["['content']", "[\"content\"]", ".content"];
    let after = match accesses.iter().find_map(|access| rest.strip_prefix(access)) {
        Some(after) => after,
        None if name == "content" => rest,
        None => return false,
    };
    // A call or a further name makes something else of it.
    let after = after.trim_start();
    after.is_empty()
        || after.starts_with(['|', '-'])
        || after.starts_with("if ")
        || after.starts_with('[')
            && after
                .split(']')
                .next()
                .is_some_and(|slice| slice.contains(':'))
}

#[cfg(test)]
mod tests;
