//! What is asked of the page, one step after the other.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use super::browser::Browser;
use crate::http;

/// Longest wait for the trainer.
const PATIENCE: Duration = Duration::from_secs(300);
/// What a model may say to take over the page; `hacked` would be set if any of it were run.
const HOSTILE: &str =
    r#"<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><svg onload="window.hacked=1">"#;
/// Cards by title, with the metric that their large number is.
const CARDS: [(&str, &str); 6] = [
    ("Reward", "critic/score/mean"),
    ("Accuracy", "svs/solve/acc_mean"),
    ("Entropy", "actor/entropy"),
    ("Response length", "response_length/mean"),
    ("Throughput", "perf/throughput"),
    ("Time of a step", "timing_s/step"),
];
/// Rows of the funnel, with the metric that each is.
const FUNNEL: [(&str, &str); 5] = [
    ("problems", "svs/solve/groups"),
    ("contexts", "svs/contexts"),
    ("written", "svs/synthesized"),
    ("extracted", "svs/extracted"),
    ("valid problems", "svs/valid"),
];

/// Nothing trains: only starting makes sense.
pub(super) fn idle(browser: &mut Browser) -> anyhow::Result<()> {
    browser.wait_for("document.querySelector('#state').textContent === 'idle'")?;
    browser.wait_for("document.querySelector('#model').textContent === 'embedded'")?;
    let enabled = browser.evaluate("[...document.querySelectorAll('.controls button')].map((b) => b.disabled)")?;
    ensure!(
        enabled == json!([false, true, true, true]),
        "buttons that are off while idle: {enabled}"
    );
    browser.wait_for("document.querySelector('#serving-cards .value').dataset.value !== undefined")
}

/// A refusal that repeats hostile words is shown as words.
pub(super) fn hostile_words(browser: &mut Browser) -> anyhow::Result<()> {
    browser.click("#start")?;
    browser.fill("#start-config", &json!({ HOSTILE: 1 }).to_string())?;
    browser.click("#start-go")?;
    browser.wait_for("document.querySelector('#start-error').textContent.includes('<img src=x')")?;
    only_words(browser, "#start-error")?;
    browser.click("#start-dialog menu button")?;
    browser.evaluate("document.querySelector('#start-config').value = ''; null")?;
    Ok(())
}

/// Neither elements nor effects came of hostile text.
fn only_words(browser: &mut Browser, selector: &str) -> anyhow::Result<()> {
    let made = browser.evaluate(&format!(
        "document.querySelectorAll('{selector} :is(img, script, svg:not(.chart))').length"
    ))?;
    let hacked = browser.evaluate("window.hacked ?? null")?;
    ensure!(
        made == 0 && hacked.is_null(),
        "{selector}: hostile text became {made} elements, hacked: {hacked}"
    );
    Ok(())
}

/// Starts a run by the dialog.
pub(super) fn start(browser: &mut Browser, url: &str) -> anyhow::Result<()> {
    let settings = json!({"problems": {"train_batch_size": 6}, "run_id": "seen"});
    browser.click("#start")?;
    browser.fill("#start-steps", "500")?;
    browser.fill("#start-config", &settings.to_string())?;
    browser.click("#start-go")?;
    browser.wait_for("document.querySelector('#state').textContent === 'running'")?;
    wait_for(url, "two steps", |status| status["step"].as_u64() >= Some(2))?;
    Ok(())
}

/// A click on pause pauses; then every value in the page is that of the API. Says how many were compared.
pub(super) fn pause(browser: &mut Browser, url: &str) -> anyhow::Result<usize> {
    browser.click("#pause")?;
    let status = wait_for(url, "a pause", |status| status["state"] == "paused")?;
    browser.wait_for("document.querySelector('#state').textContent === 'paused'")?;
    let step = &status["step"];
    let where_ = format!("step {step} of 500");
    browser.wait_for(&format!(
        "document.querySelector('#where').textContent.includes('{where_}')"
    ))?;
    browser.wait_for(&format!(
        "document.querySelector('#where').textContent.includes('weights {}')",
        status["weight_version"]
    ))?;
    browser.wait_for(&format!(
        "document.querySelector('#funnel-step').textContent === '{step}'"
    ))?;
    let mut compared = 2;
    for (title, metric) in CARDS {
        // A step that trained on nothing has no figures of an update.
        if status["metrics"][metric].is_null() {
            continue;
        }
        compared += 1;
        let shown = browser.evaluate(&format!(
            "Number([...document.querySelectorAll('#training .card')].find((c) => c.querySelector('.title')?.textContent === '{title}')\
             .querySelector('.value').dataset.value)"
        ))?;
        let told = &status["metrics"][metric];
        ensure!(
            shown.as_f64() == told.as_f64(),
            "{title} shows {shown}, the API says {metric} = {told}"
        );
    }
    for (name, metric) in FUNNEL {
        compared += 1;
        let shown = browser.evaluate(&format!(
            "parseFloat([...document.querySelectorAll('#funnel .name')].find((n) => n.textContent === '{name}').nextSibling.nextSibling.textContent)"
        ))?;
        let told = &status["metrics"][metric];
        ensure!(
            shown.as_f64() == told.as_f64(),
            "the funnel shows {name} {shown}, the API says {metric} = {told}"
        );
    }
    let kv = browser.evaluate("[...document.querySelectorAll('#serving .title')].map((t) => t.textContent)")?;
    ensure!(
        kv.to_string().contains("KV cache in use"),
        "no card of the KV cache: {kv}"
    );
    let swaps = browser.evaluate(
        "[...document.querySelectorAll('#swaps li')].filter((l) => l.textContent.includes('version')).length",
    )?;
    ensure!(swaps.as_u64() >= Some(1), "no swap is listed after {step} steps");
    ensure!(compared >= 10, "only {compared} values could be compared: {status}");
    Ok(compared)
}

