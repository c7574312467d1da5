//! The steps of the demo, in their order.

use std::ops::ControlFlow;

use super::{Answer, Options, Step, Trained};
use crate::base::{Progress, RepoPath, config, fs};
use crate::eval::train::{self, Epoch};
use crate::ops::error::Result;
use crate::ops::workspace::Workspace;
use crate::ops::{checkout, commit, diff, du, eval, log, refs, restore, track};
use crate::repo::{CommitId, Head, Talk};

/// The weights file of the demo.
pub(super) const WEIGHTS: &str = "model.safetensors";
/// The suite's data.
const DATA: &str = "eval.safetensors";
/// Where the training writes its metrics.
const METRICS: &str = "metrics.json";

/// The story while it is told.
pub(super) struct Story<'a> {
    pub(super) ws: &'a Workspace,
    pub(super) options: &'a Options,
    pub(super) progress: &'a dyn Progress,
    pub(super) tell: &'a mut dyn FnMut(&Step),
    pub(super) steps: Vec<Step>,
    pub(super) versions: Vec<CommitId>,
}

impl Story<'_> {
    /// Tells of a step that is done.
    pub(super) fn told(&mut self, story: &str, command: Option<&str>, answer: Answer) {
        let step = Step {
            story: story.to_owned(),
            command: command.map(str::to_owned),
            answer,
        };
        (self.tell)(&step);
        self.steps.push(step);
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.ws.on_disk(&RepoPath::new(name)?);
        Ok(self.ws.fs().replace(&path, bytes, 0o644)?)
    }

    /// An identity where git has none, the patterns, the model and its suite.
    pub(super) fn prepare(&mut self) -> Result<()> {
        let git = self.ws.git();
        for (key, value) in [("user.name", "mvc demo"), ("user.email", "demo@localhost")] {
            if git.config(key)?.is_none_or(|value| value.trim().is_empty()) {
                git.set_config(key, value)?;
            }
        }
        // A demo's versions need no signature, and asking for a passphrase would end it where nobody can answer.
        for key in ["commit.gpgSign", "tag.gpgSign"] {
            if git.config(key)?.is_some() {
                git.set_config(key, "false")?;
            }
        }

        let options = track::Options {
            patterns: vec!["*.safetensors".to_owned()],
            take_over: false,
        };
        let tracked = track::run(self.ws, &options, self.progress)?;
        self.told(
            "Which files hold weights:",
            Some("mvc track '*.safetensors'"),
            Answer::Track(tracked),
        );
        let path = RepoPath::new(config::FILE)?;
        let before = fs::read_limited(&self.ws.on_disk(&path), config::LIMIT)?;
        let text = tables();
        self.write(
            config::FILE,
            &[&before, b"\n".as_slice(), text.as_bytes()].concat(),
        )?;
        self.write(DATA, &train::suite_data())?;
        self.told(
            "What the network is, and how it is measured, so that every claim can be measured again:",
            None,
            Answer::Wrote { path, text },
        );
        Ok(())
    }

    /// A version and a tag for each epoch.
    pub(super) fn train(&mut self) -> Result<()> {
        let options = train::Options {
            epochs: self.options.epochs,
            seed: self.options.seed,
        };
        let mut failed = None;
        let progress = self.progress;
        train::train(
            &options,
            progress,
            &mut |epoch| match self.version(&epoch) {
                Ok(()) => ControlFlow::Continue(()),
                Err(e) => {
                    failed = Some(e);
                    ControlFlow::Break(())
                }
            },
        )?;
        failed.map_or(Ok(()), Err)
    }

    fn version(&mut self, epoch: &Epoch) -> Result<()> {
        let number = epoch.number;
        let bytes = epoch.safetensors();
        self.write(WEIGHTS, &bytes)?;
        let metrics = serde_json::json!({
            "train_loss": epoch.train_loss,
        });
        self.write(METRICS, format!("{metrics:#}\n").as_bytes())?;
        let trained = Trained {
            epoch: number,
            train_loss: epoch.train_loss,
            test_loss: epoch.test_loss,
            correct: epoch.test_correct,
            rows: epoch.test_rows,
            bytes: bytes.len() as u64,
        };
        let story = format!("Your training script ends epoch {number} and writes its files:");
        self.told(&story, None, Answer::Trained(trained));

        let recorded = self.measure(&[], true)?;
        let story = match number {
            1 => {
                "mvc measures the network itself and records a claim, which goes into the version:"
            }
            _ => "Measured, kept and named again:",
        };
        self.told(story, Some("mvc eval --record"), Answer::Eval(recorded));

        let message = format!("epoch {number}");
        let options = commit::Options {
            message: Some(message.clone()),
            talk: Some(Talk::Capture),
            ..commit::Options::default()
        };
        let report = commit::run(self.ws, &options, self.progress)?;
        self.versions.extend(report.commit);
        let command = format!("mvc commit -m '{message}'");
        self.told("", Some(&command), Answer::Commit(report));

        let name = format!("epoch-{number}");
        let options = refs::TagOptions {
            name: name.clone(),
            talk: Some(Talk::Capture),
            ..refs::TagOptions::default()
        };
        refs::tag(self.ws, &options)?;
        self.told("", Some(&format!("mvc tag {name}")), Answer::Tag { name });
        Ok(())
    }

    fn measure(&self, revisions: &[String], record: bool) -> Result<eval::Report> {
        let options = eval::Options {
            revisions: revisions.to_vec(),
            suite: None,
            record,
            worker: self.options.worker.clone(),
        };
        eval::run(self.ws, &options, self.progress)
    }

    /// What was all that for: history, going back, proof.
    pub(super) fn look_back(&mut self) -> Result<()> {
        let branch = match self.ws.repo().head()? {
            Head::Branch { name, .. } => name,
            Head::Detached { commit } => commit.to_string(),
        };
        let options = log::Options {
            revision: None,
            limit: Some(2),
            metrics: true,
        };
        let listed = log::run(self.ws, &options)?;
        self.told(
            "The newest two versions, and how their metrics moved:",
            Some("mvc log --metrics -n 2"),
            Answer::Log(listed),
        );

        let (first, last) = (
            "epoch-1".to_owned(),
            format!("epoch-{}", self.options.epochs),
        );
        let command = format!("mvc diff {first} {last}");
        let options = diff::Options {
            what: vec![first, last],
            ..diff::Options::default()
        };
        let compared = diff::run(self.ws, &options, self.progress)?;
        self.told(
            "What the training did to the network, from the first version to the last:",
            Some(&command),
            Answer::Diff(Box::new(compared)),
        );

        let older = format!("epoch-{}", self.options.epochs.div_ceil(2));
        self.go(&older, "Back to an older version, weights and all:")?;
        let measured = self.measure(&[], false)?;
        self.told(
            "Is it the network that it was? Measured again, against the claim that the version carries:",
            Some("mvc eval"),
            Answer::Eval(measured),
        );
        self.damage()?;
        self.go(&branch, "And forward again:")
    }

    fn go(&mut self, revision: &str, story: &str) -> Result<()> {
        let options = checkout::Options {
            revision: Some(revision.to_owned()),
            talk: Some(Talk::Capture),
            ..checkout::Options::default()
        };
        let report = checkout::run(self.ws, &options, self.progress)?;
        let command = format!("mvc checkout {revision}");
        self.told(story, Some(&command), Answer::Checkout(report));
        Ok(())
    }

    /// The smallest damage there is, found and mended.
    fn damage(&mut self) -> Result<()> {
        let path = RepoPath::new(WEIGHTS)?;
        let mut bytes = fs::read_limited(&self.ws.on_disk(&path), 1 << 30)?;
        // The lowest bit of the last number: too small for any metric to show.
        let offset = bytes.len().saturating_sub(size_of::<f32>());
        if let Some(byte) = bytes.get_mut(offset) {
            *byte ^= 1;
        }
        self.write(WEIGHTS, &bytes)?;
        self.told(
            "Say a disk flips one bit in one number of the weights, too little for any metric to show:",
            None,
            Answer::Damaged {
                path,
                offset: offset as u64,
            },
        );
        let measured = self.measure(&[], false)?;
        self.told(
            "The hash of its tensor shows it, before anything is computed:",
            Some("mvc eval"),
            Answer::Eval(measured),
        );
        let options = restore::Options {
            paths: vec![WEIGHTS.to_owned()],
            source: None,
        };
        let restored = restore::run(self.ws, &options, self.progress)?;
        self.told(
            "The store has the right bytes:",
            Some(&format!("mvc restore {WEIGHTS}")),
            Answer::Restore(restored),
        );
        Ok(())
    }

    /// What it all costs.
    pub(super) fn usage(&mut self) -> Result<du::Report> {
        let usage = du::run(self.ws, &du::Options::default())?;
        self.told(
            "What all versions cost on the disk:",
            Some("mvc du"),
            Answer::Du(usage.clone()),
        );
        Ok(usage)
    }
}

/// What the user adds to `mvc.toml`.
fn tables() -> String {
    format!(
        r#"[model.cnn]
weights = "{WEIGHTS}"
layers = {}

[eval.digits]
task = "classification"
data = "{DATA}"
input = "{}"
target = "{}"
tolerance = {{ cross_entropy = 1e-4 }}
"#,
        train::LAYERS,
        train::INPUT,
        train::TARGET,
    )
}
