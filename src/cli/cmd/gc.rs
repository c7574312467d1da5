use std::time::Duration;

use crate::cli::render;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::gc::{self, Options};

/// Free the room of weights that nothing needs any more
///
/// Needed is what a branch, a tag, a remote's branch, a stash, a reflog, an index or a sidecar in any work tree still
/// names. By itself the command only says what would go; `--prune` puts it into the trash, where it lies for the
/// grace time before a later `mvc gc --prune` removes it for good. What was stored within the grace time stays.
/// After `git reset --hard` a version stays for as long as git's reflog names it, as it does for git itself.
///
/// With `--repack`, packs are also written anew: many small ones become few, tensors are written as differences to
/// better bases, and the versions that branches and tags name are quick to read. What no version has any more and
/// stays only because others are written with it goes too, where they take less without. The old packs go into the
/// trash.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  $ mvc gc
  $ mvc gc --prune
  $ mvc gc --repack --prune
  $ mvc gc --restore-trash")]
pub(crate) struct Args {
    /// Do it: put what nothing needs into the trash, and empty the trash of what has lain there long enough
    #[arg(long)]
    prune: bool,
    /// How long packs are left alone, and lie in the trash: a number and s, m, h, d or w, or 0 for no time
    #[arg(long, value_name = "TIME", default_value = "2w", value_parser = duration)]
    grace: Duration,
    /// Write packs anew, each tensor in the best place that there is; takes its time
    #[arg(long)]
    repack: bool,
    /// Bring back everything that lies in the trash
    #[arg(long, conflicts_with_all = ["prune", "grace", "repack"])]
    restore_trash: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Outcome {
    let ws = context.workspace()?;
    if args.restore_trash {
        let back = gc::restore_trash(&ws)?;
        context.show("gc", &back, render::gc::restored)?;
        return Ok(Exit::Done);
    }
    let options = Options {
        prune: args.prune,
        grace: args.grace,
        repack: args.repack,
    };
    let report = gc::run(&ws, &options, &context.progress())?;
    context.show("gc", &report, render::gc::report)?;
    Ok(Exit::Done)
}

/// A time as `2w`, `36h` or `0`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        "" if digits == "0" => 1,
        _ => return Err("it has no unit that is known: s, m, h, d or w".into()),
    };
    let number = digits.parse::<u64>().ok();
    let all = number.and_then(|number| number.checked_mul(seconds));
    all.map(Duration::from_secs)
        .ok_or_else(|| "it does not begin with a whole number".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("0", 0),
            ("0d", 0),
            ("90s", 90),
            ("2w", 1_209_600),
            ("1h", 3600),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "w",
            "5",
            "-1d",
            "1.5h",
            "1y",
            "99999999999999999w",
            "1d2h",
            "é",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
