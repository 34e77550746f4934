//! The built-in page in headless Chromium, over a real server that trains the embedded policy: what it shows is what the API
//! says, its buttons do what they say, text stays text, and nothing leaves the host.

mod browser;
mod checks;
mod png;

use std::time::Instant;

use anyhow::Context;

use super::Outcome;
use super::debian::{Program, program};
use crate::repo;
use crate::server::Server;
use browser::Browser;

const CHROMIUM: &[&str] = &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// Widths of a phone and of a desk, pixels.
const WIDTHS: [u32; 2] = [390, 1400];

pub(super) fn run() -> anyhow::Result<Outcome> {
    let chromium = match program(CHROMIUM, "chromium") {
        Program::Ready(chromium) => chromium,
        Program::NotReached(why) => return Ok(Outcome::NotReached(why)),
    };
    let began = Instant::now();
    let server = Server::start(None, None, &[])?;
    let mut browser = Browser::start(&chromium)?;
    browser.look(1400, "light")?;
    browser.open(server.url())?;
    checks::idle(&mut browser)?;
    checks::hostile_words(&mut browser)?;
    checks::start(&mut browser, server.url())?;
    let shown = checks::pause(&mut browser, server.url())?;
    let trajectories = checks::trajectories(&mut browser, server.url())?;
    pictures(&mut browser)?;
    checks::resume_and_stop(&mut browser, server.url())?;
    checks::stayed(&browser, server.url())?;
    drop(server);

    let guarded = Server::start(None, None, &["--api-key", "clients", "--admin-api-key", "operator"])?;
    browser.open(guarded.url())?;
    checks::keys(&mut browser)?;
    Ok(Outcome::Passed(format!(
        "{shown} values as the API has them; start, pause, resume and stop by clicks; keys; hostile text stays text; {trajectories}; \
         nothing asked of another host; {:.0} s; pictures in target/conformance/page",
        began.elapsed().as_secs_f64()
    )))
}

/// The page as a person sees it, on a phone and on a desk, by day and by night; it must fit the phone.
fn pictures(browser: &mut Browser) -> anyhow::Result<()> {
    let folder = repo::target().join("conformance/page");
    std::fs::create_dir_all(&folder)?;
    for width in WIDTHS {
        for theme in ["light", "dark"] {
            browser.look(width, theme)?;
            // Charts are drawn anew at the new width.
            browser.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")?;
            let wide = browser.evaluate("document.documentElement.scrollWidth")?;
            let wide = wide.as_u64().context("no width")?;
            anyhow::ensure!(
                wide <= u64::from(width),
                "the page is {wide} pixels wide in a window of {width}"
            );
            let picture = png::decode(&browser.screenshot()?)?;
            std::fs::write(folder.join(format!("{width}-{theme}.png")), picture)?;
        }
    }
    browser.look(1400, "light")
}
