//! Answers what is asked about users.

use cloudigrade_query::rest::backend::{NewUser, Refused, UserInfo};

use super::service::Service;
use super::wire::{Refusal, UsersAnswer, UsersOperation, UsersRequest};

/// Does what is asked.
///
/// # Errors
/// [`Refusal`]: nothing of it was done.
pub(super) async fn answer(service: &Service, UsersRequest { by, operation }: UsersRequest) -> Result<UsersAnswer, Refusal> {
    let directory = &service.directory;
    let one = |user: UserInfo| UsersAnswer { users: vec![user], ..UsersAnswer::default() };
    let find = |name: &str| {
        let found = directory.users(None).into_iter().find(|user| user.name == name);
        found.ok_or_else(|| {
            Refusal::new("unknown_user", format!("there is no user {name:?}"), "`cloudigrade users list` shows those there are")
        })
    };
    Ok(match operation {
        UsersOperation::Create { name, tenant, email, superuser, password } => {
            let new = NewUser { name, tenant, email, superuser, password: password.reveal().to_owned() };
            one(directory.create(new, &by).await?)
        }
        UsersOperation::List => UsersAnswer { users: directory.users(None), ..UsersAnswer::default() },
        UsersOperation::Disable { name } => one(directory.disable(&find(&name)?.name, true, &by).await?),
        UsersOperation::Enable { name } => one(directory.disable(&find(&name)?.name, false, &by).await?),
        UsersOperation::Reset { name, password } => {
            let user = find(&name)?;
            let revoked = directory.tokens(&name).len();
            directory.reset_password(&name, password, &by).await?;
            UsersAnswer { revoked, ..one(user) }
        }
        UsersOperation::Tokens { name } => {
            let user = find(&name)?;
            UsersAnswer { tokens: directory.tokens(&name), ..one(user) }
        }
        UsersOperation::Revoke { name, hash: None } => {
            let user = find(&name)?;
            UsersAnswer { revoked: directory.revoke_all(&name, &by).await?, ..one(user) }
        }
        UsersOperation::Revoke { name, hash: Some(beginning) } => {
            let user = find(&name)?;
            let mut found = directory.tokens(&name).into_iter().filter(|token| token.hash.starts_with(&beginning));
            let (Some(token), None) = (found.next(), found.next()) else {
                let detail = format!("{name:?} has no token, or several, whose hash begins with {beginning:?}");
                return Err(Refusal::new("unknown_token", detail, "`cloudigrade users tokens` shows those there are"));
            };
            match directory.revoke_by_hash(&name, &token.hash).await {
                // It ended by itself meanwhile: that is what was wanted.
                Ok(()) | Err(Refused::NotFound { .. }) => UsersAnswer { revoked: 1, ..one(user) },
                Err(refused) => return Err(refused.into()),
            }
        }
    })
}
