//! Times as Go writes them.

use std::time::Duration;

/// Units, longer names before those that they begin with.
const UNITS: [(&str, f64); 7] = [
    ("h", 3600.0),
    ("ms", 1e-3),
    ("m", 60.0),
    ("us", 1e-6),
    ("\u{b5}s", 1e-6),
    ("ns", 1e-9),
    ("s", 1.0),
];

/// `30s`, `1m30s`, `250ms`, `0`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let fault = || format!("`{text}` is no time: expected one like 30s, 1m30s or 250ms");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let digits = rest.find(|c: char| !is_number(c)).ok_or_else(fault)?;
        let (number, after) = rest.split_at(digits);
        let unit = UNITS.iter().find(|(unit, _)| after.starts_with(unit));
        let (unit, scale) = unit.ok_or_else(fault)?;
        seconds += number.parse::<f64>().map_err(|_| fault())? * scale;
        rest = after.get(unit.len()..).unwrap_or_default();
    }
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|_| !text.is_empty())
        .ok_or_else(fault)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn times_are_read_as_go_writes_them() {
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("0"), Ok(Duration::ZERO));
        for wrong in ["", "30", "s", "1x", "-1s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
