//! The way to the table, which a test can spoil: a proxy that answers one call a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// The connection closes at once.
    Cut,
    /// Nothing comes back.
    Silent,
    /// The table says that it has no capacity.
    Throttled,
    /// The table does what it is asked, and the connection closes before its answer.
    AnswerLost,
}

/// A proxy in front of the emulator, open at first.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    way: Arc<Mutex<Way>>,
}

impl Door {
    pub(crate) fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = Self { address: listener.local_addr().unwrap(), way: Arc::new(Mutex::new(Way::Open)) };
        let way = Arc::clone(&door.way);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let way = *way.lock().unwrap();
                // Whoever is cut off closes its end too.
                thread::spawn(move || pass(stream, upstream, way).unwrap_or_default());
            }
        });
        door
    }

    pub(crate) fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }
}

fn pass(mut client: TcpStream, upstream: SocketAddr, way: Way) -> std::io::Result<()> {
    if way == Way::Cut {
        return client.shutdown(Shutdown::Both);
    }
    let request = request(&client)?;
    if way == Way::Silent {
        thread::sleep(Duration::from_secs(30));
        return Ok(());
    }
    let mut answer = Vec::new();
    if way == Way::Throttled {
        let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"too fast"}"#;
        let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.0\r\nConnection: close";
        answer.extend(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).bytes());
    } else {
        let mut table = TcpStream::connect(upstream)?;
        table.write_all(&request)?;
        table.read_to_end(&mut answer)?;
    }
    if way != Way::AnswerLost {
        client.write_all(&answer)?;
    }
    client.shutdown(Shutdown::Both)
}

/// A whole request, told that its connection ends with it.
fn request(client: &TcpStream) -> std::io::Result<Vec<u8>> {
    let mut reader = BufReader::new(client);
    let mut request = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        request.extend(line.bytes());
    }
    request.extend(b"Connection: close\r\n\r\n");
    let head = request.len();
    request.resize(head + length, 0);
    reader.read_exact(&mut request[head..])?;
    Ok(request)
}
