//! The `curl` examples of README.md and docs/*.md, run as they are printed against servers started as they say. No answer may
//! be an error; where an answer is printed too, the real one must have its keys; and every endpoint of openapi.json must
//! have an example.

mod blocks;
mod calls;
mod keys;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::debian::{Program, program};
use super::{Outcome, scratch};
use crate::repo;
use crate::server::{Server, built};
use blocks::Example;
use calls::{Call, Shell};

/// Programs that the examples use.
const PROGRAMS: [&str; 2] = ["curl", "jq"];

pub(super) fn run() -> anyhow::Result<Outcome> {
    let mut found = Vec::new();
    for name in PROGRAMS {
        match program(&[name], name) {
            Program::Ready(path) => found.push(path),
            Program::NotReached(why) => return Ok(Outcome::NotReached(why)),
        }
    }
    let curl = found.first().context("no curl")?;
    let binary = built(None)?;
    let (mut asked, mut examples, mut printed) = (BTreeSet::new(), 0, 0);
    for (name, path) in documents()? {
        let text = std::fs::read_to_string(&path).with_context(|| name.clone())?;
        let blocks = blocks::read(&name, &text)?;
        examples += blocks.len();
        printed += blocks.iter().filter(|block| block.answer.is_some()).count();
        asked.extend(document(&binary, curl, &blocks)?);
    }
    let endpoints = endpoints()?;
    let missing: Vec<String> = endpoints
        .iter()
        .filter(|(method, template)| !asked.iter().any(|call| answers(call, method, template, &endpoints)))
        .map(|(method, template)| format!("{method} {template}"))
        .collect();
    ensure!(missing.is_empty(), "no example of {}", missing.join(", "));
    Ok(Outcome::Passed(format!(
        "{examples} blocks of curl examples, {printed} with printed answers, cover all {} endpoints",
        endpoints.len()
    )))
}

/// README.md and the files of docs/, in order.
fn documents() -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut found = vec![("README.md".to_owned(), repo::root().join("README.md"))];
    for entry in std::fs::read_dir(repo::root().join("docs"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            found.push((format!("docs/{name}"), path));
        }
    }
    found.sort();
    Ok(found)
}

/// Runs the examples of one document; those that start no server of their own share one. Returns what was asked.
fn document(binary: &Path, curl: &Path, blocks: &[Example]) -> anyhow::Result<Vec<(String, String)>> {
    let folder = scratch::folder()?;
    let start = |arguments: &[String]| Server::start_in(folder.path(), binary, arguments);
    let mut shared = None;
    let mut asked = Vec::new();
    for example in blocks {
        let own = example.server.as_deref().map(start).transpose()?;
        let server = match (&own, &mut shared) {
            (Some(own), _) => own,
            (None, Some(shared)) => shared,
            (None, empty) => empty.insert(start(&[])?),
        };
        let shell = Shell::new(curl, server.url(), folder.path())?;
        let calls = shell.run(&example.script).with_context(|| example.place.clone())?;
        check(example, &calls).with_context(|| example.place.clone())?;
        asked.extend(calls.into_iter().map(|call| (call.method, call.path)));
    }
    Ok(asked)
}

fn check(example: &Example, calls: &[Call]) -> anyhow::Result<()> {
    for call in calls {
        let Call {
            method, path, status, ..
        } = call;
        ensure!((200..300).contains(status), "{method} {path}: {status}: {}", call.body);
    }
    let Some(printed) = &example.answer else { return Ok(()) };
    let last = calls.last().context("nothing was asked")?;
    let answered: Value = serde_json::from_str(&last.body).with_context(|| format!("{} is no JSON", last.body))?;
    let differences = keys::differences(printed, &answered);
    ensure!(differences.is_empty(), "{}: {}", differences.join("; "), last.body);
    Ok(())
}

/// Methods and path templates of openapi.json.
fn endpoints() -> anyhow::Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(repo::root().join("openapi/openapi.json"))?;
    let document: Value = serde_json::from_str(&text)?;
    let paths = document["paths"].as_object().context("no paths")?;
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(|(method, _)| (method.to_uppercase(), path.clone()))
    });
    Ok(operations.collect())
}

/// Whether a call was answered by the endpoint; one that names it in full goes before one with a parameter.
fn answers((asked, path): &(String, String), method: &str, template: &str, endpoints: &[(String, String)]) -> bool {
    let exact = endpoints.iter().any(|(_, template)| template == path);
    let fits = if exact {
        path == template
    } else {
        matches(path, template)
    };
    asked == method && fits
}

fn matches(path: &str, template: &str) -> bool {
    let (path, template): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), template.split('/').collect());
    let same = |(part, wanted): (&&str, &&str)| wanted.starts_with('{') && !part.is_empty() || part == wanted;
    path.len() == template.len() && path.iter().zip(&template).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_for_the_endpoint_that_answers_it() {
        let endpoints =
            ["/t", "/t/{id}", "/t/export", "/t/{id}/reward"].map(|path| ("GET".to_owned(), path.to_owned()));
        for (path, answered) in [
            ("/t", "/t"),
            ("/t/a", "/t/{id}"),
            ("/t/export", "/t/export"),
            ("/t/a/reward", "/t/{id}/reward"),
            ("/t/", ""),
        ] {
            let call = ("GET".to_owned(), path.to_owned());
            let all: Vec<&str> = endpoints.iter().map(|(_, template)| template.as_str()).collect();
            let by: Vec<&str> = all
                .iter()
                .copied()
                .filter(|one| answers(&call, "GET", one, &endpoints))
                .collect();
            assert_eq!(by.concat(), answered, "{path}");
            assert!(!all.iter().any(|one| answers(&call, "POST", one, &endpoints)));
        }
    }
}
