//! The folder of a program where there is no file system of its own: made here and nowhere else, and wholly removed.

use std::ffi::CString;
use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// Most tries to empty a folder: who is being killed may still finish a call.
const TRIES: u32 = 3;

/// A new folder that nobody else can enter, by a name that nobody can tell before.
pub(super) fn make() -> io::Result<PathBuf> {
    let ours = Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new()
        .prefix("svs-box-")
        .permissions(ours)
        .tempdir()?;
    Ok(folder.keep())
}

/// Removes a folder that [`make`] made, whatever was made in it. What cannot be removed stays.
pub(super) fn remove(home: &Path) {
    for _ in 0..TRIES {
        if open(CWD, home).and_then(|folder| empty(&folder)).is_ok() && std::fs::remove_dir(home).is_ok() {
            return;
        }
    }
}

/// Empties a folder without following links and without descending, as folders may lie in folders beyond any depth:
/// what lies in a folder of it is brought up to it first.
fn empty(top: &OwnedFd) -> rustix::io::Result<()> {
    let mut moved = 0u64;
    loop {
        let names = names(top)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            if !is_folder(top, &name)? {
                unlinkat(top, &name, AtFlags::empty())?;
                continue;
            }
            let folder = open(top, &name)?;
            for below in self::names(&folder)? {
                if is_folder(&folder, &below)? {
                    // Whoever moves a folder writes into it.
                    chmodat(&folder, &below, Mode::RWXU, AtFlags::empty())?;
                    bring_up(&folder, &below, top, &mut moved)?;
                } else {
                    unlinkat(&folder, &below, AtFlags::empty())?;
                }
            }
            unlinkat(top, &name, AtFlags::REMOVEDIR)?;
        }
    }
}

/// Moves a folder under a name that is free.
fn bring_up(from: &OwnedFd, name: &CString, top: &OwnedFd, moved: &mut u64) -> rustix::io::Result<()> {
    loop {
        *moved += 1;
        match renameat(from, name, top, format!("moved-{moved}")) {
            // Each of these is a name that will be removed, so there are not many.
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            done => return done,
        }
    }
}

/// Opens a folder, which may have been closed to everybody.
fn open(at: impl AsFd, name: impl rustix::path::Arg + Copy) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(&at, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            chmodat(&at, name, Mode::RWXU, AtFlags::empty())?;
            openat(&at, name, flags, Mode::empty())
        }
        opened => opened,
    }
}

fn is_folder(at: &OwnedFd, name: &CString) -> rustix::io::Result<bool> {
    let found = statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(found.st_mode) == FileType::Directory)
}

fn names(folder: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    let entries = Dir::read_from(folder)?.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    let mut names = entries.collect::<rustix::io::Result<Vec<_>>>()?;
    names.retain(|name| !matches!(name.as_bytes(), b"." | b".."));
    Ok(names)
}
