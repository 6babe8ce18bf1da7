//! The control socket: how commands reach a server that has the log for itself.
//!
//! A Unix socket in the data folder, for whoever owns the folder. One request and one answer a connection, each one line of JSON.

use std::future::Future;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::wire::{Ask, Refusal, Told};

/// The socket's name in the data folder.
const NAME: &str = "control.sock";
/// Bytes of a request or an answer, at most.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Connections that are served at once.
const CONNECTIONS_MAX: usize = 16;
/// How long a client may take to send its request, or to take its answer.
const LINE_WITHIN: Duration = Duration::from_secs(10);
/// How long what is being answered may take once the server stops; then the connection is cut, and the client says so.
const LAST_ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long is waited after the system gave no connection, such as for want of file descriptors.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long an answer may take: a registration asks AWS many things.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// Why the socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It cannot be made.
    #[error("{}: the control socket cannot be made: {cause}; check that the folder can be written to and that its path is shorter than 100 bytes", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The server does not answer.
    #[error("{}: the server does not answer: {cause}; look at its messages, or restart it", path.display())]
    Silent {
        /// The socket.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
}

/// The server's end. The file is removed when this is dropped.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    last_answer_within: Duration,
}

impl Control {
    /// Makes the socket. Only the process that has the log may: what is left of an earlier one is removed.
    ///
    /// # Errors
    /// [`ControlError::Bind`].
    pub fn bind(folder: &Path) -> Result<Self, ControlError> {
        let path = folder.join(NAME);
        let fail = |cause| ControlError::Bind { path: path.clone(), cause };
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(fail)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(fail)?;
        Ok(Self { listener, path, last_answer_within: LAST_ANSWER_WITHIN })
    }

    /// Answers until it is told to stop; then nobody can connect any more, and those that had get a little time. A client that takes its
    /// time must not keep the server from ending.
    pub async fn serve<F, R>(self, stop: CancellationToken, answer: F)
    where
        F: Fn(Ask) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Told, Refusal>> + Send,
    {
        let answer = Arc::new(answer);
        let mut conversations = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => take(stream, &mut conversations, &answer),
                Err(error) => {
                    tracing::warn!(%error, "a connection to the control socket failed");
                    _ = tokio::time::timeout(ACCEPT_AGAIN_AFTER, stop.cancelled()).await;
                }
            }
        }
        // Whoever connected before the file is gone waits for an answer, and cannot know that nobody took the connection.
        self.remove_file();
        loop {
            match self.waiting() {
                Ok(Some(stream)) => take(stream, &mut conversations, &answer),
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "a connection to the control socket failed");
                    break;
                }
            }
        }
        let last_answers = async { while conversations.join_next().await.is_some() {} };
        if tokio::time::timeout(self.last_answer_within, last_answers).await.is_err() {
            tracing::warn!("requests over the control socket were under way and are cut off; what was decided of them is in the log");
            conversations.shutdown().await;
        }
    }

    /// A connection that waits already. The system is asked itself: the runtime may not have heard of it yet.
    fn waiting(&self) -> std::io::Result<Option<UnixStream>> {
        let listener = std::os::unix::net::UnixListener::from(self.listener.as_fd().try_clone_to_owned()?);
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                UnixStream::from_std(stream).map(Some)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A file that cannot be removed is removed by the next server.
    fn remove_file(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.remove_file();
    }
}

/// Answers a connection in a task of its own, where there are not too many.
fn take<F, R>(stream: UnixStream, conversations: &mut JoinSet<()>, answer: &Arc<F>)
where
    F: Fn(Ask) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Told, Refusal>> + Send,
{
    while conversations.try_join_next().is_some() {}
    if conversations.len() >= CONNECTIONS_MAX {
        tracing::warn!(limit = CONNECTIONS_MAX, "too many connections to the control socket: one was refused");
        return;
    }
    let answer = Arc::clone(answer);
    conversations.spawn(async move {
        if let Err(error) = converse(stream, &*answer).await {
            tracing::debug!(%error, "a connection to the control socket ended early");
        }
    });
}

async fn converse<F, R>(stream: UnixStream, answer: &F) -> std::io::Result<()>
where
    F: Fn(Ask) -> R,
    R: Future<Output = Result<Told, Refusal>>,
{
    let (reading, mut writing) = stream.into_split();
    let line = tokio::time::timeout(LINE_WITHIN, read_line(reading)).await??;
    let answered = match serde_json::from_slice(&line) {
        Ok(request) => answer(request).await,
        Err(error) => Err(Refusal::new("bad_request", error.to_string(), "use the same version of the program as the server")),
    };
    let mut line = serde_json::to_vec(&answered).map_err(std::io::Error::other)?;
    line.push(b'\n');
    tokio::time::timeout(LINE_WITHIN, writing.write_all(&line)).await?
}

