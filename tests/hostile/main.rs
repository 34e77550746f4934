//! Programs that try to get out of the sandbox or to wear the machine out, one for each first argument. A program that
//! reached what it must not reach says `ESCAPED` and what; one that tried in vain says `held`.
#![allow(clippy::print_stdout)] // what it says is what is tested

mod calls;

use std::env;
use std::fs;
use std::hint::black_box;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitCode, exit};
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use rustix::process::{Pid, Signal, getppid, kill_process, setsid};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let others: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match arguments.first().map(String::as_str) {
        Some("answer") => println!("42"),
        Some("fork_bomb") => fork_bomb(),
        Some("thread_bomb") => thread_bomb(),
        Some("memory_bomb") => memory_bomb(64 << 20),
        Some("memory_tree") => memory_tree(),
        Some("memory_share") => memory_share(),
        Some("memory_unseen") => memory_unseen(),
        Some("memory_leaderless") => memory_leaderless(),
        Some("memory_leaderless_share") => memory_leaderless_share(),
        Some("output_flood") => flood(io::stdout()),
        Some("error_flood") => flood(io::stderr()),
        Some("disk_flood") => disk_flood(),
        Some("endless_loop") => endless_loop(),
        Some("loop_tree") => loop_tree(),
        Some("short_loop") => count_to(20_000_000),
        Some("long_loop") => count_to(200_000_000),
        Some("loop_unnoticed") => loop_unnoticed(),
        Some("loop_orphans") => loop_orphans(),
        Some("leave_loop") => drop(again("short_loop")),
        Some("endless_sleep") => thread::sleep(Duration::from_secs(3600)),
        Some("orphan") => orphan(),
        Some("outlive") => outlive(&others),
        Some("where") => println!("{}", env::current_dir().unwrap_or_default().display()),
        Some("change_files") => change_files(&others),
        Some("network") => network(&others),
        Some("read_outside") => read_outside(&others),
        Some("write_outside") => write_outside(&others),
        Some("links_out") => links_out(&others),
        Some("signals") => signals(&others),
        Some("new_session") => report(setsid().is_ok(), "a session of its own"),
        Some("forged_report") => forged_report(),
        Some("environment") => environment(),
        Some("leave_early") => exit(0),
        Some("die") => drop(kill_process(rustix::process::getpid(), Signal::KILL)),
        other => println!("no such program: {other:?}"),
    }
    ExitCode::SUCCESS
}

fn report(escaped: bool, what: &str) {
    println!("{} {what}", if escaped { "ESCAPED" } else { "held" });
}

fn again(mode: &str) -> io::Result<Child> {
    Command::new(env::args().next().unwrap_or_default()).arg(mode).spawn()
}

/// Processes that start processes, until nobody is let; then they stay.
fn fork_bomb() {
    let mut refused = 0;
    while refused < 100 {
        refused += u32::from(again("fork_bomb").is_err());
    }
    thread::sleep(Duration::from_secs(3600));
}

fn thread_bomb() {
    let sleeper = || {
        thread::Builder::new()
            .stack_size(1 << 16)
            .spawn(|| thread::sleep(Duration::from_secs(3600)))
    };
    let started = (0..10_000).take_while(|_| sleeper().is_ok()).count();
    report(started > 1000, "threads without a bound");
}

/// Touches ever more memory, in steps.
fn memory_bomb(step: usize) {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![1u8; step]);
        black_box(&kept);
    }
}

/// Many processes with a share each, all of them below the limit of one.
fn memory_tree() {
    let children: Vec<_> = (0..6).map(|_| again("memory_share")).collect();
    thread::sleep(Duration::from_secs(3600));
    drop(children);
}

fn memory_share() {
    let share = vec![1u8; 24 << 20];
    thread::sleep(Duration::from_secs(3600));
    drop(share);
}

/// Far more memory than it may have, that is no part of what it has mapped.
fn memory_unseen() {
    for of_device in [false, true] {
        let taken = (0..8)
            .take_while(|_| calls::take_unseen(32 << 20, of_device).is_ok())
            .count();
        report(taken == 8, "memory that is in nobody's count");
    }
}

/// As [`memory_tree`]; what is left of each process is a thread that is not its first.
fn memory_leaderless() {
    let children: Vec<_> = (0..6).map(|_| again("memory_leaderless_share")).collect();
    thread::sleep(Duration::from_secs(3600));
    drop(children);
}

fn memory_leaderless_share() {
    thread::spawn(|| {
        thread::sleep(Duration::from_millis(50));
        memory_share();
    });
    calls::leave_threads();
}

fn flood(mut to: impl Write) {
    let block = vec![b'x'; 1 << 20];
    for _ in 0..1024 {
        if to.write_all(&block).is_err() {
            return;
        }
    }
    println!("ESCAPED a gigabyte was taken");
}

