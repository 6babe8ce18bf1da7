//! The description of the endpoints in OpenAPI 3.1, made from the table that answers them.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::answer::PROBLEM_JSON;
use super::endpoint::{Access, Answer, Dialect, Endpoint, In, Parameter};
use super::{ROUTER, links, sql};

/// Where the second API's paths begin.
const V2: &str = "/api/cloudigrade/v2/";

/// The description of all endpoints.
pub(super) fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| describe("cloudigrade", |_| true));
    &DOCUMENT
}

/// The description of the second API alone.
pub(super) fn document_of_v2() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| describe("cloudigrade, second API", |path| path.starts_with(V2)));
    &DOCUMENT
}

const DESCRIPTION: &str = "When machines ran, on which images, and what follows from it.\n\nPaths that end with a slash are those of the \
APIs before this one, whose clients go on working. The others are this program's own: their failures are `application/problem+json`, \
and they refuse parameters that they do not know.";

const TAGS: [(&str, &str); 10] = [
    ("reports", "Usage and concurrency"),
    ("tables", "What the reports are made from"),
    ("images", "What is in machine images, and what was said against it"),
    ("accounts", "The AWS accounts that are collected from"),
    ("tokens", "What proves who somebody is"),
    ("users", "Who may ask"),
    ("sql", "Questions in SQL"),
    ("service", "How the server is"),
    ("v1", "The first API"),
    ("v2", "The second API"),
];

fn describe(title: &str, belongs: fn(&str) -> bool) -> Value {
    let mut paths = Map::new();
    for route in ROUTER.routes().iter().filter(|route| belongs(route.path)) {
        let operations = route.endpoints.iter().map(|endpoint| (endpoint.method.as_str().to_lowercase(), operation(endpoint)));
        paths.insert(route.path.to_owned(), Value::Object(operations.collect()));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": TAGS.iter().map(|(name, description)| json!({"name": name, "description": description})).collect::<Vec<_>>(),
        "paths": paths,
        "components": components(),
    })
}

fn components() -> Value {
    json!({
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "A token: 40 hex digits."},
            "token": {
                "type": "apiKey", "in": "header", "name": "Authorization",
                "description": "A token as the first API's clients send it: `Token`, a space, 40 hex digits.",
            },
            "identity": {
                "type": "apiKey", "in": "header", "name": "X-RH-IDENTITY",
                "description": "What a trusted proxy says of who asks, in base64 of JSON; only where the operator enabled it.",
            },
        },
        "headers": {
            "RequestId": {"description": "Names the request, as in the server's log.", "schema": {"type": "string"}},
            "RetryAfter": {"description": "When to come again, in seconds.", "schema": {"type": "integer"}},
        },
        "responses": common_responses(),
        "schemas": {
            "Problem": {
                "type": "object",
                "description": "Why a request was not answered, after RFC 9457.",
                "properties": {
                    "type": {"type": "string", "const": "about:blank"},
                    "title": {"type": "string", "description": "The status in words."},
                    "status": {"type": "integer"},
                    "code": {"type": "string", "description": "A stable word."},
                    "detail": {"type": "string", "description": "What is wrong and what to do."},
                    "request_id": {"type": "string"},
                    "errors": {
                        "type": "object",
                        "description": "The fields that are at fault.",
                        "additionalProperties": {"type": "array", "items": {"type": "string"}},
                    },
                },
                "required": ["type", "title", "status", "code", "detail", "request_id"],
                "additionalProperties": false,
            },
            "Failure": {
                "type": "object",
                "description": "Why a request of the first or second API was not answered: `detail`, or messages by field.",
                "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            },
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let told = &endpoint.operation;
    let mut operation = json!({
        "operationId": told.id,
        "tags": [told.tag],
        "summary": told.summary,
        "responses": responses(endpoint),
        "security": security(endpoint.access),
    });
    if !told.description.is_empty() {
        operation["description"] = json!(told.description);
    }
    if !told.parameters.is_empty() {
        operation["parameters"] = told.parameters.iter().map(parameter).collect();
    }
    if let Some((media_type, schema, example)) = &told.body {
        let mut content = json!({*media_type: {"schema": schema, "example": example}});
        if told.tag == sql::TAG {
            sql::MEDIA_TYPES.iter().for_each(|media_type| content[*media_type] = sql::text_body());
        }
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}

fn security(access: Access) -> Value {
    match access {
        Access::Open => json!([]),
        Access::User(_) | Access::Superuser(_) => json!([{"bearer": []}, {"token": []}]),
        Access::Identity | Access::AnyIdentity => json!([{"identity": []}, {"bearer": []}, {"token": []}]),
    }
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        In::Path => "path",
        In::Query => "query",
        In::Header => "header",
    };
    let mut told = json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.required,
        "description": parameter.meaning,
        "schema": parameter.schema,
        "example": parameter.example,
    });
    if parameter.schema["type"] == "array" && parameter.place == In::Query {
        told["style"] = json!("form");
        told["explode"] = json!(false);
    }
    told
}

/// What an endpoint answers: what it says itself, and the failures that are common to its kind.
fn responses(endpoint: &Endpoint) -> Value {
    let mut responses = Map::new();
    for status in common(endpoint) {
        let reference = format!("#/components/responses/{}", name_of_common(endpoint.dialect, status));
        responses.insert(status.to_string(), json!({"$ref": reference}));
    }
    for answer in &endpoint.operation.answers {
        let mut told = success(endpoint.dialect, answer);
        if let Some(links) = links::of_answer(endpoint.operation.id, answer.status) {
            told["links"] = links;
        }
        responses.insert(answer.status.to_string(), told);
    }
    Value::Object(responses)
}

