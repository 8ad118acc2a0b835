//! The Docker engine, and whether it can build.

use super::{Finding, Found, space};
use crate::context::Context;
use image::docker;
use image::docker::{About, Engine};

/// Looks at the engine; `compiles_here` tells whether only a finished binary is brought to it.
pub(super) async fn look(context: &Context, compiles_here: Option<bool>) -> Vec<Finding> {
    let engine = match docker::connect(&context.vars).await {
        Ok(engine) => engine,
        Err(failure) => return vec![("docker", Found::Lacking(failure))],
    };
    let about = docker::about(&engine).await;
    let mut findings = vec![("docker", judged(&engine, &about))];
    findings.extend(engine.warnings.iter().map(|warning| ("docker", Found::Note(warning.clone(), None))));
    let folder = about.folder.filter(|_| engine.host.is_socket());
    findings.extend(folder.and_then(|folder| space::for_engine(&folder, compiles_here == Some(false))));
    findings
}

fn judged(engine: &Engine, about: &About) -> Found {
    let mut detail = format!("version {} at {}", engine.version, engine.host);
    if let Some(reason) = lacks(about) {
        let hint =
            "use Docker Engine 23 or newer (https://docs.docker.com/engine/install/), or point DOCKER_HOST at one";
        return Found::lacking(format!("this engine cannot build the image: {detail}"), reason, hint);
    }
    if about.rootless {
        detail.push_str(", rootless");
    }
    if !engine.host.is_local() {
        detail.push_str(", on another machine");
    }
    Found::Fine(detail)
}

/// Why there is no BuildKit.
fn lacks(about: &About) -> Option<&'static str> {
    if about.is_podman {
        Some("Podman has no BuildKit")
    } else if about.windows {
        Some("it runs Windows containers")
    } else {
        // With 1.39 came BuildKit; what is not told is taken for new.
        about.api.filter(|api| *api < (1, 39)).map(|_| "it is older than BuildKit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_without_buildkit_is_told() {
        let fine = About { api: Some((1, 52)), ..About::default() };
        assert_eq!(lacks(&fine), None);
        assert_eq!(lacks(&About::default()), None);
        assert_eq!(lacks(&About { api: Some((1, 38)), ..About::default() }), Some("it is older than BuildKit"));
        assert_eq!(lacks(&About { is_podman: true, ..fine.clone() }), Some("Podman has no BuildKit"));
        assert_eq!(lacks(&About { windows: true, ..fine }), Some("it runs Windows containers"));
    }
}
