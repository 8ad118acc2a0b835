use super::*;

fn read(vars: &[(&str, &str)]) -> Result<Settings, Invalid> {
    Settings::from_vars(vars.iter().map(|(name, value)| (name.to_string(), value.to_string())))
}

#[test]
fn nothing_has_to_be_set() {
    let settings = read(&[]).unwrap();
    assert_eq!(
        settings,
        Settings {
            bind_address: Ipv4Addr::UNSPECIFIED.into(),
            port: 8080,
            management_port: Some(8081),
            workers: None,
            path_prefix: None,
            docs: true,
            cors_origins: Origins::Only(vec![]),
            trusted_proxies: 0,
            log_format: LogFormat::Json,
            log_level: LogLevel::Info,
            drain: Duration::from_secs(2),
            shutdown: Duration::from_secs(25),
            limits: Limits {
                connections: 2048,
                in_flight: 512,
                header_bytes: 16 * 1024,
                uri_bytes: 8 * 1024,
                body_bytes: 64 * 1024,
                bodies_bytes: 32 * 1024 * 1024,
                header_time: Duration::from_secs(5),
                body_time: Duration::from_secs(10),
                request_time: Duration::from_secs(25),
                keep_alive: Duration::from_secs(75),
            },
            identity: None,
            spans: None,
            image_digest: None,
        }
    );
}

