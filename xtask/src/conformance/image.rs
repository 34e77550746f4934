//! The images of `docker/` without Docker: the steps that make them, run in a folder, and what was installed started.

use std::process::Command;

use anyhow::ensure;

use super::Outcome;
use crate::{repo, server};

const DOCKERFILES: [(&str, &str); 2] = [("Dockerfile", "build"), ("Dockerfile.cuda", "build cuda")];

pub(super) fn run() -> anyhow::Result<Outcome> {
    let docker = repo::root().join("docker");
    for (name, build) in DOCKERFILES {
        let text = std::fs::read_to_string(docker.join(name))?;
        let steps = format!("RUN docker/steps.sh {build} && docker/steps.sh install /image target/release/svs");
        ensure!(
            text.contains(&steps),
            "{name} is not made of the steps that are run here"
        );
        for copied in [
            "COPY --from=build /image/ /",
            "USER 10001:10001",
            "CMD [\"svs-health\"]",
        ] {
            ensure!(text.contains(copied), "{name} has no {copied:?}");
        }
    }
    let binary = server::built(None)?;
    let root = tempfile::tempdir()?;
    let steps = docker.join("steps.sh");
    repo::run(Command::new(&steps).arg("install").arg(root.path()).arg(binary))?;
    // Free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut check = Command::new(&steps);
    check
        .arg("check")
        .arg(root.path())
        .env("SVS_CHECK_PORT", port.to_string());
    repo::run(&mut check)?;
    let bytes = std::fs::metadata(root.path().join("usr/local/bin/svs"))?.len();
    Ok(Outcome::Passed(format!(
        "the image's steps install {:.0} MB that start in an empty environment, answer and stop; no image was built",
        bytes as f64 / 1e6
    )))
}