/// The failures that are common to endpoints of a kind, and when they are given.
const COMMON: [(u16, &str); 11] = [
    (400, "The request is not as it must be."),
    (401, "Nobody proves who they are."),
    (403, "They may not."),
    (404, "It is not there, or not theirs."),
    (408, "The body took too long."),
    (413, "The body is too large."),
    (414, "The path and the query are too long."),
    (415, "The body is of another media type."),
    (422, "The answer takes more rows, time or memory than it may."),
    (500, "The server failed; its log says why."),
    (503, "The server cannot answer now, or only reads."),
];

/// Which of these an endpoint gives.
fn common(endpoint: &Endpoint) -> Vec<u16> {
    let told = &endpoint.operation;
    let mut failures = vec![414, 500, 503];
    if !told.parameters.is_empty() || told.body.is_some() || endpoint.dialect == Dialect::Problem {
        failures.push(400);
    }
    if endpoint.access != Access::Open {
        failures.extend([401, 403]);
    }
    if told.parameters.iter().any(|parameter| parameter.place == In::Path) {
        failures.push(404);
    }
    if told.body.is_some() {
        failures.extend([408, 413, 415]);
    }
    if matches!(told.tag, "reports" | "tables" | "images" | "sql") {
        failures.push(422);
    }
    failures
}

/// What a common failure is called among the components.
fn name_of_common(dialect: Dialect, status: u16) -> String {
    match dialect {
        Dialect::Problem => format!("Problem{status}"),
        Dialect::Fields => format!("Failure{status}"),
    }
}

fn common_responses() -> Map<String, Value> {
    let of = |dialect| COMMON.map(|(status, meaning)| (name_of_common(dialect, status), failure(dialect, meaning)));
    of(Dialect::Problem).into_iter().chain(of(Dialect::Fields)).collect()
}

fn failure(dialect: Dialect, meaning: &str) -> Value {
    let content = match dialect {
        Dialect::Problem => json!({PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}),
        Dialect::Fields => json!({"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}}),
    };
    json!({"description": meaning, "headers": headers(), "content": content})
}

/// An answer that an endpoint tells of itself. Failures among them need not say how failures look.
fn success(dialect: Dialect, answer: &Answer) -> Value {
    if answer.bodies.is_empty() && answer.status >= 400 {
        return failure(dialect, answer.meaning);
    }
    let mut told = json!({"description": answer.meaning, "headers": headers()});
    if !answer.bodies.is_empty() {
        let body = |(media_type, schema, example): &(&str, Value, Value)| {
            ((*media_type).to_owned(), json!({"schema": schema, "example": example}))
        };
        told["content"] = Value::Object(answer.bodies.iter().map(body).collect());
    }
    told
}

fn headers() -> Value {
    json!({"X-Request-Id": {"$ref": "#/components/headers/RequestId"}})
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::endpoints;
    use super::*;

    #[test]
    fn each_operation_has_a_name_of_its_own_and_each_path_and_method_one_operation() {
        let mut ids = HashSet::new();
        let mut places = HashSet::new();
        for endpoint in endpoints() {
            assert!(ids.insert(endpoint.operation.id), "{} is there twice", endpoint.operation.id);
            assert!(places.insert((endpoint.path, endpoint.method.clone())), "{} {} is there twice", endpoint.method, endpoint.path);
            assert!(TAGS.iter().any(|(tag, _)| *tag == endpoint.operation.tag), "{} has no known tag", endpoint.operation.id);
        }
    }

    #[test]
    fn the_parameters_of_each_path_are_described_and_no_others() {
        for endpoint in endpoints() {
            let described: Vec<&str> = endpoint
                .operation
                .parameters
                .iter()
                .filter(|parameter| parameter.place == In::Path)
                .map(|parameter| parameter.name)
                .collect();
            let named: Vec<&str> = endpoint.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).collect();
            assert_eq!(described, named, "{}", endpoint.path);
        }
    }

    #[test]
    fn paths_of_the_old_apis_end_with_a_slash_and_the_new_ones_do_not() {
        for endpoint in endpoints() {
            let is_old = endpoint.dialect == Dialect::Fields;
            assert_eq!(endpoint.path.ends_with('/'), is_old, "{}", endpoint.path);
        }
    }

    #[test]
    fn every_example_is_what_its_schema_says() {
        for endpoint in endpoints() {
            let told = endpoint.operation;
            let parameters = told.parameters.iter().map(|parameter| (parameter.schema.clone(), parameter.example.clone()));
            let answers = told.answers.iter().flat_map(|answer| &answer.bodies);
            let bodies = told.body.iter().chain(answers).map(|(_, schema, example)| (schema.clone(), example.clone()));
            for (schema, example) in parameters.chain(bodies) {
                let faults = super::super::conform::faults(&schema, &example);
                assert!(faults.is_empty(), "{}: {faults:?}\n{example}", told.id);
            }
        }
    }

    /// `UPDATE_SCHEMAS=1 cargo test -p cloudigrade-query` writes it anew.
    #[test]
    fn the_description_in_schemas_is_the_one_that_is_served() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/openapi.json");
        let expected = format!("{}\n", serde_json::to_string_pretty(document()).unwrap());
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == expected, "schemas/openapi.json differs: run UPDATE_SCHEMAS=1 cargo test -p cloudigrade-query");
    }
}
