//! The page `/docs/` as a browser shows it: headless Chromium, driven over WebDriver, and the real server with a service
//! that has all kinds of resources.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod browser;
mod notes;

use std::convert::Infallible;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use browser::{Browser, View};
use libtest_mimic::Arguments;
use notes::Notes;
use requirements::{CHROMEDRIVER, CHROMIUM, Programs, Suite};
use serde_json::{Value, json};

/// A test in a browser, and its name.
type NamedTest = (&'static str, fn(&Programs));

const TESTS: [NamedTest; 12] = [
    ("a_request_is_sent_from_the_page", a_request_is_sent_from_the_page),
    ("the_page_works_below_a_prefix", the_page_works_below_a_prefix),
    ("a_refusal_is_shown", a_refusal_is_shown),
    ("the_last_request_is_the_one_whose_answer_is_shown", the_last_request_is_the_one_whose_answer_is_shown),
    ("a_long_answer_is_shown_as_it_came", a_long_answer_is_shown_as_it_came),
    ("a_body_is_described_and_sent", a_body_is_described_and_sent),
    ("parameters_are_described_and_sent", parameters_are_described_and_sent),
    ("an_answer_without_a_body_is_shown", an_answer_without_a_body_is_shown),
    ("credentials_reach_the_service_and_nothing_else", credentials_reach_the_service_and_nothing_else),
    ("the_page_can_be_read_and_used_in_every_view", the_page_can_be_read_and_used_in_every_view),
    ("a_screen_reader_understands_the_page_in_every_view", a_screen_reader_understands_the_page_in_every_view),
    ("the_page_reaches_no_other_origin", the_page_reaches_no_other_origin),
];

/// A phone and a desk, by day and by night.
const VIEWS: [View; 4] = [
    View { width: 375, scheme: "light" },
    View { width: 375, scheme: "dark" },
    View { width: 1280, scheme: "light" },
    View { width: 1280, scheme: "dark" },
];
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.secret-of-the-token.c2ln";
const KEY: &str = "secret-of-the-key";

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One browser is work enough for a small machine.
    arguments.test_threads.get_or_insert(1);
    let suite = Suite::new();
    let test = |(name, run): NamedTest| {
        suite.test(name, &[CHROMIUM, CHROMEDRIVER], move |programs| {
            run(programs);
            Ok::<(), Infallible>(())
        })
    };
    libtest_mimic::run(&arguments, TESTS.map(test).into()).exit_code()
}

fn a_request_is_sent_from_the_page(programs: &Programs) {
    let notes = Notes::start(&[]);
    // Without its slash, as people type it.
    let browser = Browser::open(programs, &notes.url("/docs"));
    search(&browser, &notes, "");
    assert_eq!(browser.title(), "The notes service");
    assert_eq!(browser.text("#title"), "The notes service 1.2.3");
}

fn the_page_works_below_a_prefix(programs: &Programs) {
    let notes = Notes::start(&[("API_PATH_PREFIX", "/production")]);
    let browser = Browser::open(programs, &notes.url("/production/docs"));
    search(&browser, &notes, "/production");
}

/// Presses what a user presses, and asserts that the browser has nothing to complain of.
fn search(browser: &Browser, notes: &Notes, prefix: &str) {
    browser.click("#list summary");
    browser.click("#list .primary");
    browser.wait_for("#list .status", "200 OK");
    assert_eq!(browser.text("#list .request"), format!("GET {prefix}/notes"));
    assert_eq!(browser.text("#list .class"), "(successful)");
    assert_eq!(browser.text("#list .meaning"), "The notes");

    browser.type_into("#list-query-search", "Ada & 👩\u{200d}🚀");
    browser.click("#list .primary");
    browser.wait_for("#list .request", "search");
    let query = "search=Ada+%26+%F0%9F%91%A9%E2%80%8D%F0%9F%9A%80";
    assert_eq!(browser.text("#list .request"), format!("GET {prefix}/notes?{query}"));
    assert!(notes.last().target.ends_with(&format!("/notes?{query}")), "{:?}", notes.last());
    assert!(browser.text("#list .headers").contains("x-request-id: "));
    let target = &notes.last().target;
    let body = format!(
        r#"{{
  "target": "{target}",
  "big": 12345678901234567890123,
  "none": [],
  "text": "a, \"b\": {{c}} [d]",
  "list": [
    1,
    {{}}
  ]
}}"#
    );
    assert_eq!(browser.text("#list .body"), body);

    assert_eq!(browser.complaints(), <[String; 0]>::default());
    let requests = browser.requests();
    let here = notes.url(&format!("{prefix}/"));
    let elsewhere: Vec<_> = requests.iter().filter(|url| !url.starts_with(&here)).collect();
    assert!(elsewhere.is_empty() && requests.len() >= 7, "{elsewhere:?} of {requests:?}");
}

