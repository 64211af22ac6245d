//! Sizes in words: `4GiB`, `512 MiB`, `1048576`.

#[cfg(test)]
mod tests;

const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// Bytes of a size.
pub(super) fn parse(text: &str) -> Result<usize, String> {
    let fault = || format!("`{text}` is no size: expected a number and KiB, MiB, GiB or TiB");
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit));
    let (number, scale) = match unit {
        Some((unit, scale)) => (&text[..text.len() - unit.len()], *scale),
        None => (text, 1),
    };
    let number: u64 = number.trim().parse().map_err(|_| fault())?;
    let bytes = number.checked_mul(scale).ok_or_else(fault)?;
    usize::try_from(bytes).map_err(|_| fault())
}
