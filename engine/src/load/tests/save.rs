use std::fs;
use std::path::Path;

use safetensors::tensor::Dtype;

use super::{tiny, write_model};
use crate::config::Family;
use crate::load::{LoadError, LoadedModel, ModelSource, load, save};

fn model(folder: &Path, family: Family) -> LoadedModel {
    let source = folder.join("source");
    fs::create_dir(&source).unwrap();
    write_model(&source, &tiny(family, false), Dtype::BF16, 2);
    load(&ModelSource::Folder(source)).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_saved_loads_again() {
    for family in [Family::Llama, Family::Mistral, Family::Qwen2, Family::Qwen3] {
        let folder = tempfile::tempdir().unwrap();
        let model = model(folder.path(), family);
        let mut params = model.params.clone();
        params.values.iter_mut().for_each(|value| *value *= 1.1);
        let target = folder.path().join("runs/1/model");
        // The second time it replaces the first.
        for _ in 0..2 {
            save(&target, &model, &params).unwrap();
            let loaded = load(&ModelSource::Folder(target.clone())).unwrap();
            assert_eq!(loaded.params, params);
            assert_eq!(loaded.config, model.config);
            assert_eq!(loaded.tokenizer.files(), model.tokenizer.files());
            assert_eq!(loaded.tokenizer.eos_ids(), model.tokenizer.eos_ids());
            assert_eq!(loaded.extras, model.extras);
            assert_eq!(names(target.parent().unwrap()), ["model"], "nothing temporary stays");
        }
    }
}

#[test]
fn a_failed_save_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let good = model(folder.path(), Family::Llama);
    let target = folder.path().join("model");
    save(&target, &good, &good.params).unwrap();
    let mut bad = good.clone();
    // A file that cannot be written, after others have been.
    bad.extras.push(("no/such/folder".to_owned(), Vec::new()));
    let error = save(&target, &bad, &bad.params).unwrap_err();
    assert!(matches!(error, LoadError::File { .. }), "{error}");
    assert_eq!(names(folder.path()), ["model", "source"]);
    assert_eq!(load(&ModelSource::Folder(target)).unwrap().params, good.params);
}

#[test]
fn strangers_files_are_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let good = model(folder.path(), Family::Llama);
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("thesis.tex"), "x").unwrap();
    let error = save(&home, &good, &good.params).unwrap_err();
    assert!(error.to_string().contains("thesis.tex"), "{error}");
    assert_eq!(names(&home), ["thesis.tex"]);
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for target in [file.clone(), file.join("below"), "..".into()] {
        assert!(
            matches!(save(&target, &good, &good.params), Err(LoadError::File { .. })),
            "{}",
            target.display()
        );
    }
    let other = super::ramp(&tiny(Family::Qwen3, false));
    assert!(save(&folder.path().join("x"), &good, &other).is_err());
    assert_eq!(names(folder.path()), ["file", "home", "source"]);
}
