//! What customers must know of the server to let it into their accounts.

use serde_json::json;
use warp::http::StatusCode;
use warp::reply::Response;

use super::endpoint;
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{nullable, object, text};
use crate::rest::endpoint::{Access, Answer, Endpoint, handler};
use crate::rest::v1::sysconfig::{policies_example, policies_schema};

pub(super) fn endpoints() -> Vec<Endpoint> {
    let schema = object([
        ("aws_account_id", nullable(text())),
        ("aws_policies", policies_schema()),
        ("azure_offer_template_path", json!({"type": "null", "description": "Azure is not collected from."})),
        ("version", text()),
    ]);
    let example = json!({
        "aws_account_id": "123456789012",
        "aws_policies": policies_example(),
        "azure_offer_template_path": null,
        "version": env!("CARGO_PKG_VERSION"),
    });
    let told = ("v2GetSysconfig", "What a role must trust and allow", "The identity need not be known.");
    let answers = vec![Answer::json(200, "The settings.", schema, example)];
    vec![endpoint("/api/cloudigrade/v2/sysconfig/", Access::AnyIdentity, told, Vec::new(), answers, handler!(get))]
}

async fn get(rest: Rest, _: Call) -> Result<Response, Failure> {
    let backend = rest.backend()?;
    let body = json!({
        "aws_account_id": backend.own_account().await,
        "aws_policies": backend.policies(),
        "azure_offer_template_path": null,
        "version": env!("CARGO_PKG_VERSION"),
    });
    Ok(answer::json(StatusCode::OK, &body))
}
