//! The file system that a program sees.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::calls::mount_read_only;
use super::processes::Processes;
use super::users::{PROGRAM, Users};
use crate::sandbox::HOME;
use crate::sandbox::job::Job;

/// Where a new root may be built: a folder that exists nearly everywhere and that nothing to be shown lies in.
const PLACES: &[&str] = &["/mnt", "/media", "/srv", "/opt", "/home", "/var", "/tmp"];
/// Devices that programs expect. Not `zero`: a shared map of it is memory that no process is counted for.
pub(super) const DEVICES: &[&str] = &["null", "urandom"];
/// Size of the root itself, which holds only names.
const ROOT_OPTIONS: &str = "size=1m,nr_inodes=4096,mode=0755";
/// Most files and folders that a program may make.
const MAX_INODES: u32 = 4096;

/// What init keeps of it.
pub(super) struct Root {
    /// The program's processes, which it does not see.
    pub(super) processes: Option<Processes>,
    /// The program's folder, by the path that it has for init.
    pub(super) home: PathBuf,
}

impl Root {
    /// A root of its own, in a mount namespace of its own.
    pub(super) fn apart(job: &Job) -> io::Result<Self> {
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        let shown = outermost(&job.visible);
        let free = |place: &&&str| Path::new(place).is_dir() && !shown.iter().any(|path| path.starts_with(place));
        let base = Path::new(
            PLACES
                .iter()
                .find(free)
                .ok_or_else(|| io::Error::other("no place for a root"))?,
        );
        let plain = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", base, "tmpfs", plain, Some(c_string(ROOT_OPTIONS)?.as_c_str()))?;
        for path in &shown {
            show(base, path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        }
        devices(base)?;
        let home = inside(base, Path::new(HOME));
        fs::create_dir(&home)?;
        let options = format!("size={},nr_inodes={MAX_INODES},mode=0700", job.limits.disk_bytes);
        mount("tmpfs", &home, "tmpfs", plain, Some(c_string(&options)?.as_c_str()))?;
        write_files(job, &home)?;
        chown(&home, Some(PROGRAM), Some(PROGRAM))?;
        // Taken if something to be shown lies there.
        let _ = symlink(HOME, base.join("tmp"));
        let processes = processes(base);
        chdir(base)?;
        pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        mount_read_only(c"/", false)?;
        chdir(HOME)?;
        Ok(Self {
            processes,
            home: HOME.into(),
        })
    }

    /// `home`, a new folder in this machine's file system, where there is no mount namespace.
    pub(super) fn shared(job: &Job, users: Users, home: PathBuf) -> io::Result<Self> {
        write_files(job, &home)?;
        if let Some(user) = users.program() {
            chown(&home, Some(user), Some(user))?;
        }
        chdir(&home)?;
        let processes = Processes::below_this();
        Ok(Self { processes, home })
    }
}

/// Paths without those that lie in others.
pub(super) fn outermost(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut sorted = paths.to_vec();
    sorted.sort();
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in sorted {
        if !kept.iter().any(|outer| path.starts_with(outer)) {
            kept.push(path);
        }
    }
    kept
}

/// Where an absolute path lies below a new root.
fn inside(base: &Path, path: &Path) -> PathBuf {
    base.join(path.strip_prefix("/").unwrap_or(path))
}

/// Shows a file or folder of this machine, not to be written to. Links stay links.
fn show(base: &Path, path: &Path) -> io::Result<()> {
    let target = inside(base, path);
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    let kind = path.symlink_metadata()?.file_type();
    if kind.is_symlink() {
        return symlink(fs::read_link(path)?, target);
    }
    if kind.is_dir() {
        fs::create_dir(&target)?;
    } else {
        fs::File::create(&target)?;
    }
    mount_bind_recursive(path, &target)?;
    mount_read_only(&CString::new(target.as_os_str().as_bytes())?, true)
}

fn devices(base: &Path) -> io::Result<()> {
    let folder = base.join("dev");
    fs::create_dir_all(&folder)?;
    for name in DEVICES {
        let target = folder.join(name);
        fs::File::create(&target)?;
        mount_bind(Path::new("/dev").join(name), &target)?;
    }
    Ok(())
}

fn write_files(job: &Job, home: &Path) -> io::Result<()> {
    for (name, text) in &job.files {
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(io::Error::other(format!("{name:?} is no name of a file")));
        }
        let path = home.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// Opens the folder of this namespace's processes and takes it out of sight. `None` where the machine does not let a new
/// one be mounted, as in some containers.
fn processes(base: &Path) -> Option<Processes> {
    let folder = base.join("proc");
    fs::create_dir(&folder).ok()?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", &folder, "proc", flags, None).ok()?;
    let opened = openat(
        CWD,
        &folder,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    unmount(&folder, UnmountFlags::DETACH).ok()?;
    opened.ok().map(Processes::apart)
}

fn c_string(text: &str) -> io::Result<CString> {
    Ok(CString::new(text)?)
}
