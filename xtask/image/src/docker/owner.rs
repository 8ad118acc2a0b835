//! Labels that name the owner of containers and images: without them nothing is removed, stopped or renamed.

use std::collections::HashMap;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use model::reference::hex;

/// On an image: the service that it was built for. Checkouts that build the same content share the image.
pub(super) const IMAGE: &str = "xtask.service";
/// On a container: the service that it runs. The image's label cannot serve: every container of it has that one, an
/// emulator's too.
pub(super) const SERVICE: &str = "xtask.local";
/// On a container: the checkout that started it.
pub(super) const CHECKOUT: &str = "xtask.checkout";
/// On a container: the checkout's folder, for people.
pub(super) const FOLDER: &str = "xtask.folder";

/// A service in one checkout of its repository.
///
/// A checkout is identified by its path, without symbolic links. One that was moved is another one: containers that it
/// started before keep running, and are reported with the command that removes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub service: String,
    /// 12 hexadecimal digits of the hash of the checkout's path.
    pub(super) checkout: String,
    folder: String,
}

impl Owner {
    /// The checkout at `root`.
    pub fn new(root: &Path, service: &str) -> Self {
        let folder = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let hash = hex(&Sha256::digest(folder.as_os_str().as_encoded_bytes()));
        Self { service: service.to_owned(), checkout: hash[..12].to_owned(), folder: folder.display().to_string() }
    }

    /// The labels of its containers.
    pub(super) fn labels(&self) -> HashMap<String, String> {
        let labels = [(SERVICE, &self.service), (CHECKOUT, &self.checkout), (FOLDER, &self.folder)];
        labels.map(|(name, value)| (name.to_owned(), value.clone())).into()
    }

    /// Whether a container with these labels is its own.
    pub(super) fn owns(&self, labels: &HashMap<String, String>) -> bool {
        let is = |name: &str, value: &str| labels.get(name).is_some_and(|label| label == value);
        is(SERVICE, &self.service) && is(CHECKOUT, &self.checkout)
    }

    /// A container's name: the service's and the checkout's, so that two checkouts do not collide.
    pub fn container(&self, suffix: &str) -> String {
        format!("{}-local-{}{suffix}", self.service.replace('/', "-"), &self.checkout[..8])
    }

    /// The tag that marks an image as used by this checkout; others may use it too.
    pub(super) fn claim(&self, tag: &str) -> String {
        format!("{}{tag}", self.claims())
    }

    /// The prefix of all such tags.
    pub(super) fn claims(&self) -> String {
        format!("checkout-{}-", self.checkout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_owns_what_it_started_for_its_service_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::create_dir_all(&one).unwrap();
        std::fs::create_dir_all(&two).unwrap();
        let owner = Owner::new(&one, "team/api");
        assert!(owner.owns(&owner.labels()));
        assert_eq!(Owner::new(&one.join("../one"), "team/api"), owner);
        let others = [Owner::new(&two, "team/api"), Owner::new(&one, "other")];
        assert!(others.iter().all(|other| !owner.owns(&other.labels())));
        // As an earlier version marked its containers.
        assert!(!owner.owns(&HashMap::from([(SERVICE.to_owned(), "team/api".to_owned())])));
        assert_ne!(owner.container(""), others[0].container(""));
        assert!(owner.container("-next").starts_with("team-api-local-"));
    }
}
