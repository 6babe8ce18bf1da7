//! What keys of CloudTrail say of where and when, so that not all of a bucket is listed each time. Pure.
//!
//! CloudTrail writes `[PREFIX/]AWSLogs/[o-ORGANISATION/]ACCOUNT/SERVICE/REGION/YYYY/MM/DD/NAME_YYYYMMDDTHHMMZ_….json.gz`. S3 lists keys in
//! their order, so within one region that is the order of days, and a listing may begin at a day.

use cloudigrade_schemas::UtcSecond;

use crate::limits::DIGEST_PERIOD_SECONDS;
use crate::source::sqs::filter::{is_account, is_organisation};

/// The folder under which CloudTrail begins.
const ROOT: &str = "AWSLogs";
/// The service whose objects are log files.
const LOGS: &str = "CloudTrail";
/// The service whose objects say which log files there are.
const DIGESTS: &str = "CloudTrail-Digest";

/// How to go on from a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The folders in it are known without asking.
    Into(Vec<String>),
    /// Ask which folders are in it; [`is_branch`] says which of them are CloudTrail's.
    Look,
    /// List its objects.
    List,
}

/// The segments after `AWSLogs`, without the empty one behind the last slash.
fn below_root(prefix: &str) -> Option<Vec<&str>> {
    let mut segments = prefix.split('/').filter(|segment| !segment.is_empty());
    segments.find(|segment| *segment == ROOT)?;
    Some(segments.collect())
}

/// The parts of a path below `AWSLogs`, as far as it goes.
fn parts(prefix: &str) -> Option<(Option<&str>, Vec<&str>)> {
    let segments = below_root(prefix)?;
    match segments.split_first() {
        Some((first, rest)) if is_organisation(first) => Some((Some(first), rest.to_vec())),
        _ => Some((None, segments)),
    }
}

/// How to go on from `prefix`, which is empty or ends with a slash.
pub fn step(prefix: &str) -> Step {
    match parts(prefix) {
        None => Step::Into(vec![format!("{prefix}{ROOT}/")]),
        Some((_, rest)) => match rest.as_slice() {
            [] => Step::Look,
            [account] if is_account(account) => Step::Into([LOGS, DIGESTS].map(|service| format!("{prefix}{service}/")).to_vec()),
            [account, LOGS | DIGESTS] if is_account(account) => Step::Look,
            _ => Step::List,
        },
    }
}

/// Whether a folder that was found leads to files of CloudTrail, of accounts and regions that are wanted. `folder` ends with a slash.
pub fn is_branch(folder: &str, only: &Only) -> bool {
    match parts(folder) {
        Some((Some(_), rest)) if rest.is_empty() => true,
        Some((_, rest)) => match rest.as_slice() {
            [account] => is_account(account) && only.wants_account(account),
            [account, _, region] => only.wants_account(account) && only.wants_region(region),
            _ => true,
        },
        None => true,
    }
}

/// The accounts and regions that are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// Accounts; none means all.
    pub accounts: Vec<String>,
    /// Regions; none means all.
    pub regions: Vec<String>,
}

impl Only {
    fn wants_account(&self, account: &str) -> bool {
        self.accounts.is_empty() || self.accounts.iter().any(|wanted| wanted == account)
    }

    fn wants_region(&self, region: &str) -> bool {
        self.regions.is_empty() || self.regions.iter().any(|wanted| wanted == region)
    }

    /// Whether a key is of an account and region that are wanted.
    pub fn wants(&self, key: &str) -> bool {
        match parts(key) {
            Some((_, rest)) if rest.len() > 2 => self.wants_account(rest[0]) && self.wants_region(rest[2]),
            _ => self.accounts.is_empty() && self.regions.is_empty(),
        }
    }
}

/// A key such that all objects of a region's folder that were delivered on the day of `since`, or later, come after it. `None` where
/// `prefix` is not in a region's folder: its keys are in no order of time.
pub fn before_day(prefix: &str, since: UtcSecond) -> Option<String> {
    let (_, rest) = parts(prefix)?;
    let [account, LOGS | DIGESTS, region, deeper @ ..] = rest.as_slice() else { return None };
    let day = day(since);
    let tail: usize = deeper.iter().map(|segment| segment.len() + 1).sum();
    let folder = prefix.get(..prefix.len().checked_sub(tail)?)?;
    (is_account(account) && !region.is_empty()).then(|| format!("{folder}{day}/"))
}

