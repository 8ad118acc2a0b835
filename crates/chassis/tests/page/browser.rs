//! A headless Chromium, as far as these tests need WebDriver (<https://www.w3.org/TR/webdriver2/>).

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use requirements::{CHROMEDRIVER, CHROMIUM, Programs};
use serde_json::{Value, json};

/// Longer than anything takes; only a broken page makes a test wait for it.
const DEADLINE: Duration = Duration::from_secs(60);
/// What an element is called in WebDriver's answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// The height of each window in CSS pixels.
const HEIGHT: u32 = 800;

/// A browser that shows one page; it ends with the test.
pub(crate) struct Browser {
    driver: Child,
    session: String,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// The width of the window in CSS pixels.
    pub(crate) width: u32,
    /// The value of the media feature `prefers-color-scheme`.
    pub(crate) scheme: &'static str,
}

impl Browser {
    /// Starts a browser with an empty profile and has it load a page.
    pub(crate) fn open(programs: &Programs, url: &str) -> Self {
        // The driver finds it by itself.
        programs.assert_named(CHROMIUM);
        let mut driver = programs.command(CHROMEDRIVER).arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| Some(line.unwrap().split_once("successfully on port ")?.1.to_owned()));
        // A driver whose output nobody reads ends with its next line.
        thread::spawn(move || lines.for_each(drop));
        let mut browser = Self { driver, session: format!("http://127.0.0.1:{}", port.unwrap().trim_end_matches('.')) };
        // Chromium's own sandbox needs rights that root in a container does not have; the page is ours.
        let arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let id = browser.post("/session", &capabilities)["sessionId"].as_str().unwrap().to_owned();
        browser.session += &format!("/session/{id}");
        browser.post("/timeouts", &json!({"implicit": DEADLINE.as_millis()}));
        browser.load(url);
        browser
    }

    pub(crate) fn load(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// Shows the page as in this view; a narrow one is a phone, whose scroll bars take no room.
    pub(crate) fn look(&self, View { width, scheme }: View) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width < 500}),
        );
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    pub(crate) fn title(&self) -> String {
        self.get("/title").as_str().unwrap().to_owned()
    }

    pub(crate) fn click(&self, selector: &str) {
        self.post(&format!("{}/click", self.element(selector)), &json!({}));
    }

    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        self.post(&format!("{}/value", self.element(selector)), &json!({"text": text}));
    }

    /// Empties a field, and types into it.
    pub(crate) fn enter(&self, selector: &str, text: &str) {
        self.post(&format!("{}/clear", self.element(selector)), &json!({}));
        self.type_into(selector, text);
    }

    /// The text of an element as it is shown; what is hidden has none.
    pub(crate) fn text(&self, selector: &str) -> String {
        self.get(&format!("{}/text", self.element(selector))).as_str().unwrap().to_owned()
    }

    /// Waits until an element shows some text.
    pub(crate) fn wait_for(&self, selector: &str, text: &str) {
        let started = Instant::now();
        while !self.text(selector).contains(text) {
            let shown = self.text(selector);
            assert!(started.elapsed() < DEADLINE, "{selector} shows {shown:?}, not {text:?}: {:?}", self.complaints());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The value that a script in the page returns; a promise's when it is kept.
    pub(crate) fn evaluate(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Runs a script in the page, whatever becomes of it.
    pub(crate) fn attempt(&self, script: &str) {
        // A frame later, what is forbidden has been reported.
        let script = format!(
            "const done = arguments[0]; try {{ {script} }} catch {{ }} \
             requestAnimationFrame(() => setTimeout(() => done(null), 100))"
        );
        self.post("/execute/async", &json!({"script": script, "args": []}));
    }

    /// What a screen reader is given: the nodes of the page, each with its role, name and properties.
    pub(crate) fn accessibility(&self) -> Vec<Value> {
        let tree = self.devtools("Accessibility.getFullAXTree", json!({}));
        let nodes = tree["nodes"].as_array().unwrap().iter();
        nodes.filter(|node| node["ignored"] == false).cloned().collect()
    }

    /// What stands in the console since it was asked last: errors, warnings, violations of the policy.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.log("browser").into_iter();
        entries.map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// The address of everything that the page has asked for.
    pub(crate) fn requests(&self) -> Vec<String> {
        let event = |entry: Value| serde_json::from_str::<Value>(entry["message"].as_str().unwrap()).unwrap();
        let events = self.log("performance").into_iter().map(event);
        let sent = events.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        sent.map(|event| event["message"]["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", &json!({"type": kind})).as_array().unwrap().clone()
    }

    /// A command of Chromium's own protocol (<https://chromedevtools.github.io/devtools-protocol/>).
    fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// Where the first element is that a CSS selector finds; waits for it.
    fn element(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector}));
        format!("/element/{}", found[ELEMENT].as_str().unwrap())
    }

    fn get(&self, path: &str) -> Value {
        value(path, agent().get(format!("{}{path}", self.session)).call())
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        value(path, agent().post(format!("{}{path}", self.session)).send(body.to_string()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser would outlive its driver.
        let ended = agent().delete(&self.session).call();
        self.driver.kill().unwrap();
        self.driver.wait().unwrap();
        if !thread::panicking() {
            ended.unwrap();
        }
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(2 * DEADLINE)).build().into()
}

/// The value of a WebDriver answer, which must not be an error.
fn value(path: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Value {
    let mut answer = answer.unwrap();
    let text = answer.body_mut().with_config().limit(100_000_000).read_to_string().unwrap();
    assert_eq!(answer.status(), 200, "{path}: {text}");
    let mut answer: Value = serde_json::from_str(&text).unwrap();
    answer["value"].take()
}
