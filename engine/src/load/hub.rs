//! Models by hub id, through the cache that Hugging Face's own tools use.
//!
//! `HF_HOME` and `HF_ENDPOINT` place cache and server; `HF_TOKEN` (or the token saved in the cache) signs requests;
//! `HF_HUB_OFFLINE=1` uses only what the cache has.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use super::LoadError;

const STALL: Duration = Duration::from_secs(30);
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];
const OPTIONAL: [&str; 5] = [
    "tokenizer_config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "svs.json",
];

/// Where the hub and its cache are.
#[derive(Debug, Clone)]
pub(super) struct Hub {
    pub(super) cache: PathBuf,
    pub(super) endpoint: String,
    pub(super) token: Option<String>,
    pub(super) offline: bool,
    /// A request that brings nothing for so long is given up.
    pub(super) stall: Duration,
}

enum Report {
    Alive,
    Done(Result<PathBuf, String>),
}

/// Fetches the files of `id` (`org/name` or `org/name@revision`) and returns their folder.
pub(super) fn fetch(id: &str) -> Result<PathBuf, LoadError> {
    Hub::from_env()
        .and_then(|hub| hub.fetch(id))
        .map_err(|reason| LoadError::Hub {
            id: id.to_owned(),
            reason,
        })
}

impl Hub {
    fn from_env() -> Result<Self, String> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let home = set("HF_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(std::env::home_dir()?.join(".cache/huggingface")));
        let cache = home.ok_or("no home folder for the cache; set HF_HOME")?.join("hub");
        let off = ["0", "false", "no", "off"];
        Ok(Self {
            token: set("HF_TOKEN")
                .or_else(|| Cache::new(cache.clone()).token())
                .map(|token| token.trim().to_owned()),
            cache,
            endpoint: set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()),
            offline: set("HF_HUB_OFFLINE").is_some_and(|value| !off.contains(&value.to_ascii_lowercase().as_str())),
            stall: STALL,
        })
    }

    pub(super) fn fetch(self, id: &str) -> Result<PathBuf, String> {
        let (name, revision) = id.split_once('@').unwrap_or((id, "main"));
        if !is_hub_name(name) || !is_revision(revision) {
            return Err("neither an existing path nor a hub id of the form org/name or org/name@revision".into());
        }
        let repo = Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned());
        let cache = Cache::new(self.cache.clone());
        if self.offline {
            return cached(&cache, repo).ok_or_else(|| "not in the cache, and HF_HUB_OFFLINE is set".into());
        }
        let reason = match self.fetch_in_thread(repo.clone()) {
            Ok(folder) => return Ok(folder),
            Err(reason) => reason,
        };
        let folder = cached(&cache, repo).ok_or_else(|| format!("{reason} (and it is not in the cache)"))?;
        tracing::warn!(id, reason, "the hub is out of reach; using the cached copy");
        Ok(folder)
    }

    /// The client has no timeouts of its own, so it runs in a thread that reports its progress; a thread that stalls is
    /// left behind and ends with its connection.
    fn fetch_in_thread(self, repo: Repo) -> Result<PathBuf, String> {
        let stall = self.stall;
        let (reports, inbox) = mpsc::channel();
        let spawned = std::thread::Builder::new().name("hub".into()).spawn(move || {
            let done = self.download(&repo, &reports);
            let _ = reports.send(Report::Done(done));
        });
        spawned.map_err(|error| format!("cannot start a thread: {error}"))?;
        loop {
            match inbox.recv_timeout(stall) {
                Ok(Report::Alive) => {}
                Ok(Report::Done(done)) => return done,
                Err(RecvTimeoutError::Timeout) => return Err(format!("no answer for {} s", stall.as_secs_f32())),
                Err(RecvTimeoutError::Disconnected) => return Err("the download failed".into()),
            }
        }
    }

    fn download(&self, repo: &Repo, reports: &mpsc::Sender<Report>) -> Result<PathBuf, String> {
        let show = |error: ApiError| error.to_string();
        let cache = Cache::new(self.cache.clone());
        let builder = ApiBuilder::from_cache(cache.clone()).with_endpoint(self.endpoint.clone());
        let api = builder
            .with_token(self.token.clone())
            .with_progress(false)
            .with_retries(2)
            .build()
            .map_err(show)?;
        let listing = api.repo(repo.clone()).info().map_err(show)?;
        let _ = reports.send(Report::Alive);
        if !listing.sha.chars().all(|digit| digit.is_ascii_hexdigit()) || listing.sha.is_empty() {
            return Err(format!("the hub names the commit `{}`", listing.sha));
        }
        // One commit for all files, whatever is pushed meanwhile.
        let commit = Repo::with_revision(repo.url(), RepoType::Model, listing.sha.clone());
        let names: Vec<&str> = listing.siblings.iter().map(|file| file.rfilename.as_str()).collect();
        let mut folder = PathBuf::new();
        for name in wanted(&names) {
            let path = match cache.repo(commit.clone()).get(name) {
                Some(path) => path,
                None => {
                    tracing::info!(file = name, "downloading");
                    let heartbeat = Heartbeat(reports.clone());
                    let done = api.repo(commit.clone()).download_with_progress(name, heartbeat);
                    done.map_err(|error| format!("{name}: {error}"))?
                }
            };
            folder = path.parent().map(PathBuf::from).unwrap_or_default();
            let _ = reports.send(Report::Alive);
        }
        // So that the branch or tag is found without the hub next time.
        cache
            .repo(repo.clone())
            .create_ref(&listing.sha)
            .map_err(|error| error.to_string())?;
        Ok(folder)
    }
}

/// The files to download out of those that the hub lists; the required ones whether listed or not.
fn wanted<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let optional = OPTIONAL.into_iter().filter(|name| names.contains(name));
    let mut wanted: Vec<&str> = REQUIRED.into_iter().chain(optional).collect();
    if names.contains(&SINGLE) {
        wanted.push(SINGLE);
        return wanted;
    }
    wanted.extend(
        names
            .iter()
            .filter(|name| name.ends_with(".safetensors") && !name.contains('/')),
    );
    wanted.push(INDEX);
    wanted
}

/// The folder in the cache, if everything needed is there.
fn cached(cache: &Cache, repo: Repo) -> Option<PathBuf> {
    let repo = cache.repo(repo);
    for file in REQUIRED {
        repo.get(file)?;
    }
    let weights = repo.get(SINGLE).or_else(|| repo.get(INDEX))?;
    weights.parent().map(PathBuf::from)
}

/// Passes on that bytes arrive.
struct Heartbeat(mpsc::Sender<Report>);

impl Progress for Heartbeat {
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
