//! Programs that a step needs and that Debian packages.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A program, or the reason why there is none.
pub(super) enum Program {
    Ready(PathBuf),
    NotReached(String),
}

/// The first of `names` on the path; where there is none and we are root on a Debian, `package` is installed.
pub(super) fn program(names: &[&str], package: &str) -> Program {
    if let Some(found) = on_path(names) {
        return Program::Ready(found);
    }
    let missing = |why: &str| Program::NotReached(format!("none of {names:?} is here, and {why}"));
    if on_path(&["apt-get"]).is_none() {
        return missing("there is no apt-get to install it");
    }
    if !is_root() {
        return missing(&format!(
            "only root may install it; `apt-get install {package}` makes it available"
        ));
    }
    let steps: [&[&str]; 2] = [&["update"], &["install", "-y", "--no-install-recommends", package]];
    for arguments in steps {
        let mut command = Command::new("apt-get");
        command
            .arg("-qq")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        match command.stdin(Stdio::null()).stdout(Stdio::null()).status() {
            Ok(status) if status.success() => {}
            Ok(status) => return missing(&format!("apt-get {arguments:?} failed: {status}")),
            Err(error) => return missing(&format!("apt-get does not start: {error}")),
        }
    }
    on_path(names).map_or_else(
        || missing(&format!("package {package} does not bring it")),
        Program::Ready,
    )
}

fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut found = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.find(|file| file.is_file())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}