/// `2024/03/01`.
fn day(moment: UtcSecond) -> String {
    moment.to_string().chars().take("YYYY-MM-DD".len()).map(|c| if c == '-' { '/' } else { c }).collect()
}

/// When an object was delivered, by its name or else by its folder. `None` where neither says so.
pub fn delivered_at(key: &str) -> Option<UtcSecond> {
    let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
    let by_name = || name.split(['_', '.']).find_map(stamp);
    let by_folder = || {
        let mut parts = folder.rsplit('/');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        UtcSecond::parse_prefix(&format!("{year}-{month}-{day}T00:00:00")).ok()
    };
    by_name().or_else(by_folder)
}

/// `20240301T0905Z`, or with seconds.
fn stamp(text: &str) -> Option<UtcSecond> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if date.len() != 8 || !matches!(time.len(), 4 | 6) || !digits(date) || !digits(time) {
        return None;
    }
    let second = time.get(4..6).unwrap_or("00");
    let stamp = format!("{}-{}-{}T{}:{}:{second}", &date[..4], &date[4..6], &date[6..], &time[..2], &time[2..4]);
    UtcSecond::parse_prefix(&stamp).ok()
}

/// A time in which objects were delivered: from its start up to, and not including, its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The start.
    pub start: Option<UtcSecond>,
    /// The end.
    pub end: Option<UtcSecond>,
}

impl Window {
    /// Whether an object was delivered in it. A digest is in it when all that it tells of is: one of the hour before would name files that
    /// nobody wants, and they would be missing. Where the key does not say when, it is when the object was made.
    pub fn holds(&self, key: &str, made_at: Option<UtcSecond>) -> bool {
        if self.start.is_none() && self.end.is_none() {
            return true;
        }
        let Some(at) = delivered_at(key).or(made_at) else { return false };
        let digest = matches!(parts(key), Some((_, rest)) if rest.get(1) == Some(&DIGESTS));
        let (begins, ends) = if digest { (at.0 - DIGEST_PERIOD_SECONDS, at.0 - 1) } else { (at.0, at.0) };
        self.start.is_none_or(|start| start.0 <= begins) && self.end.is_none_or(|end| ends < end.0)
    }

