use super::*;

/// What a text is read as: `said` texts as they are, calls as `name(arguments)`.
fn read(format: ToolFormat, pieces: &[&str]) -> Vec<String> {
    let mut reader = CallReader::new(format);
    let mut parts: Vec<Part> = pieces.iter().flat_map(|piece| reader.push(piece)).collect();
    parts.extend(reader.finish());
    let mut out: Vec<String> = Vec::new();
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(more) => text.push_str(&more),
            Part::Call(call) => {
                out.extend((!text.is_empty()).then(|| std::mem::take(&mut text)));
                out.push(format!("{}({})", call.name, call.arguments));
            }
        }
    }
    out.extend((!text.is_empty()).then_some(text));
    out
}

#[test]
fn calls_are_read_however_the_text_is_cut() {
    use ToolFormat::{Hermes, Llama};
    let call = |arguments: &str| format!("<tool_call>\n{{\"name\": \"f\", \"arguments\": {arguments}}}\n</tool_call>");
    let one = call(r#"{"a": 1.0, "b": "</tool_call", "n": 12345678901234567890123}"#);
    let written = r#"f({"a": 1.0, "b": "</tool_call", "n": 12345678901234567890123})"#;
    let (two, said) = (
        format!("{}\n{}\n", call("{}"), call("{}")),
        format!("Let me see.\n\n{}", call("{}")),
    );
    let (torn, open) = (
        "a <tool_call>\n{\"name\": 1}\n</tool_call> b",
        "x <tool_call>{\"name\": \"f\", \"arguments\": {}}",
    );
    let table: [(ToolFormat, &str, &[&str]); 17] = [
        (Hermes, "", &[]),
        (Hermes, "plain é 日本 text \n", &["plain é 日本 text \n"]),
        (Hermes, " <tool", &[" <tool"]),
        (Hermes, "<tool_calm> <too", &["<tool_calm> <too"]),
        (Hermes, &one, &[written]),
        (Hermes, &two, &["f({})", "f({})"]),
        (Hermes, &said, &["Let me see.", "f({})"]),
        (Hermes, torn, &[torn]),
        (Hermes, open, &["x", "f({})"]),
        (
            Hermes,
            "<tool_call>{\"name\": \"f\", \"argum",
            &["<tool_call>{\"name\": \"f\", \"argum"],
        ),
        (Hermes, "<tool_call>[1]</tool_call>", &["<tool_call>[1]</tool_call>"]),
        (
            Hermes,
            "<tool_call>{\"arguments\":{\"name\":\"g\"},\"name\":\"f\"}</tool_call>",
            &["f({\"name\":\"g\"})"],
        ),
        (
            Llama,
            "{\"name\": \"f\", \"parameters\": {\"x\": [1, {}]}}",
            &["f({\"x\": [1, {}]})"],
        ),
        (Llama, " {\"name\": \"f\", \"parameters\": {}} ", &["f({})"]),
        (Llama, "{\"name\": \"f\"}", &["{\"name\": \"f\"}"]),
        (
            Llama,
            "a {\"name\": \"f\", \"parameters\": {}}",
            &["a {\"name\": \"f\", \"parameters\": {}}"],
        ),
        (Llama, "{1}", &["{1}"]),
    ];
    for (format, text, wanted) in table {
        assert_eq!(read(format, &[text]), wanted, "{text:?}");
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(read(format, &letters), wanted, "{text:?} letter by letter");
        for cut in text.char_indices().map(|(at, _)| at) {
            assert_eq!(
                read(format, &[&text[..cut], &text[cut..]]),
                wanted,
                "{text:?} cut at {cut}"
            );
        }
    }
}
