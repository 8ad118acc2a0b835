//! Whether the image repository keeps its tags where they are.

use super::Found;
use crate::session::Session;
use aws::ecr;
use model::outcome::Failure;

/// Warns of a repository whose tags can be moved; one that is missing is made, with tags that cannot.
///
/// # Errors
/// What AWS says.
pub(super) async fn look(session: &Session<'_>) -> Result<Option<Found>, Failure> {
    let name = &session.context.deployment.service.name;
    let found = ecr::find_repository(&session.clients.ecr, name).await.map_err(|error| Failure::of(&error))?;
    Ok(found.filter(|repository| !repository.immutable).map(|_| {
        Found::Note(
            format!("tags of {name} can be moved: a tag that names sources or an image may come to mean another one"),
            Some(format!(
                "aws ecr put-image-tag-mutability --region {} --repository-name {name} --image-tag-mutability IMMUTABLE",
                session.environment.region
            )),
        )
    }))
}
