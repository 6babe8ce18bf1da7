//! Who can log in, for superusers.

use std::collections::HashMap;

use cloudigrade_schemas::TokenScope;
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::registered::Accounts;
use super::rows::only_one;
use super::seen_image::SeenImage;
use super::{endpoint, id, id_in_path, id_of};
use crate::ids;
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::backend::UserInfo;
use crate::rest::call::Call;
use crate::rest::describe::{boolean, integer, list, object, text};
use crate::rest::endpoint::{Access, Answer, Endpoint, handler};
use crate::viewer::Viewer;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let access = Access::Superuser(TokenScope::Read);
    vec![
        endpoint(
            (Method::GET, "/api/v1/user/", access),
            ("v1ListUsers", "All users", "In the order in which they were made; all of them at once."),
            Vec::new(),
            vec![Answer::json(200, "The users.", list(schema()), json!([example()]))],
            handler!(list_users),
        ),
        endpoint(
            (Method::GET, "/api/v1/user/{id}/", access),
            ("v1GetUser", "One user", ""),
            vec![id_in_path("The user.")],
            vec![Answer::json(200, "The user.", schema(), example())],
            handler!(get),
        ),
    ]
}

fn schema() -> Value {
    let count = |meaning: &str| {
        let mut schema = integer();
        schema["description"] = json!(meaning);
        schema
    };
    object([
        ("accounts", count("How many accounts their tenant has registered.")),
        ("challenged_images", count("Of how many images their tenant says that the evidence is wrong.")),
        ("id", id()),
        ("is_superuser", boolean()),
        ("username", text()),
    ])
}

fn example() -> Value {
    json!({"accounts": 2, "challenged_images": 0, "id": ids::user_id("alice"), "is_superuser": false, "username": "alice"})
}

/// What is counted of tenants.
struct Counts {
    accounts: HashMap<String, usize>,
    challenged: HashMap<String, usize>,
}

impl Counts {
    async fn of(rest: &Rest) -> Result<Self, Failure> {
        let mut accounts: HashMap<String, usize> = HashMap::new();
        for known in Accounts::of(rest, &Viewer::Everything).await?.all {
            *accounts.entry(known.account.tenant).or_default() += 1;
        }
        let mut challenged: HashMap<String, usize> = HashMap::new();
        for image in SeenImage::overridden(rest, &Viewer::Everything).await? {
            for tenant in image.challengers() {
                *challenged.entry(tenant.to_owned()).or_default() += 1;
            }
        }
        Ok(Self { accounts, challenged })
    }

    fn show(&self, user: &UserInfo) -> Value {
        let count = |counts: &HashMap<String, usize>| counts.get(&user.tenant).copied().unwrap_or_default();
        json!({
            "accounts": count(&self.accounts),
            "challenged_images": count(&self.challenged),
            "id": ids::user_id(&user.name),
            "is_superuser": user.superuser,
            "username": user.name,
        })
    }
}

async fn list_users(rest: Rest, _: Call) -> Result<Response, Failure> {
    let counts = Counts::of(&rest).await?;
    let users: Value = rest.backend()?.users(None).iter().map(|user| counts.show(user)).collect();
    Ok(answer::json(StatusCode::OK, &users))
}

async fn get(rest: Rest, call: Call) -> Result<Response, Failure> {
    let id = id_of(&call)?;
    let found = rest.backend()?.users(None).into_iter().filter(|user| ids::user_id(&user.name) == id).collect();
    let user = only_one(found, |user: &UserInfo| user.name.clone())?;
    Ok(answer::json(StatusCode::OK, &Counts::of(&rest).await?.show(&user)))
}
