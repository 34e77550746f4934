use crate::load::{LoadError, ModelSource, load};

#[test]
fn arguments_mean_what_exists() {
    let folder = tempfile::tempdir().unwrap();
    let gguf = folder.path().join("model.GGUF");
    std::fs::write(&gguf, "x").unwrap();
    for (argument, expected) in [
        (
            folder.path().to_str().unwrap(),
            ModelSource::Folder(folder.path().into()),
        ),
        (gguf.to_str().unwrap(), ModelSource::Gguf(gguf.clone())),
        ("missing.gguf", ModelSource::Gguf("missing.gguf".into())),
        ("./missing", ModelSource::Folder("./missing".into())),
        ("/missing/model", ModelSource::Folder("/missing/model".into())),
        ("a/b/c", ModelSource::Folder("a/b/c".into())),
        ("org/name", ModelSource::Hub("org/name".into())),
        ("org/name@v1.0", ModelSource::Hub("org/name@v1.0".into())),
    ] {
        assert_eq!(ModelSource::parse(argument), expected, "{argument}");
    }
}

#[test]
fn missing_paths_are_named() {
    for argument in ["./missing-folder", "missing.gguf"] {
        let error = load(&ModelSource::parse(argument)).unwrap_err();
        assert!(
            matches!(&error, LoadError::File { path, .. } if path.contains("missing")),
            "{error}"
        );
    }
}
