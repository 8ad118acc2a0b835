use super::*;

#[test]
fn tags_say_what_they_are_attached_to() {
    let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
    for kind in Kind::ALL {
        let tag = kind.tag(&digest);
        assert_eq!(subject(&tag), Some(digest.clone()), "{tag}");
        let image = ImageReference::tagged("127.0.0.1:5000", "rest-api", &tag);
        assert_eq!(image.to_string().parse(), Ok(image), "a registry takes the tag");
    }
    assert_eq!(subject(&oci::list_tag(&digest)), Some(digest));
    for other in ["content-0123456789ab", "sha256-abc", "v1.0.0"] {
        assert_eq!(subject(other), None, "{other}");
    }
}

#[test]
fn only_this_machine_is_spoken_to_without_tls() {
    for host in ["127.0.0.1:5000", "localhost", "localhost:4570"] {
        assert!(is_loopback(host), "{host}");
    }
    for host in ["localhost.example", "registry.local:5000", "10.0.0.1:5000", "127.0.0.1.example"] {
        assert!(!is_loopback(host), "{host}");
    }
}
