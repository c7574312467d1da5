//! `mvc hooks`: whether plain git calls mvc.

use serde::Serialize;

use super::error::Result;
use super::workspace::Workspace;
use crate::repo::hooks::{self, Hook, HookStatus, Step};

/// What was done to the hooks.
#[derive(Clone, Debug, Serialize)]
pub struct Changed {
    /// Hook by hook.
    pub steps: Vec<Step>,
}

/// How the hooks stand.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Hook by hook.
    pub hooks: Vec<HookStatus>,
}

/// Adds one guarded line to each hook that mvc answers. Twice changes nothing.
pub fn install(ws: &Workspace, program: Option<&std::path::Path>) -> Result<Changed> {
    Ok(Changed {
        steps: hooks::install(ws.repo(), ws.fs(), &Hook::ALL, program)?,
    })
}

/// Removes exactly those lines.
pub fn uninstall(ws: &Workspace) -> Result<Changed> {
    Ok(Changed {
        steps: hooks::uninstall(ws.repo(), ws.fs())?,
    })
}

/// Looks at the hooks.
pub fn status(ws: &Workspace) -> Result<Status> {
    Ok(Status {
        hooks: hooks::status(ws.repo())?,
    })
}
