//! The first process of the namespaces: sets them up, starts the program, and ends with it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{
    DumpableBehavior, Signal, getpid, kill_process_group, set_child_subreaper, set_dumpable_behavior,
    set_parent_process_death_signal, setpgid,
};

use super::calls::{self, Forked};
use super::root::Root;
use super::users::Users;
use super::watch::Watch;
use super::{Word, confine, filter, home};
use crate::sandbox::job::Job;
use crate::sandbox::protections::Protections;

/// The whole environment of a program. Hashes of strings are fixed, so that the same program does the same again.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("HOME", crate::sandbox::HOME),
    ("TMPDIR", crate::sandbox::HOME),
    ("LANG", "C.UTF-8"),
    ("PATH", "/usr/bin:/bin"),
    ("TZ", "UTC"),
    ("PYTHONHASHSEED", "0"),
    ("PYTHONIOENCODING", "utf-8"),
    ("OMP_NUM_THREADS", "1"),
    ("OPENBLAS_NUM_THREADS", "1"),
];

/// The whole work of init: in namespaces of its own, or with this folder of the machine's.
pub(super) fn run(job: &Job, theirs: [OwnedFd; 3], speaker: &OwnedFd, go: OwnedFd, home: Option<PathBuf>) -> ! {
    let speaker = speaker.as_fd();
    if let Err(error) = work(job, theirs, speaker, go, home) {
        say(speaker, &Word::Failed(error.to_string()));
    }
    calls::exit(0)
}

fn work(
    job: &Job,
    theirs: [OwnedFd; 3],
    speaker: BorrowedFd<'_>,
    go: OwnedFd,
    home: Option<PathBuf>,
) -> io::Result<()> {
    let apart = home.is_none();
    // Nobody in it can leave the group: the calls for that fail. Where there are no namespaces, it is ended as one.
    setpgid(None, None)?;
    if apart {
        set_parent_process_death_signal(Some(Signal::KILL))?;
    } else {
        set_child_subreaper(Some(getpid()))?;
    }
    let mut told = [0];
    // If the launcher died before the line above, its end is closed.
    File::from(go).read_exact(&mut told)?;
    let users = Users::ALL
        .get(usize::from(told[0]))
        .copied()
        .ok_or(io::ErrorKind::InvalidData)?;
    let root = match &home {
        None => Root::apart(job)?,
        Some(home) => Root::shared(job, users, home.clone())?,
    };
    let mut holding = Protections {
        namespaces: apart,
        own_root: apart,
        other_user: users.program().is_some(),
        // The filter is loaded last, just before the program is replaced; if that fails, nothing is run.
        seccomp: filter::is_supported(),
        watch: root.processes.is_some(),
        ..Protections::default()
    };
    match calls::fork()? {
        Forked::Child => {
            let ready = confine::give_up(job, users, &root, &mut holding).and_then(|()| check(job, holding));
            let failed = match ready {
                Ok(()) => {
                    say(speaker, &Word::Started(holding));
                    start(job, theirs, apart, holding.seccomp)
                }
                Err(error) => error,
            };
            say(speaker, &Word::Failed(failed.to_string()));
            calls::exit(127)
        }
        Forked::Parent(program) => {
            drop(theirs);
            set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
            if apart {
                confine::drop_capabilities()?;
            }
            let watch = Watch::new(&job.limits, root.processes.as_ref(), users.are_counted());
            let Some(found) = watch.until_end(program, speaker)? else {
                return home.as_deref().map_or(Ok(()), alone);
            };
            say(
                speaker,
                &Word::Ended {
                    ended: found.ended,
                    cpu_ms: found.cpu_ms,
                    peak_bytes: found.peak_bytes,
                },
            );
            // The end of this process ends what is left; without namespaces the launcher does.
            Ok(())
        }
    }
}

/// The launcher is dead, and there are no namespaces that end with this process: a child outside of the group ends the
/// group, this process with it, and removes its folder.
fn alone(home: &Path) -> io::Result<()> {
    let group = getpid();
    if let Forked::Child = calls::fork()? {
        setpgid(None, None)?;
        kill_process_group(group, Signal::KILL)?;
        home::remove(home);
        return Ok(());
    }
    // Ended by the child, or if that fails after a while by itself.
    std::thread::sleep(Duration::from_secs(60));
    Ok(())
}

/// In strict mode, that nothing is missing.
fn check(job: &Job, holding: Protections) -> io::Result<()> {
    let missing = holding.missing();
    if job.strict && !missing.is_empty() {
        return Err(io::Error::other(format!("this machine lacks {}", missing.join(", "))));
    }
    Ok(())
}

/// Replaces this process; returns only if that fails.
fn start(job: &Job, [stdin, stdout, stderr]: [OwnedFd; 3], apart: bool, filtered: bool) -> io::Error {
    let Some((program, arguments)) = job.command.split_first() else {
        return io::Error::other("no command");
    };
    // Above the descriptor that is passed below: it must not replace one of them.
    let above = |end: OwnedFd| fcntl_dupfd_cloexec(end, 4);
    let (stdin, stdout, stderr) = match (above(stdin), above(stdout), above(stderr)) {
        (Ok(stdin), Ok(stdout), Ok(stderr)) => (stdin, stdout, stderr),
        _ => return io::Error::other("no descriptors are left"),
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(ENVIRONMENT.iter().copied());
    if job.linked
        && let Err(error) = calls::pass_as_third(io::stderr().as_fd())
    {
        return error;
    }
    command
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr));
    if filtered && let Err(error) = filter::apply(apart) {
        return error;
    }
    command.exec()
}

/// A line for the launcher. If it is gone, so is everybody else soon.
fn say(speaker: BorrowedFd<'_>, word: &Word) {
    let Ok(mut line) = serde_json::to_vec(word) else {
        return;
    };
    line.push(b'\n');
    let _ = rustix::io::write(speaker, &line);
}
