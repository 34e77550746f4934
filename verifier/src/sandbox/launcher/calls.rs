//! The system calls that no crate wraps safely.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::process::Pid;

/// Which side of a fork this is.
pub(super) enum Forked {
    Child,
    Parent(Pid),
}

/// Every namespace that keeps a program from the rest of the machine.
const APART: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Forks; the child is the first process of new namespaces.
pub(super) fn fork_apart() -> io::Result<Forked> {
    clone(APART)
}

/// Forks.
pub(super) fn fork() -> io::Result<Forked> {
    clone(0)
}

fn clone(namespaces: libc::c_int) -> io::Result<Forked> {
    let flags = libc::c_ulong::try_from(namespaces | libc::SIGCHLD).map_err(io::Error::other)?;
    // SAFETY: without CLONE_VM and with no stack this is fork: the child goes on with a copy of this memory. The launcher
    // checked that it has one thread, so no lock is held by anyone who is missing in the child.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            Ok(Forked::Parent(pid.ok_or(io::ErrorKind::InvalidData)?))
        }
    }
}

/// Closes every descriptor above the standard three.
pub(super) fn close_inherited() {
    // SAFETY: called at the start of the launcher, when nothing here owns a descriptor above the standard three. A kernel
    // without the call (before 5.9) leaves them to the flag that Rust opens everything with.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32);
    }
}

/// Lets the ends of children be noticed, whatever was inherited.
pub(super) fn notice_children() {
    // SAFETY: sets a signal to what every process starts with; no handler of ours is involved.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
    }
}

/// Makes `fd` descriptor 3 of the program that is started next.
pub(super) fn pass_as_third(fd: BorrowedFd<'_>) -> io::Result<()> {
    const THIRD: RawFd = 3;
    // SAFETY: in the child, just before it is replaced; whatever descriptor 3 was is not used here any more.
    match unsafe { libc::dup2(fd.as_raw_fd(), THIRD) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Makes a mount read-only, without devices and set-user-ID programs; with `below`, all mounts below it too.
pub(super) fn mount_read_only(path: &CStr, below: bool) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = if below { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path ends with a zero and the attributes live until the call returns, which is told their size.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            std::ptr::from_ref(&attributes),
            size_of::<libc::mount_attr>(),
        )
    };
    match done {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Processor time in milliseconds and the largest resident memory in bytes of the children that were waited for.
pub(super) fn children_spent() -> (u64, u64) {
    // SAFETY: all zeros is a value of this structure of numbers, and the call only writes into it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let ms = |time: libc::timeval| u64::try_from(time.tv_sec * 1000 + time.tv_usec / 1000).unwrap_or(0);
    let peak = u64::try_from(usage.ru_maxrss).unwrap_or(0);
    (ms(usage.ru_utime) + ms(usage.ru_stime), peak << 10)
}

/// Ticks of processor time in a second, as /proc counts it.
pub(super) fn ticks_per_second() -> u64 {
    // SAFETY: asks for a number.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).unwrap_or(0).max(1)
}

/// Ends this process at once, without running anything that was copied from its parent.
pub(super) fn exit(status: i32) -> ! {
    // SAFETY: does not return; nothing is left to be written by this copy of the parent.
    unsafe { libc::_exit(status) }
}