/// The browser for trajectories, with a hostile one in it; nothing where the server has no such route yet.
pub(super) fn trajectories(browser: &mut Browser, url: &str) -> anyhow::Result<&'static str> {
    if http::get(url, "/v1/trajectories")?.status == 404 {
        let hidden = browser.evaluate("document.querySelector('#trajectories').hidden")?;
        ensure!(
            hidden == true,
            "the page shows trajectories that the server does not tell"
        );
        return Ok("no route tells trajectories, so none are shown");
    }
    let asked = json!({"model": "embedded", "prompt": HOSTILE, "max_tokens": 8, "ignore_eos": true, "metadata": {"group": "hostile"}});
    http::post(url, "/v1/completions", &asked)?.ok()?;
    browser.fill("#filters [name=group]", "hostile")?;
    browser.click("#filters button")?;
    browser.wait_for("document.querySelectorAll('#list button[data-id]').length === 1")?;
    browser.click("#list button[data-id]")?;
    browser.wait_for("document.querySelector('#detail pre')?.textContent.includes('<img src=x')")?;
    only_words(browser, "#trajectories")?;
    browser.click("#detail .toggle button:nth-child(2)")?;
    browser.wait_for("document.querySelectorAll('#response .t').length === 8")?;
    // One that the run wrote a problem for: it stands beside its origin.
    browser.evaluate("document.querySelector('#filters').reset(); null")?;
    browser.fill("#filters [name=run]", "seen")?;
    browser.click("#filters button")?;
    browser.wait_for("document.querySelectorAll('#list button[data-id]').length > 5")?;
    let synthetic = "[...document.querySelectorAll('#list button[data-id]')].find((b) => b.textContent.includes('solving synthetic'))";
    browser.wait_for(&format!(
        "(() => {{ const more = document.querySelector('#list .more'); const found = {synthetic}; \
        if (!found && more) more.click(); return found; }})()"
    ))?;
    browser.evaluate(&format!("{synthetic}.click(); null"))?;
    browser.wait_for("document.querySelectorAll('#detail .beside > div').length >= 3")?;
    browser.wait_for("document.querySelector('#detail .verdict')")?;
    browser.click("#detail .toggle button:nth-child(2)")?;
    browser.wait_for("document.querySelectorAll('#response .t').length > 0")?;
    Ok("trajectories with verdict, origin and coloured tokens")
}

/// Goes on, and ends the run.
pub(super) fn resume_and_stop(browser: &mut Browser, url: &str) -> anyhow::Result<()> {
    browser.click("#resume")?;
    browser.wait_for("document.querySelector('#state').textContent === 'running'")?;
    browser.click("#stop")?;
    browser.click("#stop-dialog .main")?;
    wait_for(url, "the end", |status| status["state"] == "finished")?;
    browser.wait_for("document.querySelector('#state').textContent === 'finished'")
}

/// Without a key the page asks for one, once it has one it keeps it in the tab; what it does not open it says.
pub(super) fn keys(browser: &mut Browser) -> anyhow::Result<()> {
    for (key, then) in [
        ("wrong", "document.querySelector('#key-dialog').open"),
        ("clients", "document.querySelector('#state').textContent === 'idle'"),
    ] {
        browser.wait_for("document.querySelector('#key-dialog').open")?;
        browser.fill("#key-input", key)?;
        browser.click("#key-dialog .main")?;
        browser.wait_for(then)?;
    }
    let kept = browser.evaluate("[sessionStorage.length, localStorage.length, document.cookie]")?;
    ensure!(kept == json!([1, 0, ""]), "where the key is kept: {kept}");
    browser.click("#start")?;
    browser.click("#start-go")?;
    browser.wait_for("document.querySelector('#start-error').textContent.includes('admin key')")?;
    browser.wait_for("document.querySelector('#key-dialog').open")
}

/// Nothing was asked of another host, no script failed, no rule on contents was broken, no dialog was opened.
pub(super) fn stayed(browser: &Browser, url: &str) -> anyhow::Result<()> {
    let asked = browser.events("Network.requestWillBeSent");
    let urls: Vec<&str> = asked.filter_map(|event| event["request"]["url"].as_str()).collect();
    ensure!(urls.len() > 20, "only {} requests were seen", urls.len());
    let own = format!("{url}/");
    let foreign: Vec<&&str> = urls.iter().filter(|asked| !asked.starts_with(&own)).collect();
    ensure!(foreign.is_empty(), "asked of other hosts: {foreign:?}");
    if let Some(thrown) = browser.events("Runtime.exceptionThrown").next() {
        bail!("a script failed: {thrown}");
    }
    if let Some(dialog) = browser.events("Page.javascriptDialogOpening").next() {
        bail!("a dialog was opened: {dialog}");
    }
    let said = browser.events("Log.entryAdded").map(|event| &event["entry"]);
    let broken: Vec<&Value> = said.filter(|entry| entry["source"] != "network").collect();
    ensure!(broken.is_empty(), "the browser complains: {broken:?}");
    Ok(())
}

/// Waits until the trainer's status is as wanted.
fn wait_for(url: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = http::get(url, "/v1/train/status")?.ok()?;
        if wanted(&status) {
            return Ok(status);
        }
        let state = status["state"].as_str().context("no state")?;
        ensure!(state != "failed", "the run failed: {status}");
        ensure!(Instant::now() < deadline, "no {what}: {status}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