/// The page of a service, with one of its operations open.
fn open_operation(programs: &Programs, notes: &Notes, operation: &str) -> Browser {
    let browser = Browser::open(programs, &notes.url("/docs/"));
    browser.click(&format!("#{operation} summary"));
    browser
}

fn a_refusal_is_shown(programs: &Programs) {
    let notes = Notes::start(&[]);
    let browser = open_operation(programs, &notes, "change");
    browser.type_into("#change-path-id", "8");
    browser.click("#change .primary");
    browser.wait_for("#change .status", "404 Not Found");
    assert_eq!(browser.text("#change .class"), "(client error)");
    assert_eq!(browser.text("#change .meaning"), "Not Found: there is no note \"8\"");
    assert!(browser.text("#change .body").contains(r#""detail": "there is no note \"8\"""#));

    // A header cannot carry this, so that no request is sent.
    browser.type_into("#bearer", "naïve – token");
    browser.click("#change .primary");
    browser.wait_for("#change .status", "No answer");
    assert_eq!(browser.evaluate("return document.querySelector('#change .answer').hidden"), true);
    assert!(!browser.text("#change .meaning").contains("naïve"));
}

fn the_last_request_is_the_one_whose_answer_is_shown(programs: &Programs) {
    let notes = Notes::start(&[]);
    let browser = open_operation(programs, &notes, "list");
    browser.type_into("#list-query-search", "slow");
    browser.click("#list .primary");
    browser.wait_for("#list .status", "Waiting for the answer");
    browser.enter("#list-query-search", "fast");
    browser.click("#list .primary");
    browser.wait_for("#list .body", "search=fast");
    notes.release();
    // The first answer would be here by now.
    thread::sleep(Duration::from_millis(500));
    assert!(browser.text("#list .body").contains("search=fast"));
    assert_eq!(browser.text("#list .status"), "200 OK");
}

fn a_long_answer_is_shown_as_it_came(programs: &Programs) {
    let notes = Notes::start(&[]);
    let browser = open_operation(programs, &notes, "list");
    browser.type_into("#list-query-search", "long");
    browser.click("#list .primary");
    browser.wait_for("#list .status", "200 OK");
    let length = browser.evaluate("return document.querySelector('#list .body').textContent.length");
    assert_eq!(length, 2 * notes::LONG + 1);
}

fn a_body_is_described_and_sent(programs: &Programs) {
    let notes = Notes::start(&[]);
    let browser = open_operation(programs, &notes, "create");
    assert_eq!(browser.text("label[for='create-request-body']"), "body (required)");
    assert_eq!(browser.text("#create-request-body-about"), "application/json");
    assert_eq!(
        browser
            .evaluate("return [...document.querySelectorAll('#create .tables table')].map((one) => one.innerText)[0]"),
        "Fields of the body\n\
         Field\tValue\tMeaning\n\
         text\trequired, string, 1 to 2000 characters\tWhat is to be remembered\n\
         state\trequired, one of open, done\tWhether a note is done.\n\
         due\tdate, or null\t\n\
         author\tobject, or null\t\n\
         author.name\trequired, string\t\n\
         tags\trequired, array of string, at most 5 items\t"
    );
    // The sample has no id: only answers have one.
    let sample = json!({
        "text": "buy milk", "state": "open", "due": "2026-12-01", "author": {"name": "text"}, "tags": ["text"],
    });
    browser.click("#create .primary");
    browser.wait_for("#create .status", "201 Created");
    let received = notes.last();
    assert_eq!((received.method.as_str(), received.target.as_str()), ("POST", "/notes"));
    assert_eq!(received.content_type.as_deref(), Some("application/json"));
    assert_eq!(serde_json::from_str::<Value>(&received.body).unwrap(), sample);

    // As it is typed, even if it is wrong: that is how errors are tried.
    browser.enter("#create-request-body", r#"{"text": 12345678901234567890123"#);
    browser.click("#create .primary");
    browser.wait_for("#create .body", "12345678901234567890123");
    assert_eq!(notes.last().body, r#"{"text": 12345678901234567890123"#);

    browser.enter("#create-request-body", "");
    browser.click("#create .primary");
    browser.wait_for("#create .body", r#""content_type": null"#);
    assert_eq!((notes.last().content_type, notes.last().body), (None, String::new()));

    browser.click("#change summary");
    browser.type_into("#change-path-id", "7");
    browser.enter("#change-request-body", r#"{"state":null}"#);
    browser.click("#change .primary");
    browser.wait_for("#change .status", "200 OK");
    let received = notes.last();
    assert_eq!((received.method.as_str(), received.target.as_str()), ("PATCH", "/notes/7"));
    assert_eq!(received.content_type.as_deref(), Some("application/merge-patch+json"));
    assert_eq!(received.body, r#"{"state":null}"#);

    // What is not JSON is not written as JSON.
    browser.click("#replace summary");
    assert_eq!(browser.text("#replace-request-body-about"), "text/plain. The new text");
    browser.type_into("#replace-path-id", "7");
    browser.click("#replace .primary");
    browser.wait_for("#replace .status", "204 No Content");
    let received = notes.last();
    assert_eq!((received.method.as_str(), received.target.as_str()), ("PUT", "/notes/7/text"));
    assert_eq!((received.content_type.as_deref(), received.body.as_str()), (Some("text/plain"), "text"));
    assert_eq!(browser.complaints(), <[String; 0]>::default());
}

fn parameters_are_described_and_sent(programs: &Programs) {
    let notes = Notes::start(&[]);
    let browser = open_operation(programs, &notes, "list");
    for (name, about) in [
        ("search", "query, string, at most 5000 characters. Words that a note must have"),
        ("state", "query, one of open, done"),
        ("limit", "query, integer, 1 to 100, default 20"),
        ("tags", "query, array of string. Separate the values by commas"),
    ] {
        assert_eq!(browser.text(&format!("#list-query-{name}-about")), about);
    }
    let options =
        browser.evaluate("return [...document.getElementById('list-query-state').options].map((one) => one.value)");
    assert_eq!(options, json!(["", "open", "done"]));
    browser.click("#list-query-state option[value='done']");
    browser.type_into("#list-query-limit", "5");
    browser.type_into("#list-query-tags", "home, work");
    browser.type_into("#list-header-X-Tenant", "acme");
    let fields = browser.evaluate("return document.querySelectorAll('#list .fields .field').length");
    assert_eq!(fields, 5, "nothing for the header Authorization and the cookie");
    browser.click("#list .primary");
    browser.wait_for("#list .status", "200");
    assert_eq!(notes.last().tenant.as_deref(), Some("acme"));
    assert_eq!(notes.last().target, "/notes?state=done&limit=5&tags=home&tags=work");

    browser.click("#change summary");
    assert_eq!(browser.text("label[for='change-path-id']"), "id (required)");
    // An empty one would lead to another resource: the browser asks for it.
    browser.click("#change .primary");
    assert_eq!(browser.evaluate("return document.querySelector('#change input:invalid').id"), "change-path-id");
    assert_eq!(notes.last().method, "GET");
    browser.type_into("#change-path-id", "a/b?c#d");
    browser.click("#change .primary");
    browser.wait_for("#change .status", "404");
    assert_eq!(notes.last().target, "/notes/a%2Fb%3Fc%23d");
}

fn an_answer_without_a_body_is_shown(programs: &Programs) {
    let notes = Notes::start(&[]);
    let browser = open_operation(programs, &notes, "delete");
    browser.type_into("#delete-path-id", "7");
    browser.click("#delete .primary");
    browser.wait_for("#delete .status", "204 No Content");
    assert_eq!(browser.text("#delete .meaning"), "The note is deleted");
    assert_eq!(browser.text("#delete .body"), "The answer has no body.");
    assert_eq!((notes.last().method.as_str(), notes.last().body.as_str()), ("DELETE", ""));
    assert_eq!(notes.last().content_type, None);
}

fn credentials_reach_the_service_and_nothing_else(programs: &Programs) {
    let notes = Notes::start(&[]);
    let browser = Browser::open(programs, &notes.url("/docs/"));
    let received = |operation: &str| {
        browser.click(&format!("#{operation} .primary"));
        browser.wait_for(&format!("#{operation} .class"), "successful");
        (notes.last().authorization, notes.last().api_key)
    };
    let both = (Some(format!("Bearer {TOKEN}")), Some(KEY.to_owned()));

    browser.click("#list summary");
    assert_eq!(received("list"), (None, None));
    assert_eq!(browser.text("#list .with"), "");

    // A whole header is pasted as often as a bare token; Enter in a field must not lead anywhere.
    browser.type_into("#bearer", &format!(" Bearer {TOKEN}\n"));
    browser.type_into("#key", &format!("{KEY} \n"));
    assert_eq!(received("list"), both);
    assert_eq!(browser.text("#list .with"), "Sent with a bearer token and an API key");
    browser.click("#create summary");
    assert_eq!(received("create"), both);

    let kinds =
        "return ['bearer', 'key'].map((id) => document.getElementById(id)).map((one) => [one.type, one.autocomplete])";
    assert_eq!(browser.evaluate(kinds), json!([["password", "off"], ["password", "off"]]));
    let kept = "return indexedDB.databases().then(async (databases) => [
        localStorage.length, sessionStorage.length, databases.length, (await caches.keys()).length,
        document.cookie, JSON.stringify(history.state), location.href])";
    assert_eq!(browser.evaluate(kept), json!([0, 0, 0, 0, "", "null", notes.url("/docs/")]));
    // The answer of this service has them; apart from that, the page must not show them.
    browser.click("#list .primary");
    browser.wait_for("#list .class", "successful");
    assert!(!browser.text("#list .answer").contains("secret"));
    assert!(browser.requests().iter().all(|url| !url.contains("secret")));
    assert_eq!(browser.complaints(), <[String; 0]>::default());

    browser.click("#credentials button");
    assert_eq!(received("list"), (None, None));
    assert_eq!(browser.text("#list .with"), "");

    browser.type_into("#bearer", TOKEN);
    browser.type_into("#key", KEY);
    assert_eq!(received("list"), both);
    browser.evaluate("location.reload()");
    browser.wait_for("#title", "The notes service");
    browser.click("#list summary");
    assert_eq!(received("list"), (None, None));
}

/// Opens everything, with the longest query and answers of each kind.
fn fill(browser: &Browser) {
    browser.wait_for("#title", "The notes service");
    browser.evaluate(
        "document.querySelectorAll('details').forEach((one) => (one.open = true));
         document.getElementById('list-query-search').value = 'many words '.repeat(20) + 'x'.repeat(1000);
         document.getElementById('change-path-id').value = 'y'.repeat(500);
         document.getElementById('delete-path-id').value = '7';
         document.getElementById('create-request-body').value = JSON.stringify({ text: 'z'.repeat(1000) });
         document.querySelectorAll('.primary').forEach((one) => one.click());",
    );
    for (operation, status) in [("list", "200"), ("create", "201"), ("change", "404"), ("delete", "204")] {
        browser.wait_for(&format!("#{operation} .status"), status);
    }
    assert!(browser.text("#list .body").len() > 1000);
}

fn the_page_can_be_read_and_used_in_every_view(programs: &Programs) {
    let notes = Notes::start(&[]);
    let browser = Browser::open(programs, &notes.url("/docs/"));
    for view in VIEWS {
        browser.look(view);
        browser.load(&notes.url("/docs/"));
        fill(&browser);
        let looks = browser.evaluate(include_str!("looks.js"));
        assert_eq!(looks["wrong"], json!([]), "{view:?}");
        // Nothing would be wrong with an empty page, or in one view alone.
        assert!(looks["texts"].as_u64().unwrap() > 200 && looks["controls"].as_u64().unwrap() > 20, "{looks}");
        assert_eq!(looks["width"], view.width, "{looks}");
        assert_eq!(looks["ground"].as_f64().unwrap() > 0.5, view.scheme == "light", "{looks}");
        let columns = browser.evaluate(
            "const [first, second] = document.querySelector('tbody tr').cells;
             return first.getBoundingClientRect().right <= second.getBoundingClientRect().left + 1",
        );
        assert_eq!(columns, view.width == 1280, "a table has columns where there is room: {view:?}");
    }
}

/// A property of a node in the accessibility tree.
fn property(node: &Value, name: &str) -> Option<Value> {
    let properties = node["properties"].as_array()?;
    properties.iter().find(|one| one["name"] == name).map(|one| one["value"]["value"].clone())
}

fn a_screen_reader_understands_the_page_in_every_view(programs: &Programs) {
    let notes = Notes::start(&[]);
    let browser = Browser::open(programs, &notes.url("/docs/"));
    for view in VIEWS {
        browser.look(view);
        browser.load(&notes.url("/docs/"));
        fill(&browser);
        let nodes = browser.accessibility();
        let with_role = |role: &'static str| nodes.iter().filter(move |node| node["role"]["value"] == role);
        let names =
            |role| -> Vec<_> { with_role(role).map(|node| node["name"]["value"].as_str().unwrap_or("")).collect() };

        for role in ["textbox", "combobox", "button", "link", "DisclosureTriangle", "form", "region", "table"] {
            let names = names(role);
            assert!(!names.is_empty() && names.iter().all(|name| !name.is_empty()), "{view:?}, {role}: {names:?}");
        }
        let focusable = nodes.iter().filter(|node| property(node, "focusable") == Some(json!(true)));
        let nameless: Vec<_> = focusable.filter(|node| node["name"]["value"] == "").collect();
        assert!(nameless.is_empty(), "{view:?}: {nameless:#?}");
        assert_eq!((names("banner").len(), names("main").len()), (1, 1), "{view:?}");
        let regions = names("region");
        for region in ["Credentials", "Notes", "Operation", "Answer to GET /notes", "Answer to PATCH /notes/{id}"] {
            assert!(regions.contains(&region), "{view:?}, {region}: {regions:?}");
        }
        let forms = names("form");
        for form in ["GET /notes", "POST /notes", "PATCH /notes/{id}", "DELETE /notes/{id}"] {
            assert!(forms.contains(&form), "{view:?}, {form}: {forms:?}");
        }
        let fields = names("textbox");
        for field in ["Bearer token", "API key", "search", "id (required)", "body (required)"] {
            assert!(fields.contains(&field), "{view:?}, {field}: {fields:?}");
        }

        // A role that the style takes from a table is missing here.
        let cells = ["row", "rowheader", "columnheader", "cell"].map(|role| names(role).len());
        let expected = browser.evaluate(
            "return ['tr', 'tbody th', 'thead th', 'td'].map((one) => document.querySelectorAll(one).length)",
        );
        // An empty cell is not shown where each cell is a line.
        let empty = browser.evaluate("return document.querySelectorAll('td:empty').length").as_u64().unwrap();
        let hidden = if view.width == 375 { empty } else { 0 };
        let counted: Vec<u64> = expected.as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
        assert_eq!(
            cells.map(|count| count as u64),
            [counted[0], counted[1], counted[2], counted[3] - hidden],
            "{view:?}"
        );

        let levels: Vec<_> =
            with_role("heading").map(|node| property(node, "level").unwrap().as_u64().unwrap()).collect();
        assert_eq!(levels[0], 1, "{view:?}: {levels:?}");
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1 && pair[1] > 1), "{view:?}: {levels:?}");

        // One for each operation: the outcome is read aloud, in words.
        let live: Vec<_> = with_role("status").map(|node| property(node, "live")).collect();
        assert!(live.len() >= 4 && live.iter().all(|live| *live == Some(json!("polite"))), "{view:?}: {live:?}");
        assert!(browser.text("#list .outcome").starts_with("200 OK (successful) after "));
        assert!(browser.text("#change .outcome").starts_with("404 Not Found (client error) after "));
    }
}

/// Also proves that the other tests would notice: the browser reports what the policy has held back.
fn the_page_reaches_no_other_origin(programs: &Programs) {
    let (notes, other) = (Notes::start(&[]), Notes::start(&[]));
    let browser = Browser::open(programs, &notes.url("/docs/"));
    browser.wait_for("#title", "The notes service");
    let image = format!("document.body.append(Object.assign(new Image(), {{ src: '{}' }}))", other.url("/picture"));
    for (script, complaint) in [
        (&*format!("fetch('{}')", other.url("/notes")), "Content Security Policy"),
        (&image, "Content Security Policy"),
        ("document.body.setAttribute('style', 'color: red')", "Content Security Policy"),
        ("document.body.append(Object.assign(document.createElement('script'), { text: '' }))", "TrustedScript"),
        ("document.body.innerHTML = '<p>'", "TrustedHTML"),
    ] {
        browser.attempt(script);
        let complaints = browser.complaints();
        assert!(complaints.iter().any(|line| line.contains(complaint)), "{script}: {complaints:?}");
    }
}
