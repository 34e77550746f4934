//! Files of every format and schema, and what is said about bad ones.

mod tables;

use std::path::PathBuf;

use super::{AnswerForm, FileOptions, ProblemError, load, load_counted};
use crate::problems::{Problem, split};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/data/problems")
        .join(name)
}

fn load_fixture(name: &str) -> Vec<Problem> {
    load(&fixture(name), &FileOptions::default()).unwrap()
}

fn load_text(text: &str, options: &FileOptions) -> Result<super::Loaded, ProblemError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    load_counted(file.path(), options)
}

#[test]
fn gsm8k_answers_are_what_follows_the_hashes() {
    let problems = load_fixture("gsm8k.jsonl");
    let answers: Vec<_> = problems.iter().map(|p| p.answer.as_str()).collect();
    assert_eq!(answers, ["29", "12,600", "0"]);
    assert_eq!(problems[1].source, "gsm8k");
    assert_eq!(problems[1].id, "gsm8k-3", "the line number, blank lines counted");
    assert!(problems[0].question.starts_with("Mira plants"));
}

#[test]
fn a_row_names_its_source_and_only_hashes_make_gsm8k() {
    let row = |more: &str| format!("{{\"question\": \"q\", \"answer\": \"1\"{more}}}\n");
    let text = [row(", \"data_source\": \"aime\""), row(", \"data_source\": 3"), row("")].concat();
    let sources = |options: &FileOptions| -> Vec<String> {
        let loaded = load_text(&text, options).unwrap();
        loaded.problems.into_iter().map(|problem| problem.source).collect()
    };
    let found = sources(&FileOptions::default());
    assert_eq!(found[0], "aime");
    assert!(
        found[1] == found[2] && found[1].starts_with(".tmp"),
        "the file's name: {found:?}"
    );
    let named = FileOptions {
        source: Some("mine".into()),
        ..FileOptions::default()
    };
    assert_eq!(sources(&named), ["mine"; 3]);
}

#[test]
fn svamp_bodies_and_questions_are_joined() {
    let problems = load_fixture("svamp.json");
    let found: Vec<_> = problems
        .iter()
        .map(|p| (p.id.as_str(), p.question.as_str(), p.answer.as_str(), p.source.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (
                "hand-1",
                "A kiosk had 48 papers. If it sold 19 of them, How many papers are left?",
                "29",
                "svamp"
            ),
            (
                "hand-2",
                "Lena baked 3 trays of 8 rolls. How many rolls did she bake?",
                "24",
                "svamp"
            ),
            (
                "hand-3",
                "Four friends share 10 litres of juice. How many litres does each get?",
                "2.5",
                "svamp"
            ),
        ]
    );
}

#[test]
fn chat_messages_give_their_user_turn_and_ids_stay_unique() {
    let problems = load_fixture("chat.jsonl");
    let found: Vec<_> = problems
        .iter()
        .map(|p| (p.id.as_str(), p.question.as_str(), p.answer.as_str()))
        .collect();
    assert_eq!(found, [("0", "What is $2^5$?", "32"), ("0#2", "What is $3^4$?", "81")]);
}

#[test]
fn columns_and_forms_can_be_given() {
    let options = FileOptions {
        question: vec!["task.text".into()],
        answer: Some("task.solutions.1".into()),
        answer_form: AnswerForm::LastBoxed,
        id: Some("key".into()),
        source: Some("mine".into()),
        ..FileOptions::default()
    };
    let row = r#"{"key": 7, "task": {"text": "Half of one?", "solutions": ["no", "so \\boxed{\\frac12}"]}}"#;
    let loaded = load_text(row, &options).unwrap();
    let expected = Problem {
        id: "7".into(),
        question: "Half of one?".into(),
        answer: "\\frac12".into(),
        source: "mine".into(),
        ..Problem::default()
    };
    assert_eq!(loaded.problems, [expected]);
}

