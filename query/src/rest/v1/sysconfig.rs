//! What customers must know of the server to let it into their accounts.

use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::{READ, endpoint};
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{nullable, object, text};
use crate::rest::endpoint::{Answer, Endpoint, handler};

pub(super) fn endpoints() -> Vec<Endpoint> {
    let external_id = json!({
        "type": ["string", "null"],
        "description": "What the role's trust policy must ask for in sts:ExternalId, so that nobody else can have the server assume it.",
    });
    let schema = object([
        ("aws_account_id", nullable(text())),
        ("aws_external_id", external_id),
        ("aws_policies", policies_schema()),
        ("version", text()),
    ]);
    let example = json!({
        "aws_account_id": "123456789012",
        "aws_external_id": "8f1c4f0e5c9b4a51a9a1",
        "aws_policies": policies_example(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    let told = (
        "v1GetSysconfig",
        "What a role must trust and allow",
        "`aws_external_id` is not known to older clients, which must be told of it: a role that does not ask for it is refused.",
    );
    let answers = vec![Answer::json(200, "The settings.", schema, example)];
    vec![endpoint((Method::GET, "/api/v1/sysconfig/", READ), told, Vec::new(), answers, handler!(get))]
}

/// How the documents that a role needs look.
pub(in crate::rest) fn policies_schema() -> Value {
    json!({"type": "object", "properties": {"traditional_inspection": {"type": ["object", "null"]}}, "required": ["traditional_inspection"]})
}

/// An example of them.
pub(in crate::rest) fn policies_example() -> Value {
    let statement = json!({"Sid": "CloudigradePolicy", "Effect": "Allow", "Action": ["ec2:DescribeInstances"], "Resource": "*"});
    json!({"traditional_inspection": {"Version": "2012-10-17", "Statement": [statement]}})
}

async fn get(rest: Rest, call: Call) -> Result<Response, Failure> {
    let backend = rest.backend()?;
    let tenant = &call.principal()?.tenant;
    // Who reads without a token has no tenant, and nothing to register.
    let external_id = if tenant.is_empty() { None } else { Some(backend.external_id(tenant).await?) };
    let body = json!({
        "aws_account_id": backend.own_account().await,
        "aws_external_id": external_id,
        "aws_policies": backend.policies(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    Ok(answer::json(StatusCode::OK, &body))
}
