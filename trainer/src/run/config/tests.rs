use super::*;

fn refused(text: &str) -> (String, String) {
    match TrainConfig::from_toml(text) {
        Err(TrainError::Config { field, reason }) => (field, reason),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn an_empty_document_is_the_default_and_every_key_survives_a_round_trip() {
    assert_eq!(TrainConfig::from_toml("").expect("valid"), TrainConfig::default());
    let full = TrainConfig {
        run_id: Some("a-run".into()),
        max_generated_tokens: Some(1_000_000),
        prompts: Some(Prompts::default()),
        problems: ProblemsConfig {
            limit: Some(7),
            procedural_seed: Some(3),
            ..ProblemsConfig::default()
        },
        rollout: RolloutConfig {
            top_k: Some(5),
            stop: vec!["\n\n".into()],
            ..RolloutConfig::default()
        },
        svs: SvsConfig {
            n_solve: Some(4),
            ..SvsConfig::default()
        },
        reward: RewardConfig {
            grader: Some(
                serde_json::from_value(serde_json::json!({
                    "type": "multi", "name": "both", "calculate_output": "0.5 * length + 0.5 * value",
                    "graders": {
                        "length": {"type": "format", "name": "length", "max_chars": 400},
                        "value": {"type": "math", "name": "value", "reference": "{{ item.reference }}"},
                    },
                }))
                .expect("a grader"),
            ),
            ..RewardConfig::default()
        },
        ..TrainConfig::default()
    };
    let text = full.to_toml().expect("fits TOML");
    assert_eq!(TrainConfig::from_toml(&text).expect("valid"), full);
}

#[test]
fn unknown_keys_are_refused_in_every_section() {
    for (text, named) in [
        ("stepz = 1", "stepz"),
        ("[svs]\nx = 1", "svs.x"),
        ("[rollout]\nx = 1", "rollout.x"),
        ("[reward]\nx = 1", "reward.x"),
        (
            "[reward]\ngrader = { type = \"regex\", name = \"g\", pattern = \"x\", x = 1 }",
            "reward.grader.x",
        ),
        ("[optim]\nx = 1", "optim.x"),
        (
            "[algorithm.rollout_correction]\nx = 1",
            "algorithm.rollout_correction.x",
        ),
        ("[prompts]\nx = \"\"", "prompts.x"),
    ] {
        let (field, reason) = refused(text);
        assert!(
            field == named && reason.contains("unknown field"),
            "{text}: {field}: {reason}"
        );
    }
    assert!(refused("recipe = \"ppo\"").1.contains("unknown variant `ppo`"));
}

#[test]
fn all_faults_are_said_at_once_and_none_that_only_follow() {
    let text = "stepz = 1\nsteps = 0\n[rollout]\nn = \"many\"\ntop_p = 2.0\n[optim]\nlr = -1\nx = 1\ny = 2\n\
                [problems]\nsource = \"folders\"\nfiles = [\"a\"]\n[eval]\nlimit = 0\nsamples = 0\n";
    let Err(TrainError::Faults(faults)) = TrainConfig::from_toml(text) else {
        panic!("several faults");
    };
    let mut fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
    fields.sort_unstable();
    let wanted = [
        "eval.limit",
        "eval.samples",
        "optim.lr",
        "optim.x",
        "optim.y",
        "problems.source",
        "rollout.n",
        "rollout.top_p",
        "steps",
        "stepz",
    ];
    assert_eq!(fields, wanted);
    let said = TrainError::Faults(faults).to_string();
    assert!(
        said.starts_with("10 faults:\n") && said.contains("\n  eval.limit: 0 is outside"),
        "{said}"
    );
}

#[test]
fn an_array_or_a_value_is_no_section() {
    for (text, field) in [
        ("rollout = [4]", "rollout"),
        ("optim = 1.0", "optim"),
        ("lora = [8]", "lora"),
        ("prompts = [\"{question}\"]", "prompts"),
        ("[[rollout]]\nn = 4", "rollout"),
        (
            "[algorithm]\nrollout_correction = [true]",
            "algorithm.rollout_correction",
        ),
        ("[problems]\ncolumns = [\"q\"]", "problems.columns"),
    ] {
        let (named, reason) = refused(text);
        assert!(
            named == field && reason.contains("expected a section"),
            "{text}: {named}: {reason}"
        );
    }
}

#[test]
fn numbers_that_do_not_fit_are_refused_with_the_range() {
    for (set, field, most) in [
        ("seed=9223372036854775808", "seed", i64::MAX as u64),
        ("seed=-1", "seed", i64::MAX as u64),
        ("rollout.n=99999999999", "rollout.n", u64::from(u32::MAX)),
        (
            "problems.train_batch_size=1.5",
            "problems.train_batch_size",
            i64::MAX as u64,
        ),
    ] {
        let said = TrainConfig::from_toml_with("", &[set.to_owned()]).expect_err(set);
        let TrainError::Config { field: named, reason } = said else {
            panic!("{set}: {said}");
        };
        let wanted = format!("expected a whole number from 0 to {most}");
        assert!(named == field && reason.ends_with(&wanted), "{set}: {named}: {reason}");
    }
}

#[test]
fn names_of_faults_lead_into_arrays_and_quoted_keys() {
    assert_eq!(refused("[problems]\nfiles = [\"a\", 3]").0, "problems.files[1]");
    assert_eq!(refused("\"a.b\" = 1").0, "a.b");
    let many: String = (0..40).map(|at| format!("x{at} = 1\n")).collect();
    let said = TrainConfig::from_toml(&many).expect_err("unknown keys").to_string();
    assert!(said.starts_with("32 or more faults:\n"), "{said}");
}

#[test]
fn values_out_of_range_are_named() {
    let cases = [
        ("steps = 0", "steps"),
        ("max_generated_tokens = 0", "max_generated_tokens"),
        ("train_share = 0.0", "train_share"),
        ("watchdog_s = 0.01", "watchdog_s"),
        ("watchdog_s = inf", "watchdog_s"),
        ("watchdog_s = nan", "watchdog_s"),
        ("publish_wait_s = -1.0", "publish_wait_s"),
        ("train_share = 0.6", "train_share"),
        ("train_share = nan", "train_share"),
        ("run_id = \"../up\"", "run_id"),
        ("run_id = \"\"", "run_id"),
        ("[rollout]\nn = 1", "rollout.n"),
        ("[rollout]\ntemperature = 0.0", "rollout.temperature"),
        ("[rollout]\ntemperature = nan", "rollout.temperature"),
        ("[rollout]\ntop_p = 1.5", "rollout.top_p"),
        ("[reward]\npass_threshold = 0.0", "reward.pass_threshold"),
        ("[reward]\npass_threshold = nan", "reward.pass_threshold"),
        ("[reward]\nmax_steps = 10", "reward.max_steps"),
        ("[reward]\nmax_ungraded_steps = 1001", "reward.max_ungraded_steps"),
        (
            "[reward]\ngrader = { type = \"regex\", name = \"g\", pattern = \"(\" }",
            "reward.grader",
        ),
        (
            "[reward]\ngrader = { type = \"multi\", name = \"g\", calculate_output = \"a\", graders = { a = { type = \"regex\", name = \"a\", pattern = \"x\" } } }\n[algorithm]\nadv_estimator = \"nsr\"",
            "reward.grader",
        ),
        ("[svs]\nmax_synthetic_problems = 0", "svs.max_synthetic_problems"),
        (
            "[svs]\nunder_performing_acc_lower = 0.9",
            "svs.under_performing_acc_lower",
        ),
        ("[algorithm]\nclip_ratio_c = 1.0", "algorithm.clip_ratio_c"),
        ("[algorithm]\nppo_epochs = 0", "algorithm.ppo_epochs"),
        (
            "[algorithm]\nloss_mode = \"gspo\"\n[algorithm.hidden_shaping]\nscope = \"last_token\"",
            "algorithm.hidden_shaping.scope",
        ),
        ("[optim]\nlr = -1.0", "optim.lr"),
        ("[optim]\nbeta2 = 1.0", "optim.beta2"),
        ("[optim]\ndecay = \"cosine\"", "optim.total_steps"),
        ("[checkpoint]\nkeep = 0", "checkpoint.keep"),
        ("[eval]\nk = [1, 8, 32]", "eval.k"),
        ("[eval]\nsamples = 4\nk = [0]", "eval.k"),
        ("[problems]\nsource = \"files\"", "problems.files"),
        ("[problems]\nfiles = [\"a.jsonl\"]", "problems.files"),
        ("[problems]\nsource = \"trajectories\"", "recipe"),
        ("[prompts]\nsolve = \"no slot\"", "prompts.solve"),
    ];
    for (text, expected) in cases {
        assert_eq!(refused(text).0, expected, "{text}");
    }
    TrainConfig::from_toml("recipe = \"grpo\"\n[problems]\nsource = \"trajectories\"").expect("valid");
}

#[test]
fn the_update_gets_every_setting() {
    let mut config = TrainConfig::default();
    config.algorithm.clip_ratio_low = 0.1;
    config.algorithm.entropy_coeff = 0.01;
    config.algorithm.ppo_mini_batch_size = 3;
    config.optim.lr = 0.5;
    config.trajectories.max_staleness = 2;
    let update = config.update(1);
    assert_eq!(
        (update.objective.clip_ratio_low, update.objective.entropy_coef),
        (0.1, 0.01)
    );
    assert_eq!(
        (update.mini_batch_groups, update.optim.lr, update.max_staleness),
        (3, 0.5, 2)
    );
    assert_ne!(update.shuffle_seed, config.update(2).shuffle_seed);
    config.algorithm.shuffle_groups = false;
    assert_eq!(config.update(1).shuffle_seed, None);
}

/// The TOML of docs/config.md.
fn documented() -> &'static str {
    let page = include_str!("../../../../docs/config.md");
    let (_, rest) = page.split_once("```toml\n").expect("a TOML block");
    rest.split_once("\n```").expect("its end").0
}

#[test]
fn the_documented_values_are_the_defaults() {
    assert_eq!(
        TrainConfig::from_toml(documented()).expect("valid"),
        TrainConfig::default()
    );
}

#[test]
fn every_key_is_documented_in_its_section_and_optional_ones_parse_as_shown() {
    let uncommented = |line: &str| {
        let shown = line
            .strip_prefix("# ")
            .filter(|rest| rest.starts_with('[') || rest.contains(" = "));
        shown.unwrap_or(line).to_owned()
    };
    let text: Vec<String> = documented().lines().map(uncommented).collect();
    let shown: toml::Table = toml::from_str(&text.join("\n")).expect("TOML");
    let full: TrainConfig = toml::from_str(&text.join("\n")).expect("a configuration");
    let full = serde_json::to_value(&full).expect("serialises");
    for (section, value) in full.as_object().expect("a struct") {
        assert!(shown.contains_key(section), "{section} is not documented");
        for key in value.as_object().into_iter().flat_map(|keys| keys.keys()) {
            assert!(shown[section].get(key).is_some(), "{section}.{key} is not documented");
        }
    }
}

#[test]
fn every_recipe_of_the_docs_loads_and_says_what_it_is() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recipes");
    let page = include_str!("../../../../docs/recipes/README.md");
    let mut shown = Vec::new();
    for file in std::fs::read_dir(folder).expect("the folder") {
        let path = file.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        let name = path.file_name().expect("a name").to_string_lossy();
        let config = TrainConfig::from_toml(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(text.starts_with("# ") && page.contains(&format!("({name})")), "{name}");
        assert_eq!(
            config.steps,
            TrainConfig::default().steps,
            "{name}: how long to run is the user's choice"
        );
        shown.push(config.recipe);
    }
    assert!(shown.len() >= 18, "{} recipes", shown.len());
    assert!(Recipe::ALL.iter().all(|recipe| shown.contains(recipe)), "{shown:?}");
}
