//! Who makes a request: by a token, or by what a trusted proxy says.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use warp::http::header::AUTHORIZATION;
use warp::http::{HeaderMap, StatusCode};

use cloudigrade_schemas::TokenScope;

use super::Rest;
use super::answer::Failure;
use super::endpoint::Access;
use super::principal::Principal;

/// What the trusted proxy says, in base64 of JSON.
pub const IDENTITY_HEADER: &str = "x-rh-identity";

/// Characters of a token: 160 bits in hex.
const TOKEN_CHARS: usize = 40;

/// Who makes a request, if they may. `through_proxy` says whether a proxy hands it on that is believed.
///
/// # Errors
/// 401 where nobody proves who they are, 403 where they may not, or where what the proxy says is of no use.
pub(super) fn identify(rest: &Rest, access: Access, headers: &HeaderMap, through_proxy: bool) -> Result<Option<Arc<Principal>>, Failure> {
    let vouched = || if through_proxy { vouched(rest, headers) } else { Ok(None) };
    match access {
        // Somebody who may be anybody is not refused for what they say of themselves.
        Access::Open => Ok(by_token(rest, headers).ok().flatten()),
        Access::User(scope) => allowed(rest, by_token(rest, headers)?, scope, false),
        Access::Superuser(scope) => allowed(rest, by_token(rest, headers)?, scope, true),
        Access::Identity => match vouched()? {
            Some(Vouched::Known(principal)) => Ok(Some(principal)),
            Some(Vouched::Stranger) => Err(identity_failure("Incorrect authentication credentials.")),
            None => allowed(rest, by_token(rest, headers)?, TokenScope::Read, false),
        },
        Access::AnyIdentity => match vouched()? {
            Some(Vouched::Known(principal)) => Ok(Some(principal)),
            Some(Vouched::Stranger) => Ok(None),
            None => allowed(rest, by_token(rest, headers)?, TokenScope::Read, false),
        },
    }
}

fn allowed(rest: &Rest, who: Option<Arc<Principal>>, scope: TokenScope, superuser: bool) -> Result<Option<Arc<Principal>>, Failure> {
    match who {
        Some(principal) if superuser && !principal.superuser => Err(Failure::forbidden()),
        Some(principal) if !principal.may(scope) => {
            let message = format!("This token does not allow it: it takes one of the scope {:?}.", scope.word());
            Err(Failure::new(StatusCode::FORBIDDEN, "scope", message))
        }
        Some(principal) => Ok(Some(principal)),
        None if rest.options().open && scope == TokenScope::Read => Ok(Some(anybody())),
        None => Err(Failure::unauthenticated()),
    }
}

/// Whoever reaches a server that is open to all: they read everything and change nothing.
fn anybody() -> Arc<Principal> {
    Arc::new(Principal { name: "anybody".into(), tenant: "".into(), superuser: true, scope: TokenScope::Read })
}

/// Whom the token stands for, if there is one.
fn by_token(rest: &Rest, headers: &HeaderMap) -> Result<Option<Arc<Principal>>, Failure> {
    let Some(token) = token(headers)? else { return Ok(None) };
    let invalid = || Failure::unauthenticated_as("Invalid token.");
    if token.len() != TOKEN_CHARS || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(invalid());
    }
    // A server that only reads knows nobody.
    let backend = rest.backend().map_err(|_| invalid())?;
    backend.bearer(&token.to_ascii_lowercase()).map(|principal| Some(Arc::new(principal))).ok_or_else(invalid)
}

/// The token of `Authorization: Token ...` or `Bearer ...`. Other schemes are as none.
fn token(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let refuse = |why: &str| Err(Failure::unauthenticated_as(&format!("Invalid token header. {why}")));
    let Ok(value) = value.to_str() else { return refuse("Token string should not contain invalid characters.") };
    let mut words = value.split_ascii_whitespace();
    match words.next() {
        Some(scheme) if scheme.eq_ignore_ascii_case("token") || scheme.eq_ignore_ascii_case("bearer") => {}
        _ => return Ok(None),
    }
    match (words.next(), words.next()) {
        (Some(token), None) => Ok(Some(token)),
        (None, _) => refuse("No credentials provided."),
        (Some(_), Some(_)) => refuse("Token string should not contain spaces."),
    }
}

/// For whom the proxy vouches.
enum Vouched {
    Known(Arc<Principal>),
    /// An identity that reads well and belongs to nobody here.
    Stranger,
}

#[derive(Deserialize)]
struct Envelope {
    identity: Identity,
}

#[derive(Deserialize)]
struct Identity {
    #[serde(default)]
    account_number: Option<String>,
    #[serde(default)]
    org_id: Option<String>,
}

/// What the proxy says; `None` where it says nothing, or is not to be believed.
fn vouched(rest: &Rest, headers: &HeaderMap) -> Result<Option<Vouched>, Failure> {
    let Some(header) = headers.get(IDENTITY_HEADER).filter(|_| rest.options().identity) else { return Ok(None) };
    let unreadable = || identity_failure("Authentication Failed: invalid identity header failed parsing.");
    let decoded = STANDARD.decode(header.as_bytes()).map_err(|_| unreadable())?;
    let Envelope { identity } = serde_json::from_slice(&decoded).map_err(|_| unreadable())?;
    let given = |number: Option<String>| number.filter(|number| !number.is_empty());
    let (account_number, org_id) = (given(identity.account_number), given(identity.org_id));
    if account_number.is_none() && org_id.is_none() {
        let message = "Authentication Failed: identity account number or org id is required, but neither is present in request.";
        return Err(identity_failure(message));
    }
    let known = rest.backend()?.identity(account_number.as_deref(), org_id.as_deref());
    Ok(Some(known.map_or(Vouched::Stranger, |principal| Vouched::Known(Arc::new(principal)))))
}

fn identity_failure(message: &str) -> Failure {
    Failure::new(StatusCode::FORBIDDEN, "identity", message)
}
