//! Models by hub id, through the cache that Hugging Face's own tools use.
//!
//! `HF_HOME` and `HF_ENDPOINT` place cache and server; `HF_TOKEN` (or the token saved in the cache) signs requests;
//! `HF_HUB_OFFLINE=1` uses only what the cache has.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};

use super::LoadError;

/// A request that brings nothing for so long is given up, seconds.
const STALL_S: u64 = 30;
const REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];
const OPTIONAL: [&str; 5] = [
    "tokenizer_config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "svs.json",
];

enum Report {
    Alive,
    Done(Result<PathBuf, String>),
}

/// Fetches the files of `id` (`org/name` or `org/name@revision`) and returns their folder.
pub(super) fn fetch(id: &str) -> Result<PathBuf, LoadError> {
    let failed = |reason: String| LoadError::Hub {
        id: id.to_owned(),
        reason,
    };
    let (name, revision) = id.split_once('@').unwrap_or((id, "main"));
    if !is_hub_name(name) || !is_revision(revision) {
        return Err(failed(
            "neither an existing path nor a hub id of the form org/name or org/name@revision".into(),
        ));
    }
    let repo = Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned());
    if std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false" | "no" | "off")) {
        return cached(repo).ok_or_else(|| failed("not in the cache, and HF_HUB_OFFLINE is set".into()));
    }
    // The client has no timeouts of its own, so it runs in a thread that reports its progress.
    let (reports, inbox) = mpsc::channel();
    let worker = repo.clone();
    let spawned = std::thread::Builder::new().name("hub".into()).spawn(move || {
        let done = download(worker, &reports).map_err(|error| error.to_string());
        let _ = reports.send(Report::Done(done));
    });
    spawned.map_err(|error| failed(format!("cannot start a thread: {error}")))?;
    let reason = loop {
        match inbox.recv_timeout(Duration::from_secs(STALL_S)) {
            Ok(Report::Alive) => {}
            Ok(Report::Done(Ok(folder))) => return Ok(folder),
            Ok(Report::Done(Err(reason))) => break reason,
            Err(RecvTimeoutError::Timeout) => break format!("no answer for {STALL_S} s"),
            Err(RecvTimeoutError::Disconnected) => break "the download failed".into(),
        }
    };
    cached(repo).ok_or_else(|| failed(format!("{reason} (and it is not in the cache)")))
}

/// The folder in the cache, if everything needed is there.
fn cached(repo: Repo) -> Option<PathBuf> {
    let cache = Cache::from_env().repo(repo);
    for file in REQUIRED {
        cache.get(file)?;
    }
    let weights = cache
        .get("model.safetensors")
        .or_else(|| cache.get("model.safetensors.index.json"))?;
    weights.parent().map(PathBuf::from)
}

fn download(repo: Repo, reports: &mpsc::Sender<Report>) -> Result<PathBuf, ApiError> {
    let builder = || {
        let builder = ApiBuilder::from_env().with_progress(false).with_retries(2);
        match std::env::var("HF_TOKEN") {
            Ok(token) if !token.trim().is_empty() => builder.with_token(Some(token.trim().to_owned())),
            _ => builder,
        }
    };
    // One commit for all files, whatever is pushed meanwhile.
    let listing = builder().build()?.repo(repo.clone()).info()?;
    let _ = reports.send(Report::Alive);
    let commit = Repo::with_revision(repo.url(), RepoType::Model, listing.sha);
    let api = builder().build()?.repo(commit.clone());
    let cache = Cache::from_env().repo(commit);
    let has = |name: &str| listing.siblings.iter().any(|file| file.rfilename == name);
    let weights: Vec<&str> = if has("model.safetensors") {
        vec!["model.safetensors"]
    } else {
        let shard = |name: &&str| name.ends_with(".safetensors") && !name.contains('/');
        let shards = listing
            .siblings
            .iter()
            .map(|file| file.rfilename.as_str())
            .filter(shard);
        shards.chain(["model.safetensors.index.json"]).collect()
    };
    let optional = OPTIONAL.into_iter().filter(|name| has(name));
    let mut folder = PathBuf::new();
    for name in REQUIRED.into_iter().chain(optional).chain(weights) {
        let path = match cache.get(name) {
            Some(path) => path,
            None => fetch_one(&api, name, reports)?,
        };
        folder = path.parent().map(PathBuf::from).unwrap_or_default();
        let _ = reports.send(Report::Alive);
    }
    Ok(folder)
}

fn fetch_one(api: &ApiRepo, name: &str, reports: &mpsc::Sender<Report>) -> Result<PathBuf, ApiError> {
    tracing::info!(file = name, "downloading");
    api.download_with_progress(name, Heartbeat(reports))
}

/// Passes on that bytes arrive.
struct Heartbeat<'a>(&'a mpsc::Sender<Report>);

impl Progress for Heartbeat<'_> {
    fn init(&mut self, _size: usize, _filename: &str) {
        let _ = self.0.send(Report::Alive);
    }

    fn update(&mut self, _size: usize) {
        let _ = self.0.send(Report::Alive);
    }

    fn finish(&mut self) {}
}

fn is_hub_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= 96
            && !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    name.split_once('/')
        .map_or_else(|| part(name), |(owner, model)| part(owner) && part(model))
}

fn is_revision(revision: &str) -> bool {
    !revision.is_empty()
        && revision.len() <= 255
        && !revision.contains("..")
        && revision
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
}