#[test]
fn every_variable_is_read() {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let settings = read(&[
        ("API_BIND_ADDRESS", "::1"),
        ("API_PORT", "0"),
        ("API_MANAGEMENT_PORT", "off"),
        ("API_WORKERS", "3"),
        ("API_PATH_PREFIX", "/production/v1.0"),
        ("API_DOCS", "off"),
        ("API_CORS_ORIGINS", "https://app.example.com, http://localhost:5173"),
        ("API_TRUSTED_PROXIES", "2"),
        ("API_LOG_FORMAT", "text"),
        ("API_LOG_LEVEL", "trace"),
        ("API_DRAIN_SECONDS", "0"),
        ("API_SHUTDOWN_SECONDS", "600"),
        ("API_MAX_CONNECTIONS", "1"),
        ("API_MAX_IN_FLIGHT", "2"),
        ("API_MAX_HEADER_BYTES", "2048"),
        ("API_MAX_URI_BYTES", "1024"),
        ("API_MAX_BODY_BYTES", "0"),
        ("API_MAX_BODIES_BYTES", "4"),
        ("API_HEADER_SECONDS", "1"),
        ("API_BODY_SECONDS", "2"),
        ("API_REQUEST_SECONDS", "4"),
        ("API_KEEP_ALIVE_SECONDS", "3"),
        ("API_OIDC_ISSUER", "https://id.example.com/pool"),
        ("API_OIDC_AUDIENCE", "web, phone"),
        ("API_OIDC_JWKS_URL", "http://127.0.0.1:8000/keys?v=1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318/"),
        ("OTEL_SERVICE_NAME", "notes"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test, team=a%2Cb"),
        ("IMAGE_DIGEST", &digest),
    ])
    .unwrap();
    assert_eq!(
        settings,
        Settings {
            bind_address: Ipv6Addr::LOCALHOST.into(),
            port: 0,
            management_port: None,
            workers: NonZero::new(3),
            path_prefix: Some("/production/v1.0".into()),
            docs: false,
            cors_origins: Origins::Only(vec!["https://app.example.com".into(), "http://localhost:5173".into()]),
            trusted_proxies: 2,
            log_format: LogFormat::Text,
            log_level: LogLevel::Trace,
            drain: Duration::ZERO,
            shutdown: Duration::from_secs(600),
            limits: Limits {
                connections: 1,
                in_flight: 2,
                header_bytes: 2048,
                uri_bytes: 1024,
                body_bytes: 0,
                bodies_bytes: 4,
                header_time: Duration::from_secs(1),
                body_time: Duration::from_secs(2),
                request_time: Duration::from_secs(4),
                keep_alive: Duration::from_secs(3),
            },
            identity: Some(Identity {
                issuer: "https://id.example.com/pool".into(),
                audiences: vec!["web".into(), "phone".into()],
                jwks_url: Some("http://127.0.0.1:8000/keys?v=1".into()),
            }),
            spans: Some(Spans {
                collector: "http://localhost:4318".into(),
                service_name: Some("notes".into()),
                attributes: vec![("deployment.environment.name".into(), "test".into()), ("team".into(), "a,b".into()),],
            }),
            image_digest: Some(digest),
        }
    );
}

#[test]
fn other_programs_variables_are_passed_over() {
    assert_eq!(read(&[("PATH", "/bin"), ("APIARY", "1"), ("api_port", "x")]), read(&[]));
}

#[test]
fn every_problem_is_reported_with_what_is_allowed() {
    let invalid = read(&[
        ("API_PROT", "80"),
        ("IMAGE_DIGEST", "latest"),
        ("API_SHUTDOWN_SECONDS", "601"),
        ("API_DRAIN_SECONDS", "2s"),
        ("API_LOG_LEVEL", "INFO"),
        ("API_LOG_FORMAT", ""),
        ("API_PORT", "65536"),
        ("API_WORKERS", "0"),
        ("API_BIND_ADDRESS", "localhost"),
    ])
    .unwrap_err();
    let expected = r#"environment: API_BIND_ADDRESS is "localhost"; allowed: an IPv4 or IPv6 address
environment: API_PORT is "65536"; allowed: a whole number from 0 to 65535
environment: API_WORKERS is "0"; allowed: a whole number from 1 to 512
environment: API_LOG_FORMAT is ""; allowed: json or text
environment: API_LOG_LEVEL is "INFO"; allowed: error, warn, info, debug or trace
environment: API_DRAIN_SECONDS is "2s"; allowed: a whole number from 0 to 600
environment: API_SHUTDOWN_SECONDS is "601"; allowed: a whole number from 0 to 600
environment: IMAGE_DIGEST is "latest"; allowed: sha256: and 64 hexadecimal digits in lower case
environment: API_PROT is no setting; allowed: only variables that --help lists; did you mean API_PORT?"#;
    assert_eq!(invalid.to_string(), expected);
}

#[test]
fn numbers_are_plain_digits() {
    for port in ["", "+80", "-1", " 80", "80 ", "8_0", "0x50", "99999999999", "٨٠"] {
        assert!(read(&[("API_PORT", port)]).is_err(), "{port:?}");
    }
}

#[test]
fn a_digest_is_whole_and_in_lower_case() {
    for length in [0, 63, 65] {
        assert!(read(&[("IMAGE_DIGEST", &format!("sha256:{}", "a".repeat(length)))]).is_err(), "{length}");
    }
    for digest in [format!("sha256:{}", "A".repeat(64)), format!("sha512:{}", "a".repeat(64)), "a".repeat(64)] {
        assert!(read(&[("IMAGE_DIGEST", &digest)]).is_err(), "{digest}");
    }
}

#[test]
fn an_origin_is_written_as_a_browser_sends_it() {
    let origins = |text| read(&[("API_CORS_ORIGINS", text)]).map(|settings| settings.cors_origins);
    assert_eq!(origins(""), Ok(Origins::Only(vec![])));
    assert_eq!(origins("*"), Ok(Origins::Any));
    for origin in ["https://a.example", "http://localhost:8081", "http://[::1]:3000", "capacitor://localhost"] {
        assert_eq!(origins(origin), Ok(Origins::Only(vec![origin.into()])));
    }
    for wrong in [
        "a.example",
        "https://",
        "https://a.example/",
        "https://A.example",
        "https://a.example:443",
        "http://a.example:080",
        "http://[0:0::1]",
        "https://a.example,*",
        "https://a.example,",
        "https://*.example",
        "null",
        "*,*",
        " ",
    ] {
        assert!(origins(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn defaults_are_allowed_values() {
    let defaults = VARIABLES.iter().filter_map(|variable| Some((variable.name, variable.default?)));
    assert_eq!(read(&defaults.collect::<Vec<_>>()), read(&[]));
}

#[test]
fn a_wildcard_is_reached_over_loopback() {
    for (bind, local) in
        [("0.0.0.0", "127.0.0.1:9"), ("::", "[::1]:9"), ("127.0.0.2", "127.0.0.2:9"), ("fe80::1", "[fe80::1]:9")]
    {
        let settings = read(&[("API_BIND_ADDRESS", bind), ("API_PORT", "9")]).unwrap();
        assert_eq!(settings.local_address().to_string(), local);
    }
}

#[test]
fn a_prefix_is_a_path_as_a_request_has_it() {
    let prefix = |text| read(&[("API_PATH_PREFIX", text)]).map(|settings| settings.path_prefix);
    for fit in ["/production", "/a/b", "/v1.0", "/~x_-"] {
        assert_eq!(prefix(fit), Ok(Some(fit.into())));
    }
    for wrong in ["", "/", "production", "/a/", "//a", "/a b", "/..", "/a/./b", "/%61", "/a?b"] {
        assert!(prefix(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_collector_is_an_address_without_tls() {
    let collector = |text| read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", text)]).map(|settings| settings.spans);
    for fit in ["http://localhost", "http://10.0.0.1:4318", "http://[::1]:4318", "http://collector.internal:80/otlp/"] {
        let spans = collector(fit).unwrap().unwrap();
        assert_eq!(spans.collector, fit.trim_end_matches('/'));
    }
    for wrong in [
        "localhost:4318",
        "https://collector.example",
        "http://",
        "http://:4318",
        "http://a:0",
        "http://a:b",
        "http://user@a",
        "http://a/?x",
        "http://[a]:1",
        "http://a b",
    ] {
        assert!(collector(wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(collector("").unwrap(), None);
}

#[test]
fn attributes_are_decoded() {
    let attributes = |text| {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        Some(read(&[endpoint, ("OTEL_RESOURCE_ATTRIBUTES", text)]).ok()?.spans?.attributes)
    };
    let pairs = |pairs: &[(&str, &str)]| {
        Some(pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect::<Vec<_>>())
    };
    assert_eq!(attributes(""), pairs(&[]));
    assert_eq!(attributes("a=1, b = x=y ,c="), pairs(&[("a", "1"), ("b", "x=y"), ("c", "")]));
    assert_eq!(attributes("a=%C3%A9%20"), pairs(&[("a", "\u{e9} ")]));
    for wrong in ["a", "=1", "a=1,", "a=%", "a=%2", "a=%+1", "a=%FF"] {
        assert_eq!(attributes(wrong), None, "{wrong:?}");
    }
}

#[test]
fn issuer_and_audience_need_each_other() {
    let problems = |vars: &[(&str, &str)]| {
        let invalid = read(vars).unwrap_err();
        invalid.0.into_iter().map(|problem| (problem.key, problem.given)).collect::<Vec<_>>()
    };
    let missing = |name: &str| vec![(name.to_owned(), Given::Missing)];
    let both = [missing("API_OIDC_ISSUER"), missing("API_OIDC_AUDIENCE")].concat();
    assert_eq!(problems(&[("API_OIDC_ISSUER", "https://a.example")]), missing("API_OIDC_AUDIENCE"));
    assert_eq!(problems(&[("API_OIDC_AUDIENCE", "a")]), missing("API_OIDC_ISSUER"));
    assert_eq!(problems(&[("API_OIDC_JWKS_URL", "https://a.example/keys")]), both);
    let wrong = ("API_OIDC_ISSUER".to_owned(), Given::Value("a.example".into()));
    let expected = [vec![wrong], missing("API_OIDC_AUDIENCE")].concat();
    assert_eq!(problems(&[("API_OIDC_ISSUER", "a.example")]), expected);
    let wrong = [("API_OIDC_ISSUER", "a.example"), ("API_OIDC_AUDIENCE", "a")];
    assert_eq!(problems(&wrong), [("API_OIDC_ISSUER".to_owned(), Given::Value("a.example".into()))]);
    for wrong in ["", ",", "a,", "a,,b"] {
        assert!(read(&[("API_OIDC_ISSUER", "https://a.example"), ("API_OIDC_AUDIENCE", wrong)]).is_err(), "{wrong:?}");
    }
}

#[test]
fn an_issuer_is_asked_over_tls_or_on_this_machine() {
    let issuer = |text| read(&[("API_OIDC_ISSUER", text), ("API_OIDC_AUDIENCE", "a")]).is_ok();
    for fit in [
        "https://a.example",
        "https://a.example/",
        "https://A.example:8443/realms/x",
        "http://localhost:9/pool",
        "http://127.0.0.2",
        "http://[::1]:80/x",
        "https://[2001:db8::1]",
    ] {
        assert!(issuer(fit), "{fit}");
    }
    for wrong in [
        "",
        "a.example",
        "https://",
        "https:///x",
        "http://a.example",
        "http://127.0.0.1.a.example",
        "http://localhost.a.example",
        "http://localhost@a.example",
        "https://user@a.example",
        "https://a.example?x",
        "https://a.example/#x",
        "https://a.example/ x",
        "https://a.example:0",
        "https://a.example:",
        "https://a.example:x",
        "https://[::1",
        "https://a.example\\@b.example",
        "ftp://a.example",
        "HTTPS://a.example",
        "https://a.example/\n",
    ] {
        assert!(!issuer(wrong), "{wrong:?}");
    }
}

#[test]
fn a_secret_is_read_and_never_shown() {
    let variable = Variable { name: "PASSWORD", default: None, meaning: "", allowed: "a text without blanks" };
    let reader = |value: Option<&str>| Reader::new(value.map(|value| ("PASSWORD".to_owned(), value.to_owned())));
    let parse = |text: &str| (!text.contains(' ')).then(|| text.to_owned());
    assert_eq!(reader(Some("hunter2")).secret(&variable, parse).as_deref(), Some("hunter2"));
    assert_eq!(reader(None).secret(&variable, parse), None);
    let mut wrong = reader(Some("hunter 2"));
    assert_eq!(wrong.secret(&variable, parse), None);
    let text = wrong.finish(()).unwrap_err().to_string();
    assert!(text.contains("PASSWORD") && text.contains("without blanks") && !text.contains("hunter"), "{text}");
}
