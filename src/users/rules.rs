//! What users, tenants and tokens can be called.

use cloudigrade_query::rest::backend::{NewUser, Refused};
use cloudigrade_schemas::account::{TENANT_CHARS_MAX, is_tenant};
use cloudigrade_schemas::user::{USER_CHARS_MAX, is_user_name};

use crate::limits::{EMAIL_CHARS_MAX, TOKEN_LABEL_CHARS_MAX};

/// Something that cannot be, by the field that is at fault.
pub fn invalid(field: &'static str, code: &str, message: impl Into<String>) -> Refused {
    Refused::Invalid { field: Some(field), code: code.to_owned(), message: message.into(), details: Vec::new() }
}

/// Whether all that a user would be called can be.
///
/// # Errors
/// [`Refused::Invalid`].
pub fn check_new(new: &NewUser) -> Result<(), Refused> {
    if !is_user_name(&new.name) {
        let message = format!("a user's name has letters, digits and ._@+- of ASCII, at most {USER_CHARS_MAX}");
        return Err(invalid("name", "invalid_name", message));
    }
    let tenant = new.tenant.as_deref();
    if !is_tenant(tenant.unwrap_or(&new.name)) {
        let which =
            if tenant.is_some() { "a tenant's name" } else { "the tenant is called like the user unless another is named, and its name" };
        return Err(invalid(
            "tenant",
            "invalid_tenant",
            format!("{which} has letters, digits and ._@+- of ASCII, at most {TENANT_CHARS_MAX}"),
        ));
    }
    match &new.email {
        Some(email) if !is_email(email) => Err(invalid("email", "invalid_email", "this is no email address")),
        _ => Ok(()),
    }
}

/// Whether a token can have this label.
///
/// # Errors
/// [`Refused::Invalid`].
pub fn check_label(label: Option<&str>) -> Result<(), Refused> {
    match label {
        Some(label) if label.chars().count() > TOKEN_LABEL_CHARS_MAX || label.chars().any(char::is_control) => {
            let message = format!("a label has at most {TOKEN_LABEL_CHARS_MAX} characters, none of them a control character");
            Err(invalid("label", "invalid_label", message))
        }
        _ => Ok(()),
    }
}

/// Only what is surely none is refused: whether it is somebody's, only a message to it can tell.
fn is_email(text: &str) -> bool {
    let inside = text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    inside && text.chars().count() <= EMAIL_CHARS_MAX && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}
