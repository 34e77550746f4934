//! The first process of the namespaces: sets them up, starts the program, and ends with it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{
    DumpableBehavior, Signal, set_child_subreaper, set_dumpable_behavior, set_parent_process_death_signal, setpgid,
};

use super::calls::{self, Forked};
use super::root::Root;
use super::users::Users;
use super::watch::Watch;
use super::{Word, confine, filter};
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

/// The whole work of init. `apart` says whether it is in namespaces of its own.
pub(super) fn run(job: &Job, theirs: [OwnedFd; 3], speaker: &OwnedFd, go: OwnedFd, apart: bool) -> ! {
    let speaker = speaker.as_fd();
    if let Err(error) = work(job, theirs, speaker, go, apart) {
        say(speaker, &Word::Failed(error.to_string()));
    }
    calls::exit(0)
}

fn work(job: &Job, theirs: [OwnedFd; 3], speaker: BorrowedFd<'_>, go: OwnedFd, apart: bool) -> io::Result<()> {
    // Nobody in it can leave the group: the calls for that fail. Where there are no namespaces, it is ended as one.
    setpgid(None, None)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut told = [0];
    // If the launcher died before the line above, its end is closed.
    File::from(go).read_exact(&mut told)?;
    let users = Users::ALL
        .get(usize::from(told[0]))
        .copied()
        .ok_or(io::ErrorKind::InvalidData)?;
    let root = if apart {
        Root::apart(job)?
    } else {
        Root::shared(job, users)?
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
            if !apart {
                set_child_subreaper(Some(rustix::process::getpid()))?;
            }
            set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
            confine::drop_capabilities()?;
            let found = Watch::new(&job.limits, root.processes.as_ref()).until_end(program)?;
            say(
                speaker,
                &Word::Ended {
                    ended: found.ended,
                    cpu_ms: found.cpu_ms,
                    peak_bytes: found.peak_bytes,
                },
            );
            // The end of this process ends what is left.
            Ok(())
        }
    }
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
