//! Which proxy a request takes, and what a failure reports.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

use super::*;

fn vars(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn proxy_for(all: &[(&str, &str)], url: &str) -> Option<String> {
    let proxies = Proxies::of(&vars(all)).unwrap();
    proxies.of_url(&Url::parse(url).unwrap()).map(|proxy| proxy.address.to_string())
}

#[test]
fn each_address_has_the_proxy_that_curl_and_the_aws_cli_use() {
    let (plain, secure) = (("HTTP_PROXY", "http://plain:1"), ("HTTPS_PROXY", "http://secure:2"));
    for (set, url, expected) in [
        (vec![plain, secure], "https://sts.eu-central-1.amazonaws.com/", Some("http://secure:2/")),
        (vec![plain, secure], "http://emulator.internal:4566/", Some("http://plain:1/")),
        (vec![plain], "https://sts.amazonaws.com/", None),
        (vec![("all_proxy", "socks5h://all:3")], "https://sts.amazonaws.com/", Some("socks5h://all:3")),
        (vec![("ALL_PROXY", "all:3"), secure], "http://emulator/", Some("http://all:3/")),
        (vec![("https_proxy", "http://lower:4"), secure], "https://sts.amazonaws.com/", Some("http://lower:4/")),
        (vec![("https_proxy", ""), secure], "https://sts.amazonaws.com/", None),
        (vec![secure, ("NO_PROXY", "example.com,.amazonaws.com")], "https://sts.amazonaws.com/", None),
        (vec![secure, ("no_proxy", "example.com amazonaws.com")], "https://sts.amazonaws.com/", None),
        (vec![secure, ("NO_PROXY", "*.amazonaws.com")], "https://sts.amazonaws.com/", None),
        (vec![secure, ("NO_PROXY", "*")], "https://sts.amazonaws.com/", None),
        (vec![plain, ("NO_PROXY", "example.com,*")], "http://10.1.2.3/", None),
        (vec![plain, ("NO_PROXY", "10.0.0.0/8")], "http://10.1.2.3/", None),
        (vec![secure, ("NO_PROXY", "notamazonaws.com")], "https://sts.amazonaws.com/", Some("http://secure:2/")),
        (vec![plain], "http://127.0.0.1:8080/", None),
        (vec![plain], "http://localhost:8080/", None),
        (vec![plain], "http://[::1]:8080/", None),
        (vec![plain], "http://169.254.169.254/latest/api/token", None),
        (vec![plain], "http://[fd00:ec2::254]/latest/api/token", None),
    ] {
        assert_eq!(proxy_for(&set, url).as_deref(), expected, "{url} with {set:?}");
    }
}

#[test]
fn an_invalid_proxy_is_refused_without_showing_its_password() {
    for value in ["ftp://user:hush-hush@proxy:1", "http://user:hush-hush@:1", "http://user:hush-hush@proxy:port"] {
        let failure = Http::of(&vars(&[("HTTPS_PROXY", value)])).unwrap_err();
        assert_eq!((failure.exit, failure.resource.as_deref()), (Exit::Preflight, Some("HTTPS_PROXY")), "{value}");
        assert!(!format!("{failure:?}").contains("hush-hush"));
    }
    let usable = Http::of(&vars(&[("HTTPS_PROXY", "http://user:hush-hush@proxy:1")])).unwrap();
    assert!(!format!("{usable:?}").contains("hush-hush"));
}

#[tokio::test]
async fn a_proxy_that_fails_is_named() {
    let client = Http::of(&vars(&[("ALL_PROXY", "http://user:hush-hush@127.0.0.1:1")]))
        .unwrap()
        .client(|builder| builder)
        .unwrap();
    for url in ["https://aws.example/", "http://aws.example/"] {
        let lost = client.send(client.get(url)).await.unwrap_err();
        assert_eq!(lost.to_string(), "the proxy http://127.0.0.1:1 from ALL_PROXY refuses connections");
        assert!(lost.unsent);
    }

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let denying = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await.unwrap();
        stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
    };
    let client = Http::of(&vars(&[("HTTPS_PROXY", &address)])).unwrap().client(|builder| builder).unwrap();
    let (lost, ()) = tokio::join!(client.send(client.get("https://aws.example/?secret=hush")), denying);
    let text = lost.unwrap_err().to_string();
    assert!(text.starts_with(&format!("the proxy {address} from HTTPS_PROXY cannot reach aws.example: ")), "{text}");
    assert!(text.contains("authorization") && !text.contains("hush"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_lookup_has_a_timeout() {
    let lost = in_time(std::future::pending::<()>()).await.unwrap_err();
    assert!(lost.timed_out && !lost.unsent);
    assert_eq!(lost.to_string(), "no answer within 30 s");
}

#[test]
fn an_unusable_bundle_is_named() {
    for (path, text) in [("/no/such/file", None), ("bundle", Some("no certificates"))] {
        let folder = tempfile::tempdir().unwrap();
        let path = text.map_or(path.to_owned(), |text| {
            let file = folder.path().join(path);
            std::fs::write(&file, text).unwrap();
            file.to_str().unwrap().to_owned()
        });
        let failure = Http::of(&vars(&[("AWS_CA_BUNDLE", &path)])).unwrap_err();
        assert!(failure.reason.as_ref().unwrap().contains(&path), "{failure:?}");
    }
}
