//! Guides on the bytes-only vocabulary: what is refused and how, and walks through masks that end in what was asked.

use serde_json::{Value, json};

use super::*;
use crate::EngineError;
use crate::sampler::philox4x32_10;
use crate::text::Tokenizer;

fn compiler(limits: GuideLimits) -> GuideCompiler {
    GuideCompiler::new(Tokenizer::bytes_only().expect("built in"), limits, None)
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 8},
            "age": {"type": "integer", "minimum": 0, "maximum": 130},
            "tags": {"type": "array", "items": {"enum": ["a", "b", "ü"]}, "minItems": 1, "maxItems": 3},
        },
        "required": ["name", "age", "tags"],
        "additionalProperties": false,
    })
}

/// A text made of allowed tokens drawn evenly, up to the end of sequence.
fn walk(compiled: &CompiledGuide, tokenizer: &Tokenizer, seed: u32) -> String {
    let (mut state, mut tokens) = (compiled.start(&[]), Vec::new());
    for position in 0..2000 {
        let allowed = state.allowed().expect("within limits");
        let bits = |id: &u32| allowed.words()[*id as usize / 32] >> (id % 32) & 1 == 1;
        let ids: Vec<u32> = (0..u32::try_from(tokenizer.vocab_size()).expect("small"))
            .filter(bits)
            .collect();
        let [word, ..] = philox4x32_10([position, seed, 0, 0], [3, 4]);
        let token = ids[word as usize % ids.len()];
        let ends = ids.iter().any(|id| tokenizer.eos_ids().contains(id));
        assert_eq!(
            ends,
            state.accepts().expect("no fault"),
            "ends are allowed exactly where the text is whole"
        );
        if tokenizer.eos_ids().contains(&token) {
            return tokenizer.decode(&tokens, true).expect("known tokens");
        }
        state.push(token).expect("the mask allowed it");
        tokens.push(token);
    }
    panic!("no end after 2000 tokens");
}

#[test]
fn walks_end_in_what_was_asked() {
    let tokenizer = Tokenizer::bytes_only().expect("built in");
    let fits_schema = |text: &str| {
        let value: Value = serde_json::from_str(text).expect("JSON");
        let keys: Vec<_> = value
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        keys == ["name", "age", "tags"]
            && value["name"].as_str().is_some_and(|name| name.chars().count() <= 8)
            && value["age"].as_u64().is_some_and(|age| age <= 130)
            && value["tags"].as_array().is_some_and(|tags| {
                (1..=3).contains(&tags.len())
                    && tags
                        .iter()
                        .all(|tag| ["a", "b", "ü"].contains(&tag.as_str().unwrap_or("")))
            })
    };
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
    let sums = |text: &str| {
        text.split('+')
            .all(|part| part == "x" || (1..=3).contains(&digits(part)))
    };
    type Row<'a> = (Guide, &'a dyn Fn(&str) -> bool);
    let table: [Row<'_>; 5] = [
        (Guide::JsonSchema(schema()), &fits_schema),
        (Guide::Regex(r"[0-9]{3}-(é|日本){2}".into()), &|text| {
            digits(&text[..3]) == 3 && matches!(&text[4..], "éé" | "é日本" | "日本é" | "日本日本")
        }),
        (
            Guide::Choice(vec!["yes".into(), "no\n\"so\"".into(), "n".into()]),
            &|text| ["yes", "no\n\"so\"", "n"].contains(&text),
        ),
        (
            Guide::Lark("start: term (\"+\" term)*\nterm: /[0-9]{1,3}/ | \"x\"".into()),
            &|text| sums(text),
        ),
        (
            Guide::JsonSchema(json!({"$ref": "#/$defs/t", "$defs": {"t": {"type": "boolean"}}})),
            &|text| ["true", "false"].contains(&text),
        ),
    ];
    let compiler = compiler(GuideLimits::default());
    for (guide, fits) in table {
        let compiled = compiler.compile(&guide).expect("compiles");
        for seed in 0..60 {
            let text = walk(&compiled, &tokenizer, seed);
            assert!(fits(&text), "{guide:?}: {text:?}");
        }
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    let nested = "(".repeat(300);
    let small = GuideLimits {
        max_bytes: 4096,
        ..GuideLimits::default()
    };
    let deep = (0..70).fold(json!({}), |inner, _| json!({"type": "array", "items": inner}));
    let table: [(Guide, &str); 16] = [
        (Guide::JsonSchema(deep), "64 deep"),
        (Guide::JsonSchema(json!({"not": {}})), "\"not\""),
        (
            Guide::JsonSchema(json!({"type": "object", "properties": {"a": {"uniqueItems": true}}})),
            "\"uniqueItems\"",
        ),
        (
            Guide::JsonSchema(json!({"type": "string", "format": "no-such"})),
            "no-such",
        ),
        (Guide::JsonSchema(json!({"type": "objekt"})), "objekt"),
        (
            Guide::JsonSchema(json!({"$ref": "http://example.com/schema"})),
            "example.com",
        ),
        (
            Guide::JsonSchema(json!({"x-guidance": {"lenient": true}})),
            "x-guidance",
        ),
        (
            Guide::JsonSchema(json!({"type": "integer", "minimum": 3, "maximum": 2})),
            "nsatisfiable",
        ),
        (Guide::JsonSchema(json!(["type"])), "must be a JSON object"),
        (
            Guide::JsonSchema(json!({"pattern": 3, "type": "string", "title": "ü".repeat(200)})),
            "pattern",
        ),
        (Guide::Regex("a(b".into()), "regex"),
        (Guide::Regex("a(?=b)".into()), "look-around"),
        (Guide::Regex(nested.clone()), "nested"),
        (Guide::Regex("a".repeat(4097)), "engine.guides.max_bytes"),
        (Guide::Choice(Vec::new()), "at least one"),
        (Guide::Lark("begin: \"a\"".into()), "start"),
    ];
    let compiler = compiler(small);
    for (guide, part) in table {
        match compiler.compile(&guide) {
            Err(EngineError::InvalidParameter { field: "guide", reason }) => {
                assert!(reason.contains(part), "{guide:?}: {reason}");
                assert!(!reason.contains("backtrace"), "{guide:?}: {reason}");
            }
            other => panic!("{guide:?}: {other:?}"),
        }
    }
}

