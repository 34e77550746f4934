//! Files of problems that a request names: inside the folder that the operator allows, or those of the server's own
//! configuration.

use std::path::{Path, PathBuf};

use svs_trainer::TrainConfig;

use crate::error::ApiError;

/// Puts the files of `config` inside of `root`, links resolved; those that the server's own configuration names stay. The
/// answer is the same for files that lie outside and for those that do not exist.
///
/// # Errors
/// 400 naming `config.problems.files` or `config.eval.files`.
pub fn confine(config: &mut TrainConfig, ours: &TrainConfig, root: Option<&Path>) -> Result<(), ApiError> {
    let lists = [
        (
            "config.problems.files",
            &mut config.problems.files,
            &ours.problems.files,
        ),
        ("config.eval.files", &mut config.eval.files, &ours.eval.files),
    ];
    for (field, files, ours) in lists {
        if files == ours {
            continue;
        }
        for (at, file) in files.iter_mut().enumerate() {
            let shown = file.display().to_string();
            let inside = inside(file, root).map_err(|reason| ApiError::value(&format!("{field}[{at}]"), reason));
            *file = inside.map_err(|error| ApiError {
                message: error.message.replace("FILE", &shown),
                ..error
            })?;
        }
    }
    Ok(())
}

fn inside(file: &Path, root: Option<&Path>) -> Result<PathBuf, &'static str> {
    let root = root
        .ok_or("this server reads no files on request: it was started without --problems-dir (server.problems_dir)")?;
    let outside = "there is no file `FILE` inside the server's problems_dir";
    let root = root.canonicalize().map_err(|_| outside)?;
    let found = root.join(file).canonicalize().map_err(|_| outside)?;
    if found.starts_with(&root) && found.is_file() {
        Ok(found)
    } else {
        Err(outside)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_files_inside_are_read() {
        let outer = tempfile::tempdir().expect("a folder");
        let root = outer.path().join("root");
        fs::create_dir_all(root.join("deep")).expect("made");
        for file in ["root/a.jsonl", "root/deep/b.jsonl", "secret.jsonl"] {
            fs::write(outer.path().join(file), "{}").expect("written");
        }
        std::os::unix::fs::symlink(outer.path().join("secret.jsonl"), root.join("link.jsonl")).expect("linked");
        let ours = TrainConfig::default();
        let absolute = root.join("a.jsonl").display().to_string();
        let secret = outer.path().join("secret.jsonl").display().to_string();
        for (file, allowed) in [
            ("a.jsonl", true),
            ("deep/b.jsonl", true),
            ("deep/../a.jsonl", true),
            (absolute.as_str(), true),
            ("../secret.jsonl", false),
            (&secret, false),
            ("link.jsonl", false),
            ("deep", false),
            ("", false),
            ("none.jsonl", false),
            ("/etc/passwd", false),
        ] {
            let mut config = ours.clone();
            config.eval.files = vec![file.into()];
            let found = confine(&mut config, &ours, Some(&root));
            assert_eq!(found.is_ok(), allowed, "{file}");
            match found {
                Ok(()) => assert!(config.eval.files[0].is_absolute()),
                Err(error) => {
                    assert_eq!(error.param.as_deref(), Some("config.eval.files[0]"));
                    assert!(!error.message.contains("root/"), "{}", error.message);
                }
            }
            let mut config = ours.clone();
            config.problems.files = vec![file.into()];
            assert!(confine(&mut config, &ours, None).is_err(), "{file} without a folder");
            // What the operator's own configuration names may lie anywhere.
            let mut own = ours.clone();
            own.problems.files = vec![file.into()];
            assert!(confine(&mut own.clone(), &own, None).is_ok());
        }
    }
}
