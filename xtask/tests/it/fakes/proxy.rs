//! Between a user and AWS: a forward proxy, and TLS with an authority of the user's own. Both end at the one
//! port of the fakes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A proxy whose connections all lead to one place, whatever they are meant for.
pub(crate) struct Proxy {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// `plain` serves `http://`, and `tls` is where tunnels lead.
    pub(crate) fn start(plain: SocketAddr, tls: Option<SocketAddr>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let address = listen(move |stream| serve(stream, plain, tls, &noted));
        Self { url: format!("http://{address}"), seen }
    }

    /// What it was asked for, as `METHOD address`.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// Terminates TLS, in the name of `host`; the second is the PEM of its authority.
pub(crate) fn tls(host: &str, behind: SocketAddr) -> (SocketAddr, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([host.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap());
    let address = listen(move |stream| {
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
        let (head, body) = request(&mut BufReader::new(&mut stream))?;
        stream.write_all(&answer(behind, &head, &body)?)?;
        stream.conn.send_close_notify();
        stream.flush()
    });
    (address, authority.pem())
}

/// Serves each connection in a thread of its own, for as long as the test runs. Who breaks off is not served further.
fn listen(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(stream: TcpStream, plain: SocketAddr, tls: Option<SocketAddr>, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (head, body) = request(&mut reader)?;
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    seen.lock().unwrap().push(format!("{method} {target}"));
    let mut stream = stream;
    if method == "CONNECT" {
        let Some(tls) = tls else { return stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n") };
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let mut there = TcpStream::connect(tls)?;
        let (mut back, mut to) = (there.try_clone()?, stream.try_clone()?);
        let returning = thread::spawn(move || io::copy(&mut back, &mut to));
        io::copy(&mut reader, &mut there)?;
        there.shutdown(Shutdown::Write)?;
        drop(returning.join());
        return Ok(());
    }
    // As a server wants it: the path alone.
    let rest = target.strip_prefix("http://").unwrap_or(target);
    let path = rest.find('/').map_or("/", |slash| &rest[slash..]);
    let answer = answer(plain, &head.replacen(target, path, 1), &body)?;
    stream.write_all(&answer)
}

/// Head and body of a request.
fn request(from: &mut impl BufRead) -> io::Result<(String, Vec<u8>)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        if from.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = head[start..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok((head, body))
}

/// What is answered there to a request, which is the only one of its connection.
fn answer(there: SocketAddr, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(there)?;
    stream.write_all(head.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
