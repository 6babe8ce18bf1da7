//! Rows of a connection's questions, on their way.

use futures::StreamExt;
use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Connection, Stop, no_such_cursor};
use super::copy::CopyFormat;
use super::running::Running;
use super::wrong::{Wrong, code};

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    /// Sends all rows of a question with a description of them.
    pub(super) async fn send_whole(&mut self, mut running: Running, tag: &str) -> Result<(), Stop> {
        self.wire.put(&Message::RowDescription(running.description()))?;
        let (sent, _) = self.send(&mut running, usize::MAX).await?;
        self.complete(tag, Some(sent))
    }

    /// Sends rows, so many at most. Tells how many, and whether these were the last.
    pub(super) async fn send(&mut self, running: &mut Running, rows_max: usize) -> Result<(usize, bool), Stop> {
        let mut sent = 0;
        while sent < rows_max {
            if let Some(row) = running.next_row() {
                self.wire.put(&Message::DataRow(row?))?;
                sent += 1;
                self.flush_if_full().await?;
            } else if !self.more(running).await? {
                return Ok((sent, true));
            }
        }
        Ok((sent, false))
    }

    /// Waits for more rows; false if there are none.
    async fn more(&mut self, running: &mut Running) -> Result<bool, Stop> {
        let Some(rows) = &mut running.rows else { return Ok(false) };
        let Some(batch) = self.unless_ended(rows.next()).await?.transpose()? else {
            running.rows = None;
            return Ok(false);
        };
        running.add(batch);
        Ok(true)
    }

    async fn flush_if_full(&mut self) -> Result<(), Stop> {
        if !self.wire.is_full() {
            return Ok(());
        }
        let ending = self.ending.clone();
        tokio::select! {
            biased;
            () = ending.cancelled() => Err(self.ended().into()),
            flushed = self.wire.flush() => Ok(flushed?),
        }
    }

    /// Sends rows as the lines of a file.
    pub(super) async fn copy_out(&mut self, mut running: Running, format: &CopyFormat) -> Result<(), Stop> {
        let columns = running.fields().len();
        let count = i16::try_from(columns).map_err(|_| Wrong::new(code::LIMIT, "there are too many columns"))?;
        self.wire.put(&Message::CopyOutResponse(CopyOutResponse::new(0, count, vec![0; columns])))?;
        if let Some(header) = format.header(running.fields()) {
            self.wire.put(&Message::CopyData(CopyData::new(header.into())))?;
        }
        let mut sent = 0;
        loop {
            if let Some(row) = running.next_row() {
                self.wire.put(&Message::CopyData(CopyData::new(format.row(row?).into())))?;
                sent += 1;
                self.flush_if_full().await?;
            } else if !self.more(&mut running).await? {
                break;
            }
        }
        self.wire.put(&Message::CopyDone(CopyDone::new()))?;
        self.complete("COPY", Some(sent))
    }

    /// Sends rows of a cursor.
    pub(super) async fn fetch(&mut self, cursor: &str, count: usize, formats: &[i16], is_described: bool) -> Result<(), Stop> {
        let mut portal = self.portals.remove(cursor).ok_or_else(|| no_such_cursor(cursor))?;
        let running = portal.running()?;
        if !formats.is_empty() {
            running.reformat(formats)?;
        }
        if is_described {
            self.wire.put(&Message::RowDescription(running.description()))?;
        }
        let (sent, _) = self.send(running, count).await?;
        self.portals.insert(cursor.to_owned(), portal);
        self.complete("FETCH", Some(sent))
    }
}
