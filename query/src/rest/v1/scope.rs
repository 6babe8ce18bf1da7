//! Whose things a request of the first API is about.

use super::inputs::integer_param;
use crate::ids;
use crate::rest::Rest;
use crate::rest::answer::Failure;
use crate::rest::call::Call;
use crate::rest::endpoint::Parameter;
use crate::viewer::Viewer;

/// No tenant is called this: who sees as it sees nothing.
const NOBODY: &str = "";

/// Whose things a request is about: everybody's for a superuser, unless they name a user. What others say there is ignored: they see their
/// own.
///
/// # Errors
/// 400 where `user_id` is no number, whoever asks.
pub(super) fn viewer(rest: &Rest, call: &Call) -> Result<Viewer, Failure> {
    let asked = integer_param(call, "user_id", i64::MIN, i64::MAX, "user_id must be an integer.")?;
    let principal = call.principal()?;
    match asked {
        Some(id) if principal.superuser => {
            let user = rest.backend()?.users(None).into_iter().find(|user| ids::user_id(&user.name) == id);
            Ok(Viewer::tenant(user.map_or_else(|| NOBODY.to_owned(), |user| user.tenant)))
        }
        _ => Ok(principal.viewer()),
    }
}

/// The tenant of a viewer, if it is one's.
pub(super) fn tenant(viewer: &Viewer) -> Option<&str> {
    match viewer {
        Viewer::Everything => None,
        Viewer::Tenant(tenant) => Some(tenant),
    }
}

/// What names a user.
pub(super) fn user_id_param() -> Parameter {
    let meaning = "Only what is this user's tenant's, for superusers; of others it is ignored.";
    Parameter::query("user_id", meaning, serde_json::json!({"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX}), 1)
}
