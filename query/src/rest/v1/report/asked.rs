//! What a report is asked about.

use cloudigrade_schemas::UtcSecond;
use warp::http::StatusCode;

use crate::period::{Granularity, Period};
use crate::rest::Rest;
use crate::rest::answer::{Failure, NON_FIELD_ERRORS};
use crate::rest::call::Call;
use crate::rest::v1::ID_MAX;
use crate::rest::v1::inputs::{REQUIRED, integer_param, moment_param};
use crate::rest::v1::registered::{Accounts, Registered};
use crate::rest::v1::scope::viewer;
use crate::viewer::Viewer;

/// What a report is asked about.
pub(super) struct Asked {
    /// As whom the tables are seen: the tenant of the one account that is asked for, else whoever asks.
    pub(super) viewer: Viewer,
    /// The accounts that are reported on: each AWS account once, as the tenant has it that registered it first.
    pub(super) accounts: Vec<Registered>,
    /// The time in days; `None` where nothing of it has passed.
    pub(super) period: Option<Period>,
    /// The end, or now.
    pub(super) end: UtcSecond,
    /// Whether the time begins in the future.
    pub(super) begins_in_future: bool,
}

impl Asked {
    /// Reads what is asked about.
    ///
    /// # Errors
    /// 400 with what is wrong.
    pub(super) async fn read(rest: &Rest, call: &Call, needs_account: bool) -> Result<Self, Failure> {
        let required = ["start", "end", "account_id"].into_iter().filter(|name| needs_account || *name != "account_id");
        let missing = required.filter(|name| call.param(name).is_none_or(str::is_empty));
        let fields: Vec<_> = missing.map(|name| (name, vec![REQUIRED.to_owned()])).collect();
        if !fields.is_empty() {
            return Err(Failure { fields, ..Failure::new(StatusCode::BAD_REQUEST, "bad_parameter", "parameters are missing") });
        }
        let (start, end) = (moment_param(call, "start")?, moment_param(call, "end")?);
        let (Some(start), Some(end)) = (start, end) else { return Err(Failure::internal()) };
        if start > end {
            return Err(Failure::field(NON_FIELD_ERRORS, "End date must be after start date."));
        }
        let account_id = integer_param(call, "account_id", 1, ID_MAX, "A valid integer is required.")?;
        let (viewer, accounts) = accounts(rest, call, account_id).await?;

        let now = rest.now();
        let (begins_in_future, start, end) = (start > now, start.min(now), end.min(now));
        let period = match start < end {
            false => None,
            true => {
                let period = Period::new(&start.to_string(), &end.to_string(), Granularity::Day, "UTC", now);
                Some(period.map_err(|error| Failure::field(NON_FIELD_ERRORS, error.to_string()))?)
            }
        };
        Ok(Self { viewer, accounts, period, end, begins_in_future })
    }

    /// Their AWS accounts.
    pub(super) fn account_ids(&self) -> Vec<String> {
        self.accounts.iter().map(|known| known.account.account_id.clone()).collect()
    }
}

/// The accounts that are asked for, and as whom they are seen.
async fn accounts(rest: &Rest, call: &Call, account_id: Option<i64>) -> Result<(Viewer, Vec<Registered>), Failure> {
    let viewer = viewer(rest, call)?;
    let known = Accounts::of(rest, &viewer).await?;
    let pattern = call.param("name_pattern").unwrap_or_default();
    let (viewer, mut accounts) = match account_id {
        // What is not there is reported to have nothing: that it is somebody else's does not show.
        Some(id) => match known.by_id(id) {
            Ok(one) => (Viewer::tenant(one.account.tenant.as_str()), vec![one]),
            Err(failure) if failure.status == StatusCode::NOT_FOUND => (viewer, Vec::new()),
            Err(failure) => return Err(failure),
        },
        None => {
            let is_first = |one: &Registered| known.first_of(&one.account.account_id).is_some_and(|first| first.id == one.id);
            (viewer, known.all.iter().filter(|one| is_first(one)).cloned().collect())
        }
    };
    accounts.retain(|one| matches(pattern, one.account.name.as_deref().unwrap_or_default()));
    Ok((viewer, accounts))
}

/// Whether a name has any of the words of a pattern in it. A pattern without words leaves nothing out.
fn matches(pattern: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    let mut words = pattern.split_whitespace().map(str::to_lowercase).peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_word_of_a_pattern_matches_anywhere_whatever_its_case() {
        for pattern in ["", "  ", "prod", "PROD", "uct", "nothing pro", "  x   production "] {
            assert!(matches(pattern, "Production EU"), "{pattern:?}");
        }
        for pattern in ["nothing", "production-eu", "x y"] {
            assert!(!matches(pattern, "Production EU"), "{pattern:?}");
        }
    }
}
