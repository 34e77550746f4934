use serde_json::json;

use super::template::ChatTemplate;
use super::{CHATML, ChatMessage, TextError, clock};

fn render(source: &str, messages: &[(&str, &str)]) -> Result<String, TextError> {
    let config = json!({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": null});
    let messages: Vec<ChatMessage> = messages
        .iter()
        .map(|(role, content)| ChatMessage::new(role, content))
        .collect();
    ChatTemplate::new(source, &config)?.render(&messages, &[], true)
}

#[test]
fn templates_render_as_transformers_does() {
    let user = [("user", "hi")];
    for (source, messages, expected) in [
        (
            "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token }}",
            &user[..],
            "<s>hi</s>",
        ),
        // Block tags take their line with them; the template's last newline goes.
        (
            "{% for m in messages %}\n    {% if true %}\n[{{ m['role'] }}]\n    {% endif %}\n{% endfor %}\nend\n",
            &user,
            "[user]\nend",
        ),
        ("{%- generation -%} x {%- endgeneration %}", &user, "x"),
        (
            "{{ messages | tojson }}",
            &user,
            "[{\"role\": \"user\", \"content\": \"hi\"}]",
        ),
        (
            "{{ {'a': '<é>', 'b': [1, 2.5, none, true]} | tojson }}",
            &user,
            "{\"a\": \"<é>\", \"b\": [1, 2.5, null, true]}",
        ),
        (
            "{{ {'a': [1]} | tojson(indent=2) }}",
            &user,
            "{\n  \"a\": [\n    1\n  ]\n}",
        ),
        (
            "{{ ' a b '.strip().split(' ')[1] }}{{ 'abc'.startswith('ab') }}{{ 'x'.upper() }}",
            &user,
            "bTrueX",
        ),
        (
            "{% if tools is none %}no tools{% endif %}{% if not undefined_thing %}, no thing{% endif %}",
            &user,
            "no tools, no thing",
        ),
        (
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            &user,
            "1",
        ),
        (
            "{% for m in messages[::-1] %}{% if loop.first %}{% continue %}{% endif %}{{ m.content }}{% endfor %}",
            &[("user", "a"), ("assistant", "b")],
            "a",
        ),
        (
            "{% for m in messages %}{{ m.role }} {% endfor %}",
            &[("developer", "a"), ("user", "b")],
            "system user ",
        ),
        (
            "{# developer #}{{ messages[0].role }}",
            &[("developer", "a")],
            "developer",
        ),
        (
            CHATML,
            &[("user", "{{ bos_token }}")],
            "<|im_start|>user\n{{ bos_token }}<|im_end|>\n<|im_start|>assistant\n",
        ),
    ] {
        assert_eq!(render(source, messages).unwrap(), expected, "{source}");
    }
}

#[test]
fn constructs_of_published_templates_render_as_transformers_does() {
    let chat = [
        ("user", "hi\n"),
        ("assistant", "<think>a</think>\n\nb "),
        ("user", "é🙂"),
    ];
    for (source, expected) in [
        (
            "{%- set ns = namespace(last=-1) %}{%- for m in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}{%- if ns.last < 0 and m.role == 'user' and m.content is string and not(m.content.startswith('<t>') and m.content.endswith('</t>')) %}{%- set ns.last = index %}{%- endif %}{%- endfor %}{{ ns.last }}",
            "2",
        ),
        ("{{ messages[1].content.split('</think>')[-1].lstrip('\\n') }}", "b "),
        (
            "{% macro r(m, x=1) %}[{{ m.role }}{{ x }}]{% endmacro %}{% for m in messages %}{{ r(m, loop.index) }}{% endfor %}{{ r(messages[0]) }}",
            "[user1][assistant2][user3][user1]",
        ),
        (
            "{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | map(attribute='role') | join(', ') }}",
            "2 user, assistant, user",
        ),
        (
            "{{ messages[0].nothing or 'd' }}|{{ messages[0].get('x', 'y') }}|{{ nothing | default('d') }}|{{ messages[5] is defined }}",
            "d|y|d|False",
        ),
        (
            "{{ messages[0] is mapping }} {{ messages is sequence }} {{ 'role' in messages[0] }} {{ none }} {{ 1.0 }} {{ 'é🙂'|length }}",
            "True True True None 1.0 2",
        ),
        (
            "{%- for m in messages -%}\n  {{ m.role }}\n{%- endfor -%}\n\n\n  tail  \n\n",
            "userassistantusertail  \n",
        ),
        (
            "{% set x %}captured {{ messages|length }}{% endset %}{{ x|upper }}{{ dict(a=1) | tojson }}",
            "CAPTURED 3{\"a\": 1}",
        ),
    ] {
        assert_eq!(render(source, &chat).unwrap(), expected, "{source}");
    }
}

#[test]
fn refusals_and_bad_templates_are_errors() {
    let refused = render("{{ raise_exception('roles must alternate') }}", &[]).unwrap_err();
    assert_eq!(refused.to_string(), "chat template: roles must alternate");
    for source in [
        "{% for %}",
        "{{ messages.nothing.more }}",
        "{{ strftime_now('%Q') }}",
        "{% include 'other' %}",
        "{{ messages | nofilter }}",
    ] {
        assert!(matches!(render(source, &[]), Err(TextError::Template(_))), "{source}");
    }
    assert!(render(&"x".repeat((1 << 20) + 1), &[]).is_err());
}

#[test]
fn hostile_templates_end() {
    let nested = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}x{% endfor %}{% endfor %}{% endfor %}";
    assert!(render(nested, &[]).unwrap_err().to_string().contains("instructions"));
    assert!(render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", &[]).is_err());
    assert!(render("{{ 'x' * 99999999999 }}", &[]).is_err());
    assert!(ChatTemplate::new(&"{% if x %}".repeat(20_000), &json!({})).is_err());
    assert!(render(&format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000)), &[]).is_err());
}

