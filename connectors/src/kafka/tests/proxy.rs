//! A proxy that takes answers away: Kafka did what it was asked, and whoever asked does not learn it.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::super::KafkaLog;
use super::broker::Broker;
use super::fold::{assert_same, drain, expected, feed, outcome};
use super::{broker, options};

/// Kafka's number of the request that ends a transaction.
const END_TXN: i16 = 26;
/// A frame of Kafka's protocol is this long at most in these tests, in bytes.
const FRAME_MAX: usize = 64 << 20;

/// What the threads of a proxy share.
#[derive(Default)]
struct Cuts {
    /// Ends of transactions seen.
    seen: AtomicUsize,
    /// Answers taken away.
    cut: AtomicUsize,
}

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

fn close(a: &TcpStream, b: &TcpStream) {
    // One that is closed already is what is wanted.
    let _ = (a.shutdown(Shutdown::Both), b.shutdown(Shutdown::Both));
}

/// Carries one connection. Every third answer to the end of a transaction is taken away, with the connection.
fn carry(client: TcpStream, port: u16, cuts: &Arc<Cuts>) -> io::Result<()> {
    let broker = TcpStream::connect(("127.0.0.1", port))?;
    let (mut from_client, mut to_broker) = (client.try_clone()?, broker.try_clone()?);
    let doomed = Arc::new(Mutex::new(BTreeSet::new()));
    let (marked, counted) = (Arc::clone(&doomed), Arc::clone(cuts));
    std::thread::spawn(move || {
        while let Ok(request) = frame(&mut from_client) {
            let kind = i16::from_be_bytes([request[4], request[5]]);
            if kind == END_TXN && counted.seen.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
                marked.lock().unwrap().insert(number(&request, 8));
            }
            if to_broker.write_all(&request).is_err() {
                break;
            }
        }
        close(&from_client, &to_broker);
    });
    let (mut from_broker, mut to_client) = (broker, client);
    while let Ok(answer) = frame(&mut from_broker) {
        if doomed.lock().unwrap().contains(&number(&answer, 4)) {
            cuts.cut.fetch_add(1, Ordering::Relaxed);
            break;
        }
        if to_client.write_all(&answer).is_err() {
            break;
        }
    }
    close(&from_broker, &to_client);
    Ok(())
}

#[test]
fn a_commit_whose_answer_is_lost_happens_once() {
    const RECORDS: u32 = 120;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let cuts = Arc::new(Cuts::default());
    let counted = Arc::clone(&cuts);
    let proxy = move |behind| {
        // It ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let cuts = Arc::clone(&counted);
                std::thread::spawn(move || carry(client, behind, &cuts));
            }
        });
    };
    let Some(_broker) = Broker::start_behind(port, proxy) else { return };
    let cache = tempfile::tempdir().unwrap();
    let log = KafkaLog::open(options(&format!("127.0.0.1:{port}"), &broker::fresh_prefix(), cache.path())).unwrap();
    feed(&log, 0..RECORDS);
    drain(&log);
    assert_same(&outcome(&log), &expected(0..RECORDS));
    assert!(cuts.cut.load(Ordering::Relaxed) > 5, "{} answers were taken away", cuts.cut.load(Ordering::Relaxed));
}
