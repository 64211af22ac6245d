//! Bars: a figure of ours, the best peer's, and whether the ratio holds.

/// What must hold.
#[derive(Clone, Copy)]
pub enum Bar {
    /// At most this part of the best peer's.
    OfPeer(f64),
    /// At most.
    AtMost(f64),
    /// At least.
    AtLeast(f64),
}

/// The lines printed so far.
#[derive(Default)]
pub struct Report {
    failed: Vec<String>,
}

impl Report {
    /// Prints a bar and keeps it if it is missed. `peers`: name and figure of each.
    pub fn bar(&mut self, what: &str, unit: &str, ours: f64, peers: &[(String, f64)], bar: Bar) {
        let best = peers.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let ratio = best.map_or(f64::NAN, |best| ours / best.1);
        let (holds, wanted) = match bar {
            Bar::OfPeer(part) => (ratio <= part, format!("<= {part} x peer")),
            Bar::AtMost(most) => (ours <= most, format!("<= {most}")),
            Bar::AtLeast(least) => (ours >= least, format!(">= {least}")),
        };
        let peer = best.map_or(String::new(), |(name, figure)| {
            format!("best peer {figure:.1} ({name}), ratio {ratio:.2}, ")
        });
        let word = if holds { "ok    " } else { "FAILED" };
        println!("{word} {what}: {ours:.1} {unit}, {peer}wanted {wanted}");
        if !holds {
            self.failed.push(what.to_owned());
        }
    }

    /// Says what was missed; true if nothing was.
    pub fn finish(&self) -> bool {
        match self.failed.as_slice() {
            [] => println!("\nall bars hold"),
            failed => println!("\n{} missed: {}", failed.len(), failed.join("; ")),
        }
        self.failed.is_empty()
    }
}
