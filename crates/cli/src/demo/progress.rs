//! What is going on, on standard error: a bar on a terminal, a line a run elsewhere.

use super::{
    Setting,
    figures::{self, Figures},
};
use crate::logs;
use indicatif::{ProgressBar, ProgressStyle};
use std::{io::IsTerminal as _, time::Duration};

/// How often the bar is drawn anew while nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// All runs.
#[derive(Debug)]
pub(crate) struct Progress {
    requests: u64,
    terminal: bool,
    /// Of policies' names.
    width: usize,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Bar(ProgressBar, bool);

impl Progress {
    pub(crate) fn new(setting: &Setting, names: [&str; 2]) -> Self {
        let progress = Self {
            requests: setting.workload.requests() as u64,
            terminal: std::io::stderr().is_terminal(),
            width: names.iter().map(|name| name.len()).max().unwrap_or(0),
        };
        progress.note(&format!(
            "{}, {} requests each way: chats, shared documents, unrelated",
            setting.replicas, progress.requests
        ));
        progress
    }

    pub(crate) fn note(&self, text: &str) {
        logs::say(format_args!("  {text}"));
    }

    pub(crate) fn begin(&self, policy: &str) -> Bar {
        let bar = ProgressBar::new(self.requests);
        let style = ProgressStyle::with_template(
            "  {prefix} {bar:32.blue/dim} {pos:>4}/{len}  {elapsed:>3}  {msg}",
        );
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("━━─"));
        }
        bar.set_prefix(format!("{policy:width$}", width = self.width));
        if self.terminal {
            bar.enable_steady_tick(TICK);
        }
        Bar(bar, self.terminal)
    }
}

impl Bar {
    pub(crate) fn show(&self, done: usize, hit_ratio: f64) {
        self.0.set_position(done as u64);
        self.0
            .set_message(format!("hit ratio {}", figures::share(hit_ratio)));
    }

    pub(crate) fn end(&self, figures: &Figures) {
        let words = format!(
            "hit ratio {}  TTFT p50 {}",
            figures::share(figures.hit_ratio),
            figures::time(figures.ttft_p50)
        );
        if self.1 {
            self.0.finish_with_message(words);
        } else {
            let took = figures.took.as_secs_f64();
            logs::say(format_args!(
                "  {}: {words}  in {took:.1} s",
                figures.policy
            ));
        }
    }
}
