//! A disk that another process reads for this one: it is no file of this machine, or this process may open nothing.
//!
//! The one asks over a connection for bytes, the other answers with them or with why not; nothing else is ever said. Neither side trusts
//! the other to keep to that.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::{BlockSource, checked_range};
use crate::error::{ReadError, Result};
use crate::limits::{SERVED_MESSAGE_BYTES_MAX, SERVED_READ_BYTES_MAX};

/// Bytes of a question: an offset, then a count, both with the lowest byte first.
const QUESTION_BYTES: usize = 12;
/// What an answer with bytes begins with. The number of bytes follows, as in the question, then they.
const BYTES: u8 = 0;
/// What an answer begins with that says why there are none; its text follows in the same way.
const FAILURE: u8 = 1;

/// A disk at the other end of a connection.
#[derive(Debug)]
pub struct Served {
    /// A socket as a file: then it is read and written by the two calls that a confined process has.
    connection: Mutex<File>,
    name: String,
    len: u64,
}

impl Served {
    /// A disk of `len` bytes that messages call `name`.
    pub fn new(connection: File, name: impl Into<String>, len: u64) -> Self {
        Self { connection: Mutex::new(connection), name: name.into(), len }
    }

    /// Asks for at most [`SERVED_READ_BYTES_MAX`] bytes.
    fn ask(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let count = buf.len();
        let failed = |error| ReadError::Device { what: format!("{count} bytes of {} at byte {offset}", self.name), error };
        // A question that was given up half-way makes what follows senseless; then every later one fails too, and none gets wrong bytes.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        match exchange(&mut connection, offset, buf) {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(failed(Arc::new(io::Error::other(why)))),
            Err(error) => Err(failed(Arc::new(error))),
        }
    }
}

/// Asks, and fills `buf`; or gives the reason of the other side.
fn exchange(connection: &mut File, offset: u64, buf: &mut [u8]) -> io::Result<Option<String>> {
    let mut question = [0; QUESTION_BYTES];
    question[..8].copy_from_slice(&offset.to_le_bytes());
    question[8..].copy_from_slice(&u32::try_from(buf.len()).map_err(io::Error::other)?.to_le_bytes());
    connection.write_all(&question)?;
    let mut head = [0; 5];
    connection.read_exact(&mut head)?;
    let count = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
    match head[0] {
        BYTES if count == buf.len() => connection.read_exact(buf).map(|()| None),
        FAILURE if count <= SERVED_MESSAGE_BYTES_MAX => {
            let mut why = vec![0; count];
            connection.read_exact(&mut why)?;
            Ok(Some(String::from_utf8_lossy(&why).into_owned()))
        }
        _ => Err(io::Error::other("an answer that is none to what was asked")),
    }
}

impl BlockSource for Served {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let mut at = checked_range(self.len, offset, buf.len())?;
        for piece in buf.chunks_mut(SERVED_READ_BYTES_MAX) {
            self.ask(at, piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }
}

/// Reads a disk for whoever is at the other end of a connection, until they are gone or ask for what nobody who keeps to the rules does.
pub fn serve(source: &dyn BlockSource, mut connection: impl Read + Write) {
    let mut question = [0; QUESTION_BYTES];
    let mut bytes = Vec::new();
    while connection.read_exact(&mut question).is_ok() {
        let [a, b, c, d, e, f, g, h, count @ ..] = question;
        let offset = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let count = u32::from_le_bytes(count) as usize;
        if count > SERVED_READ_BYTES_MAX {
            return;
        }
        bytes.resize(count, 0);
        let told = match source.read_at(offset, &mut bytes) {
            Ok(()) => tell(&mut connection, BYTES, &bytes),
            Err(why) => {
                let why = why.to_string();
                tell(&mut connection, FAILURE, &why.as_bytes()[..why.len().min(SERVED_MESSAGE_BYTES_MAX)])
            }
        };
        if told.is_err() {
            return;
        }
    }
}

fn tell(connection: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let mut head = [kind; 5];
    head[1..].copy_from_slice(&u32::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes());
    connection.write_all(&head)?;
    connection.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    fn connected(source: impl BlockSource + 'static) -> (Served, thread::JoinHandle<()>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let len = source.len();
        let serving = thread::spawn(move || serve(&source, ours));
        (Served::new(File::from(OwnedFd::from(theirs)), "snap-1", len), serving)
    }

    /// Fails for all bytes from 1000 on.
    struct HalfBad;

    impl BlockSource for HalfBad {
        fn len(&self) -> u64 {
            2000
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
            buf.fill(1);
            if offset < 1000 { Ok(()) } else { Err(ReadError::not_found("block 7")) }
        }
    }

    #[test]
    fn bytes_come_as_they_are_however_many_are_asked_for_and_serving_ends_with_the_one_who_asks() {
        let bytes: Vec<u8> = (0..3 * SERVED_READ_BYTES_MAX + 7).map(|at| (at * 31 / 7) as u8).collect();
        let (served, serving) = connected(bytes.clone());
        let mut all = vec![0; bytes.len()];
        served.read_at(0, &mut all).unwrap();
        assert!(all == bytes);
        let mut few = [0; 9];
        served.read_at(SERVED_READ_BYTES_MAX as u64 - 4, &mut few).unwrap();
        assert_eq!(few, bytes[SERVED_READ_BYTES_MAX - 4..SERVED_READ_BYTES_MAX + 5]);
        drop(served);
        serving.join().unwrap();
    }

    #[test]
    fn a_failure_is_told_with_its_reason_and_the_next_question_is_answered() {
        let (served, _) = connected(HalfBad);
        let error = served.read_at(1000, &mut [0; 2]).unwrap_err().to_string();
        assert_eq!(error, "cannot read 2 bytes of snap-1 at byte 1000: block 7 does not exist");
        let mut buf = [0; 2];
        served.read_at(5, &mut buf).unwrap();
        assert_eq!(buf, [1, 1]);
        assert!(matches!(served.read_at(1999, &mut buf), Err(ReadError::Corrupt { .. })));
    }

    #[test]
    fn who_asks_for_more_than_the_limit_is_served_no_more() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let serving = thread::spawn(move || serve(&vec![0; 100], ours));
        let mut question = [0; QUESTION_BYTES];
        question[8..].copy_from_slice(&u32::MAX.to_le_bytes());
        theirs.write_all(&question).unwrap();
        serving.join().unwrap();
        assert_eq!(theirs.read(&mut [0; 1]).unwrap(), 0);
    }

    #[test]
    fn a_connection_that_ends_or_says_nonsense_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let served = Served::new(File::from(OwnedFd::from(theirs)), "snap-1", 100);
        let nonsense = thread::spawn(move || {
            let mut ours = ours;
            ours.read_exact(&mut [0; QUESTION_BYTES]).unwrap();
            ours.write_all(&[BYTES, 255, 255, 255, 255]).unwrap();
        });
        assert!(served.read_at(0, &mut [0; 4]).unwrap_err().to_string().contains("an answer that is none"));
        nonsense.join().unwrap();
        assert!(served.read_at(0, &mut [0; 4]).is_err());
    }
}
