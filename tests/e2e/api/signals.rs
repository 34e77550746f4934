//! `svs serve` stops at the first signal and ends at the second.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::training::process::Process;

#[test]
fn a_second_signal_of_either_kind_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    // Of its own accord it would wait for the request below much longer than this test lasts.
    let patient = "[server]\nbody_timeout_seconds = 3600\nshutdown_grace_seconds = 3600\n";
    std::fs::write(path("svs.toml"), patient).unwrap();
    for (index, (first, second, status)) in [
        (Signal::TERM, Signal::TERM, 143),
        (Signal::INT, Signal::TERM, 143),
        (Signal::TERM, Signal::INT, 130),
        (Signal::INT, Signal::INT, 130),
    ]
    .into_iter()
    .enumerate()
    {
        let runs = path(&format!("runs-{index}"));
        let (process, url) = Process::serve(&["--runs", &runs, "--config", &path("svs.toml")]);
        let address = url.strip_prefix("http://").unwrap();
        let mut unfinished = TcpStream::connect(address).unwrap();
        let head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
            Expect: 100-continue\r\nContent-Length: 100\r\n\r\n";
        unfinished.write_all(head.as_bytes()).unwrap();
        let mut line = [0; 21];
        unfinished.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"HTTP/1.1 100 Continue", "the server waits for the body");
        process.signal(first);
        let deadline = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect(address).is_ok() {
            assert!(Instant::now() < deadline, "it still takes connections");
            std::thread::sleep(Duration::from_millis(20));
        }
        process.signal(second);
        assert_eq!(process.end().code(), Some(status), "{first:?} {second:?}");
    }
}
