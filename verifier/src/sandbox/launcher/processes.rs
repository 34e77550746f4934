//! The processes of a program, as the kernel shows them.

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::process::getpid;

/// Most bytes of a file that is read whole.
const MAX_FILE: u64 = 64 << 10;
/// Most processes that are looked at: beyond it there is a bomb.
const MAX_PROCESSES: usize = 4096;

/// The folder of processes, and which of them are the program's.
pub(super) struct Processes {
    folder: OwnedFd,
    /// It shows no other ones than init's.
    apart: bool,
}

/// What a program's processes hold now.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// Memory that no file can give back.
    pub(super) bytes: u64,
    /// Processor time of them and of those of their children that they waited for, in ticks.
    pub(super) ticks: u64,
    /// Processes and threads.
    pub(super) threads: u64,
}

impl Processes {
    /// Of a namespace of its own, by its folder.
    pub(super) fn apart(folder: OwnedFd) -> Self {
        Self { folder, apart: true }
    }

    /// Of a machine's folder those that come from this process, which adopts whose parents have ended. `None` where the
    /// kernel does not tell children.
    pub(super) fn below_this() -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, "/proc", flags, Mode::empty()).ok()?;
        let found = Self { folder, apart: false };
        let this = getpid();
        found.read(&format!("{this}/task/{this}/children"))?;
        Some(found)
    }

    /// Writes a file of a process, if it may.
    pub(super) fn write(&self, path: &str, text: &str) {
        if let Ok(file) = openat(&self.folder, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            let _ = rustix::io::write(file, text.as_bytes());
        }
    }

    /// What the program's processes hold. Who ends meanwhile may be missing, or be counted twice: once for itself and
    /// once for whom waited for it.
    pub(super) fn held(&self) -> Held {
        let mut held = Held::default();
        for process in self.list() {
            let status = self.read(&format!("{process}/status")).unwrap_or_default();
            held.threads += field(&status, "Threads");
            held.bytes += match resident(&status) {
                // A first thread that has ended has no memory; the others may.
                None => self.resident_by_threads(&process),
                Some(bytes) => bytes,
            };
            held.ticks += self.read(&format!("{process}/stat")).map_or(0, |text| spent(&text));
        }
        held
    }

    fn resident_by_threads(&self, process: &str) -> u64 {
        let threads = self.entries(&format!("{process}/task"));
        let statuses = threads
            .iter()
            .filter_map(|thread| self.read(&format!("{process}/task/{thread}/status")));
        // Threads share their memory.
        statuses.filter_map(|status| resident(&status)).max().unwrap_or(0)
    }

    fn list(&self) -> Vec<String> {
        if self.apart {
            let mut found = self.entries(".");
            found.retain(|process| process != "1");
            return found;
        }
        let mut found = self.children(&getpid().to_string());
        let mut at = 0;
        while at < found.len() && found.len() < MAX_PROCESSES {
            let below = self.children(&found[at]);
            found.extend(below);
            at += 1;
        }
        found
    }

    fn children(&self, process: &str) -> Vec<String> {
        let threads = self.entries(&format!("{process}/task"));
        let texts = threads
            .iter()
            .filter_map(|thread| self.read(&format!("{process}/task/{thread}/children")));
        texts
            .flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// The numbers among the names of a folder.
    fn entries(&self, path: &str) -> Vec<String> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(&self.folder, path, flags, Mode::empty()).and_then(Dir::new);
        let names = opened.into_iter().flatten().flatten().filter_map(|entry| {
            let name = entry.file_name().to_str().ok()?;
            name.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.to_owned())
        });
        names.take(MAX_PROCESSES).collect()
    }

    /// A file; `None` if the process has ended.
    fn read(&self, path: &str) -> Option<String> {
        let file = openat(&self.folder, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mut text = String::new();
        let read: io::Result<usize> = std::fs::File::from(file).take(MAX_FILE).read_to_string(&mut text);
        read.ok().map(|_| text)
    }
}

/// The number in a line of `status`, 0 if there is none.
fn field(status: &str, name: &str) -> u64 {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value
        .and_then(|value| value.trim().trim_end_matches("kB").trim().parse().ok())
        .unwrap_or(0)
}

/// Bytes that a process keeps resident or swapped and that no file can give back, of its `status`; `None` if that tells
/// of no memory.
pub(super) fn resident(status: &str) -> Option<u64> {
    let kept = ["RssAnon", "RssShmem", "VmSwap"];
    status
        .contains("\nRssAnon:")
        .then(|| kept.map(|name| field(status, name)).iter().sum::<u64>() << 10)
}

/// Ticks of processor time of a process and of its children that it waited for, of its `stat`.
pub(super) fn spent(stat: &str) -> u64 {
    // The name may hold spaces and parentheses; the last parenthesis ends it.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(11).take(4);
    ticks.filter_map(|field| field.parse::<u64>().ok()).sum()
}
