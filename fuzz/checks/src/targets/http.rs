//! Requests to a running node of the cluster example: whatever arrives, it is answered or cut off, nothing
//! panics, and the node goes on.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};
use clap::Parser;
use tempfile::TempDir;

use crate::cli::Cli;
use crate::node;

/// A request with the shape of one.
#[derive(Arbitrary, Debug)]
struct Shaped {
    method: Method,
    path: Path,
    header: Option<(String, String)>,
    body: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
enum Method {
    Get,
    Put,
    Post,
    Delete,
}

#[derive(Arbitrary, Debug)]
enum Path {
    Status,
    Init,
    Nodes { id: u64, port: u16 },
    Key(String),
    Lines { client: u64, seq: u64 },
    Page { from: u64, limit: Option<u64> },
    Raft { to: u8, call: Call },
    Other(String),
}

#[derive(Arbitrary, Debug)]
enum Call {
    Append,
    Vote,
    PreVote,
    Snapshot,
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long the answer to a request that may be no whole one is waited for.
const MOMENT: Duration = Duration::from_millis(300);

const STATUS: &[u8] = b"GET /status HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n";
const INIT: &[u8] =
    b"POST /init HTTP/1.1\r\nhost: node\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// The name of every thread of the node's runtime.
const NODE_THREAD: &str = "cluster-node";

/// The node has panicked.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// Sends the input: as it is when it looks like a request, otherwise as the parts of one.
///
/// # Panics
///
/// When a handler panicked or failed, or the node does not answer afterwards.
pub fn check(input: &[u8]) {
    let node = node();
    let request = if input.windows(6).any(|part| part == b"HTTP/1") {
        input.to_vec()
    } else {
        match Shaped::arbitrary(&mut Unstructured::new(input)) {
            Ok(shaped) => shaped.bytes(),
            Err(_) => return,
        }
    };
    // A connection may be cut off at any time: the node owes nothing to such a request.
    if let Ok(answer) = ask(*node, &request, MOMENT) {
        let failed = answer.starts_with(b"HTTP/1.1 500");
        assert!(!failed, "{}", String::from_utf8_lossy(&answer));
    }
    assert!(!PANICKED.load(Ordering::SeqCst), "a panic in the node");
    let status = ask(*node, STATUS, PATIENCE);
    let status = status.unwrap_or_else(|error| panic!("the node does not answer: {error}"));
    assert!(
        status.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&status)
    );
}

/// Sends a request and reads what comes until the node closes the connection, or nothing comes for a
/// while. The sending half stays open: a server may take its end for that of the client.
fn ask(node: SocketAddr, request: &[u8], patience: Duration) -> io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect(node)?;
    connection.set_read_timeout(Some(patience))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    connection.write_all(request)?;
    let mut answer = Vec::new();
    match connection.read_to_end(&mut answer) {
        // It waits for the rest of the request, or for another one.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(answer),
        read => read.map(|_| answer),
    }
}

/// The node, which is started by the first request and leads a cluster of its own.
fn node() -> &'static SocketAddr {
    static NODE: OnceLock<SocketAddr> = OnceLock::new();
    NODE.get_or_init(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            // Other targets run beside this one, and some engines panic and are caught.
            if thread::current().name() == Some(NODE_THREAD) {
                PANICKED.store(true, Ordering::SeqCst);
            }
            report(panicked);
        }));
        let address = free_address().expect("there is a free port");
        thread::spawn(move || run(address));
        let started = Instant::now();
        while ask(address, INIT, PATIENCE).is_err() {
            assert!(started.elapsed() < PATIENCE, "the node does not start");
            thread::sleep(Duration::from_millis(20));
        }
        address
    })
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn run(address: SocketAddr) {
    let dir = TempDir::new().expect("there is room for a temporary directory");
    let cli = Cli::try_parse_from([
        "cluster".to_owned(),
        "--node=1".to_owned(),
        format!("--dir={}", dir.path().display()),
        format!("--listen={address}"),
    ]);
    let cli = cli.expect("these are options of the example");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(NODE_THREAD)
        .enable_all()
        .build()
        .expect("a runtime can be started");
    let ended = runtime.block_on(node::run(1, &cli));
    panic!("the node ended: {ended:?}");
}

impl Shaped {
    fn bytes(&self) -> Vec<u8> {
        let method = match self.method {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        };
        let (path, body) = (
            self.path.text(),
            self.path.body().unwrap_or_else(|| self.body.clone()),
        );
        let header = match &self.header {
            Some((name, value)) => format!("{name}: {value}\r\n"),
            None => String::new(),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n{header}content-length: {}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body].concat()
    }
}

impl Path {
    fn text(&self) -> String {
        match self {
            Self::Status => "/status".to_owned(),
            Self::Init => "/init".to_owned(),
            Self::Nodes { .. } => "/nodes".to_owned(),
            Self::Key(key) => format!("/kv/{key}"),
            Self::Lines { client, seq } => format!("/lines?client={client}&seq={seq}"),
            Self::Page { from, limit: None } => format!("/lines?from={from}"),
            Self::Page {
                from,
                limit: Some(limit),
            } => format!("/lines?from={from}&limit={limit}"),
            Self::Raft { to, call } => {
                let call = match call {
                    Call::Append => "append",
                    Call::Vote => "vote",
                    Call::PreVote => "pre-vote",
                    Call::Snapshot => "snapshot",
                };
                format!("/raft/{to}/{call}")
            }
            Self::Other(other) => format!("/{other}"),
        }
    }

    /// The body that belongs to the path, where any other would only be refused. Addresses stay on
    /// this machine.
    fn body(&self) -> Option<Vec<u8>> {
        match self {
            Self::Nodes { id, port } => {
                let body = format!(r#"{{"id": {id}, "address": "127.0.0.1:{port}"}}"#);
                Some(body.into_bytes())
            }
            _ => None,
        }
    }
}
