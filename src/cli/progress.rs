//! How far long work is, on stderr, only where somebody watches.
//!
//! Ctrl-C keeps its default meaning: the process dies at once. That is safe at any point, since whatever is
//! durable is written beside, synced and renamed (`base::fs`); `mvc gc` clears what is left beside.
//! [`Progress::cancelled`] is for front ends that live longer than one command.

use std::sync::RwLock;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::base::Progress;
use crate::base::progress::Unit;

/// Work that is done sooner than this shows no bar: a flash informs nobody.
const PATIENCE: Duration = Duration::from_millis(300);

/// A bar per running stage, the inner one drawn last.
#[derive(Debug)]
pub struct Bar {
    visible: bool,
    stages: RwLock<Vec<ProgressBar>>,
}

impl Bar {
    /// A listener that draws, or one that does not.
    pub fn new(visible: bool) -> Self {
        Self {
            visible,
            stages: RwLock::default(),
        }
    }
}

impl Progress for Bar {
    fn begin(&self, stage: &str, unit: Unit, total: Option<u64>) {
        if !self.visible {
            return;
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden())
            .with_style(style(unit, total.is_some()))
            .with_message(crate::base::text::printable(stage).into_owned());
        if let Ok(mut stages) = self.stages.write() {
            stages.push(bar);
        }
    }

    fn advance(&self, amount: u64) {
        if !self.visible {
            return;
        }
        let Ok(stages) = self.stages.read() else {
            return;
        };
        if let Some(bar) = stages.last() {
            if bar.is_hidden() && bar.elapsed() > PATIENCE {
                bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            }
            bar.inc(amount);
        }
    }

    fn end(&self) {
        let ended = self.stages.write().ok().and_then(|mut stages| stages.pop());
        if let Some(bar) = ended {
            bar.finish_and_clear();
        }
    }
}

fn template(unit: Unit, total_known: bool) -> &'static str {
    match (unit, total_known) {
        (Unit::Bytes, true) => {
            "{msg:<10} {bar:16} {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left"
        }
        (Unit::Bytes, false) => "{msg:<10} {spinner} {binary_bytes}  {binary_bytes_per_sec}",
        (Unit::Items, true) => "{msg:<10} {bar:16} {human_pos} of {human_len}  {eta} left",
        (Unit::Items, false) => "{msg:<10} {spinner} {human_pos}",
    }
}

fn style(unit: Unit, total_known: bool) -> ProgressStyle {
    ProgressStyle::with_template(template(unit, total_known))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_sound() {
        for unit in [Unit::Bytes, Unit::Items] {
            for known in [true, false] {
                let sound = ProgressStyle::with_template(template(unit, known));
                assert!(sound.is_ok(), "{unit:?} {known}");
                let bar = Bar::new(true);
                bar.begin("hashing", unit, known.then_some(10));
                bar.advance(3);
                bar.end();
                bar.end(); // one too many is no panic
            }
        }
    }
}
