//! Where the answers of endpoints lead: which other endpoint takes what an answer holds. For the description; nothing is routed by it.

use serde_json::{Map, Value, json};

/// What another endpoint takes of an answer.
struct Link {
    /// The operation that answers.
    from: &'static str,
    /// With which status.
    status: u16,
    /// The operations that take it.
    to: &'static [&'static str],
    /// Their parameters, and where in the answer each is, as a JSON pointer.
    parameters: &'static [(&'static str, &'static str)],
}

const fn link(from: &'static str, status: u16, to: &'static [&'static str], parameters: &'static [(&'static str, &'static str)]) -> Link {
    Link { from, status, to, parameters }
}

static LINKS: &[Link] = &[
    link(
        "registerAccount",
        201,
        &["getAccount", "renameAccount", "changeAccount", "deleteAccount"],
        &[("account_id", "/account_id"), ("tenant", "/tenant")],
    ),
    link("listAccounts", 200, &["getAccount"], &[("account_id", "/items/0/account_id"), ("tenant", "/items/0/tenant")]),
    link("createUser", 201, &["getUser", "disableUser", "resetPassword"], &[("name", "/name")]),
    link("listUsers", 200, &["getUser"], &[("name", "/items/0/name")]),
    link("createToken", 201, &["revokeToken"], &[("hash", "/hash")]),
    link("listImages", 200, &["getImage", "setOverride"], &[("image_id", "/rows/0/image_id")]),
    link("setOverride", 200, &["getImage", "removeOverride"], &[("image_id", "/image_id")]),
    link("listOverrides", 200, &["getImage"], &[("image_id", "/items/0/image_id")]),
    link("getUsage", 200, &["getUsage", "explainUsage"], &[("as_of", "/snapshot")]),
    link("getConcurrency", 200, &["getConcurrency"], &[("as_of", "/snapshot")]),
    link("v1RegisterAccount", 201, &["v1GetAccount", "v1ReplaceAccount", "v1ChangeAccount", "v1DeleteAccount"], &[("id", "/id")]),
    link("v1ListAccounts", 200, &["v1GetAccount"], &[("id", "/results/0/id")]),
    link("v1ListInstances", 200, &["v1GetInstance"], &[("id", "/results/0/id")]),
    link("v1ListEvents", 200, &["v1GetEvent"], &[("id", "/results/0/id")]),
    link("v1ListImages", 200, &["v1GetImage", "v1ChallengeImage"], &[("id", "/results/0/id")]),
    link("v1ListUsers", 200, &["v1GetUser"], &[("id", "/0/id")]),
    link("v2ListAccounts", 200, &["v2GetAccount"], &[("id", "/data/0/account_id")]),
    link("v2ListInstances", 200, &["v2GetInstance"], &[("id", "/data/0/instance_id")]),
    link("v2ListImages", 200, &["v2GetImage"], &[("id", "/data/0/image_id")]),
];

/// The links of an answer, by names of theirs; `None` where it leads nowhere.
pub(super) fn of_answer(operation: &str, status: u16) -> Option<Value> {
    let links = LINKS.iter().filter(|link| link.from == operation && link.status == status);
    let told: Map<String, Value> =
        links.flat_map(|link| link.to.iter().map(move |to| ((*to).to_owned(), told(to, link.parameters)))).collect();
    (!told.is_empty()).then_some(Value::Object(told))
}

fn told(to: &str, parameters: &[(&str, &str)]) -> Value {
    let parameters: Map<String, Value> =
        parameters.iter().map(|(name, pointer)| ((*name).to_owned(), json!(format!("$response.body#{pointer}")))).collect();
    json!({"operationId": to, "parameters": parameters})
}

#[cfg(test)]
mod tests {
    use super::super::endpoints;
    use super::*;
    use crate::rest::endpoint::Operation;

    #[test]
    fn every_link_takes_what_the_answer_holds_to_a_parameter_that_there_is() {
        let operations: Vec<Operation> = endpoints().into_iter().map(|endpoint| endpoint.operation).collect();
        let named = |id: &str| operations.iter().find(|operation| operation.id == id).unwrap_or_else(|| panic!("there is no {id}"));
        for Link { from, status, to, parameters } in LINKS {
            let answer = named(from).answers.iter().find(|answer| answer.status == *status);
            let (_, _, example) = &answer.unwrap_or_else(|| panic!("{from} does not answer {status}")).bodies[0];
            for (name, pointer) in *parameters {
                let held = example.pointer(pointer).unwrap_or_else(|| panic!("{from} holds nothing at {pointer}: {example}"));
                for taker in *to {
                    let parameter = named(taker).parameters.iter().find(|parameter| parameter.name == *name);
                    let parameter = parameter.unwrap_or_else(|| panic!("{taker} has no parameter {name}"));
                    let faults = crate::rest::conform::faults(&parameter.schema, held);
                    assert!(faults.is_empty(), "{from} to {taker}: {name} cannot be {held}: {faults:?}");
                }
            }
        }
    }
}
