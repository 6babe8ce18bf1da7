//! What the reports are made from, beside runs: gaps, inspections, dead letters, and how far the data reaches.

use cloudigrade_schemas::TokenScope;
use cloudigrade_schemas::table::{COVERAGE, DEAD_LETTERS, GAPS, IMAGES};
use serde_json::json;
use warp::reply::Response;

use super::listing::{By, Filter, Listing, READ};
use crate::rest::Rest;
use crate::rest::answer::Failure;
use crate::rest::call::Call;
use crate::rest::describe::boolean;
use crate::rest::endpoint::{Access, Endpoint, Parameter, handler};

/// Their endpoints.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        gaps().endpoint(handler!(list_gaps)),
        reach().endpoint(handler!(list_reach)),
        inspections().endpoint(handler!(list_inspections)),
        letters().endpoint(handler!(list_letters)),
    ]
}

fn account() -> Filter {
    Filter::column("account", "account_id", "Only these AWS accounts.", "123456789012")
}

fn region() -> Filter {
    Filter::column("region", "region", "Only these regions.", "eu-west-1")
}

fn gaps() -> Listing {
    Listing {
        path: "/api/v1/gaps",
        id: "listGaps",
        tag: "tables",
        summary: "Where data is missing",
        description: "Those that are open, unless `open` says otherwise.",
        access: READ,
        table: GAPS,
        from: "sys.gaps",
        columns: &[
            "id",
            "account_id",
            "region",
            "kind",
            "missing_from",
            "missing_until",
            "missing_objects",
            "detail",
            "found_at",
            "closed_at",
        ],
        order: "account_id, region, missing_from, kind, id",
        filters: vec![account(), region(), open("closed_at IS NULL", "closed_at IS NOT NULL")],
    }
}

fn open(open: &'static str, closed: &'static str) -> Filter {
    let meaning = "True: those that are open; false: those that are not. The open ones if absent.";
    Filter { parameter: Parameter::query("open", meaning, boolean(), json!(true)), by: By::Flag(open, closed, open) }
}

fn reach() -> Listing {
    Listing {
        path: "/api/v1/complete-through",
        id: "listCompleteThrough",
        tag: "tables",
        summary: "How far the data reaches",
        description: "A row an account and region. What lies after it is provisional in reports.",
        access: READ,
        table: COVERAGE,
        from: "coverage",
        columns: &["account_id", "region", "complete_through"],
        order: "account_id, region",
        filters: vec![account(), region()],
    }
}

fn inspections() -> Listing {
    Listing {
        path: "/api/v1/inspections",
        id: "listInspections",
        tag: "images",
        summary: "How far the look into each image is",
        description: "The latest changes first.",
        access: READ,
        table: IMAGES,
        from: "images",
        columns: &["image_id", "region", "status", "status_reason", "changed_at"],
        order: "changed_at DESC NULLS LAST, image_id",
        filters: vec![Filter::image_status("pending")],
    }
}

fn letters() -> Listing {
    Listing {
        path: "/api/v1/dead-letters",
        id: "listDeadLetters",
        tag: "tables",
        summary: "What could not be used",
        description: "A row a file or record, the latest first; those that are open, unless `open` says otherwise.",
        access: Access::Superuser(TokenScope::Read),
        table: DEAD_LETTERS,
        from: "dead_letters",
        columns: &[
            "id",
            "found_at",
            "reason",
            "source",
            "record_index",
            "detail",
            "first_bytes",
            "version",
            "resolved_at",
            "resolution",
            "resolved_by",
        ],
        order: "found_at DESC, source, record_index, id",
        filters: vec![
            Filter::column("id", "id", "Only these.", "0123456789abcdef"),
            Filter::column("reason", "reason", "Only those with these reasons.", "not_json"),
            open("resolved_at IS NULL", "resolved_at IS NOT NULL"),
        ],
    }
}

async fn list_gaps(rest: Rest, call: Call) -> Result<Response, Failure> {
    gaps().answer(&rest, &call).await
}

async fn list_reach(rest: Rest, call: Call) -> Result<Response, Failure> {
    reach().answer(&rest, &call).await
}

async fn list_inspections(rest: Rest, call: Call) -> Result<Response, Failure> {
    inspections().answer(&rest, &call).await
}

async fn list_letters(rest: Rest, call: Call) -> Result<Response, Failure> {
    letters().answer(&rest, &call).await
}
