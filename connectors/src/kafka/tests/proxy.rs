//! A proxy between clients and a broker that knows where requests and answers begin and end; and what it is to lose an answer: Kafka did what
//! it was asked, and whoever asked does not learn it.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::super::KafkaLog;
use super::broker::{Broker, Extra};
use super::fold::{assert_same, drain, expected, feed, outcome};
use super::{broker, options};

/// Kafka's number of the request that ends a transaction.
pub(super) const END_TXN: i16 = 26;
/// A frame of Kafka's protocol is this long at most in these tests, in bytes.
const FRAME_MAX: usize = 64 << 20;

/// Where frames of one direction of a connection go.
#[derive(Clone)]
pub(super) struct Line(Arc<Mutex<TcpStream>>);

impl Line {
    fn to(stream: TcpStream) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }

    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().write_all(bytes)
    }
}

/// A request, or the answer to one.
pub(super) struct Frame<'a> {
    /// Kafka's number of the request.
    pub(super) kind: i16,
    /// Who asked, by what it calls itself.
    pub(super) client: &'a str,
    pub(super) is_answer: bool,
    pub(super) bytes: &'a [u8],
}

/// What becomes of a frame.
pub(super) enum Fate {
    Goes,
    /// Whoever decided so has it, and sends it later if at all.
    Stays,
    /// It is lost, and its connection with it.
    Lost,
}

/// Whoever decides what becomes of frames.
pub(super) trait Watch: Send + Sync + 'static {
    /// Decides of a frame, which would go where `line` goes.
    fn decide(&self, frame: &Frame<'_>, line: &Line) -> Fate;
}

/// Who asked what, by the number of the request on its connection.
type Asked = Mutex<BTreeMap<i32, (i16, String)>>;

/// One frame: four bytes of length, then as many bytes.
fn frame(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let size = u32::from_be_bytes(length) as usize;
    assert!(size <= FRAME_MAX, "a frame of {size} bytes");
    let mut frame = vec![0; 4 + size];
    frame[..4].copy_from_slice(&length);
    from.read_exact(&mut frame[4..])?;
    Ok(frame)
}

fn number(frame: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(frame[at..at + 4].try_into().unwrap())
}

fn short(frame: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([frame[at], frame[at + 1]])
}

/// Notes who asks what: behind the length of a request are its kind, a version, its number and the client's name.
fn note(asked: &Asked, request: &[u8]) -> (i16, String) {
    let named = usize::try_from(short(request, 12)).unwrap_or(0);
    let note = (short(request, 4), String::from_utf8_lossy(&request[14..14 + named]).into_owned());
    asked.lock().unwrap().insert(number(request, 8), note.clone());
    note
}

/// Finds again who asked for an answer: behind its length is the request's number.
fn find(asked: &Asked, answer: &[u8]) -> (i16, String) {
    asked.lock().unwrap().remove(&number(answer, 4)).unwrap_or_default()
}

/// Carries frames of one direction until the connection ends.
fn carry(from: &mut TcpStream, to: &Line, watch: &impl Watch, is_answer: bool, whose: impl Fn(&[u8]) -> (i16, String)) {
    while let Ok(bytes) = frame(from) {
        let (kind, client) = whose(&bytes);
        match watch.decide(&Frame { kind, client: &client, is_answer, bytes: &bytes }, to) {
            Fate::Goes if to.send(&bytes).is_ok() => {}
            Fate::Stays => {}
            Fate::Goes | Fate::Lost => break,
        }
    }
    // What is closed already is what is wanted.
    let _ = (from.shutdown(Shutdown::Both), to.0.lock().unwrap().shutdown(Shutdown::Both));
}

/// Carries one connection.
fn connect(client: TcpStream, behind: u16, watch: &Arc<impl Watch>) -> io::Result<()> {
    let broker = TcpStream::connect(("127.0.0.1", behind))?;
    let (mut from_client, mut from_broker) = (client.try_clone()?, broker.try_clone()?);
    let (to_client, to_broker) = (Line::to(client), Line::to(broker));
    let asked = Arc::new(Asked::default());
    let (noted, watching) = (Arc::clone(&asked), Arc::clone(watch));
    std::thread::spawn(move || carry(&mut from_client, &to_broker, &*watching, false, |request| note(&noted, request)));
    carry(&mut from_broker, &to_client, &**watch, true, |answer| find(&asked, answer));
    Ok(())
}

/// Starts a broker behind a proxy, which ends with the test's process. Gives the proxy's address too; `None` where there is no broker.
pub(super) fn start(extra: &Extra, watch: &Arc<impl Watch>) -> Option<(Broker, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let watch = Arc::clone(watch);
    let proxy = move |behind| {
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let watch = Arc::clone(&watch);
                std::thread::spawn(move || connect(client, behind, &watch));
            }
        });
    };
    Some((Broker::start_behind(port, extra, proxy)?, format!("127.0.0.1:{port}")))
}

/// Takes every third answer to the end of a transaction away.
#[derive(Default)]
struct Cuts {
    /// Answers seen.
    seen: AtomicUsize,
    /// Answers taken away.
    cut: AtomicUsize,
}

impl Watch for Cuts {
    fn decide(&self, frame: &Frame<'_>, _: &Line) -> Fate {
        if frame.kind == END_TXN && frame.is_answer && self.seen.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
            self.cut.fetch_add(1, Ordering::Relaxed);
            return Fate::Lost;
        }
        Fate::Goes
    }
}

#[test]
fn a_commit_whose_answer_is_lost_happens_once() {
    const RECORDS: u32 = 120;
    let cuts = Arc::new(Cuts::default());
    let Some((_broker, address)) = start(&Extra::default(), &cuts) else { return };
    let cache = tempfile::tempdir().unwrap();
    let log = KafkaLog::open(options(&address, &broker::fresh_prefix(), cache.path())).unwrap();
    feed(&log, 0..RECORDS);
    drain(&log);
    assert_same(&outcome(&log), &expected(0..RECORDS));
    assert!(cuts.cut.load(Ordering::Relaxed) > 5, "{} answers were taken away", cuts.cut.load(Ordering::Relaxed));
}