#[test]
fn work_is_bounded() {
    let tight = GuideLimits {
        compile_fuel: 2_000,
        max_grammar_size: 200,
        ..GuideLimits::default()
    };
    let table = [
        Guide::Choice((1..3000u64).map(|at| format!("{:x}", at * 2_654_435_761)).collect()),
        Guide::JsonSchema(json!({"enum": (0..500).map(|at| json!([at])).collect::<Vec<_>>()})),
    ];
    for guide in table {
        let began = std::time::Instant::now();
        assert!(compiler(tight.clone()).compile(&guide).is_err(), "{guide:?}");
        assert!(began.elapsed().as_secs() < 5, "{guide:?}");
    }
    // A lexer that may hold few states gives up, by name, and nothing else happens.
    let few = GuideLimits {
        max_lexer_states: 12,
        ..GuideLimits::default()
    };
    let compiled = compiler(few).compile(&Guide::Regex("(a|b)*a(a|b){8}".into()));
    let ended = compiled.and_then(|compiled| {
        let mut state = compiled.start(&[]);
        let reason = (0..200).find_map(|at| {
            let token = u32::from(if at % 3 == 0 { b'a' } else { b'b' });
            state.allowed().and_then(|_| state.push(token)).err()
        });
        reason.map_or(Ok(()), |reason| Err(EngineError::Stopped(reason)))
    });
    assert!(ended.is_err());
}

#[test]
fn a_guide_is_compiled_once() {
    let compiler = compiler(GuideLimits {
        cached: 2,
        ..GuideLimits::default()
    });
    let guides = ["a+", "b+", "c+"].map(|text| Guide::Regex(text.into()));
    let first = guides
        .each_ref()
        .map(|guide| compiler.compile(guide).expect("compiles"));
    let again = guides
        .each_ref()
        .map(|guide| compiler.compile(guide).expect("compiles"));
    let same = |at: usize| first[at].same_as(&again[at]);
    assert_eq!(
        [same(1), same(2)].iter().filter(|same| **same).count(),
        0,
        "compiling the oldest again pushed these out"
    );
    let last = compiler.compile(&guides[2]).expect("compiles");
    assert!(last.same_as(&again[2]));
}

#[test]
fn a_fork_goes_its_own_way() {
    let compiled = compiler(GuideLimits::default())
        .compile(&Guide::Regex("ab|ac".into()))
        .expect("compiles");
    let mut one = compiled.start(&[u32::from(b'a')]);
    let mut other = one.clone();
    one.push(u32::from(b'b')).expect("allowed");
    other.push(u32::from(b'c')).expect("allowed");
    assert!(one.accepts().expect("whole") && other.accepts().expect("whole"));
    assert!(
        compiled.start(&[u32::from(b'x')]).allowed().is_err(),
        "resumed outside of the grammar"
    );
}
