//! System calls of hostile programs that no safe function makes.

#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

/// Bytes of a page, or a divisor of it.
const PAGE: usize = 4096;

/// Maps memory that is shared with nobody: of no file, or of the device of zeros.
fn map(bytes: usize, of_device: bool) -> io::Result<*mut u8> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/zero");
    let (flags, fd) = match (of_device, &device) {
        (false, _) => (libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1),
        (true, Ok(device)) => (libc::MAP_SHARED, device.as_raw_fd()),
        (true, Err(error)) => return Err(io::Error::new(error.kind(), error.to_string())),
    };
    // SAFETY: a new map where the kernel likes.
    let at = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0) };
    match at {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        at => Ok(at.cast()),
    }
}

/// Takes memory and then says that it is not needed, which shared memory does not believe: it is in no process's count.
pub fn take_unseen(bytes: usize, of_device: bool) -> io::Result<()> {
    let at = map(bytes, of_device)?;
    for page in (0..bytes).step_by(PAGE) {
        // SAFETY: within the map, which is never taken back.
        unsafe { at.add(page).write_volatile(1) };
    }
    // SAFETY: the map was just made, and nothing refers to it.
    match unsafe { libc::madvise(at.cast(), bytes, libc::MADV_DONTNEED) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends the first thread of a process whose other threads go on.
pub fn leave_threads() -> ! {
    // SAFETY: ends this thread only; nothing on its stack is used by others.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!("the thread has ended")
}

/// Ignores the ends of children, whose processor time is then added to nobody's.
pub fn ignore_children() -> bool {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) != libc::SIG_ERR }
}

/// Asks to outlive its parent.
pub fn outlive_parent() -> bool {
    // SAFETY: sets a flag of this process.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) == 0 }
}
