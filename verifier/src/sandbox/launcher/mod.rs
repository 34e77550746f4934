//! The launcher: a process with one thread that runs one program and reports.
//!
//! Three processes work together. The *launcher* stays outside, holds the pipes and the deadline. The *init* is the
//! first process of the new namespaces: it builds the file system, starts the program, watches memory and processor
//! time, and when it ends the kernel ends every process with it. The *program* gives up every right and is replaced
//! by what is to be run. If the grading process dies, the launcher dies with it, and the others with the launcher. Without
//! namespaces there is no init that ends everybody: then it leads a group that nobody can leave, and ends that.

mod allowed;
mod calls;
mod confine;
mod filter;
mod home;
mod init;
mod processes;
mod root;
mod supervise;
#[cfg(test)]
mod tests;
mod users;
mod watch;

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use super::job::{Ended, Job, Report};
use super::protections::Protections;
use calls::Forked;

/// What init and the program tell the launcher, a line each.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    /// Something could not be set up.
    Failed(String),
    /// The program is about to be replaced by what is run, and what holds it.
    Started(Protections),
    /// It ended.
    Ended { ended: Ended, cpu_ms: u64, peak_bytes: u64 },
}

/// The pipes between launcher and program.
struct Pipes {
    /// Ends of the program: standard input, output and error.
    theirs: [OwnedFd; 3],
    /// Ends of the launcher.
    ours: [OwnedFd; 3],
}

impl Pipes {
    fn new() -> io::Result<Self> {
        let pipe = || pipe_with(PipeFlags::CLOEXEC);
        let (input, output, errors) = (pipe()?, pipe()?, pipe()?);
        Ok(Self {
            theirs: [input.0, output.1, errors.1],
            ours: [input.1, output.0, errors.0],
        })
    }
}

pub(super) fn run() -> io::Result<()> {
    // Before anything else: what was opened without care by the process that started this one.
    calls::close_inherited();
    // Ignored ends of children would be inherited, and nobody could be waited for.
    calls::notice_children();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let job: Job = serde_json::from_reader(io::stdin().lock())?;
    let report = launch(&job).unwrap_or_else(|error| Report::Refused(error.to_string()));
    report.write(io::stdout().lock())
}

fn launch(job: &Job) -> io::Result<Report> {
    if std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() != 1) {
        return Err(io::Error::other("the launcher has more than one thread"));
    }
    match launch_in(job, true) {
        // Some machines let namespaces be made and then nothing be mounted in them.
        Ok(Report::Refused(_)) | Err(_) if !job.strict => launch_in(job, false),
        report => report,
    }
}

/// `apart` asks for namespaces.
fn launch_in(job: &Job, apart: bool) -> io::Result<Report> {
    let pipes = Pipes::new()?;
    let (words, speaker) = pipe_with(PipeFlags::CLOEXEC)?;
    let (go, starter) = pipe_with(PipeFlags::CLOEXEC)?;
    let (forked, home) = if apart {
        let forked = calls::fork_apart().map_err(|error| io::Error::other(format!("no namespaces: {error}")))?;
        (forked, None)
    } else {
        let home = home::make()?;
        (calls::fork()?, Some(home))
    };
    match forked {
        Forked::Child => {
            // The launcher's ends: an input that stays open here would never end for the program.
            drop((pipes.ours, words, starter));
            init::run(job, pipes.theirs, &speaker, go, home)
        }
        Forked::Parent(init) => {
            drop((pipes.theirs, speaker, go));
            let users = if apart { users::map(init)? } else { users::plain() };
            let report = supervise::run(job, init, pipes.ours, words, starter, users);
            if let Some(home) = &home {
                home::remove(home);
            }
            report
        }
    }
}
