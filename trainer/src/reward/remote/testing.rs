//! A server on this machine that answers by a script.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Sends these bytes and closes.
    Raw(Vec<u8>),
    /// Says nothing for so long.
    Wait(Duration),
    /// Does something else after so long.
    Late(Duration, Box<Reply>),
    /// A good head, then a byte of the body every now and then.
    Drip,
    /// A good head, then a body without an end.
    Endless,
    /// A head without an end.
    EndlessHead,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::with(status, "", "")
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::with(status, "content-type: application/json", &body.to_string())
    }

    /// A status, a header and a body, whose length is told unless the header does.
    pub(crate) fn with(status: u16, header: &str, body: &str) -> Self {
        let mut head = format!("HTTP/1.1 {status} So\r\nconnection: close\r\n");
        if !header.is_empty() {
            head += &format!("{header}\r\n");
        }
        if !header.starts_with("content-length") {
            head += &format!("content-length: {}\r\n", body.len());
        }
        Self::Raw(format!("{head}\r\n{body}").into_bytes())
    }

    /// Writes until done or until the client is gone.
    fn send(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n";
        match self {
            Self::Raw(bytes) => stream.write_all(bytes),
            Self::Late(time, reply) => {
                thread::sleep(*time);
                reply.send(stream)
            }
            Self::Wait(time) => {
                // Until the client hangs up, at most so long.
                stream.set_read_timeout(Some(*time))?;
                stream.read(&mut [0]).map(|_| ())
            }
            Self::Drip => {
                stream.write_all(head)?;
                stream.write_all(b"content-length: 100000\r\n\r\n")?;
                (0..400).try_for_each(|_| {
                    thread::sleep(Duration::from_millis(50));
                    stream.write_all(b" ")
                })
            }
            Self::Endless => {
                stream.write_all(head)?;
                stream.write_all(b"\r\n")?;
                (0..1 << 16).try_for_each(|_| stream.write_all(&[b' '; 4096]))
            }
            Self::EndlessHead => {
                stream.write_all(head)?;
                (0..1 << 16).try_for_each(|at| stream.write_all(format!("x-{at}: {}\r\n", "a".repeat(1000)).as_bytes()))
            }
        }
    }
}

/// A server that goes on until the test's process ends.
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Server {
    /// Answers the request `at`, counted from 0, as the script says.
    pub(crate) fn start(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (seen, script) = (Arc::new(Seen::default()), Arc::new(script));
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, script) = (Arc::clone(&shared), Arc::clone(&script));
                thread::spawn(move || seen.answer(stream, &*script));
            }
        });
        Self { url, seen }
    }

    /// Requests so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().expect("a lock").clone()
    }

    /// Most requests that were under way at the same time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.seen.most.load(Ordering::SeqCst)
    }
}

impl Seen {
    fn answer(&self, mut stream: TcpStream, script: &dyn Fn(usize) -> Reply) {
        let Some(request) = read(&mut stream) else { return };
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let at = {
            let mut requests = self.requests.lock().expect("a lock");
            requests.push(request);
            requests.len() - 1
        };
        let reply = script(at);
        if let Reply::Late(time, reply) = reply {
            thread::sleep(time);
            // Before the reply, after which the client may begin the next one.
            self.now.fetch_sub(1, Ordering::SeqCst);
            let _ = reply.send(&mut stream);
        } else {
            self.now.fetch_sub(1, Ordering::SeqCst);
            // A client that gives up is what some of the tests are about.
            let _ = reply.send(&mut stream);
        }
    }
}

/// A request with a content-length.
fn read(stream: &mut TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}
