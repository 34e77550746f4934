//! What still holds where the machine gives no namespaces, and the user is nobody's root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use svs_verifier::sandbox::{CodeMode, Ended, Program, Run, Sandbox, SandboxConfig, SandboxFault};
use tempfile::TempDir;

use super::hostile;

/// Whom the launcher is when the tests are root.
const NOBODY: u32 = 65_534;

/// A sandbox without namespaces, and a folder that its user may enter, with the hostile program in it.
struct Bare {
    sandbox: Sandbox,
    folder: TempDir,
    hostile: PathBuf,
}

impl Bare {
    fn new(change: impl Fn(&mut SandboxConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let copied = |from: &str, name: &str| {
            let path = folder.path().join(name);
            fs::copy(from, &path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let hostile = copied(hostile::HOSTILE, "hostile");
        let mut config = SandboxConfig {
            launcher: Some(copied(env!("CARGO_BIN_EXE_svs-unnamespaced"), "launcher")),
            attempts: 1,
            ..hostile::config(CodeMode::Permissive)
        };
        change(&mut config);
        let sandbox = Sandbox::new(&config);
        Self {
            sandbox,
            folder,
            hostile,
        }
    }

    fn program(&self, arguments: &[&str]) -> Program {
        let mut program = hostile::program(arguments);
        program.command[0] = self.hostile.to_string_lossy().into_owned();
        program.visible.push(self.hostile.clone());
        program
    }

    fn run(&self, arguments: &[&str]) -> Result<Run, SandboxFault> {
        self.sandbox
            .run(&self.program(arguments), &self.sandbox.config().limits())
    }

    /// A file of the user's.
    fn own_file(&self) -> PathBuf {
        let path = self.folder.path().join("own");
        fs::write(&path, "kept").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        if geteuid().is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        path
    }
}

#[test]
fn programs_do_not_run_without_namespaces_in_strict_mode() {
    let bare = Bare::new(|config| config.mode = CodeMode::Strict);
    let Err(SandboxFault::Refused(why)) = bare.run(&["answer"]) else {
        panic!("it ran");
    };
    assert!(why.contains("no namespaces"), "{why}");
}

#[test]
fn what_holds_is_said() {
    let bare = Bare::new(|_| {});
    let run = bare.run(&["answer"]).unwrap();
    assert_eq!((run.ended, hostile::said(&run).as_str()), (Ended::Exited(0), "42\n"));
    let held = run.protections;
    assert!(!held.namespaces && !held.own_root, "{held}");
    assert!(
        held.seccomp && held.limits && held.no_privileges && held.watch,
        "{held}"
    );
}

#[test]
fn programs_that_take_too_much_are_ended() {
    // The kernel counts processes by user, and others may be that user too.
    let bare = Bare::new(|config| {
        config.processes = 64;
        config.cpu_ms = 500;
        config.wall_ms = 30_000;
    });
    let cases: [(&str, &[Ended]); 5] = [
        ("memory_tree", &[Ended::OverMemory]),
        ("memory_leaderless", &[Ended::OverMemory]),
        ("loop_tree", &[Ended::OverCpu]),
        ("loop_unnoticed", &[Ended::OverCpu]),
        ("output_flood", &[Ended::OverOutput]),
    ];
    for (name, expected) in cases {
        let run = bare.run(&[name]).unwrap();
        assert!(expected.contains(&run.ended), "{name}: {:?}", run.ended);
    }
    let bare = Bare::new(|config| config.processes = 64);
    let ended = bare.run(&["fork_bomb"]).unwrap().ended;
    assert!(!matches!(ended, Ended::Exited(_) | Ended::Signalled(_)), "{ended:?}");
    gone(&bare.hostile.to_string_lossy());
}

#[test]
fn the_users_own_files_stay_as_they_are() {
    let bare = Bare::new(|_| {});
    let own = bare.own_file();
    let path = own.to_string_lossy();
    let before = own.metadata().unwrap();
    for arguments in [["change_files", &path], ["write_outside", &path], ["links_out", &path]] {
        let run = bare.run(&arguments).unwrap();
        let said = hostile::said(&run);
        assert!(
            said.contains("held") && !said.contains("ESCAPED"),
            "{arguments:?}: {said}"
        );
    }
    let after = own.metadata().unwrap();
    assert_eq!((after.mode(), after.mtime()), (before.mode(), before.mtime()));
    assert_eq!(fs::read_to_string(&own).unwrap(), "kept");
}

#[test]
fn a_programs_folder_is_new_and_goes_with_it() {
    let bare = Bare::new(|_| {});
    let folders = [(); 2].map(|()| hostile::said(&bare.run(&["where"]).unwrap()));
    assert_ne!(folders[0], folders[1]);
    for folder in folders {
        assert!(folder.contains("svs-box-"), "{folder}");
        assert!(!Path::new(folder.trim()).exists(), "{folder}");
    }
}

#[test]
fn nobody_outlives_a_launcher_that_is_killed() {
    let bare = Bare::new(|config| config.wall_ms = 60_000);
    let mark = format!("mark-{}", std::process::id());
    std::thread::scope(|scope| {
        let running = scope.spawn(|| bare.run(&["outlive", &mark, "with children"]));
        let patience = Instant::now() + Duration::from_secs(60);
        // The program and its three children.
        while with_argument(&mark).len() < 4 {
            assert!(Instant::now() < patience && !running.is_finished(), "they do not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let launcher = bare.folder.path().join("launcher");
        for pid in with_argument(&launcher.to_string_lossy()) {
            // Init has the same name, and is not the one that is killed.
            if parent(pid) == Some(std::process::id()) {
                kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
            }
        }
        assert!(matches!(running.join().unwrap(), Err(SandboxFault::Launcher(_))));
    });
    gone(&mark);
}

/// Waits until no process has the argument.
fn gone(argument: &str) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !with_argument(argument).is_empty() {
        assert!(Instant::now() < patience, "somebody lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Processes of this machine, one of whose arguments is `argument`.
fn with_argument(argument: &str) -> Vec<i32> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.split(|byte| *byte == 0).any(|one| one == argument.as_bytes()))
    };
    numbers.filter(has).collect()
}

fn parent(pid: i32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))?
        .trim()
        .parse()
        .ok()
}
