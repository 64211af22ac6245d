//! The filter `tojson` as transformers has it: Python's `json.dumps`, in which other characters than
//! ASCII stand as they are.

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Kwargs, ValueKind},
};

/// Deepest nesting: `serde_json` reads no deeper, and only hostile templates build it.
const DEPTH_MAX: usize = 128;

/// How it is written.
struct Style {
    /// What stands before each item, once for each level; `None`: all in one line.
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    ascii: bool,
    sorted: bool,
}

/// `tojson(ensure_ascii=false, indent=none, separators=none, sort_keys=false)`.
#[expect(clippy::needless_pass_by_value, reason = "the form of a filter")]
pub(super) fn to_json(
    state: &State<'_, '_>,
    value: &Value,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let style = Style::new(&kwargs)?;
    kwargs.assert_all_used()?;
    let mut writer = Writer {
        state,
        style,
        text: String::new(),
    };
    writer.value(value, 0)?;
    Ok(Value::from_safe_string(writer.text))
}

impl Style {
    fn new(kwargs: &Kwargs) -> Result<Self, Error> {
        let indent = match kwargs.get::<Option<Value>>("indent")? {
            None => None,
            Some(value) => Some(match value.as_str() {
                Some(text) => text.to_owned(),
                None => {
                    " ".repeat(usize::try_from(i64::try_from(value)?.clamp(0, 1000)).unwrap_or(0))
                }
            }),
        };
        let separators: Option<Vec<String>> = kwargs.get("separators")?;
        let between = if indent.is_some() { "," } else { ", " };
        let (item_separator, key_separator) = match separators.as_deref() {
            None => (between.to_owned(), ": ".to_owned()),
            Some([item, key]) => (item.clone(), key.clone()),
            Some(_) => return Err(wrong("separators are two")),
        };
        Ok(Self {
            indent,
            item_separator,
            key_separator,
            ascii: kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
            sorted: kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        })
    }
}

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::BadSerialization, what)
}

struct Writer<'a, 'b, 'c> {
    state: &'a State<'b, 'c>,
    style: Style,
    text: String,
}

impl Writer<'_, '_, '_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(wrong("nested too deep"));
        }
        match value.kind() {
            ValueKind::None => self.text.push_str("null"),
            ValueKind::Bool => self
                .text
                .push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value)?,
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            ValueKind::Map => self.map(value, depth)?,
            _ => return Err(wrong("no JSON stands for it")),
        }
        Ok(())
    }

    fn list(&mut self, list: &Value, depth: usize) -> Result<(), Error> {
        self.text.push('[');
        let mut first = true;
        for item in list.try_iter()? {
            self.begin_item(first, depth + 1)?;
            self.value(&item, depth + 1)?;
            first = false;
        }
        self.end_items(first, depth)?;
        self.text.push(']');
        Ok(())
    }

    fn map(&mut self, map: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = map.try_iter()?.collect();
        if self.style.sorted {
            keys.sort();
        }
        self.text.push('{');
        let mut first = true;
        for key in keys {
            self.begin_item(first, depth + 1)?;
            match key.as_str() {
                Some(name) => self.string(name),
                None => return Err(wrong("a key is not text")),
            }
            self.text.push_str(&self.style.key_separator);
            self.value(&map.get_item(&key)?, depth + 1)?;
            first = false;
        }
        self.end_items(first, depth)?;
        self.text.push('}');
        Ok(())
    }

    fn begin_item(&mut self, first: bool, depth: usize) -> Result<(), Error> {
        self.state.consume_fuel(1)?;
        if !first {
            self.text.push_str(&self.style.item_separator);
        }
        self.line(depth)
    }

    fn end_items(&mut self, none: bool, depth: usize) -> Result<(), Error> {
        if none { Ok(()) } else { self.line(depth) }
    }

    fn line(&mut self, depth: usize) -> Result<(), Error> {
        if let Some(indent) = &self.style.indent {
            // A wide indent would make much text of little: it is paid before it is written.
            self.state
                .consume_fuel((indent.len() * depth) as u64 / 64)?;
            self.text.push('\n');
            self.text
                .extend(std::iter::repeat_n(indent.as_str(), depth));
        }
        Ok(())
    }

    fn number(&mut self, value: &Value) -> Result<(), Error> {
        let text = match f64::try_from(value.clone()) {
            Ok(number) if !value.is_integer() => python_float(number),
            _ => value.to_string(),
        };
        self.text.push_str(&text);
        Ok(())
    }

    fn string(&mut self, string: &str) {
        self.text.push('"');
        for letter in string.chars() {
            match letter {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                '\0'..' ' => self.escaped(u16::try_from(u32::from(letter)).unwrap_or(0)),
                '\u{7f}'.. if self.style.ascii && !letter.is_ascii() => {
                    let mut units = [0; 2];
                    for unit in letter.encode_utf16(&mut units) {
                        self.escaped(*unit);
                    }
                }
                plain => self.text.push(plain),
            }
        }
        self.text.push('"');
    }

    fn escaped(&mut self, unit: u16) {
        self.text.push_str(&format!("\\u{unit:04x}"));
    }
}

/// `repr(float)`: the shortest digits, with an exponent below 1e-4 and from 1e16 on.
pub(super) fn python_float(number: f64) -> String {
    if !number.is_finite() {
        let sign = if number < 0.0 { "-" } else { "" };
        return if number.is_nan() {
            "NaN".into()
        } else {
            format!("{sign}Infinity")
        };
    }
    let short = format!("{number:e}");
    let (digits, exponent) = short.split_once('e').unwrap_or((&short, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}
