//! Which tokens hold, and what callers get whose token does not.

use std::time::{Instant, SystemTime};

use aws_lc_rs::hmac;
use chassis::testing::{DEADLINE, Method, ask, ask_with, exchange, get};
use libtest_mimic::Measurement;
use serde_json::{Value, json};

use crate::NamedTrial;
use crate::issuer::{Issuer, Way};
use crate::key::{Generate, Key, encode, message};
use crate::service;

pub(crate) const TRIALS: &[NamedTrial] = &[
    ("tokens_that_hold", tokens_that_hold),
    ("forged_tokens", forged_tokens),
    ("no_token", no_token),
    ("a_header_that_cannot_be_read", a_header_that_cannot_be_read),
    ("what_a_token_does_not_allow", what_a_token_does_not_allow),
    ("a_caller_that_need_not_be_known", a_caller_that_need_not_be_known),
    ("without_an_issuer_nobody_is_let_in", without_an_issuer_nobody_is_let_in),
    ("keys_that_cannot_be_used_are_passed_over", keys_that_cannot_be_used_are_passed_over),
    ("the_description_names_the_token", the_description_names_the_token),
];

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// What an access token of Cognito says, with changes; `null` takes a claim away.
pub(crate) fn claims(issuer: &Issuer, changes: Value) -> Value {
    let mut claims = json!({
        "sub": "7c1f", "iss": issuer.url(), "client_id": "web", "token_use": "access", "exp": now() + 300, "iat": now(),
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn tokens_that_hold() {
    let keys = [Key::rsa("r"), Key::rsa("r2"), Key::ec("e"), Key::ed("d")];
    let issuer = Issuer::start(Way::Well, &keys.each_ref());
    let server = service::ready(issuer.url());
    for key in &keys {
        let answer = service::with_token(server, "/me", &key.token(&claims(&issuer, json!({}))));
        assert_eq!(answer.status, 200, "{}: {answer:?}", key.kid);
    }
    for changes in [
        // As an ID token, as other issuers do it, and within what clocks may differ.
        json!({"client_id": null, "aud": "phone", "token_use": "id"}),
        json!({"client_id": null, "token_use": null, "aud": ["other", "web"]}),
        json!({"exp": now() - 30}),
        json!({"nbf": now() + 30}),
        json!({"nbf": now() - 30}),
        json!({"exp": (now() + 300) as f64 + 0.5}),
    ] {
        let answer = service::with_token(server, "/me", &keys[0].token(&claims(&issuer, changes.clone())));
        assert_eq!(answer.status, 200, "{changes}: {answer:?}");
    }
    for typ in ["JWT", "at+jwt", "application/AT+JWT"] {
        let head = json!({"alg": "ES256", "kid": "e", "typ": typ, "jku": "http://127.0.0.1:9/", "x5u": "http://a"});
        let answer = service::with_token(server, "/me", &keys[2].token_with(&head, &claims(&issuer, json!({}))));
        assert_eq!(answer.status, 200, "{typ}: {answer:?}");
    }
    let all = json!({"scope": "openid notes/read", "cognito:groups": ["admins", "b"], "email": "ada@example.com"});
    let answer = service::with_token(server, "/me", &keys[0].token(&claims(&issuer, all)));
    let expected = json!({
        "subject": "7c1f", "issuer": issuer.url(), "client": "web", "scopes": ["openid", "notes/read"],
        "groups": ["admins", "b"], "mail": "ada@example.com",
    });
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), expected);
    // A token of 8 kB.
    let long = keys[0].token(&claims(&issuer, json!({"cognito:groups": vec!["a-group-of-some-length"; 240]})));
    assert!(long.len() > 8000);
    assert_eq!(service::with_token(server, "/me", &long).status, 200);
    assert_eq!(issuer.fetches(), 1);
}

fn forged_tokens() {
    let (rsa, ec, stranger) = (Key::rsa("r"), Key::ec("e"), Key::rsa("r"));
    let issuer = Issuer::start(Way::Well, &[&rsa, &ec]);
    let server = service::ready(issuer.url());
    let good = claims(&issuer, json!({}));
    let with = |changes| rsa.token(&claims(&issuer, changes));
    let head = |head| rsa.token_with(&head, &good);
    let unsigned = |head: Value, signature: &[u8]| format!("{}.{}", message(&head, &good), encode(signature));
    let with_secret = |secret: &[u8]| {
        let head = json!({"alg": "HS256", "kid": "r"});
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message(&head, &good).as_bytes());
        unsigned(head, tag.as_ref())
    };
    let public = rsa.public();
    let modulus = public["n"].as_str().unwrap();
    let whole = with(json!({}));
    let (start, signature) = whole.rsplit_once('.').unwrap();
    let changed =
        format!("{}.{signature}", message(&json!({"alg": "RS256", "kid": "r"}), &claims(&issuer, json!({"sub": "1"}))));
    let malformed = "the token is not a signed JSON Web Token";
    let algorithm = "the token has not the algorithm of its key";
    let wrong = "the signature of the token is wrong";
    let lacking = "the token lacks exp, iss or sub, or one of its claims is not of its type";
    let mut not_refused = Vec::new();
    for (name, token, reason) in [
        ("alg none, signed", head(json!({"alg": "none", "kid": "r"})), malformed),
        ("alg none, unsigned", unsigned(json!({"alg": "none", "kid": "r"}), b""), malformed),
        ("alg None", unsigned(json!({"alg": "None", "kid": "r"}), b""), malformed),
        ("the modulus as a secret", with_secret(modulus.as_bytes()), algorithm),
        ("the whole key as a secret", with_secret(public.to_string().as_bytes()), algorithm),
        ("the empty secret", with_secret(b""), algorithm),
        ("another algorithm of the family", head(json!({"alg": "RS512", "kid": "r"})), algorithm),
        ("another padding", head(json!({"alg": "PS256", "kid": "r"})), algorithm),
        ("the algorithm of another key", head(json!({"alg": "ES256", "kid": "r"})), algorithm),
        ("the name of another key", head(json!({"alg": "RS256", "kid": "e"})), algorithm),
        ("another key of that name", stranger.token(&good), wrong),
        (
            "the key in the token",
            stranger.token_with(&json!({"alg": "RS256", "kid": "r", "jwk": stranger.public()}), &good),
            wrong,
        ),
        ("changed", changed, wrong),
        ("without a signature", format!("{start}."), wrong),
        ("half a signature", format!("{start}.{}", encode(&[7; 128])), wrong),
        (
            "an unknown key",
            head(json!({"alg": "RS256", "kid": "x"})),
            "the token names a key that its issuer does not have",
        ),
        ("no key", head(json!({"alg": "RS256"})), "the token names no key"),
        (
            "a critical extension",
            head(json!({"alg": "RS256", "kid": "r", "crit": ["exp"]})),
            "the token has critical extensions, of which none is known",
        ),
        (
            "an empty list of them",
            head(json!({"alg": "RS256", "kid": "r", "crit": []})),
            "the token has critical extensions, of which none is known",
        ),
        (
            "a logout token",
            head(json!({"alg": "RS256", "kid": "r", "typ": "logout+jwt"})),
            "the token is for another purpose",
        ),
        ("a refresh token", with(json!({"token_use": "refresh"})), "the token is for another purpose"),
        ("a token_use that is none", with(json!({"token_use": 1})), "the token is for another purpose"),
        ("another issuer", with(json!({"iss": "https://id.example.com"})), "the token has another issuer"),
        ("almost the issuer", with(json!({"iss": format!("{}/", issuer.url())})), "the token has another issuer"),
        ("several issuers", with(json!({"iss": [issuer.url()]})), lacking),
        ("no issuer", with(json!({"iss": null})), lacking),
        ("another audience", with(json!({"aud": "other", "client_id": null})), "the token is for another audience"),
        ("another audience of our client", with(json!({"aud": "other"})), "the token is for another audience"),
        ("no audience", with(json!({"client_id": null})), "the token is for another audience"),
        ("an empty list of audiences", with(json!({"aud": []})), "the token is for another audience"),
        ("another client", with(json!({"client_id": "other"})), "the token is for another audience"),
        ("expired", with(json!({"exp": now() - 90})), "the token has expired"),
        ("no end", with(json!({"exp": null})), lacking),
        ("an end in words", with(json!({"exp": "tomorrow"})), lacking),
        ("not yet valid", with(json!({"nbf": now() + 90})), "the token is not valid yet"),
        ("a beginning in words", with(json!({"nbf": "today"})), lacking),
        ("no subject", with(json!({"sub": null})), lacking),
        ("a subject that is no text", with(json!({"sub": 7})), lacking),
        ("one part", "garbage".to_owned(), malformed),
        ("four parts", format!("{whole}.a"), malformed),
        ("dots", "..".to_owned(), malformed),
        ("a head that is no JSON", format!("{}.{}", encode(b"head"), &whole), malformed),
        ("padding", format!("{}=.{}", encode(b"{}"), "e30.e30"), malformed),
        ("8 kB of nothing", "a".repeat(8000), malformed),
    ] {
        let answer = service::with_token(server, "/me", &token);
        let challenge = format!(r#"Bearer error="invalid_token", error_description="{reason}""#);
        if answer.status != 401 || answer.header("www-authenticate") != challenge {
            not_refused.push((name, answer.status, answer.header("www-authenticate").to_owned()));
        } else {
            answer.assert_problem(401, "Unauthorized", reason);
        }
    }
    assert!(not_refused.is_empty(), "{not_refused:#?}");
    assert_eq!(service::with_token(server, "/me", &whole).status, 200);
}

fn no_token() {
    let issuer = Issuer::start(Way::Well, &[&Key::ed("d")]);
    let server = service::ready(issuer.url());
    for headers in
        [&[][..], &[("authorization", "Basic YTpi")], &[("x-amzn-oidc-data", "a.b.c"), ("x-forwarded-user", "a")]]
    {
        let answer = ask(server, Method::GET, "/me", headers);
        answer.assert_problem(401, "Unauthorized", "a bearer token is required");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(get(server, "/open").body, "open");
}

fn a_header_that_cannot_be_read() {
    let issuer = Issuer::start(Way::Well, &[&Key::ed("d")]);
    let server = service::ready(issuer.url());
    for lines in ["Bearer", "Bearer a b", "Bearer \"a\"", "Bearer a\r\nAuthorization: Bearer a", "Bearer \u{e9}"] {
        let request = format!("GET /me HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {lines}\r\n\r\n");
        let answer = exchange(server, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{lines}: {answer}");
        assert!(answer.contains("www-authenticate: Bearer error=\"invalid_request\"\r\n"), "{lines}: {answer}");
    }
}

fn what_a_token_does_not_allow() {
    let key = Key::ec("e");
    let issuer = Issuer::start(Way::Well, &[&key]);
    let server = service::ready(issuer.url());
    let token = |changes| key.token(&claims(&issuer, changes));
    for scope in [json!(null), json!(""), json!("notes/read"), json!("notes/writer x"), json!(["notes/write"])] {
        let answer = service::with_token(server, "/write", &token(json!({"scope": scope})));
        answer.assert_problem(403, "Forbidden", "the scope notes/write is required");
        let challenge = r#"Bearer error="insufficient_scope", scope="notes/write""#;
        assert_eq!(answer.header("www-authenticate"), challenge);
    }
    let allowed = token(json!({"scope": "openid notes/write"}));
    assert_eq!(service::with_token(server, "/write", &allowed).body, "written");
    for groups in [json!(null), json!([]), json!("admins"), json!(["admin"])] {
        let answer = service::with_token(server, "/administer", &token(json!({"cognito:groups": groups})));
        answer.assert_problem(403, "Forbidden", "this is for the group admins");
    }
    let allowed = token(json!({"cognito:groups": ["a", "admins"]}));
    assert_eq!(service::with_token(server, "/administer", &allowed).body, "done");
}

fn a_caller_that_need_not_be_known() {
    let key = Key::ed("d");
    let issuer = Issuer::start(Way::Well, &[&key]);
    let server = service::ready(issuer.url());
    assert_eq!(get(server, "/perhaps").body, "nobody");
    assert_eq!(service::with_token(server, "/perhaps", &key.token(&claims(&issuer, json!({})))).body, "7c1f");
    let expired = key.token(&claims(&issuer, json!({"exp": 1})));
    service::with_token(server, "/perhaps", &expired).assert_problem(401, "Unauthorized", "the token has expired");
}

fn without_an_issuer_nobody_is_let_in() {
    let server = service::start(None, &[]);
    let detail = "The request failed here; the log has the reason.";
    for path in ["/me", "/perhaps"] {
        get(server, path).assert_problem(500, "Internal Server Error", detail);
        service::with_token(server, path, "a.b.c").assert_problem(500, "Internal Server Error", detail);
    }
    assert_eq!(get(server, "/open").status, 200);
}

fn keys_that_cannot_be_used_are_passed_over() {
    let (key, other) = (Key::rsa("r"), Key::rsa("other"));
    let issuer = Issuer::start(Way::Well, &[]);
    let changed = |name: &str, value: Value| {
        let mut jwk = other.public();
        jwk[name] = value;
        jwk
    };
    let secret = json!({"kty": "oct", "kid": "secret", "k": encode(b"secret"), "alg": "HS256"});
    let unknown = json!({"kty": "AKP", "kid": "new", "alg": "ML-DSA-44", "pub": "AA"});
    let unused = [changed("use", "enc".into()), changed("alg", "RSA-OAEP".into()), changed("kid", 7.into())];
    issuer.set_keys([vec![secret, unknown, json!(1)], unused.to_vec(), vec![key.public()]].concat());
    let server = service::ready(issuer.url());
    assert_eq!(service::with_token(server, "/me", &key.token(&claims(&issuer, json!({})))).status, 200);
    assert_eq!(service::with_token(server, "/me", &other.token(&claims(&issuer, json!({})))).status, 401);
    let head = json!({"alg": "HS256", "kid": "secret"});
    let message = message(&head, &claims(&issuer, json!({})));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"), message.as_bytes());
    let token = format!("{message}.{}", encode(tag.as_ref()));
    assert_eq!(service::with_token(server, "/me", &token).status, 401);
}

fn the_description_names_the_token() {
    let server = service::start(None, &[]);
    let document: Value = serde_json::from_str(&get(server, "/openapi.json").body).unwrap();
    let scheme = &document["components"]["securitySchemes"]["bearer"];
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&json!("http"), &json!("bearer")), "{document}");
    let answers = &document["paths"]["/me"]["get"]["responses"];
    assert!(answers["401"].is_object() && answers["403"].is_object(), "{answers}");
    assert!(document["components"]["responses"]["Unauthorized"]["headers"]["WWW-Authenticate"].is_object());
    assert!(document["paths"]["/health"]["get"]["responses"]["401"].is_null());
}

/// A request with a token of such a key or with none, on a connection that stays open; in a test run, one.
pub(crate) fn measure(key: Option<Generate>, is_test: bool) -> Option<Measurement> {
    const REQUESTS: u32 = 5_000;
    let key = key.map(|generate| generate("k"));
    let issuer = Issuer::start(Way::Well, &key.iter().collect::<Vec<_>>());
    let (server, headers, path) = match &key {
        None => (service::start(None, &[]), vec![], "/open"),
        Some(key) => {
            let token = format!("Bearer {}", key.token(&claims(&issuer, json!({}))));
            (service::ready(issuer.url()), vec![("authorization", token)], "/me")
        }
    };
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(DEADLINE)).build().into();
    let ask = || assert_eq!(ask_with(&agent, server, Method::GET, path, &headers).status, 200);
    ask();
    if is_test {
        return None;
    }
    let started = Instant::now();
    (0..REQUESTS).for_each(|_| ask());
    let average = started.elapsed() / REQUESTS;
    Some(Measurement { avg: average.as_nanos().try_into().unwrap(), variance: 0 })
}
