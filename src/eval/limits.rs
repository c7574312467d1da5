//! Limits that a process sets itself before it touches anything that came from elsewhere.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::error::{EvalError, Result};

/// How much a process may use. What is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of address space; an allocation beyond it fails and ends the process.
    pub memory: Option<u64>,
    /// Seconds of processor time over all threads; the kernel ends the process at them.
    pub seconds: Option<u64>,
}

impl Limits {
    /// Limits this process, for good: a limit that is already tighter stays, and none can be raised again.
    ///
    /// Core dumps are switched off too, since they would hold the weights.
    pub fn apply(&self) -> Result<()> {
        lower(Resource::Core, Some(0), "core dumps")?;
        lower(Resource::As, self.memory, "memory")?;
        lower(Resource::Cpu, self.seconds, "processor time")
    }
}

fn lower(resource: Resource, to: Option<u64>, what: &'static str) -> Result<()> {
    let Some(to) = to else {
        return Ok(());
    };
    let hard = getrlimit(resource).maximum.map_or(to, |hard| hard.min(to));
    let limit = Rlimit {
        current: Some(hard),
        maximum: Some(hard),
    };
    setrlimit(resource, limit).map_err(|source| EvalError::Limit {
        what,
        source: source.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_for_the_process() {
        // Generous ones: the other tests live in this process too.
        let limits = Limits {
            memory: Some(1 << 46),
            seconds: Some(1 << 30),
        };
        limits.apply().expect("set");
        assert!(
            getrlimit(Resource::As)
                .current
                .is_some_and(|now| now <= 1 << 46)
        );
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        let looser = Limits {
            memory: Some(1 << 47),
            ..Limits::default()
        };
        looser.apply().expect("stays");
        assert!(
            getrlimit(Resource::As)
                .current
                .is_some_and(|now| now <= 1 << 46)
        );
    }
}
