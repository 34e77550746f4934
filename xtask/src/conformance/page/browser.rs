//! Chromium without a window, over the DevTools protocol on a pipe.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

/// Longest wait for an answer of the browser, and for something to happen in the page.
const PATIENCE: Duration = Duration::from_secs(120);
/// Messages kept of what happened in the page.
const MOST_EVENTS: usize = 20_000;
/// Chromium speaks the protocol on the descriptors 3 and 4, which only a shell can give it from here.
const ON_PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"#;

/// A browser with one tab; dropping it ends it.
pub(super) struct Browser {
    child: Child,
    sender: ChildStdin,
    receiver: Receiver<Value>,
    session: String,
    last: u64,
    events: VecDeque<Value>,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub(super) fn start(chromium: &Path) -> anyhow::Result<Self> {
        let profile = tempfile::tempdir().context("no folder for the browser")?;
        let mut child = Command::new("sh")
            .args(["-c", ON_PIPES])
            .arg(chromium)
            // The browser's own sandbox does not run as root; what is loaded is our own page from our own server.
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .args(["--disable-sync", "--disable-default-apps", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", chromium.display()))?;
        let sender = child.stdin.take().context("no pipe to the browser")?;
        let output = child.stdout.take().context("no pipe from the browser")?;
        let (said, receiver) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message);
                if message.map_or(true, |message| said.send(message).is_err()) {
                    return;
                }
            }
        });
        let mut browser = Self {
            child,
            sender,
            receiver,
            session: String::new(),
            last: 0,
            events: VecDeque::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach)?;
        browser.session = session["sessionId"].as_str().context("no session")?.to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Asks the browser for something and waits for the answer.
    pub(super) fn call(&mut self, method: &str, parameters: Value) -> anyhow::Result<Value> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.sender.write_all(&bytes).context("the browser has ended")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut message = match self.receiver.recv_timeout(left) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => bail!("{method}: the browser does not answer"),
                Err(RecvTimeoutError::Disconnected) => bail!("{method}: the browser has ended"),
            };
            if message["id"] == self.last {
                ensure!(message["error"].is_null(), "{method}: {}", message["error"]);
                return Ok(message["result"].take());
            }
            self.events.push_back(message);
            if self.events.len() > MOST_EVENTS {
                self.events.pop_front();
            }
        }
    }

    /// The value of an expression in the page; a promise is waited for.
    pub(super) fn evaluate(&mut self, expression: &str) -> anyhow::Result<Value> {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let mut answer = self.call("Runtime.evaluate", asked)?;
        let thrown = &answer["exceptionDetails"];
        ensure!(thrown.is_null(), "{expression}: {}", thrown["exception"]["description"]);
        Ok(answer["result"]["value"].take())
    }

    /// Waits until an expression is true in the page.
    pub(super) fn wait_for(&mut self, expression: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.evaluate(&format!("Boolean({expression})"))? != Value::Bool(true) {
            if Instant::now() > deadline {
                let seen = self.evaluate("document.body.innerText.slice(0, 2000)")?;
                bail!(
                    "never true in the page: {expression}\nthe page says:\n{}",
                    seen.as_str().unwrap_or("")
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// A click with the mouse in the middle of an element, as a person would.
    pub(super) fn click(&mut self, selector: &str) -> anyhow::Result<()> {
        let quoted = Value::from(selector);
        self.wait_for(&format!(
            "document.querySelector({quoted})?.checkVisibility() && !document.querySelector({quoted}).disabled"
        ))?;
        let place = self.evaluate(&format!(
            "(() => {{ const e = document.querySelector({quoted}); e.scrollIntoView({{block: 'center'}}); \
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ))?;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event)?;
        }
        Ok(())
    }

    /// Puts text into a field.
    pub(super) fn fill(&mut self, selector: &str, text: &str) -> anyhow::Result<()> {
        self.click(selector)?;
        self.call("Input.insertText", json!({"text": text}))?;
        Ok(())
    }

    pub(super) fn open(&mut self, url: &str) -> anyhow::Result<()> {
        let opened = self.call("Page.navigate", json!({"url": url}))?;
        ensure!(opened["errorText"].is_null(), "{url}: {}", opened["errorText"]);
        self.wait_for("document.readyState === 'complete'")
    }

    /// The width of the window and the theme.
    pub(super) fn look(&mut self, width: u32, theme: &str) -> anyhow::Result<()> {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size)?;
        self.call("Emulation.setScrollbarsHidden", json!({"hidden": true}))?;
        let theme = json!({"features": [{"name": "prefers-color-scheme", "value": theme}]});
        self.call("Emulation.setEmulatedMedia", theme)?;
        Ok(())
    }

    /// The whole page as PNG, base64.
    pub(super) fn screenshot(&mut self) -> anyhow::Result<String> {
        let shot = self.call("Page.captureScreenshot", json!({"captureBeyondViewport": true}))?;
        Ok(shot["data"].as_str().context("no picture")?.to_owned())
    }

    /// What happened in the page so far, by the protocol's name of it.
    pub(super) fn events<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Value> {
        let of_it = self.events.iter().filter(move |event| event["method"] == method);
        of_it.map(|event| &event["params"])
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