async fn read_line(reading: impl tokio::io::AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(reading.take(LINE_BYTES_MAX)).read_until(b'\n', &mut line).await?;
    if line.last() != Some(&b'\n') {
        return Err(std::io::Error::new(ErrorKind::UnexpectedEof, "the line is not complete"));
    }
    Ok(line)
}

/// Asks the server of a data folder. `None` when none runs there.
///
/// # Errors
/// [`ControlError::Silent`] when one runs but does not answer.
pub async fn ask(folder: &Path, request: &Ask) -> Result<Option<Result<Told, Refusal>>, ControlError> {
    let path = folder.join(NAME);
    let stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        // A path that is too long for a socket, or leads through a file, has no server. The log says what else is wrong with it.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::InvalidInput | ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(cause) => return Err(ControlError::Silent { path, cause }),
    };
    let exchange = async {
        let (reading, mut writing) = stream.into_split();
        let mut line = serde_json::to_vec(request).map_err(std::io::Error::other)?;
        line.push(b'\n');
        writing.write_all(&line).await?;
        serde_json::from_slice(&read_line(reading).await?).map_err(std::io::Error::other)
    };
    let answered = tokio::time::timeout(ANSWER_WITHIN, exchange).await.map_err(std::io::Error::from).and_then(|answered| answered);
    answered.map(Some).map_err(|cause| ControlError::Silent { path, cause })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::wire::{LettersAction, LettersAnswer, LettersRequest};

    fn request() -> Ask {
        Ask::DeadLetters(LettersRequest { ids: vec!["a".to_owned()], by: "b".to_owned(), action: LettersAction::Replay })
    }

    #[tokio::test]
    async fn a_request_is_answered_and_without_a_server_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ask(folder.path(), &request()).await.unwrap().is_none());
        let control = Control::bind(folder.path()).unwrap();
        let stop = CancellationToken::new();
        let answer = |asked| async move {
            let Ask::DeadLetters(asked) = asked else { panic!("{asked:?}") };
            Ok(Told::DeadLetters(LettersAnswer { resolved: asked.ids, ..LettersAnswer::default() }))
        };
        let served = tokio::spawn(control.serve(stop.clone(), answer));
        let told = ask(folder.path(), &request()).await.unwrap().unwrap().unwrap();
        let Told::DeadLetters(told) = told else { panic!("{told:?}") };
        assert_eq!(told.resolved, ["a"]);
        stop.cancel();
        served.await.unwrap();
        assert!(ask(folder.path(), &request()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn who_connected_before_the_server_stopped_is_answered_still() {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::bind(folder.path()).unwrap();
        let early = UnixStream::connect(folder.path().join(NAME)).await.unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        let served = tokio::spawn(control.serve(stop, |_| async { Ok(Told::Override) }));
        let (reading, mut writing) = early.into_split();
        writing.write_all(&[&serde_json::to_vec(&request()).unwrap()[..], b"\n"].concat()).await.unwrap();
        let told: Result<Told, Refusal> = serde_json::from_slice(&read_line(reading).await.unwrap()).unwrap();
        assert!(matches!(told, Ok(Told::Override)));
        served.await.unwrap();
        assert!(ask(folder.path(), &request()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn only_the_owner_can_reach_the_socket_and_what_a_dead_server_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let first = Control::bind(folder.path()).unwrap();
        let mode = std::fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::mem::forget(first);
        assert!(Control::bind(folder.path()).is_ok());
    }

    #[tokio::test]
    async fn neither_a_client_that_says_nothing_nor_an_answer_without_end_keeps_the_server_from_ending() {
        let folder = tempfile::tempdir().unwrap();
        let mut control = Control::bind(folder.path()).unwrap();
        control.last_answer_within = Duration::from_millis(1);
        let stop = CancellationToken::new();
        let (asked, mut was_asked) = tokio::sync::mpsc::channel(1);
        let served = tokio::spawn(control.serve(stop.clone(), move |_| {
            let asked = asked.clone();
            async move {
                asked.send(()).await.unwrap();
                std::future::pending().await
            }
        }));
        let silent = UnixStream::connect(folder.path().join(NAME)).await.unwrap();
        let path = folder.path().to_owned();
        let waits = tokio::spawn(async move { ask(&path, &request()).await });
        was_asked.recv().await.unwrap();
        stop.cancel();
        served.await.unwrap();
        assert!(matches!(waits.await.unwrap(), Err(ControlError::Silent { .. })));
        drop(silent);
    }

    #[tokio::test]
    async fn where_no_server_can_be_none_is_said_to_be_silent() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for place in [file, folder.path().join("x".repeat(120))] {
            assert!(ask(&place, &request()).await.unwrap().is_none(), "{}", place.display());
        }
    }
}
