//! The evaluating process: started for each measurement, limited, and believed only as far as its answer reads.

use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::subject::Subject;
use super::tensors::{DataTensors, ModelTensors};
use crate::base::text::{chain, count, printable};
use crate::base::{Failure, Kind, Progress, RepoPath};
use crate::eval::claim::Key;
use crate::eval::limits::Limits;
use crate::eval::{EvalError, Measured, Tensors, measure};
use crate::ops::error::{Error, Result};
use crate::ops::models;
use crate::ops::sides::{Side, SideFile};
use crate::ops::workspace::Workspace;

/// The longest answer that is read.
const ANSWER_LIMIT: u64 = 16 << 20;

/// What an answer that is an error begins with.
const FAILED: &str = "mvc failed 1\n";

/// How the evaluating process is started, and how much it may use.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, after which it reads a request from standard input.
    pub arguments: Vec<String>,
    /// Bytes of address space; as many as the machine has memory where nothing is said.
    pub memory: Option<u64>,
    /// Seconds that it may take.
    pub seconds: u64,
}

/// What the evaluating process is asked.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    /// A commit, or nothing for the work tree.
    revision: Option<String>,
    suite: String,
    /// The claim key of what is to be measured, as it was when this was asked.
    key: String,
    memory: Option<u64>,
    seconds: u64,
}

/// Why the evaluating process has no answer.
#[derive(Debug, Serialize, Deserialize)]
struct Refusal {
    kind: String,
    message: String,
    hint: Option<String>,
}