#[test]
fn the_template_is_found_where_models_keep_it() {
    let listed = |names: &[&str]| json!({"chat_template": names.iter().map(|name| json!({"name": name, "template": name})).collect::<Vec<_>>()});
    for (file, config, expected) in [
        (None, json!({}), None),
        (None, json!({"chat_template": null}), None),
        (None, json!({"chat_template": "a"}), Some("a")),
        (Some("file"), json!({"chat_template": "a"}), Some("file")),
        (None, listed(&["tool_use", "default"]), Some("default")),
        (None, listed(&["only"]), Some("only")),
    ] {
        let found = ChatTemplate::find(file, &config).unwrap();
        assert_eq!(found.as_ref().map(ChatTemplate::source), expected, "{config}");
    }
    assert!(ChatTemplate::find(None, &listed(&["a", "b"])).is_err());
    assert!(ChatTemplate::find(None, &json!({"chat_template": 3})).is_err());
}

#[test]
fn dates_are_those_of_the_calendar() {
    for (seconds, expected) in [
        (0, "1970-01-01 Thursday 12 AM"),
        (951_782_400, "2000-02-29 Tuesday 12 AM"),
        (1_709_210_096, "2024-02-29 Thursday 12 PM"),
        (1_785_542_400, "2026-08-01 Saturday 12 AM"),
        (4_107_542_399, "2100-02-28 Sunday 11 PM"),
        (4_107_542_400, "2100-03-01 Monday 12 AM"),
    ] {
        assert_eq!(clock::strftime("%Y-%m-%d %A %I %p", seconds).unwrap(), expected);
    }
    assert_eq!(
        clock::strftime("%d %b %y, 100%%", 1_709_210_096).unwrap(),
        "29 Feb 24, 100%"
    );
    assert!(clock::strftime("%", 0).is_err());
}