    /// Whether all objects of a region's folder from `key` on were delivered after it. A digest may be of the window's last hour and
    /// lie in the folder of the next day.
    pub fn is_passed_by(&self, key: &str) -> bool {
        match (self.end, delivered_at(key), before_day(key, UtcSecond(0))) {
            (Some(end), Some(at), Some(_)) => at.0 >= end.0.saturating_add(2 * 86_400),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION: &str = "pre/AWSLogs/o-a1b2c3d4e5/000000000012/CloudTrail/us-east-1/";

    fn at(text: &str) -> UtcSecond {
        UtcSecond::parse_prefix(text).unwrap()
    }

    #[test]
    fn from_any_folder_the_way_leads_to_the_folders_of_regions() {
        let into = |folders: &[&str]| Step::Into(folders.iter().map(|folder| (*folder).to_owned()).collect());
        assert_eq!(step(""), into(&["AWSLogs/"]));
        assert_eq!(step("pre/fix/"), into(&["pre/fix/AWSLogs/"]));
        assert_eq!(step("AWSLogs/"), Step::Look);
        assert_eq!(step("AWSLogs/o-a1b2c3d4e5/"), Step::Look);
        for account in ["AWSLogs/000000000012/", "pre/AWSLogs/o-a1b2c3d4e5/000000000012/"] {
            assert_eq!(step(account), into(&[&format!("{account}CloudTrail/"), &format!("{account}CloudTrail-Digest/")]));
            assert_eq!(step(&format!("{account}CloudTrail/")), Step::Look);
        }
        assert_eq!(step(REGION), Step::List);
        assert_eq!(step(&format!("{REGION}2024/03/")), Step::List);
        assert_eq!(step("AWSLogs/000000000012/Config/"), Step::List);
    }

    #[test]
    fn what_others_write_and_what_is_not_wanted_is_not_entered() {
        let all = Only::default();
        assert!(is_branch("AWSLogs/o-a1b2c3d4e5/", &all) && is_branch("AWSLogs/000000000012/", &all));
        assert!(!is_branch("AWSLogs/elasticloadbalancing/", &all) && !is_branch("AWSLogs/12/", &all));
        let some = Only { accounts: vec!["000000000012".into()], regions: vec!["us-east-1".into()] };
        assert!(is_branch("AWSLogs/000000000012/", &some) && !is_branch("AWSLogs/000000000013/", &some));
        assert!(is_branch(REGION, &some) && !is_branch("AWSLogs/000000000012/CloudTrail/eu-west-1/", &some));
        assert!(some.wants(&format!("{REGION}2024/03/01/x.json.gz")) && !some.wants("x.json.gz") && all.wants("x.json.gz"));
    }

    #[test]
    fn a_listing_may_begin_at_a_day_of_a_regions_folder_and_nowhere_else() {
        let since = at("2024-03-01T12:00:00Z");
        let begins = before_day(REGION, since).unwrap();
        assert_eq!(begins, format!("{REGION}2024/03/01/"));
        assert!(format!("{REGION}2024/03/01/a.json.gz") > begins && format!("{REGION}2024/02/29/z.json.gz") < begins);
        assert_eq!(before_day(&format!("{REGION}2024/03/"), since), Some(begins));
        for other in ["", "AWSLogs/", "AWSLogs/000000000012/CloudTrail/", "AWSLogs/000000000012/Config/us-east-1/", "x/2024/"] {
            assert_eq!(before_day(other, since), None, "{other}");
        }
    }

    #[test]
    fn a_name_says_when_it_was_delivered_and_else_its_folder() {
        let name = |name: &str| delivered_at(&format!("{REGION}2024/03/01/{name}.json.gz"));
        assert_eq!(name("000000000012_CloudTrail_us-east-1_20240301T0905Z_abc"), Some(at("2024-03-01T09:05:00Z")));
        assert_eq!(name("000000000012_CloudTrail-Digest_us-east-1_t_us-east-1_20240301T090512Z"), Some(at("2024-03-01T09:05:12Z")));
        assert_eq!(name("renamed"), Some(at("2024-03-01T00:00:00Z")));
        assert_eq!(name("x_20240231T0905Z_y"), Some(at("2024-03-01T00:00:00Z")));
        assert_eq!(delivered_at("copies/renamed.json.gz"), None);
    }

    #[test]
    fn a_window_holds_its_start_and_not_its_end() {
        let window = Window { start: Some(at("2024-03-01T09:00:00Z")), end: Some(at("2024-03-01T11:00:00Z")) };
        let log =
            |time: &str| window.holds(&format!("{REGION}2024/03/01/000000000012_CloudTrail_us-east-1_20240301T{time}Z_abc.json.gz"), None);
        assert_eq!(["0859", "0900", "1059", "1100"].map(log), [false, true, true, false]);
        let copy = |made_at: Option<UtcSecond>| window.holds("copies/renamed.json.gz", made_at);
        assert_eq!([None, Some(at("2024-03-01T10:00:00Z")), Some(at("2024-03-01T11:00:00Z"))].map(copy), [false, true, false]);
        assert!(Window::default().holds("copies/renamed.json.gz", None));
    }

    #[test]
    fn a_digest_is_in_a_window_when_all_that_it_tells_of_is() {
        let window = Window { start: Some(at("2024-03-01T09:00:00Z")), end: Some(at("2024-03-01T11:00:00Z")) };
        let folder = REGION.replace("/CloudTrail/", "/CloudTrail-Digest/");
        let digest = |time: &str| {
            window.holds(&format!("{folder}2024/03/01/0_CloudTrail-Digest_us-east-1_t_us-east-1_20240301T{time}Z.json.gz"), None)
        };
        assert_eq!(["090000", "095959", "100000", "110000", "110001"].map(digest), [false, false, true, true, false]);
    }

    #[test]
    fn a_listing_ends_well_after_its_window_and_not_where_keys_are_in_no_order() {
        let window = Window { start: None, end: Some(at("2024-03-01T00:00:00Z")) };
        let key = |day: &str| format!("{REGION}2024/03/{day}/0_CloudTrail_us-east-1_202403{day}T0000Z_a.json.gz");
        assert!(!window.is_passed_by(&key("02")) && window.is_passed_by(&key("03")));
        assert!(!window.is_passed_by("copies/2024/03/09/x.json.gz") && !Window::default().is_passed_by(&key("03")));
    }
}
