//! Planning what becomes of each hook, and doing it.

use std::path::Path;

use crate::base::Fs;
use crate::repo::discover::Repo;

use super::line::{self, Edit};
use super::script::{Place, Script, place};
use super::{Action, Hook, HookStatus, HooksError, Result, State, Step};

/// What [`install`] would do, hook by hook. `program` is mvc's own absolute path, recorded for where `PATH` does not
/// have it; it is left out of hooks that lie in the work tree, where others would get it.
pub fn plan_install(repo: &Repo, hooks: &[Hook], program: Option<&Path>) -> Result<Vec<Step>> {
    let dir = repo.hooks_dir();
    let place = place(repo, dir);
    let program = match place {
        Place::Outside => {
            return Err(HooksError::Outside {
                dir: dir.to_owned(),
            });
        }
        Place::WorkTree => None,
        Place::GitDir => program,
    };
    let step = |hook: &Hook| {
        let path = dir.join(hook.name());
        let script = Script::read(&path)?;
        let (edit, action) = match script
            .check()
            .and_then(|()| line::insert(script.bytes(), *hook, program))
        {
            Err(obstacle) => (Edit::Nothing, Action::Refused(obstacle)),
            Ok(edit) => {
                let had = script.bytes().and_then(line::found).is_some();
                let action = match (&edit, &script) {
                    (Edit::Nothing | Edit::Delete, _) => Action::Unchanged,
                    (Edit::Write(_), Script::Missing) => Action::Created,
                    (Edit::Write(_), _) if had => Action::Updated,
                    (Edit::Write(_), _) => Action::Added,
                };
                (edit, action)
            }
        };
        Ok(Step {
            hook: *hook,
            path,
            action,
            edit,
            mode: script.mode(),
        })
    };
    hooks.iter().map(step).collect()
}

/// What [`uninstall`] would do, hook by hook: where git looks now, and in the repository's own hooks.
pub fn plan_uninstall(repo: &Repo) -> Result<Vec<Step>> {
    let own = repo.common_dir().join("hooks");
    let mut dirs = vec![repo.hooks_dir().to_owned()];
    if own != dirs[0] {
        dirs.push(own);
    }
    dirs.retain(|dir| place(repo, dir) != Place::Outside);
    let mut steps = Vec::new();
    for (dir, hook) in dirs
        .iter()
        .flat_map(|dir| Hook::ALL.map(|hook| (dir, hook)))
    {
        let path = dir.join(hook.name());
        let script = Script::read(&path)?;
        let edit = match &script {
            Script::File { bytes, .. } => line::remove(bytes),
            Script::Missing | Script::Obstacle(_) => Edit::Nothing,
        };
        let action = match edit {
            Edit::Nothing => Action::Unchanged,
            Edit::Write(_) => Action::Removed,
            Edit::Delete => Action::Deleted,
        };
        steps.push(Step {
            hook,
            path,
            action,
            edit,
            mode: script.mode(),
        });
    }
    Ok(steps)
}

/// Does what was planned. A script is replaced as a whole, so that git never runs half of one.
pub fn act(fs: &Fs, steps: &[Step]) -> Result<()> {
    for step in steps {
        match &step.edit {
            Edit::Nothing => {}
            Edit::Write(bytes) => fs.replace(&step.path, bytes, step.mode)?,
            Edit::Delete => fs.remove_file(&step.path)?,
        }
    }
    Ok(())
}

/// Puts mvc's line into these hooks. Done twice, it changes nothing.
pub fn install(repo: &Repo, fs: &Fs, hooks: &[Hook], program: Option<&Path>) -> Result<Vec<Step>> {
    let steps = plan_install(repo, hooks, program)?;
    act(fs, &steps)?;
    Ok(steps)
}

/// Takes mvc's line out of all hooks; a script of mvc's own goes.
pub fn uninstall(repo: &Repo, fs: &Fs) -> Result<Vec<Step>> {
    let steps = plan_uninstall(repo)?;
    act(fs, &steps)?;
    Ok(steps)
}

/// How each hook stands.
pub fn status(repo: &Repo) -> Result<Vec<HookStatus>> {
    let own = repo.common_dir().join("hooks");
    let state = |hook: Hook, path: &Path| -> Result<State> {
        let script = Script::read(path)?;
        let found = script.bytes().and_then(line::found);
        Ok(match (&script, found) {
            (Script::File { mode, .. }, Some(_)) if mode & 0o111 == 0 => State::NotExecutable,
            (_, Some(true)) => State::Installed,
            (_, Some(false)) => State::Outdated,
            (_, None) if own != repo.hooks_dir() && has_line(&own.join(hook.name()))? => {
                State::Silenced
            }
            (Script::Missing, None) => State::Missing,
            (script, None) => match script
                .check()
                .and_then(|()| line::insert(script.bytes(), hook, None))
            {
                Ok(_) => State::Foreign,
                Err(obstacle) => State::NotComposable(obstacle),
            },
        })
    };
    let status = |hook: Hook| {
        let path = repo.hooks_dir().join(hook.name());
        let state = state(hook, &path)?;
        Ok(HookStatus { hook, path, state })
    };
    Hook::ALL.into_iter().map(status).collect()
}

fn has_line(path: &Path) -> Result<bool> {
    Ok(Script::read(path)?.bytes().and_then(line::found).is_some())
}