#[test]
fn conversations_are_posed_as_they_are() {
    let options = FileOptions {
        messages: Some("messages".into()),
        ..FileOptions::default()
    };
    let row = |messages: &str, more: &str| format!(r#"{{"messages": [{messages}]{more}}}"#);
    let (system, user) = (
        r#"{"role": "system", "content": "Be brief."}"#,
        r#"{"role": "user", "content": " 2 + 2? "}"#,
    );
    let both = format!("{system}, {user}");
    let code = r#", "answer": 4, "grader": {"type": "regex", "name": "x", "pattern": "4"}"#;
    let text = [row(&both, code), row(user, ""), row(user, r#", "answer": {"x": 1}"#)].join("\n");
    let found = load_text(&text, &options).unwrap().problems;
    let messages = found[0].messages.as_ref().unwrap();
    let told: Vec<(&str, &str)> = messages.iter().map(|m| (m.role.as_str(), m.content.as_str())).collect();
    assert_eq!(told, [("system", "Be brief."), ("user", " 2 + 2? ")]);
    let answers: Vec<&str> = found.iter().map(|problem| problem.answer.as_str()).collect();
    assert_eq!(answers, ["4", "", ""]);
    assert!(
        found.iter().all(|problem| problem.grader.is_none()),
        "a row of such a file brings none"
    );
    assert_eq!(found[0].row.as_ref().unwrap()["answer"], 4);
    for (messages, wanted) in [
        (String::new(), "must end with a message of the user"),
        (system.to_owned(), "must end with a message of the user"),
        (
            r#"{"role": "tool", "content": "x"}"#.into(),
            "`messages[0].role` is none of",
        ),
        (
            r#"{"role": "user", "content": ""}"#.into(),
            "`messages[0].content` must be a text",
        ),
    ] {
        let error = load_text(&row(&messages, ""), &options).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let beside = FileOptions {
        hint: Some("answer".into()),
        ..options
    };
    let error = load_text(&row(user, r#", "answer": "4""#), &beside)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no `hint` beside it"), "{error}");
}

#[test]
fn rows_bring_their_own_graders() {
    let rows = [
        r#"{"question": "a", "answer": "1", "grader": {"type": "regex", "name": "one", "pattern": "1"}, "tests": [2]}"#,
        r#"{"question": "b", "answer": "2", "grader": "not ours"}"#,
        r#"{"question": "c", "answer": "3", "grader": null}"#,
    ];
    let text = rows.join("\n");
    let found = load_text(&text, &FileOptions::default()).unwrap().problems;
    assert_eq!(found[0].grader.as_ref().unwrap().name(), "one");
    assert_eq!(found[0].row.as_ref().unwrap()["tests"], serde_json::json!([2]));
    assert!(
        found[1..]
            .iter()
            .all(|problem| problem.grader.is_none() && problem.row.is_none())
    );
    let kept = FileOptions {
        keep_rows: true,
        ..FileOptions::default()
    };
    assert!(
        load_text(&text, &kept)
            .unwrap()
            .problems
            .iter()
            .all(|problem| problem.row.is_some())
    );
    // A column that is asked for holds objects, their text, or null.
    let asked = FileOptions {
        grader: Some("how".into()),
        ..FileOptions::default()
    };
    let row = |how: &str| format!("{{\"question\": \"a\", \"answer\": \"1\", \"how\": {how}}}");
    let text = r#""{\"type\": \"regex\", \"name\": \"two\", \"pattern\": \"2\"}""#;
    let found = load_text(&row(text), &asked).unwrap().problems;
    assert_eq!(found[0].grader.as_ref().unwrap().name(), "two");
    assert!(load_text(&row("null"), &asked).unwrap().problems[0].grader.is_none());
    for (how, reason) in [
        ("1", "row 1: column `how` is no grader: "),
        ("\"regex\"", "row 1: column `how` is no grader: "),
        (
            r#"{"type": "regex", "name": "g", "pattern": "("}"#,
            "is no grader: pattern",
        ),
        (r#"{"type": "regex", "name": "g"}"#, "missing field `pattern`"),
    ] {
        let error = load_text(&row(how), &asked).unwrap_err().to_string();
        assert!(error.contains(reason), "{how}: {error}");
    }
}

#[test]
fn bad_files_are_refused_with_the_place() {
    let default = FileOptions::default();
    let row = |question: &str| format!("{{\"question\": {question}, \"answer\": \"1\"}}");
    let cases: Vec<(String, FileOptions, &str)> = vec![
        (String::new(), default.clone(), "the file is empty"),
        ("question,answer\n".into(), default.clone(), "neither JSON lines"),
        ("[]".into(), default.clone(), "no row can be used"),
        (
            "{\"question\": \"a\", \"answer\": \"1\"}\n{\"q".into(),
            default.clone(),
            ":2: EOF",
        ),
        (
            "{\"text\": \"a\", \"label\": 1}".into(),
            default.clone(),
            "the columns are text, label",
        ),
        (
            row("\"a\""),
            FileOptions {
                answer: Some("gold".into()),
                ..default.clone()
            },
            "no column `gold`; the columns are question, answer",
        ),
        (row("true"), default.clone(), "row 1: column `question` is a boolean"),
        (
            row("[{\"role\": \"user\"}]"),
            default.clone(),
            "a user message without text",
        ),
        (
            row("[{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]"),
            default.clone(),
            "role `assistant`",
        ),
        (
            row("[{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"user\", \"content\": \"b\"}]"),
            default.clone(),
            "more than one user message",
        ),
        (
            format!("[{}, {}]", row("\"a\""), row("7 8")),
            default.clone(),
            ":1: expected `,`",
        ),
        (
            row("\"a\""),
            FileOptions {
                answer_form: AnswerForm::AfterHashes,
                ..default.clone()
            },
            "has no `####`",
        ),
        (
            row("\"abc\""),
            FileOptions {
                max_text_bytes: 2,
                ..default.clone()
            },
            "more than `max_text_bytes` = 2",
        ),
        (
            row("\"abc\""),
            FileOptions {
                max_file_bytes: 20,
                ..default.clone()
            },
            "more than `max_file_bytes` = 20",
        ),
        (
            [row("\"a\""), row("\"b\"")].join("\n"),
            FileOptions {
                max_rows: 1,
                skip_bad: true,
                ..default.clone()
            },
            "2 rows, more than `max_rows` = 1",
        ),
    ];
    for (text, options, expected) in cases {
        let error = load_text(&text, &options).expect_err(&text).to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    let missing = load(&fixture("absent.jsonl"), &default).unwrap_err().to_string();
    assert!(missing.contains("absent.jsonl"), "{missing}");
}

#[test]
fn bad_rows_are_counted_on_request_and_named_otherwise() {
    let error = load(&fixture("bad.jsonl"), &FileOptions::default()).unwrap_err();
    assert!(matches!(&error, ProblemError::Line { line: 2, .. }), "{error}");
    let loaded = load_counted(
        &fixture("bad.jsonl"),
        &FileOptions {
            skip_bad: true,
            ..FileOptions::default()
        },
    )
    .unwrap();
    assert_eq!((loaded.problems.len(), loaded.skipped), (2, 4));
    assert_eq!(loaded.problems[1].answer, "7");
}

fn numbered(count: usize) -> Vec<Problem> {
    let problem = |n: usize| Problem {
        id: n.to_string(),
        question: format!("What is {n} + 1?"),
        answer: (n + 1).to_string(),
        source: "test".into(),
        ..Problem::default()
    };
    (0..count).map(problem).collect()
}

#[test]
fn splits_are_disjoint_seeded_and_independent_of_order() {
    let (train, held_out) = split(numbered(100), 0.2, 7).unwrap();
    assert_eq!((train.len(), held_out.len()), (80, 20));
    assert!(train.iter().all(|p| !held_out.contains(p)));

    let mut reversed = numbered(100);
    reversed.reverse();
    let (_, mut again) = split(reversed, 0.2, 7).unwrap();
    again.reverse();
    assert_eq!(again, held_out);
    assert_ne!(split(numbered(100), 0.2, 8).unwrap().1, held_out);

    assert_eq!(split(numbered(3), 0.0, 7).unwrap().1, []);
    assert_eq!(split(numbered(3), 1.0, 7).unwrap().0, []);
    for fraction in [-0.1, 1.5, f64::NAN] {
        assert!(split(numbered(3), fraction, 7).is_err());
    }
}

#[test]
fn copies_of_a_question_stay_on_one_side() {
    let mut problems = numbered(50);
    for copy in numbered(50) {
        problems.push(Problem {
            id: format!("copy-{}", copy.id),
            question: copy.question.to_uppercase().replace(' ', "  "),
            ..copy
        });
    }
    let (train, held_out) = split(problems, 0.3, 1).unwrap();
    let questions = |part: &[Problem]| {
        part.iter()
            .map(|p| p.answer.clone())
            .collect::<std::collections::HashSet<_>>()
    };
    assert!(questions(&train).is_disjoint(&questions(&held_out)));
}
