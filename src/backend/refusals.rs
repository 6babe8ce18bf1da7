//! From what the log's side refuses to what resources are told: the field that is at fault, and stable words.

use cloudigrade_query::rest::backend::Refused;
use cloudigrade_schemas::account::AccountProblem;

use crate::control::registration::NotRegistered;
use crate::control::wire::Refusal;

/// What a refusal is to whoever asked by HTTP. Where the program failed, the log says why.
pub fn refused(Refusal { code, detail, help }: Refusal) -> Refused {
    let invalid = |field: Option<&'static str>, code: &str| Refused::Invalid {
        field,
        code: code.to_owned(),
        message: format!("{detail}; {help}"),
        details: Vec::new(),
    };
    match code.as_str() {
        "arn_invalid" | "invalid_arn" | "account_id_invalid" => invalid(Some("account_arn"), "invalid_arn"),
        "arn_exists" => invalid(Some("account_arn"), "duplicate_arn"),
        "account_exists" => invalid(Some("account_arn"), "duplicate_account"),
        "arn_of_other_account" => invalid(Some("account_arn"), "arn_of_other_account"),
        "name_exists" => invalid(Some("name"), "duplicate_name"),
        "name_invalid" => invalid(Some("name"), "invalid_name"),
        "account_unknown" | "unknown_account" => Refused::NotFound { what: "account" },
        "letter_unknown" => Refused::NotFound { what: "dead letter" },
        "nothing_to_abort" => Refused::NotFound { what: "inspection at work" },
        "unknown_image" => Refused::NotFound { what: "image" },
        "invalid_image" => invalid(Some("image"), "invalid_image"),
        "invalid_region" => invalid(Some("region"), "invalid_region"),
        "invalid_reason" => invalid(Some("reason"), "invalid_reason"),
        "unsupported" | "not_described" | "nothing_ordered" => Refused::Unsupported { message: format!("{detail}; {help}") },
        "still_working" => Refused::StillWorking { message: format!("{detail}; {help}") },
        "failed" => {
            tracing::error!(detail, "what was asked for failed");
            Refused::Failed
        }
        code => invalid(None, code),
    }
}

/// Why an account was not registered. Details are the actions that its role does not permit, such as `ec2:DescribeInstances`, one each.
pub fn refused_registration(not: NotRegistered) -> Refused {
    let problems = match not {
        NotRegistered::Refused(refusal) => return refused(refusal),
        NotRegistered::Obstructed(problems) => problems,
    };
    let (code, shown): (&str, Vec<&AccountProblem>) = match most_telling(&problems) {
        Some(code) => {
            let of_code = |problem: &&AccountProblem| code_of(problem) == code;
            (code, problems.iter().filter(of_code).collect())
        }
        None => return Refused::Failed,
    };
    let message = shown.iter().map(|problem| format!("{}; {}", problem.detail, problem.help)).collect::<Vec<_>>().join("\n");
    let details = match code {
        "verification_failed" | "trail_denied" => shown.iter().map(|problem| action_of(problem).to_owned()).collect(),
        _ => Vec::new(),
    };
    Refused::Invalid { field: Some("account_arn"), code: code.to_owned(), message, details }
}

/// The code that is told where there are several: what must be mended first.
fn most_telling(problems: &[AccountProblem]) -> Option<&'static str> {
    const FIRST: [&str; 7] = [
        "permission_denied",
        "external_id_not_required",
        "wrong_account",
        "verification_failed",
        "trail_denied",
        "trail_quota",
        "obstructed",
    ];
    FIRST.into_iter().find(|code| problems.iter().any(|problem| code_of(problem) == *code))
}

fn code_of(problem: &AccountProblem) -> &'static str {
    match problem.code.as_str() {
        "assume_role_denied" => "permission_denied",
        "external_id_not_required" => "external_id_not_required",
        "wrong_account" | "invalid_arn" => "wrong_account",
        "permission_missing" if is_about_trails(action_of(problem)) => "trail_denied",
        "permission_missing" => "verification_failed",
        "trail_quota" => "trail_quota",
        _ => "obstructed",
    }
}

/// The action that a problem is about: its detail begins with it.
fn action_of(problem: &AccountProblem) -> &str {
    problem.detail.split_ascii_whitespace().next().unwrap_or_default()
}

/// Whether it is an action on trails, which metering itself does not take.
fn is_about_trails(action: &str) -> bool {
    action.starts_with("cloudtrail:") && action != "cloudtrail:LookupEvents"
}
