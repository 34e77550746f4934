//! The real binary as a child process.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::files::{FORM, form};

/// A running `svs`; dropping it kills it.
pub(crate) struct Process {
    child: Child,
    /// What it said, where nobody else reads that.
    said: Option<File>,
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_svs-under-test"));
    command.args(arguments).env("SVS_LOG", "info").stdin(Stdio::null());
    command
}

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(&mut command(arguments))
    }

    /// Starts it with an environment variable set.
    pub(crate) fn start_with(arguments: &[&str], (name, value): (&str, &str)) -> Self {
        Self::spawn(command(arguments).env(name, value))
    }

    /// Starts it where no file can grow beyond `bytes`, as on a disk that is full then.
    pub(crate) fn start_within(bytes: u64, arguments: &[&str]) -> Self {
        let inner = command(arguments);
        let script = "ulimit -f \"$0\"; exec \"$@\"";
        let blocks = (bytes / 512).to_string();
        let mut shell = Command::new("sh");
        shell.args(["-c", script, &blocks]).arg(inner.get_program());
        shell.args(inner.get_args()).env("SVS_LOG", "info").stdin(Stdio::null());
        Self::spawn(&mut shell)
    }

    fn spawn(command: &mut Command) -> Self {
        let said = tempfile::tempfile().unwrap();
        let stderr = said.try_clone().unwrap();
        let child = command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        Self {
            child,
            said: Some(said),
        }
    }

    /// Starts `svs serve`; returns its URL too, read from the line that says where it listens.
    pub(crate) fn serve(arguments: &[&str]) -> (Self, String) {
        Self::serve_in(&[], arguments)
    }

    /// As [`Self::serve`], with environment variables set.
    pub(crate) fn serve_in(variables: &[(&str, &str)], arguments: &[&str]) -> (Self, String) {
        let arguments = [&["serve", "--port", "0"], arguments].concat();
        let mut child = command(&arguments)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines.by_ref().map(Result::unwrap).find_map(|line| {
            let at = line.find("http://")?;
            Some(line[at..].split_whitespace().next().unwrap_or_default().to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        (
            Self { child, said: None },
            url.expect("the server says where it listens"),
        )
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM: it is asked to stop.
    pub(crate) fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Memory that is in use now.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        1024 * line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for a successful end.
    pub(crate) fn finish(self) {
        let (status, said) = self.last_words();
        assert!(status.success(), "{status}\n{said}");
    }

    /// Waits for the end; returns what it said until then, too.
    pub(crate) fn last_words(mut self) -> (ExitStatus, String) {
        let status = self.wait();
        let mut said = String::new();
        if let Some(file) = &mut self.said {
            file.rewind().unwrap();
            file.read_to_string(&mut said).unwrap();
        }
        (status, said)
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.wait()
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(300);
        while !self.has_ended() {
            assert!(Instant::now() < deadline, "the process does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(120)));
    config.build().new_agent()
}

/// Posts JSON and returns the answer, which must be a 200.
pub(crate) fn post(url: &str, path: &str, body: &Value) -> Value {
    let request = agent()
        .post(format!("{url}{path}"))
        .header("content-type", "application/json");
    read(request.send(body.to_string().as_bytes()).unwrap())
}

/// Uploads a file of lines for fine-tuning and returns its id.
pub(super) fn upload(url: &str, lines: &str) -> String {
    let parts = [("purpose", None, "fine-tune"), ("file", Some("a.jsonl"), lines)];
    let (name, value) = FORM[0];
    let request = agent().post(format!("{url}/v1/files")).header(name, value);
    let file = read(request.send(form(&parts).as_bytes()).unwrap());
    file["id"].as_str().unwrap().to_owned()
}

/// Changes by JSON and returns the answer, which must be a 200.
pub(super) fn patch(url: &str, path: &str, body: &Value) -> Value {
    let request = agent()
        .patch(format!("{url}{path}"))
        .header("content-type", "application/json");
    read(request.send(body.to_string().as_bytes()).unwrap())
}

pub(crate) fn get(url: &str, path: &str) -> Value {
    read(agent().get(format!("{url}{path}")).call().unwrap())
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Value {
    let text = response.body_mut().read_to_string().unwrap();
    assert_eq!(response.status(), 200, "{text}");
    serde_json::from_str(&text).unwrap()
}
