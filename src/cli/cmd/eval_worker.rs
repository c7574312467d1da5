use std::io::Read;

use crate::base::progress::Silent;
use crate::cli::{Context, Exit, Outcome};
use crate::ops::eval::worker;

/// Measure for another mvc, which reads the answer
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, context: &Context) -> Outcome {
    const LIMIT: u64 = 1 << 20;
    let ws = context.workspace()?;
    let mut request = Vec::new();
    std::io::stdin()
        .take(LIMIT)
        .read_to_end(&mut request)
        .map_err(|e| crate::base::fs::FsError::new("read standard input of", context.dir(), e))?;
    context
        .ui
        .bytes(worker::work(&ws, &request, &Silent).as_bytes());
    Ok(Exit::Done)
}
