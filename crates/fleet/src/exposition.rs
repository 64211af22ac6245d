//! Prometheus' text format.

/// `OpenMetrics` as `prometheus-client` writes it, in Prometheus' older form, which
/// [`FleetHandle::prometheus`](crate::FleetHandle::prometheus) has too: a counter is typed under the
/// name of its series, and nothing marks the end.
pub fn prometheus_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        let counter = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        let is_help = line.starts_with("# HELP ") && lines.peek().is_some_and(|next| counter(next));
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let name_ends = line
            .get(7..)
            .and_then(|rest| rest.find(' '))
            .map(|at| at + 7);
        match name_ends {
            Some(end) if is_help || counter(line) => {
                text.push_str(&line[..end]);
                text.push_str("_total");
                text.push_str(&line[end..]);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
