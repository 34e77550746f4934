//! A program for each way out that is known, and what becomes of it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use svs_verifier::sandbox::{CodeMode, Ended, Program, Run, Sandbox, SandboxConfig, SandboxFault};

pub(super) const HOSTILE: &str = env!("CARGO_BIN_EXE_svs-hostile");

pub(super) fn config(mode: CodeMode) -> SandboxConfig {
    SandboxConfig {
        mode,
        cpu_ms: 1_000,
        wall_ms: 3_000,
        memory_mb: 64,
        disk_mb: 4,
        processes: 8,
        output_kb: 64,
        launcher: Some(env!("CARGO_BIN_EXE_svs-under-test").into()),
        ..SandboxConfig::default()
    }
}

pub(super) fn program(arguments: &[&str]) -> Program {
    let libraries = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"].map(PathBuf::from);
    Program {
        command: std::iter::once(HOSTILE)
            .chain(arguments.iter().copied())
            .map(str::to_owned)
            .collect(),
        visible: libraries
            .into_iter()
            .filter(|path| path.exists())
            .chain([HOSTILE.into()])
            .collect(),
        ..Program::default()
    }
}

fn run_in(sandbox: &Sandbox, arguments: &[&str]) -> Result<Run, SandboxFault> {
    sandbox.run(&program(arguments), &sandbox.config().limits())
}

/// A strict sandbox. On a machine that lacks a protection it must refuse every program, and that is what is tested then.
fn strict() -> Option<Sandbox> {
    let sandbox = Sandbox::new(&config(CodeMode::Strict));
    match run_in(&sandbox, &["answer"]) {
        Ok(run) => {
            assert_eq!(run.protections.missing(), [""; 0], "strict means all of them");
            Some(sandbox)
        }
        Err(SandboxFault::Refused(why)) => {
            eprintln!("this machine runs no programs in strict mode: {why}");
            None
        }
        Err(fault) => panic!("{fault}"),
    }
}

