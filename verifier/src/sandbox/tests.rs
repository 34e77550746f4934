use std::io;

use super::job::Report;
use super::*;

fn run(stdout: &[u8]) -> Run {
    Run {
        ended: Ended::Exited(0),
        stdout: stdout.to_vec(),
        stderr: b"\xff\n{".to_vec(),
        cpu_ms: 1,
        wall_ms: 2,
        peak_bytes: 3,
        protections: Protections::default(),
    }
}

#[test]
fn a_report_is_read_as_it_was_written() {
    let reports = [
        Report::Refused("why\nnot".into()),
        Report::Ran(run(b"")),
        Report::Ran(run(b"{\"Refused\":\"x\"}\n\xfe")),
    ];
    for report in reports {
        let mut bytes = Vec::new();
        report.write(&mut bytes).unwrap();
        assert_eq!(Report::read(&bytes).unwrap(), report);
        if matches!(report, Report::Ran(_)) {
            bytes.pop();
            assert_eq!(Report::read(&bytes).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
    assert!(Report::read(b"").is_err());
}

#[test]
fn settings_out_of_range_are_named() {
    let valid = SandboxConfig::default();
    assert_eq!(valid.validate(), Ok(()));
    let cases = [
        (
            "reward.code.parallel",
            SandboxConfig {
                parallel: Some(0),
                ..valid.clone()
            },
        ),
        (
            "reward.code.cpu_ms",
            SandboxConfig {
                cpu_ms: 9,
                ..valid.clone()
            },
        ),
        (
            "reward.code.wall_ms",
            SandboxConfig {
                wall_ms: 0,
                ..valid.clone()
            },
        ),
        (
            "reward.code.response_ms",
            SandboxConfig {
                response_ms: 9_999,
                ..valid.clone()
            },
        ),
        (
            "reward.code.memory_mb",
            SandboxConfig {
                memory_mb: 15,
                ..valid.clone()
            },
        ),
        (
            "reward.code.disk_mb",
            SandboxConfig {
                disk_mb: 0,
                ..valid.clone()
            },
        ),
        (
            "reward.code.processes",
            SandboxConfig {
                processes: 0,
                ..valid.clone()
            },
        ),
        (
            "reward.code.output_kb",
            SandboxConfig {
                output_kb: 0,
                ..valid.clone()
            },
        ),
        (
            "reward.code.attempts",
            SandboxConfig {
                attempts: 0,
                ..valid.clone()
            },
        ),
        (
            "reward.code.python",
            SandboxConfig {
                python: String::new(),
                ..valid.clone()
            },
        ),
        (
            "reward.code.read_only",
            SandboxConfig {
                read_only: vec!["a/b".into()],
                ..valid
            },
        ),
    ];
    for (key, config) in cases {
        assert_eq!(config.validate().map_err(|(key, _)| key), Err(key));
    }
}

#[test]
fn strict_wants_every_protection_but_the_second_fences() {
    let all = Protections {
        namespaces: true,
        own_root: true,
        other_user: false,
        no_privileges: true,
        seccomp: true,
        landlock: false,
        limits: true,
        process_limit: true,
        watch: true,
    };
    assert_eq!(all.missing(), [""; 0]);
    let cases = [
        (
            "namespaces",
            Protections {
                namespaces: false,
                ..all
            },
        ),
        ("own_root", Protections { own_root: false, ..all }),
        (
            "no_privileges",
            Protections {
                no_privileges: false,
                ..all
            },
        ),
        ("seccomp", Protections { seccomp: false, ..all }),
        ("limits", Protections { limits: false, ..all }),
        (
            "process_limit",
            Protections {
                process_limit: false,
                ..all
            },
        ),
        ("watch", Protections { watch: false, ..all }),
    ];
    for (name, held) in cases {
        assert_eq!(held.missing(), [name]);
        assert!(held.to_string().ends_with("other_user, landlock"), "{held}");
    }
}

#[test]
fn places_bound_what_runs_at_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    let (slots, now, most) = (Slots::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let _place = slots.take();
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(std::time::Duration::from_millis(5));
                now.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    assert_eq!((most.load(Ordering::SeqCst), now.load(Ordering::SeqCst)), (3, 0));
}
