//! The launcher while a program runs: feeds its input, drains its output under a cap, and ends it at the deadline.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, waitpid};

use super::Word;
use super::users::Users;
use crate::sandbox::job::{Ended, Job, Limits, Report, Run};

/// Bytes read or written at once.
const CHUNK: usize = 64 << 10;
/// Most bytes that init and program say.
const MAX_WORDS: usize = 64 << 10;
/// Time beyond the program's own for setting up, before it starts.
const SET_UP: Duration = Duration::from_secs(10);

/// Lets init begin, and reports how the program ended.
pub(super) fn run(
    job: &Job,
    init: Pid,
    [stdin, stdout, stderr]: [OwnedFd; 3],
    words: OwnedFd,
    starter: OwnedFd,
    users: Users,
) -> io::Result<Report> {
    let began = Instant::now();
    let number = Users::ALL.iter().position(|one| *one == users).unwrap_or(0);
    File::from(starter).write_all(&[u8::try_from(number).unwrap_or(0)])?;
    for fd in [&stdin, &stdout, &stderr, &words] {
        fcntl_setfl(fd, OFlags::NONBLOCK)?;
    }
    let mut streams = Streams {
        stdin: Some(File::from(stdin)),
        left: job.stdin.as_bytes(),
        stdout: Drain::new(stdout, job.limits.output_bytes),
        stderr: Drain::new(stderr, job.limits.output_bytes),
        words: Drain::new(words, MAX_WORDS as u64),
    };
    let cut = streams.follow(&job.limits, began);
    // Init ends everybody with it, if it has namespaces; else its group does, which nobody could leave. It may not have
    // made one yet.
    let _ = kill_process(init, Signal::KILL);
    let _ = kill_process_group(init, Signal::KILL);
    while matches!(waitpid(Some(init), WaitOptions::empty()), Err(Errno::INTR)) {}
    let cut = cut?;
    // Everybody who could write is dead; what is left in the pipes is taken.
    let over = streams.drain();
    let wall_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    streams.report(cut.or(over), wall_ms)
}

/// The launcher's ends of the pipes.
struct Streams<'a> {
    stdin: Option<File>,
    /// What is still to be written to it.
    left: &'a [u8],
    stdout: Drain,
    stderr: Drain,
    words: Drain,
}

/// An output and what came of it.
struct Drain {
    file: File,
    most: usize,
    bytes: Vec<u8>,
    ended: bool,
}

impl Drain {
    fn new(fd: OwnedFd, most: u64) -> Self {
        Self {
            file: File::from(fd),
            most: usize::try_from(most).unwrap_or(usize::MAX),
            bytes: Vec::new(),
            ended: false,
        }
    }

    /// Takes what is there; whether more came than there is room for.
    fn take(&mut self) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        loop {
            match self.file.read(&mut chunk) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(false);
                }
                Ok(read) => {
                    let room = (self.most - self.bytes.len()).min(read);
                    self.bytes.extend_from_slice(&chunk[..room]);
                    if room < read {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Streams<'_> {
    /// Moves bytes until init has ended, which closes its words; or until a limit, which is said.
    fn follow(&mut self, limits: &Limits, began: Instant) -> io::Result<Option<Ended>> {
        let mut deadline = began + SET_UP + Duration::from_millis(limits.wall_ms);
        let mut started = false;
        while !self.words.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return match started {
                    true => Ok(Some(Ended::OverTime)),
                    false => Err(io::Error::other("setting up took too long")),
                };
            }
            self.wait(left)?;
            self.feed();
            if self.stdout.take()? || self.stderr.take()? {
                return Ok(Some(Ended::OverOutput));
            }
            if self.words.take()? {
                return Err(io::Error::other("init says too much"));
            }
            if !started && self.words.bytes.contains(&b'\n') {
                started = true;
                deadline = Instant::now() + Duration::from_millis(limits.wall_ms);
            }
        }
        Ok(None)
    }

    /// Waits until something can be moved.
    fn wait(&self, left: Duration) -> io::Result<()> {
        let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(4);
        for drain in [&self.stdout, &self.stderr, &self.words] {
            if !drain.ended {
                polled.push(PollFd::from_borrowed_fd(drain.file.as_fd(), PollFlags::IN));
            }
        }
        if let Some(stdin) = &self.stdin {
            polled.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::OUT));
        }
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut polled, Some(&left)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what the program's input has room for; closes it after the last byte, or when nobody reads it any more.
    fn feed(&mut self) {
        while let Some(stdin) = &mut self.stdin {
            let wrote = match self.left {
                [] => Ok(0),
                left => stdin.write(&left[..left.len().min(CHUNK)]),
            };
            match wrote {
                Ok(0) => self.stdin = None,
                Ok(wrote) => self.left = &self.left[wrote..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.stdin = None,
            }
        }
    }

    /// What is left after the end.
    fn drain(&mut self) -> Option<Ended> {
        let over = [&mut self.stdout, &mut self.stderr].map(|drain| drain.take().unwrap_or(false));
        let _ = self.words.take();
        over.contains(&true).then_some(Ended::OverOutput)
    }

    /// The report: of what init and the program said, and of the limit that was met first, if one was.
    fn report(self, cut: Option<Ended>, wall_ms: u64) -> io::Result<Report> {
        let (mut holding, mut end) = (None, None);
        for line in self
            .words
            .bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            match serde_json::from_slice(line)? {
                Word::Failed(why) => return Ok(Report::Refused(why)),
                Word::Started(protections) => holding = Some(protections),
                Word::Ended {
                    ended,
                    cpu_ms,
                    peak_bytes,
                } => end = Some((ended, cpu_ms, peak_bytes)),
            }
        }
        let (Some(protections), Some((ended, cpu_ms, peak_bytes))) = (holding, end.or(cut.map(|cut| (cut, 0, 0))))
        else {
            // The program cannot reach init, so it was somebody else.
            return Ok(Report::Refused("init was killed".to_owned()));
        };
        Ok(Report::Ran(Run {
            ended: cut.unwrap_or(ended),
            stdout: self.stdout.bytes,
            stderr: self.stderr.bytes,
            cpu_ms,
            wall_ms,
            peak_bytes,
            protections,
        }))
    }
}
