//! Reads the examples of a Markdown file: fenced blocks of `sh` that call curl, each with the fenced block of `json` that
//! follows it at once, if one does, as the answer to its last call.

use anyhow::{Context, ensure};
use serde_json::Value;

/// A block to run.
#[derive(Debug, PartialEq)]
pub(super) struct Example {
    /// File and line.
    pub(super) place: String,
    /// Arguments of the line `svs serve …`, if the block has one: the server that it is about.
    pub(super) server: Option<Vec<String>>,
    /// The other lines.
    pub(super) script: String,
    /// What the last call answers.
    pub(super) answer: Option<Value>,
}

/// A fenced block and the line it begins on.
struct Block<'a> {
    line: usize,
    language: &'a str,
    lines: Vec<&'a str>,
    /// Nothing stands between it and the block before.
    follows: bool,
}

pub(super) fn read(name: &str, text: &str) -> anyhow::Result<Vec<Example>> {
    let mut examples: Vec<Example> = Vec::new();
    let mut last_is_example = false;
    for block in fenced(text) {
        let place = format!("{name}:{}", block.line);
        let calls = block
            .lines
            .iter()
            .any(|line| line.split_whitespace().any(|word| word.ends_with("curl")));
        if calls {
            ensure!(
                block.language == "sh",
                "{place}: a block that calls curl is marked `sh`"
            );
            examples.push(example(place, &block.lines)?);
        } else if let (true, true, "json", Some(example)) =
            (last_is_example, block.follows, block.language, examples.last_mut())
        {
            let answer = serde_json::from_str(&block.lines.concat()).with_context(|| place)?;
            example.answer = Some(answer);
        }
        last_is_example = calls;
    }
    Ok(examples)
}

fn example(place: String, lines: &[&str]) -> anyhow::Result<Example> {
    let (mut server, mut script) = (None, String::new());
    for line in lines {
        if let Some(arguments) = line.strip_prefix("svs serve") {
            ensure!(server.is_none(), "{place}: two servers in one block");
            let words = arguments.split_whitespace().take_while(|word| !word.starts_with('#'));
            server = Some(words.map(str::to_owned).collect());
        } else {
            script.push_str(line);
            script.push('\n');
        }
    }
    Ok(Example {
        place,
        server,
        script,
        answer: None,
    })
}

fn fenced(text: &str) -> Vec<Block<'_>> {
    let (mut found, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    let mut follows = false;
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => {
                open = Some(Block {
                    line: at + 1,
                    language,
                    lines: Vec::new(),
                    follows,
                });
            }
            (Some(_), Some(block)) => {
                found.push(block);
                follows = true;
            }
            (None, Some(mut block)) => {
                block.lines.push(line);
                open = Some(block);
            }
            (None, None) => follows &= line.trim().is_empty(),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn blocks_that_call_curl_are_read_with_their_servers_and_answers() {
        let text = "a\n```toml\nx = 1\n```\n```sh\nsvs serve --api-key k   # a key\nid=$(curl a)\ncurl b \\\n  -d c\n```\n\n```json\n{\"id\":\n 3}\n```\n\
                    ```json\n{\"not\": \"an answer\"}\n```\n```sh\ncurl c\n```\nwords\n```json\n[]\n```\n";
        let found = read("x.md", text).expect("examples");
        let example = |place: &str, server: Option<&[&str]>, script: &str, answer| Example {
            place: place.into(),
            server: server.map(|words| words.iter().map(ToString::to_string).collect()),
            script: script.into(),
            answer,
        };
        let wanted = [
            example(
                "x.md:5",
                Some(&["--api-key", "k"]),
                "id=$(curl a)\ncurl b \\\n  -d c\n",
                Some(json!({"id": 3})),
            ),
            example("x.md:19", None, "curl c\n", None),
        ];
        assert_eq!(found, wanted);
        for wrong in [
            "```\ncurl x\n```\n",
            "```sh\nsvs serve\nsvs serve\ncurl x\n```\n",
            "```sh\ncurl x\n```\n```json\n{…}\n```\n",
        ] {
            assert!(read("x.md", wrong).is_err(), "{wrong}");
        }
    }
}
