//! Sizes as Kubernetes, LMCache and `onefill store` write them.

/// Powers of 1024 by their suffix, largest first.
const UNITS: [(&str, u64); 4] = [
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
];

/// One gibibyte, the unit of most sizes here.
pub(crate) const GIB: u64 = 1 << 30;
/// Largest size that is believed: an exbibyte.
pub(crate) const BYTES_MAX: u64 = 1 << 60;

/// Bytes of a size whose form the XRD has checked; `None` if there are too many.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a size with a fraction is meant to the byte by nobody; the bound is checked"
)]
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let unit = UNITS.iter().find(|(suffix, _)| text.ends_with(suffix));
    let (number, scale) = match unit {
        Some((suffix, scale)) => (&text[..text.len() - suffix.len()], *scale),
        None => (text, 1),
    };
    let exact = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(scale));
    let bytes = match exact {
        Some(bytes) => bytes,
        None => (number.parse::<f64>().ok()? * scale as f64).min(u64::MAX as f64) as u64,
    };
    (bytes <= BYTES_MAX).then_some(bytes)
}

/// Kubernetes' canonical form: operators that compare texts see no difference.
pub(crate) fn kubernetes(bytes: u64) -> String {
    let unit = UNITS
        .iter()
        .find(|(_, scale)| bytes != 0 && bytes.is_multiple_of(*scale));
    match unit {
        Some((suffix, scale)) => format!("{}{suffix}", bytes / scale),
        None => bytes.to_string(),
    }
}

/// `onefill store`'s form: `48GiB`.
pub(crate) fn onefill(bytes: u64) -> String {
    let text = kubernetes(bytes);
    if text.ends_with('i') {
        text + "B"
    } else {
        text
    }
}

/// `LMCache`'s form: a plain number of gibibytes. It reads anything else as none at all.
#[expect(
    clippy::cast_precision_loss,
    reason = "sizes below 2^60 in steps that a person writes"
)]
pub(crate) fn lmcache(bytes: u64) -> String {
    format!("{}", bytes as f64 / GIB as f64)
}

/// Rounded up to whole mebibytes, so that requests stay readable.
pub(crate) fn to_mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20) << 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_in_each_form() {
        for (text, size, canonical, ours, lmcache_text) in [
            ("4Gi", 4 * GIB, "4Gi", "4GiB", "4"),
            ("1.5Gi", 3 * GIB / 2, "1536Mi", "1536MiB", "1.5"),
            ("1024Mi", GIB, "1Gi", "1GiB", "1"),
            ("0", 0, "0", "0", "0"),
            ("2Ti", 2048 * GIB, "2Ti", "2TiB", "2048"),
            ("512", 512, "512", "512", "0.000000476837158203125"),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
            assert_eq!(kubernetes(size), canonical);
            assert_eq!(onefill(size), ours);
            assert_eq!(lmcache(size), lmcache_text);
        }
        assert_eq!(bytes("99999999999999Ti"), None);
        assert_eq!(bytes("99999999999999999999999.5"), None);
    }
}