impl Worker {
    /// Has one suite of one side measured, if it still is what `key` says.
    pub(super) fn measure(
        &self,
        ws: &Workspace,
        side: &Side,
        suite: &str,
        key: &Key,
        progress: &dyn Progress,
    ) -> Result<Measured> {
        let revision = match side {
            Side::Worktree => None,
            Side::Commit { id, .. } => Some(id.to_string()),
        };
        let request = Request {
            revision,
            suite: suite.to_owned(),
            key: key.id().to_string(),
            memory: self.memory.or_else(memory_here),
            seconds: self.seconds,
        };
        let text = serde_json::to_vec(&request).map_err(|e| self.broken(&e.to_string()))?;
        let mut command = Command::new(&self.program);
        // The repository as this workspace sees it, whatever the process itself was started with.
        ws.git().environment().apply(&mut command);
        let mut child = command
            .args(&self.arguments)
            .current_dir(ws.root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| self.broken(&format!("it cannot be started: {e}")))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A child that died before it read says why on its other side.
            let _ = stdin.write_all(&text);
        }
        let answer = self.wait(child, progress)?;
        match answer.strip_prefix(FAILED) {
            None => Ok(Measured::from_answer(&answer)?),
            Some(refusal) => Err(refused(refusal)),
        }
    }

    /// Waits for the answer; ends the child where it takes too long or the user wants to stop.
    fn wait(&self, mut child: Child, progress: &dyn Progress) -> Result<String> {
        let stdout = child
            .stdout
            .take()
            .map(|pipe| std::thread::spawn(move || drain(pipe)));
        let stderr = child
            .stderr
            .take()
            .map(|pipe| std::thread::spawn(move || drain(pipe)));
        // A limit beyond all clocks is none.
        let deadline = Instant::now().checked_add(Duration::from_secs(self.seconds));
        let status = loop {
            let ended = child.try_wait().map_err(|e| self.broken(&e.to_string()))?;
            if let Some(status) = ended {
                break status;
            }
            let late = deadline.is_some_and(|deadline| Instant::now() > deadline);
            if late || progress.cancelled() {
                let _ = child.kill();
                let _ = child.wait();
                return Err(match late {
                    true => Error::advised(
                        Kind::Unsupported,
                        format!(
                            "the evaluation took more than {}",
                            count(
                                usize::try_from(self.seconds).unwrap_or(usize::MAX),
                                "second"
                            )
                        ),
                        "`mvc eval --time SECONDS` gives it longer",
                    ),
                    false => EvalError::Cancelled.into(),
                });
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        let text = |thread: Option<std::thread::JoinHandle<Vec<u8>>>| {
            let bytes = thread
                .and_then(|thread| thread.join().ok())
                .unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (answer, said) = (text(stdout), text(stderr));
        if answer.is_empty() || (!status.success() && !answer.starts_with(FAILED)) {
            // A panic ends in advice of Rust's own, which explains nothing.
            let mut lines = said.lines().rev().map(str::trim);
            let last = lines.find(|line| !line.is_empty() && !line.starts_with("note:"));
            let last = last.unwrap_or("it said nothing");
            return Err(self.broken(&format!("it ended with {status}: {}", printable(last))));
        }
        Ok(answer)
    }

    fn broken(&self, why: &str) -> Error {
        Error::advised(
            Kind::Unsupported,
            format!("the evaluating process failed: {why}"),
            "it may need more memory: `mvc eval --memory GIB` gives it more",
        )
    }
}

/// Bytes of memory that this machine has, where it says so. More than that is asked for by no honest model, and
/// what a hostile one asks for then fails instead of having the kernel end other people's processes.
fn memory_here() -> Option<u64> {
    const LIMIT: u64 = 1 << 20;
    let text = crate::base::fs::read_if_present(Path::new("/proc/meminfo"), LIMIT).ok()??;
    let text = String::from_utf8(text).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1 << 10)
}

fn drain(pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = pipe.take(ANSWER_LIMIT).read_to_end(&mut bytes);
    bytes
}

fn refused(text: &str) -> Error {
    match serde_json::from_str::<Refusal>(text) {
        Ok(Refusal {
            kind,
            message,
            hint,
        }) => {
            let kind = Kind::ALL
                .into_iter()
                .find(|known| known.name() == kind)
                .unwrap_or(Kind::Bug);
            Error::Refused {
                kind,
                message: printable(&message).into_owned(),
                hint,
            }
        }
        Err(_) => Error::refused(
            Kind::Bug,
            "the evaluating process gave an answer that does not read",
        ),
    }
}

/// The evaluating process's own work: reads a request, limits itself, and returns the answer to print.
pub fn work(ws: &Workspace, request: &[u8], progress: &dyn Progress) -> String {
    match answer(ws, request, progress) {
        Ok(measured) => measured.to_answer(),
        Err(e) => {
            let refusal = Refusal {
                kind: e.kind().name().to_owned(),
                message: chain(&e),
                hint: e.hint(),
            };
            format!(
                "{FAILED}{}",
                serde_json::to_string(&refusal).unwrap_or_default()
            )
        }
    }
}

fn answer(ws: &Workspace, request: &[u8], progress: &dyn Progress) -> Result<Measured> {
    let bad = |_| Error::refused(Kind::Usage, "this command is for mvc itself");
    let request: Request = serde_json::from_slice(request).map_err(bad)?;
    let limits = Limits {
        memory: request.memory,
        seconds: Some(request.seconds.saturating_mul(64)),
    };
    limits.apply()?;
    let side = match &request.revision {
        Some(revision) => Side::commit(ws, revision)?,
        None => Side::Worktree,
    };
    let config = side.config(ws)?;
    let absent = || Error::refused(Kind::NotFound, "there is no such suite");
    let found = models::suite(&config, Some(&request.suite))?;
    let (name, suite) = found.first().copied().ok_or_else(absent)?;
    let (_, model) = models::of_suite(&config, name, suite)?;
    let subject = Subject::find(ws, &side, model, suite, progress)?;
    // What was asked about may have been replaced since: a number of something else must not meet its claim.
    if subject.key().map(|key| key.id().to_string()) != Some(request.key) {
        return Err(Error::advised(
            Kind::Changed,
            "weights, data or architecture changed while they were evaluated",
            "run `mvc eval` again when nothing writes to them",
        ));
    }
    let bytes = subject.data(ws)?;
    let weights = ModelTensors::new(ws, &subject.files)?;
    let heads: Vec<_> = subject.head.into_iter().collect();
    let head = match heads.is_empty() {
        true => None,
        false => Some(ModelTensors::new(ws, &heads)?),
    };
    let data = DataTensors::new(&suite.data, &bytes)?;
    let mut measured = measure(
        &subject.architecture,
        &weights,
        head.as_ref().map(|head| head as &dyn Tensors),
        suite,
        &data,
        progress,
    )?;
    let own = |(path, _): &(RepoPath, SideFile)| subject.files.iter().any(|(file, _)| file == path);
    if let Some(head) = head.filter(|_| heads.iter().any(own)) {
        let of_head = head.names().into_iter().collect();
        measured.extra = of_both(&measured.extra, &of_head);
    }
    Ok(measured)
}

/// The tensors that nothing uses where the head lies in one of the model's own files: those of that file are listed
/// once for each of the two, and what one of them uses only once.
fn of_both(extra: &[String], of_head: &HashSet<String>) -> Vec<String> {
    let mut times: BTreeMap<&String, usize> = BTreeMap::new();
    extra
        .iter()
        .for_each(|name| *times.entry(name).or_default() += 1);
    let unused = |(name, times): &(&String, usize)| *times > 1 || !of_head.contains(*name);
    times
        .into_iter()
        .filter(unused)
        .map(|(name, _)| name.clone())
        .collect()
}
