//! Why a program was not run.

/// Why a program was not run, or how it ended is not known: never because of what the program does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SandboxFault {
    /// The configuration does not let programs run.
    #[error("programs are not run: reward.code.mode is `off`")]
    Off,
    /// There is no Python that answers.
    #[error("no Python: {0}")]
    NoPython(String),
    /// No launcher could be started, or it ended without a report.
    #[error("the launcher failed: {0}")]
    Launcher(String),
    /// The launcher would not run a program on this machine.
    #[error("the sandbox cannot be set up: {0}")]
    Refused(String),
}

impl SandboxFault {
    /// Whether trying again may help.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Launcher(_) | Self::Refused(_))
    }
}
