//! The filter of system calls. Any call that it does not name fails as if the kernel did not have it, also those that
//! kernels will have one day and those of other calling conventions.

use std::collections::BTreeMap;
use std::io;

use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{self, Eq, MaskedEq, Ne};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

use super::allowed::{ALLOWED, CHANGES, OLDER, SIGNALS};

/// A call that is let if this argument compares so; calls that occur more than once are let by any of their lines.
/// Arguments that the kernel cuts to 32 bits are compared as such, or what it cuts off would lead past the comparison.
struct Only(libc::c_long, u8, SeccompCmpArgLen, SeccompCmpOp, u64);

/// What a new process may not have: namespaces, in which it would be root.
const NAMESPACES: u64 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u64;

/// Kinds of memory maps.
const MAP_TYPE: u64 = 0xf;
/// Pages of no file, and pages that are counted for no process.
const ANONYMOUS: u64 = (libc::MAP_ANONYMOUS | libc::MAP_HUGETLB) as u64;

const CONDITIONS: &[Only] = &[
    // No flag of a namespace. `clone3`, whose flags a filter cannot see, fails, and C libraries then use this one.
    Only(libc::SYS_clone, 0, Qword, MaskedEq(NAMESPACES), 0),
    Only(libc::SYS_socketpair, 0, Dword, Eq, libc::AF_UNIX as u64),
    // Its own limits and placement, not those of init.
    Only(libc::SYS_prlimit64, 0, Dword, Eq, 0),
    Only(libc::SYS_sched_setaffinity, 0, Dword, Eq, 0),
    // Files, and private memory. Shared memory of no file stays when nobody has it mapped, and is then in no process's count.
    Only(libc::SYS_mmap, 3, Qword, MaskedEq(ANONYMOUS), 0),
    Only(
        libc::SYS_mmap,
        3,
        Qword,
        MaskedEq(MAP_TYPE | libc::MAP_HUGETLB as u64),
        libc::MAP_PRIVATE as u64,
    ),
    // Asking for any handler, and setting all but one: who ignores the ends of children hides their processor time.
    Only(libc::SYS_rt_sigaction, 0, Dword, Ne, libc::SIGCHLD as u64),
    Only(libc::SYS_rt_sigaction, 1, Qword, Eq, 0),
    // Names of threads and of memory. Whom it dies with, and who adopts its children, is not its to choose.
    Only(libc::SYS_prctl, 0, Dword, Eq, libc::PR_SET_NAME as u64),
    Only(libc::SYS_prctl, 0, Dword, Eq, libc::PR_GET_NAME as u64),
    Only(libc::SYS_prctl, 0, Dword, Eq, libc::PR_SET_VMA as u64),
    // Copies, flags and locks of descriptors. Not their owners, to whom the kernel would send signals in its name.
    Only(libc::SYS_fcntl, 1, Dword, Eq, libc::F_DUPFD as u64),
    Only(libc::SYS_fcntl, 1, Dword, Eq, libc::F_DUPFD_CLOEXEC as u64),
    Only(libc::SYS_fcntl, 1, Dword, Eq, libc::F_GETFD as u64),
    Only(libc::SYS_fcntl, 1, Dword, Eq, libc::F_SETFD as u64),
    Only(libc::SYS_fcntl, 1, Dword, Eq, libc::F_GETFL as u64),
    Only(libc::SYS_fcntl, 1, Dword, Eq, libc::F_SETFL as u64),
    Only(libc::SYS_fcntl, 1, Dword, Eq, libc::F_GETLK as u64),
    Only(libc::SYS_fcntl, 1, Dword, Eq, libc::F_SETLK as u64),
    Only(libc::SYS_fcntl, 1, Dword, Eq, libc::F_SETLKW as u64),
    // Whether it is a terminal, how much there is to read, and flags. Not the attributes of files.
    Only(libc::SYS_ioctl, 1, Dword, Eq, libc::TCGETS),
    Only(libc::SYS_ioctl, 1, Dword, Eq, libc::TIOCGWINSZ),
    Only(libc::SYS_ioctl, 1, Dword, Eq, libc::FIONREAD),
    Only(libc::SYS_ioctl, 1, Dword, Eq, libc::FIONBIO),
    Only(libc::SYS_ioctl, 1, Dword, Eq, libc::FIOCLEX),
    Only(libc::SYS_ioctl, 1, Dword, Eq, libc::FIONCLEX),
];

/// Whether this kernel filters calls.
pub(super) fn is_supported() -> bool {
    rustix::thread::secure_computing_mode().is_ok()
}

/// Loads the filter, for good. `apart` says that the program is in namespaces of its own.
pub(super) fn apply(apart: bool) -> io::Result<()> {
    let program = compile(apart).map_err(io::Error::other)?;
    apply_filter(&program).map_err(io::Error::other)
}

/// The filter as the kernel reads it.
pub(super) fn compile(apart: bool) -> Result<BpfProgram, BackendError> {
    let alone: &[&[libc::c_long]] = if apart { &[SIGNALS, CHANGES] } else { &[] };
    let always = [ALLOWED, OLDER].into_iter().chain(alone.iter().copied()).flatten();
    let mut rules: BTreeMap<libc::c_long, Vec<SeccompRule>> = always.map(|call| (*call, Vec::new())).collect();
    for Only(call, argument, length, operator, value) in CONDITIONS {
        let condition = SeccompCondition::new(*argument, length.clone(), operator.clone(), *value)?;
        rules.entry(*call).or_default().push(SeccompRule::new(vec![condition])?);
    }
    let missing = SeccompAction::Errno(u32::try_from(libc::ENOSYS).unwrap_or(38));
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, missing, SeccompAction::Allow, arch)?.try_into()
}