pub(super) fn said(run: &Run) -> String {
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// A process of this machine that nobody has asked anything of.
struct Bystander(Child);

impl Bystander {
    fn start() -> Self {
        let mut command = Command::new(HOSTILE);
        let quiet = command
            .arg("endless_sleep")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(quiet.spawn().unwrap())
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_program_answers() {
    let Some(sandbox) = strict() else { return };
    let run = run_in(&sandbox, &["answer"]).unwrap();
    assert_eq!((run.ended, said(&run).as_str()), (Ended::Exited(0), "42\n"));
}

#[test]
fn programs_that_take_too_much_are_ended() {
    let Some(sandbox) = strict() else { return };
    let cases: [(&str, &[Ended]); 10] = [
        ("fork_bomb", &[Ended::OverTime, Ended::OverCpu, Ended::OverMemory]),
        // Where others compute too, its time may be over first.
        ("endless_loop", &[Ended::OverCpu, Ended::OverTime]),
        ("endless_sleep", &[Ended::OverTime]),
        // The kernel refuses it the memory, and it gives up; or the watch sees it first.
        ("memory_bomb", &[Ended::Signalled(6), Ended::OverMemory]),
        ("memory_tree", &[Ended::OverMemory]),
        ("memory_leaderless", &[Ended::OverMemory]),
        ("output_flood", &[Ended::OverOutput]),
        ("error_flood", &[Ended::OverOutput]),
        ("die", &[Ended::Signalled(9)]),
        ("leave_early", &[Ended::Exited(0)]),
    ];
    // Where others compute too, what takes memory or writes needs its time; and the six that have two threads for a moment
    // must not meet the limit of processes before that of memory.
    let patient = Sandbox::new(&SandboxConfig {
        cpu_ms: 30_000,
        wall_ms: 30_000,
        response_ms: 60_000,
        processes: 32,
        ..config(CodeMode::Strict)
    });
    for (name, expected) in cases {
        let began = Instant::now();
        let takes_time = [Ended::OverTime, Ended::OverCpu];
        let in_time = expected.iter().any(|ended| takes_time.contains(ended));
        let run = run_in(if in_time { &sandbox } else { &patient }, &[name]).unwrap();
        assert!(expected.contains(&run.ended), "{name}: {:?}", run.ended);
        assert!(!said(&run).contains("ESCAPED"), "{name}: {}", said(&run));
        assert!(run.stdout.len().max(run.stderr.len()) <= 64 << 10, "{name}");
        // Its time, and what starting takes where others compute too.
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{name}: {:?}",
            began.elapsed()
        );
    }
}

#[test]
fn processor_time_is_bounded_for_all_processes_together() {
    if strict().is_none() {
        return;
    }
    let sandbox = Sandbox::new(&SandboxConfig {
        cpu_ms: 200,
        wall_ms: 60_000,
        response_ms: 60_000,
        ..config(CodeMode::Strict)
    });
    for name in ["endless_loop", "loop_tree", "loop_unnoticed", "loop_orphans"] {
        let run = run_in(&sandbox, &[name]).unwrap();
        assert_eq!(run.ended, Ended::OverCpu, "{name}");
        // Each takes a tenth of a second or so of the fifth that there is.
        let children = said(&run).lines().count();
        assert!(children < 20, "{name}: {children} children");
    }
}

#[test]
fn programs_reach_nothing_of_this_machine() {
    let Some(sandbox) = strict() else { return };
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "expected output").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = folder.path().join("socket");
    let local = UnixListener::bind(&socket).unwrap();
    let mut bystander = Bystander::start();

    let address = listener.local_addr().unwrap().to_string();
    let [secret_path, socket_path, fresh] =
        [&secret, &socket, &folder.path().join("fresh")].map(|path| path.to_string_lossy().into_owned());
    let (own, other) = (std::process::id().to_string(), bystander.0.id().to_string());
    let cases: &[&[&str]] = &[
        &["network", &address, &socket_path],
        &["read_outside", &secret_path],
        &["write_outside", &secret_path, &fresh],
        &["links_out", &secret_path, "/etc/passwd"],
        &["signals", &own, &other],
        &["new_session"],
        &["thread_bomb"],
        &["disk_flood"],
        &["memory_unseen"],
    ];
    for arguments in cases {
        let run = run_in(&sandbox, arguments).unwrap();
        let said = said(&run);
        assert_eq!(run.ended, Ended::Exited(0), "{arguments:?}: {said}");
        assert!(
            said.contains("held") && !said.contains("ESCAPED"),
            "{arguments:?}: {said}"
        );
    }

    listener.set_nonblocking(true).unwrap();
    local.set_nonblocking(true).unwrap();
    assert!(
        listener.accept().is_err() && local.accept().is_err(),
        "nobody connected"
    );
    assert_eq!(fs::read_to_string(&secret).unwrap(), "expected output");
    assert!(!folder.path().join("fresh").exists());
    assert!(bystander.0.try_wait().unwrap().is_none(), "the bystander lives");
}

#[test]
fn what_a_program_says_is_no_report() {
    let Some(sandbox) = strict() else { return };
    let run = run_in(&sandbox, &["forged_report"]).unwrap();
    assert_eq!(run.ended, Ended::Exited(3));
    assert!(said(&run).starts_with("held"), "{}", said(&run));
}

#[test]
fn a_program_sees_only_its_own_environment() {
    let Some(sandbox) = strict() else { return };
    let run = run_in(&sandbox, &["environment"]).unwrap();
    let names = said(&run);
    let known = [
        "HOME",
        "TMPDIR",
        "LANG",
        "PATH",
        "TZ",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
    ];
    for name in names.lines() {
        assert!(known.contains(&name) || name.starts_with("PYTHON"), "{name}");
    }
    assert!(names.contains("HOME"));
}

#[test]
fn what_is_left_behind_ends_with_the_program() {
    let Some(sandbox) = strict() else { return };
    let began = Instant::now();
    let run = run_in(&sandbox, &["orphan"]).unwrap();
    // Had the orphan lived, its end of the pipe would have held us up to the limit.
    assert_eq!((run.ended, said(&run).as_str()), (Ended::Exited(0), "left\n"));
    assert!(run.wall_ms < 3_000 && began.elapsed() < Duration::from_secs(10));
}

#[test]
fn many_run_at_once() {
    let Some(sandbox) = strict() else { return };
    let sandbox = Sandbox::new(&SandboxConfig {
        parallel: Some(4),
        ..sandbox.config().clone()
    });
    std::thread::scope(|scope| {
        let answer = || run_in(&sandbox, &["answer"]).map(|run| (run.ended, run.stdout));
        let running: Vec<_> = (0..24).map(|_| scope.spawn(answer)).collect();
        for run in running {
            assert_eq!(run.join().unwrap(), Ok((Ended::Exited(0), b"42\n".to_vec())));
        }
    });
}

#[test]
fn what_is_not_the_programs_is_a_fault() {
    let off = Sandbox::new(&SandboxConfig::default());
    assert_eq!(run_in(&off, &["answer"]), Err(SandboxFault::Off));
    let absent = Sandbox::new(&SandboxConfig {
        launcher: Some("/no/such/launcher".into()),
        ..config(CodeMode::Strict)
    });
    assert!(matches!(run_in(&absent, &["answer"]), Err(SandboxFault::Launcher(_))));
    let silent = Sandbox::new(&SandboxConfig {
        launcher: Some(HOSTILE.into()),
        ..config(CodeMode::Strict)
    });
    assert!(matches!(run_in(&silent, &["answer"]), Err(SandboxFault::Launcher(_))));
    let no_python = Sandbox::new(&SandboxConfig {
        python: "/no/such/python".into(),
        ..config(CodeMode::Strict)
    });
    assert!(matches!(no_python.protections(), Err(SandboxFault::NoPython(_))));
    let Some(sandbox) = strict() else { return };
    let missing = Program {
        command: vec!["/no/such/program".into()],
        ..program(&[])
    };
    let limits = sandbox.config().limits();
    assert!(matches!(sandbox.run(&missing, &limits), Err(SandboxFault::Refused(_))));
}
