//! What holds a program, as it was found on this machine.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What holds a program. Each holds only if setting it up succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protections {
    /// User, mount, process, network, IPC, host name and cgroup namespaces of its own.
    pub namespaces: bool,
    /// A file system of its own: its folder, and what it may read.
    pub own_root: bool,
    /// Another user than the one that grades.
    pub other_user: bool,
    /// No capabilities, and no way to get any.
    pub no_privileges: bool,
    /// System calls that it does not need fail.
    pub seccomp: bool,
    /// Files are kept from it a second time.
    pub landlock: bool,
    /// Bounds on processor time, address space, file sizes and descriptors.
    pub limits: bool,
    /// A bound on processes and threads.
    pub process_limit: bool,
    /// A watch over memory and processor time of all its processes together.
    pub watch: bool,
}

impl Protections {
    fn named(self) -> [(&'static str, bool); 9] {
        [
            ("namespaces", self.namespaces),
            ("own_root", self.own_root),
            ("no_privileges", self.no_privileges),
            ("seccomp", self.seccomp),
            ("limits", self.limits),
            ("process_limit", self.process_limit),
            ("watch", self.watch),
            ("other_user", self.other_user),
            ("landlock", self.landlock),
        ]
    }

    /// Those that strict mode wants and that are missing. Another user needs a grader that runs as root, Landlock a kernel
    /// built with it; both are second fences behind others, so neither is wanted.
    #[must_use]
    pub fn missing(self) -> Vec<&'static str> {
        let wanted = self.named();
        let wanted = &wanted[..7];
        wanted
            .iter()
            .filter(|(_, holds)| !holds)
            .map(|(name, _)| *name)
            .collect()
    }
}

impl fmt::Display for Protections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for (name, holds) in self.named() {
            if holds { &mut with } else { &mut without }.push(name);
        }
        write!(f, "{}", with.join(", "))?;
        if !without.is_empty() {
            write!(f, "; without {}", without.join(", "))?;
        }
        Ok(())
    }
}
