//! An emulator of DynamoDB of one's own: ministack as a process on loopback, gone when it is dropped.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use requirements::{MINISTACK, Programs};
use serde_json::{Value, json};

const START: Duration = Duration::from_secs(60);

/// A running emulator.
pub(crate) struct Emulator {
    process: Child,
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
    tables: AtomicU32,
}

impl Emulator {
    /// Starts one on a free port and waits until it answers.
    pub(crate) fn start(programs: &Programs) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let process = programs
            .command(MINISTACK)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", address.port().to_string())
            .env("SERVICES", "dynamodb")
            .env("TMPDIR", folder.path())
            .env("STATE_DIR", folder.path().join("state"))
            .env("S3_DATA_DIR", folder.path().join("s3"))
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut emulator = Self { process, address, folder, tables: AtomicU32::new(0) };
        let started = Instant::now();
        while emulator.call("ListTables", &json!({})).is_none() {
            let ended = emulator.process.try_wait().unwrap();
            assert!(ended.is_none() && started.elapsed() < START, "ministack does not start:\n{}", emulator.log());
            sleep(Duration::from_millis(100));
        }
        emulator
    }

    /// A name that no other table has.
    pub(crate) fn new_name(&self) -> String {
        format!("ids-{}", self.tables.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes a table as the service wants it, and returns its name.
    pub(crate) fn table(&self) -> String {
        let name = self.new_name();
        self.create(&name);
        name
    }

    pub(crate) fn create(&self, name: &str) {
        let table = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "counter", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "counter", "KeyType": "HASH"}],
        });
        self.call("CreateTable", &table).expect("the table is made");
    }

    /// Sets the last id that counts as leased.
    pub(crate) fn set(&self, table: &str, leased: &Value) {
        let item = json!({"counter": {"S": "greetings"}, "leased": leased});
        self.call("PutItem", &json!({"TableName": table, "Item": item})).expect("the item is written");
    }

    /// The last id that was leased.
    pub(crate) fn leased(&self, table: &str) -> u64 {
        let question = json!({"TableName": table, "Key": {"counter": {"S": "greetings"}}, "ConsistentRead": true});
        let answer = self.call("GetItem", &question).expect("the item is read");
        answer["Item"]["leased"]["N"].as_str().unwrap().parse().unwrap()
    }

    /// Calls DynamoDB; `None` if it does not answer with 200.
    fn call(&self, operation: &str, body: &Value) -> Option<Value> {
        let credential = "Credential=test/20260101/eu-central-1/dynamodb/aws4_request";
        let call = ureq::post(format!("http://{}/", self.address))
            .header("Content-Type", "application/x-amz-json-1.0")
            .header("X-Amz-Target", format!("DynamoDB_20120810.{operation}"))
            .header("Authorization", format!("AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=none"));
        let mut answer = call.send(body.to_string()).ok()?;
        serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