fn disk_flood() {
    let block = vec![0u8; 1 << 20];
    let written = (0..1024)
        .take_while(|at| fs::write(format!("f{at}"), &block).is_ok())
        .count();
    report(written > 64, "a disk without a bound");
}

fn endless_loop() {
    let mut count = 0u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

/// Processes one after the other, none of which takes long.
fn loop_tree() {
    while again("short_loop").and_then(|mut child| child.wait()).is_ok() {}
}

fn count_to(most: u64) {
    let mut count = 0u64;
    for _ in 0..most {
        count = black_box(count.wrapping_add(1));
    }
}

/// As [`loop_tree`], by processes whose ends it does not want to know; waiting for one then fails when it has ended. Says
/// how many there were.
fn loop_unnoticed() {
    calls::ignore_children();
    while let Ok(mut child) = again("long_loop") {
        let _ = child.wait();
        println!("one more");
    }
}

/// As [`loop_tree`], by children of children that have ended.
fn loop_orphans() {
    while again("leave_loop").and_then(|mut child| child.wait()).is_ok() {}
}

/// Stays, with children that stay, all of them by a name of their own.
fn outlive(others: &[&str]) {
    calls::outlive_parent();
    if others.len() > 1 {
        for _ in 0..3 {
            let program = env::args().next().unwrap_or_default();
            let _ = Command::new(program).args(["outlive", others[0]]).spawn();
        }
        println!("here");
    }
    thread::sleep(Duration::from_secs(3600));
}

/// The rights and times of files that it must not touch.
fn change_files(places: &[&str]) {
    for place in places {
        let opened = fs::set_permissions(place, fs::Permissions::from_mode(0o777));
        report(opened.is_ok(), "rights of a file");
        let long_ago = Timestamps {
            last_access: Timespec { tv_sec: 1, tv_nsec: 0 },
            last_modification: Timespec { tv_sec: 1, tv_nsec: 0 },
        };
        let aged = utimensat(CWD, *place, &long_ago, AtFlags::empty());
        report(aged.is_ok(), "times of a file");
    }
}

/// A child that stays behind with the output still open.
fn orphan() {
    let child = again("endless_sleep");
    println!("{}", if child.is_ok() { "left" } else { "alone" });
}

/// To the machine's own listener, to a name server, to a socket of its file system; and as a server.
fn network(places: &[&str]) {
    for place in places {
        let reached = if place.starts_with('/') {
            UnixStream::connect(place).is_ok()
        } else {
            place
                .parse()
                .is_ok_and(|to| TcpStream::connect_timeout(&to, Duration::from_secs(1)).is_ok())
        };
        report(reached, place);
    }
    report(TcpListener::bind("127.0.0.1:0").is_ok(), "a listener");
    report(UdpSocket::bind("0.0.0.0:0").is_ok(), "a datagram socket");
}

fn read_outside(places: &[&str]) {
    let usual = [
        "/etc/passwd",
        "/proc/1/environ",
        "/proc/self/mem",
        "/sys/kernel",
        "/dev/sda",
        "/box/../etc/shadow",
    ];
    for place in places.iter().chain(&usual) {
        report(fs::read(place).is_ok() || fs::read_dir(place).is_ok(), place);
    }
}

fn write_outside(places: &[&str]) {
    for place in places.iter().chain(&[
        "/written",
        "/usr/lib/written",
        "/lib/written",
        "/dev/written",
        "/box/../written",
    ]) {
        report(fs::write(place, "x").is_ok(), place);
    }
}

/// Links of both kinds to what lies outside.
fn links_out(places: &[&str]) {
    for (at, place) in places.iter().enumerate() {
        let (soft, hard) = (format!("soft{at}"), format!("hard{at}"));
        let followed = symlink(place, &soft).is_ok() && (fs::read(&soft).is_ok() || fs::write(&soft, "x").is_ok());
        report(followed || fs::hard_link(place, &hard).is_ok(), place);
    }
}

/// At the process that started it, at everybody, and at processes of the machine by their number.
fn signals(pids: &[&str]) {
    report(
        getppid().is_some_and(|parent| kill_process(parent, Signal::KILL).is_ok()),
        "its parent",
    );
    for pid in pids {
        let pid = pid.parse().ok().and_then(Pid::from_raw);
        report(
            pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok()),
            "a process of the machine",
        );
    }
}

/// Writes what the launcher would like to hear into every descriptor there is.
fn forged_report() {
    let word = "{\"Ended\":{\"ended\":{\"exited\":0},\"cpu_ms\":0,\"peak_bytes\":0}}\n";
    let open: Vec<String> = (3..64).map(|number| format!("/proc/self/fd/{number}")).collect();
    let wrote = open.iter().any(|path| fs::write(path, word).is_ok());
    report(wrote, "a descriptor that is not its own");
    // The second line of defence: what it says on its own streams is no report.
    print!("{word}");
    eprint!("{word}");
    exit(3);
}

fn environment() {
    for (name, _) in env::vars() {
        println!("{name}");
    }
}
