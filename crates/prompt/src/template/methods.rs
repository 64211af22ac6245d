//! Python's methods of text that minijinja's own list leaves out and chat templates may use.

use minijinja::{Error, State, Value, value::from_args};
use minijinja_contrib::pycompat::unknown_method_callback;

/// A method that minijinja doesn't know.
pub(super) fn unknown(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let ours = value.as_str().map(|text| of_text(text, method, args));
    match ours.transpose()?.flatten() {
        Some(answer) => Ok(answer),
        None => unknown_method_callback(state, value, method, args),
    }
}

/// `None`: not one of these, or without a separator, or with one that means an error in Python.
fn of_text(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let three = |parts: [&str; 3]| Value::from(parts.map(Value::from).to_vec());
    let argument = || -> Result<&str, Error> {
        let (argument,) = from_args(args)?;
        Ok(argument)
    };
    Ok(match method {
        "removeprefix" => Some(text.strip_prefix(argument()?).unwrap_or(text).into()),
        "removesuffix" => Some(text.strip_suffix(argument()?).unwrap_or(text).into()),
        "partition" | "rpartition" => {
            let between = argument()?;
            let (parts, otherwise) = match method {
                "partition" => (text.split_once(between), [text, "", ""]),
                _ => (text.rsplit_once(between), ["", "", text]),
            };
            let parts = parts.map_or(otherwise, |(before, after)| [before, between, after]);
            (!between.is_empty()).then(|| three(parts))
        }
        "rsplit" => {
            let (between, most): (&str, Option<i64>) = from_args(args)?;
            let most = most.and_then(|most| usize::try_from(most).ok());
            let parts = most.map_or(usize::MAX, |most| most.saturating_add(1));
            let mut parts: Vec<Value> = text.rsplitn(parts, between).map(Value::from).collect();
            parts.reverse();
            (!between.is_empty()).then(|| parts.into())
        }
        _ => None,
    })
}
