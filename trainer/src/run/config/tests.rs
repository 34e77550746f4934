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
        ..TrainConfig::default()
    };
    let text = full.to_toml().expect("fits TOML");
    assert_eq!(TrainConfig::from_toml(&text).expect("valid"), full);
}

#[test]
fn unknown_keys_are_refused_in_every_section() {
    for text in [
        "stepz = 1",
        "[svs]\nx = 1",
        "[rollout]\nx = 1",
        "[optim]\nx = 1",
        "[algorithm]\nx = 1",
        "[prompts]\nx = \"\"",
    ] {
        let (field, reason) = refused(text);
        assert!(
            field == "config" && reason.contains("unknown field"),
            "{text}: {reason}"
        );
    }
    assert!(refused("recipe = \"ppo\"").1.contains("unknown variant `ppo`"));
}

#[test]
fn values_out_of_range_are_named() {
    let cases = [
        ("steps = 0", "steps"),
        ("run_id = \"../up\"", "run_id"),
        ("run_id = \"\"", "run_id"),
        ("[rollout]\nn = 1", "rollout.n"),
        ("[rollout]\ntemperature = 0.0", "rollout.temperature"),
        ("[rollout]\ntemperature = nan", "rollout.temperature"),
        ("[rollout]\ntop_p = 1.5", "rollout.top_p"),
        ("[svs]\nmax_synthetic_problems = 0", "svs.max_synthetic_problems"),
        (
            "[svs]\nunder_performing_acc_lower = 0.9",
            "svs.under_performing_acc_lower",
        ),
        ("[algorithm]\nclip_ratio_c = 1.0", "algorithm.clip_ratio_c"),
        ("[algorithm]\nppo_epochs = 0", "algorithm.ppo_epochs"),
        ("[optim]\nlr = -1.0", "optim.lr"),
        ("[optim]\nbeta2 = 1.0", "optim.beta2"),
        ("[optim]\ndecay = \"cosine\"", "optim.total_steps"),
        ("[checkpoint]\nkeep = 0", "checkpoint.keep"),
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
