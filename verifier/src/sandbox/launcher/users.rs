//! Users of the new namespace: who a program is outside of it.

use std::fs;
use std::io;

use rustix::process::{Pid, getegid, geteuid};

/// User and group of a program inside.
pub(super) const PROGRAM: u32 = 1000;
/// Who it is outside, where the launcher may choose: nobody.
const NOBODY: u32 = 65_534;

/// Which users a namespace knows; the byte that init is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Users {
    /// Root, to set up, and the program's, who is nobody outside.
    Two,
    /// The program's, who is the launcher's user outside.
    One,
    /// The same, and that user is root.
    Root,
    /// There is no namespace; the launcher is root, and the program is to be nobody.
    Dropped,
    /// There is no namespace, and the program is the launcher's user.
    Same,
}

impl Users {
    pub(super) const ALL: [Self; 5] = [Self::Two, Self::One, Self::Root, Self::Dropped, Self::Same];

    /// Whether the kernel bounds the program's processes and no others: it counts them by user in a namespace, and never
    /// those of the machine's root.
    pub(super) fn are_counted(self) -> bool {
        matches!(self, Self::Two | Self::One)
    }

    /// Who a program is to become; `None` leaves it who it is.
    pub(super) fn program(self) -> Option<u32> {
        match self {
            Self::Two => Some(PROGRAM),
            Self::Dropped => Some(NOBODY),
            Self::One | Self::Root | Self::Same => None,
        }
    }
}

/// Tells the kernel the users of the namespace whose first process is `init`.
pub(super) fn map(init: Pid) -> io::Result<Users> {
    let write = |file: &str, text: String| fs::write(format!("/proc/{init}/{file}"), text);
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    if user == 0 {
        let two = format!("0 0 1\n{PROGRAM} {NOBODY} 1\n");
        if write("gid_map", two.clone())
            .and_then(|()| write("uid_map", two))
            .is_ok()
        {
            return Ok(Users::Two);
        }
    }
    // Without the right to choose, groups must be given up for good first. Both may fail if the first try got half way.
    let _ = write("setgroups", "deny".to_owned());
    let _ = write("gid_map", format!("{PROGRAM} {group} 1\n"));
    write("uid_map", format!("{PROGRAM} {user} 1\n"))?;
    Ok(if user == 0 { Users::Root } else { Users::One })
}

/// Where there is no namespace.
pub(super) fn plain() -> Users {
    let known = fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| knows(&map, NOBODY));
    if geteuid().is_root() && known {
        Users::Dropped
    } else {
        Users::Same
    }
}

/// Whether a user map, lines of first user inside, first user outside and how many, has `user` inside.
pub(super) fn knows(map: &str, user: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u32> = line
            .split_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        matches!(numbers.as_slice(), [first, _, count] if (*first..first.saturating_add(*count)).contains(&user))
    })
}
