//! Attempts to read the disks of machine images, as the log has them: newer than the tables.

use cloudigrade_schemas::image_fact::InspectionWanted;
use cloudigrade_schemas::inspection::{InspectionEnd, InspectionState, InspectionWay};
use cloudigrade_schemas::{Inspection, TokenScope};
use serde::Deserialize;
use serde_json::{Value, json};
use warp::http::Method;
use warp::reply::Response;

use super::page::{Page, page_of};
use super::{endpoint, images};
use crate::rest::Rest;
use crate::rest::answer::Failure;
use crate::rest::call::Call;
use crate::rest::describe::{integer, moment, nullable, object, one_of, request, text};
use crate::rest::endpoint::{Access, Answer, Endpoint, handler};

/// What can be done, as requests call it.
const ACTIONS: [&str; 2] = ["inspect", "abort"];
/// How attempts end, as answers call it.
const ENDS: [&str; 4] = ["found", "special", "failed", "aborted"];

/// Their endpoints.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let path = "/api/v1/images/{image_id}/inspections";
    let list = || Answer::json(200, "The attempts, the newest first.", Page::schema(schema()), Page::example(example()));
    vec![
        endpoint(
            "images",
            (Method::GET, path, Access::User(TokenScope::Read)),
            (
                "listImageInspections",
                "The attempts to read an image's disk: how far each is, what is in its way, what it costs, what came of it",
                "",
            ),
            [vec![images::image_id()], Page::parameters()].concat(),
            None,
            vec![list()],
            handler!(list_inspections),
        ),
        endpoint(
            "images",
            (Method::POST, path, Access::Superuser(TokenScope::Write)),
            (
                "inspectImage",
                "Have an image's disk read, or read again; or give that up",
                "`inspect` also agrees to what an attempt costs that waits for consent. It costs money, so only superusers may.",
            ),
            vec![images::image_id()],
            Some((request(&["action"], [("action", one_of(&ACTIONS))]), json!({"action": "inspect"}))),
            vec![
                list(),
                Answer::empty(202, "It takes longer, and is carried on with."),
                Answer::empty(
                    409,
                    "The server reads no disks, or EC2 has not described the image, so that nobody can be asked for its disk.",
                ),
            ],
            handler!(act),
        ),
    ]
}

fn schema() -> Value {
    object([
        ("id", text()),
        ("image_id", text()),
        ("region", text()),
        ("attempt", integer()),
        ("state", one_of(&InspectionState::ALL.map(InspectionState::word))),
        ("state_since", moment()),
        ("way", one_of(&[InspectionWay::Scanner, InspectionWay::EbsDirect].map(InspectionWay::word))),
        ("estimated_cost_micro_usd", nullable(integer())),
        ("tries", integer()),
        ("problem", nullable(text())),
        ("deadline_at", nullable(moment())),
        ("end", nullable(one_of(&ENDS))),
        ("end_detail", nullable(text())),
        ("created_at", moment()),
        ("changed_at", moment()),
    ])
}

fn example() -> Value {
    json!({
        "id": "0123456789abcdef0123456789abcdef",
        "image_id": "ami-0123456789abcdef0",
        "region": "eu-west-1",
        "attempt": 1,
        "state": "awaiting_snapshot",
        "state_since": "2024-02-20T12:00:00Z",
        "way": "scanner",
        "estimated_cost_micro_usd": 217_124,
        "tries": 0,
        "problem": null,
        "deadline_at": "2024-02-21T00:00:00Z",
        "end": null,
        "end_detail": null,
        "created_at": "2024-02-20T11:58:00Z",
        "changed_at": "2024-02-20T12:00:00Z",
    })
}

/// What everybody who sees the image may know: neither by whose role it is read, nor what was made in the operator's account.
fn show(inspection: &Inspection) -> Value {
    let (end, detail) = match &inspection.end {
        None => (None, None),
        Some(InspectionEnd::Found) => (Some(ENDS[0]), None),
        Some(InspectionEnd::Special { special, detail }) => (Some(ENDS[1]), Some(format!("{}: {detail}", special.word()))),
        Some(InspectionEnd::Failed { detail }) => (Some(ENDS[2]), Some(detail.clone())),
        Some(InspectionEnd::Aborted) => (Some(ENDS[3]), None),
    };
    json!({
        "id": inspection.command_id,
        "image_id": inspection.image_id,
        "region": inspection.region,
        "attempt": inspection.attempt,
        "state": inspection.state.word(),
        "state_since": inspection.state_since,
        "way": inspection.way.word(),
        "estimated_cost_micro_usd": inspection.estimated_cost_micro_usd,
        "tries": inspection.tries,
        "problem": inspection.problem,
        "deadline_at": inspection.deadline_at,
        "end": end,
        "end_detail": detail,
        "created_at": inspection.created_at,
        "changed_at": inspection.changed_at,
    })
}

fn page(call: &Call, mut inspections: Vec<Inspection>) -> Result<Response, Failure> {
    inspections.sort_by_key(|inspection| std::cmp::Reverse(inspection.attempt));
    page_of(call, inspections.iter().map(show).collect())
}

async fn list_inspections(rest: Rest, call: Call) -> Result<Response, Failure> {
    // An image that somebody does not see has no inspections for them.
    images::find(&rest, &call).await?;
    page(&call, rest.backend()?.inspections(call.part("image_id")).await?)
}

#[derive(Deserialize)]
struct Action {
    action: InspectionWanted,
}

async fn act(rest: Rest, call: Call) -> Result<Response, Failure> {
    let Action { action } = call.json()?;
    images::find(&rest, &call).await?;
    let inspections = rest.backend()?.want_inspection(call.part("image_id"), action, &call.principal()?.name).await?;
    page(&call, inspections)
}
