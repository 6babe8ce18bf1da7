//! From a connection to a user: encryption, version, password.

use std::net::IpAddr;
use std::sync::Arc;

use cloudigrade_schemas::TokenScope;
use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey};
use pgwire::tokio::server::MaybeTls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::connection::Connection;
use super::frontend::{Frontend, MAJOR, Malformed, Opening};
use super::server::Server;
use super::settings::{Settings, of_options};
use super::wire::{Broken, Wire};
use super::wrong::{Wrong, code};
use crate::rest::principal::Login;

/// Requests before the first message proper, at most: one about TLS and one about GSSAPI.
const REQUESTS_MAX: usize = 2;

/// Lets a client in; `None` where it wanted something else, or is refused.
pub(super) async fn open(stream: TcpStream, peer: IpAddr, server: &Arc<Server>) -> Result<Option<Connection<MaybeTls>>, Broken> {
    let options = &server.options;
    let wire = |stream| Wire::new(stream, options.message_bytes, options.stall);
    let mut plain = wire(MaybeTls::Plain(stream));
    for _ in 0..=REQUESTS_MAX {
        let Some(opening) = plain.opening().await? else { return Ok(None) };
        match (opening, &options.tls) {
            (Opening::Tls, Some(tls)) => {
                plain.put_byte(b'S');
                plain.flush().await?;
                let MaybeTls::Plain(stream) = plain.into_stream()? else { return Ok(None) };
                let mut encrypted = wire(MaybeTls::Tls(Box::new(tls.0.accept(stream).await?)));
                let Some(opening) = encrypted.opening().await? else { return Ok(None) };
                return begin(encrypted, opening, peer, true, server).await;
            }
            (Opening::Tls | Opening::Gss, _) => {
                plain.put_byte(b'N');
                plain.flush().await?;
            }
            (opening, _) => return begin(plain, opening, peer, false, server).await,
        }
    }
    Err(Malformed("it asks for encryption again and again").into())
}

async fn begin<S: AsyncRead + AsyncWrite + Unpin + Send>(
    mut wire: Wire<S>,
    opening: Opening,
    peer: IpAddr,
    is_encrypted: bool,
    server: &Arc<Server>,
) -> Result<Option<Connection<S>>, Broken> {
    let (major, minor, parameters) = match opening {
        Opening::Cancel { pid, key } => {
            server.cancellers.cancel(pid, key);
            return Ok(None);
        }
        Opening::Startup { major, minor, parameters } => (major, minor, parameters),
        Opening::Tls | Opening::Gss => return Err(Malformed("it asks for encryption within encryption").into()),
    };
    match let_in(&mut wire, (major, minor), parameters, peer, is_encrypted, server).await {
        Err(broken @ (Broken::TooLong { .. } | Broken::Malformed(_))) => {
            refuse(wire, Wrong::fatal(code::PROTOCOL, broken.to_string())).await
        }
        Err(broken) => Err(broken),
        Ok(Ok((login, settings, permit))) => {
            let registered = match server.cancellers.register() {
                Ok(registered) => registered,
                Err(error) => return refuse(wire, Wrong { is_fatal: true, ..Wrong::internal(error) }).await,
            };
            wire.put(&Message::Authentication(Authentication::Ok))?;
            for (name, value) in settings.reported() {
                wire.put(&Message::ParameterStatus(ParameterStatus::new(name.to_owned(), value)))?;
            }
            wire.put(&Message::BackendKeyData(BackendKeyData::new(registered.pid, SecretKey::I32(registered.key))))?;
            wire.put(&Message::ReadyForQuery(ReadyForQuery::new(TransactionStatus::Idle)))?;
            wire.flush().await?;
            tracing::info!(target: "cloudigrade::access", user = &*login.principal.name, from = %peer, pid = registered.pid, "postgres connection");
            Ok(Some(Connection::new(wire, Arc::clone(server), login, settings, registered, permit)))
        }
        Ok(Err(wrong)) => refuse(wire, wrong).await,
    }
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin, T>(mut wire: Wire<S>, wrong: Wrong) -> Result<Option<T>, Broken> {
    wire.put(&wrong.told())?;
    wire.flush().await?;
    wire.close().await;
    Ok(None)
}

type LetIn = (Login, Settings, OwnedSemaphorePermit);

/// Finds out who it is. The outer error is that of the connection, the inner one what the client is told.
async fn let_in<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    (major, minor): (u16, u16),
    parameters: Vec<(String, String)>,
    peer: IpAddr,
    is_encrypted: bool,
    server: &Server,
) -> Result<Result<LetIn, Wrong>, Broken> {
    if major != MAJOR {
        return Ok(Err(Wrong::fatal(code::NOT_SUPPORTED, format!("protocol {major}.{minor} is not spoken here: it is 3.0"))));
    }
    let unknown: Vec<String> = parameters.iter().map(|(name, _)| name).filter(|name| name.starts_with("_pq_.")).cloned().collect();
    if minor > 0 || !unknown.is_empty() {
        wire.put(&Message::NegotiateProtocolVersion(NegotiateProtocolVersion::new(i32::from(MAJOR) << 16, unknown)))?;
    }
    if server.options.tls.is_some() && !is_encrypted && !peer.is_loopback() {
        return Ok(Err(Wrong::fatal("28000", "passwords are taken over TLS alone: connect with sslmode=require")));
    }
    let (user, settings) = match settings(&parameters) {
        Ok(read) => read,
        Err(wrong) => return Ok(Err(Wrong { is_fatal: true, ..wrong })),
    };
    let Ok(permit) = Arc::clone(&server.connections).try_acquire_owned() else {
        let message = format!("there are {} connections already; try again later", server.options.connections);
        return Ok(Err(Wrong::fatal(code::TOO_MANY, message)));
    };
    wire.put(&Message::Authentication(Authentication::CleartextPassword))?;
    wire.flush().await?;
    let password = match wire.password().await? {
        Some(Frontend::Password(password)) => password,
        Some(_) => return Err(Malformed("a password is expected").into()),
        None => return Err(Broken::Gone),
    };
    let login = match server.backend.check_password(&user, &password, Some(peer)).await {
        Ok(login) => login,
        Err(refused) => return Ok(Err(refused.into())),
    };
    if !login.principal.may(TokenScope::Read) {
        return Ok(Err(Wrong::fatal(code::NOT_LET_IN, "this user may not read")));
    }
    Ok(Ok((login, settings, permit)))
}

/// Who it says it is, and the settings that it begins with.
fn settings(parameters: &[(String, String)]) -> Result<(String, Settings), Wrong> {
    let given = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let user = given("user").filter(|user| !user.is_empty()).ok_or_else(|| Wrong::fatal("28000", "no user is named"))?;
    if given("replication").is_some_and(|mode| !["false", "off", "no", "0"].contains(&mode)) {
        return Err(Wrong::fatal(code::NOT_SUPPORTED, "there is no replication"));
    }
    let mut settings = Settings::new(user);
    for (name, value) in of_options(given("options").unwrap_or_default())? {
        settings.begin_with(&name, &value)?;
    }
    for (name, value) in parameters {
        // The database may have any name: there is one.
        if !["user", "database", "options", "replication"].contains(&name.as_str()) && !name.starts_with("_pq_.") {
            settings.begin_with(name, value)?;
        }
    }
    Ok((user.to_owned(), settings))
}
