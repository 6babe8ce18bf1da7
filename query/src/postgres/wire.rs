//! A connection's bytes: messages in, messages out, within their limits.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::frontend::{self, Frontend, Malformed, Opening};
use crate::limits::{PG_OPENING_BYTES_MAX, PG_PASSWORD_BYTES_MAX, PG_WRITE_BYTES};

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// Its other end has gone.
    #[error("the client has gone")]
    Gone,
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It takes nothing of what it is sent.
    #[error("the client takes nothing of what it is sent")]
    Stalled,
    /// What it sends is not the protocol.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A message is longer than it may be.
    #[error("a message of {length} bytes is longer than the {limit} that it may have")]
    TooLong {
        /// What the client announced.
        length: usize,
        /// What it may have.
        limit: usize,
    },
    /// An answer cannot be written in the protocol.
    #[error("an answer cannot be written: {0}")]
    Unwritable(String),
}

/// A connection.
pub(super) struct Wire<S> {
    stream: S,
    read: BytesMut,
    write: BytesMut,
    /// Bytes of a message, at most.
    message_bytes_max: usize,
    /// How long the client may take nothing.
    stall: Duration,
}

/// The length of a length.
const LENGTH_BYTES: usize = 4;

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, message_bytes_max: usize, stall: Duration) -> Self {
        Self { stream, read: BytesMut::new(), write: BytesMut::new(), message_bytes_max, stall }
    }

    /// The stream, unless the client sent more than it was asked for: what comes before TLS must not be taken for what comes in it.
    pub(super) fn into_stream(self) -> Result<S, Broken> {
        if self.read.is_empty() { Ok(self.stream) } else { Err(Malformed("it comes before its time").into()) }
    }

    /// How a connection begins; `None` where it ends at once. May be dropped at any time.
    pub(super) async fn opening(&mut self) -> Result<Option<Opening>, Broken> {
        let Some(body) = self.frame(0, PG_OPENING_BYTES_MAX).await? else { return Ok(None) };
        Ok(Some(frontend::opening(body.freeze())?))
    }

    /// The next message; `None` where the client ended the connection. May be dropped at any time.
    pub(super) async fn next(&mut self) -> Result<Option<Frontend>, Broken> {
        self.message(self.message_bytes_max).await
    }

    /// The same of somebody who is not let in yet.
    pub(super) async fn password(&mut self) -> Result<Option<Frontend>, Broken> {
        self.message(PG_PASSWORD_BYTES_MAX).await
    }

    async fn message(&mut self, limit: usize) -> Result<Option<Frontend>, Broken> {
        let Some(mut frame) = self.frame(1, limit).await? else { return Ok(None) };
        let kind = frame.get_u8();
        Ok(Some(frontend::message(kind, frame.freeze())?))
    }

    /// The next frame: so many bytes before its length, which is left out, and what the length covers.
    async fn frame(&mut self, before: usize, limit: usize) -> Result<Option<BytesMut>, Broken> {
        loop {
            if let Some(frame) = take_frame(&mut self.read, before, limit)? {
                return Ok(Some(frame));
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return if self.read.is_empty() { Ok(None) } else { Err(Broken::Gone) };
            }
        }
    }

    /// Ends when the client has gone. What it sends meanwhile is kept, as much as one message may be. May be dropped at any time.
    pub(super) async fn gone(&mut self) {
        loop {
            if self.read.len() > self.message_bytes_max {
                return std::future::pending().await;
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// Adds a message to those that the next [`Wire::flush`] sends.
    pub(super) fn put(&mut self, message: &PgWireBackendMessage) -> Result<(), Broken> {
        message.encode(&mut self.write).map_err(|error| Broken::Unwritable(error.to_string()))
    }

    /// Adds one byte, as the answer about TLS is.
    pub(super) fn put_byte(&mut self, byte: u8) {
        self.write.extend_from_slice(&[byte]);
    }

    /// Whether enough waits to be sent.
    pub(super) fn is_full(&self) -> bool {
        self.write.len() >= PG_WRITE_BYTES
    }

    /// Sends what waits. May be dropped at any time: what was not sent still waits.
    pub(super) async fn flush(&mut self) -> Result<(), Broken> {
        while !self.write.is_empty() {
            let written = timeout(self.stall, self.stream.write_buf(&mut self.write)).await.map_err(|_| Broken::Stalled)??;
            if written == 0 {
                return Err(Broken::Gone);
            }
        }
        timeout(self.stall, self.stream.flush()).await.map_err(|_| Broken::Stalled)??;
        Ok(())
    }

    /// Tells the client that this was all.
    pub(super) async fn close(&mut self) {
        // The connection ends in any case.
        _ = timeout(self.stall, self.stream.shutdown()).await;
    }
}

fn take_frame(read: &mut BytesMut, before: usize, limit: usize) -> Result<Option<BytesMut>, Broken> {
    let Some(mut length) = read.get(before..before + LENGTH_BYTES) else { return Ok(None) };
    let length = length.get_u32() as usize;
    if length < LENGTH_BYTES {
        return Err(Malformed("its length is too short for itself").into());
    }
    if length > limit {
        return Err(Broken::TooLong { length, limit });
    }
    if read.len() < before + length {
        return Ok(None);
    }
    let mut frame = read.split_to(before);
    read.advance(LENGTH_BYTES);
    frame.unsplit(read.split_to(length - LENGTH_BYTES));
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    fn wire(limit: usize) -> (Wire<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (near, far) = duplex(1024);
        (Wire::new(near, limit, Duration::from_millis(50)), far)
    }

    #[tokio::test]
    async fn messages_are_read_however_they_are_cut() {
        let (mut wire, mut far) = wire(100);
        let sent = tokio::spawn(async move {
            for byte in b"Q\0\0\0\x0dSELECT 1\0S\0\0\0\x04" {
                far.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(wire.next().await.unwrap(), Some(Frontend::Query("SELECT 1".into())));
        assert_eq!(wire.next().await.unwrap(), Some(Frontend::Sync));
        assert_eq!(wire.next().await.unwrap(), None);
        sent.await.unwrap();
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_is_refused_before_it_is_read() {
        let (mut wire, mut far) = wire(100);
        far.write_all(b"Q\x7f\xff\xff\xff").await.unwrap();
        assert!(matches!(wire.next().await, Err(Broken::TooLong { length: 0x7fff_ffff, limit: 100 })));
    }

    #[tokio::test]
    async fn a_message_without_an_end_is_no_message() {
        let (mut wire, mut far) = wire(100);
        far.write_all(b"Q\0\0\0\x0dSEL").await.unwrap();
        drop(far);
        assert!(matches!(wire.next().await, Err(Broken::Gone)));
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_breaks_its_connection() {
        let (mut wire, _far) = wire(100);
        (0..PG_WRITE_BYTES).for_each(|_| wire.put_byte(b'x'));
        assert!(wire.is_full());
        assert!(matches!(wire.flush().await, Err(Broken::Stalled)));
    }
}
