//! The certificates by which the service verifies its database, in the image.

use std::path::Path;

use config::deployment::Environment;
use image::artifact::AUTHORITIES;

use super::{CheckResult, NamedResult};

/// The variable that names the file of authorities
/// (<https://www.postgresql.org/docs/current/libpq-envars.html>).
const VARIABLE: &str = "PGSSLROOTCERT";
/// Where the image has the files of [`AUTHORITIES`].
const IN_IMAGE: &str = "/ca/";
/// What the addresses of RDS end with; its certificates are of an authority that is not public.
const RDS: [&str; 2] = [".rds.amazonaws.com", ".rds.amazonaws.com.cn"];

/// Whether the service can verify the database that its variables name; nothing where they name none.
pub(super) fn check(root: &Path, environment: &Environment) -> Option<NamedResult> {
    Some(("authority", checked(root, environment)?))
}

fn checked(root: &Path, environment: &Environment) -> Option<CheckResult> {
    let section = environment.section();
    let Some(path) = environment.env.get(VARIABLE) else {
        let is_rds = |host: &String| RDS.iter().any(|end| host.ends_with(end));
        environment.env.get("PGHOST").filter(|host| is_rds(host))?;
        let detail = format!("the database is one of RDS, and no {VARIABLE} names the authority of its certificate");
        let hint = format!(
            "{AUTHORITIES}/README.md has the command; then {VARIABLE} = \"{IN_IMAGE}rds.pem\" under [environments.{section}.env]"
        );
        return Some(CheckResult::Note(detail, Some(hint)));
    };
    let file = format!("{AUTHORITIES}/{}", path.strip_prefix(IN_IMAGE)?);
    let problem = |reason: String| {
        let message =
            format!("the image has no certificates at {path}, which environments.{section}.env.{VARIABLE} names");
        CheckResult::problem(
            message,
            reason,
            format!("{AUTHORITIES}/README.md has the command that fetches those of RDS"),
        )
    };
    Some(match std::fs::read_to_string(root.join(&file)) {
        Err(error) => problem(format!("{file}: {error}")),
        Ok(text) => match text.matches("-----BEGIN CERTIFICATE-----").count() {
            0 => problem(format!("{file} has no certificate in PEM")),
            count => CheckResult::Passed(format!("{file} has {count} certificates")),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_a_variable_names_must_be_in_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let seen = |env: &str| {
            let text = format!(
                "[service]\nname = \"api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \
                 \"t\"\n[environments.dev.env]\n{env}\n"
            );
            let deployment = config::deployment::Deployment::parse("deploy.toml", &text).unwrap();
            check(folder.path(), &deployment.environments["dev"]).map(|(_, result)| result.to_check("authority"))
        };
        let named = "PGSSLROOTCERT = \"/ca/rds.pem\"";
        assert!(seen("").is_none() && seen("PGHOST = \"db.example\"").is_none());
        assert!(seen("PGSSLROOTCERT = \"/etc/ssl/own.pem\"").is_none(), "the image has it from elsewhere");
        let noted = seen("PGHOST = \"db.c1.eu-central-1.rds.amazonaws.com\"").unwrap();
        assert!(noted.note && noted.hint.unwrap().contains("docker/ca/README.md"));
        assert!(!seen(named).unwrap().ok);
        std::fs::create_dir_all(folder.path().join(AUTHORITIES)).unwrap();
        let write = |text: &str| std::fs::write(folder.path().join("docker/ca/rds.pem"), text).unwrap();
        write("<html>");
        assert!(seen(named).unwrap().detail.ends_with("docker/ca/rds.pem has no certificate in PEM"));
        write("-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n");
        assert_eq!(seen(named).unwrap().detail, "docker/ca/rds.pem has 1 certificates");
    }
}
