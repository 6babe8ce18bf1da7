//! Which trail to rely on, from a description of those that there are.

use cloudigrade_schemas::account::AccountProblem;

/// The trail that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The name of ours.
    pub name: String,
    /// The bucket that it must write to.
    pub bucket: String,
    /// The account.
    pub account_id: String,
    /// Whether one may be made.
    pub may_make: bool,
}

impl Wanted {
    /// The trail of an account.
    pub fn new(bucket: &str, prefix: &str, account_id: &str, may_make: bool) -> Self {
        Self { name: trail_name(prefix, account_id), bucket: bucket.to_owned(), account_id: account_id.to_owned(), may_make }
    }
}

/// The name of our trail in an account.
pub fn trail_name(prefix: &str, account_id: &str) -> String {
    format!("{prefix}{account_id}")
}

/// A trail as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The bucket that it writes to.
    pub bucket: Option<String>,
    /// The region that it was made in.
    pub home_region: Option<String>,
    /// Whether it is an organisation's.
    pub organization: bool,
    /// Whether it logs all regions.
    pub multi_region: bool,
    /// Whether it logs services that have no region.
    pub global_events: bool,
    /// Whether digest files are written, by which missing log files are found.
    pub validated: bool,
    /// Whether it logs; `None` where that was not told.
    pub logging: Option<bool>,
    /// Whether management events that write are logged; `None` where that was not told.
    pub writes: Option<bool>,
}

impl Found {
    /// Whether this program made it: by its name, and in this account.
    pub fn is_ours(&self, wanted: &Wanted) -> bool {
        self.name == wanted.name && !self.organization && self.arn.split(':').nth(4) == Some(wanted.account_id.as_str())
    }

    /// Whether it may be the one to rely on, and is worth a closer look.
    pub fn is_candidate(&self, wanted: &Wanted) -> bool {
        self.multi_region && self.bucket.as_deref() == Some(wanted.bucket.as_str())
    }

    /// Whether it delivers what is needed. What a member account is not told of its organisation's trail is taken for good: a second
    /// trail would cost its owner money, and if nothing arrives, that shows as a gap.
    fn serves(&self, wanted: &Wanted) -> bool {
        let told = |flag: Option<bool>| flag.unwrap_or(self.organization);
        self.is_candidate(wanted) && told(self.logging) && told(self.writes)
    }

    /// Whether ours is as we would make it.
    fn in_order(&self, wanted: &Wanted) -> bool {
        self.serves(wanted) && self.validated && self.global_events
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// This one delivers what is needed.
    Accept(&'a Found),
    /// Ours is not as it should be.
    Update(&'a Found),
    /// There is none.
    Create,
    /// There is none, and none may be made.
    Refuse(AccountProblem),
}

/// Decides. An organisation's trail comes first: whoever set it up meant all its accounts. Then ours while it is in order, then any other,
/// so that ours is not made where another serves. Among equals the ARN that sorts first is taken: the choice does not change by itself.
pub fn decide<'a>(found: &'a [Found], wanted: &Wanted) -> Decision<'a> {
    let first = |organization: bool| {
        let serve = found.iter().filter(|trail| trail.organization == organization && !trail.is_ours(wanted) && trail.serves(wanted));
        serve.min_by_key(|trail| trail.arn.as_str())
    };
    let ours = ours(found, wanted);
    let in_order = ours.filter(|trail| trail.in_order(wanted));
    if let Some(trail) = first(true).or(in_order).or_else(|| first(false)) {
        return Decision::Accept(trail);
    }
    match ours {
        Some(trail) if wanted.may_make => Decision::Update(trail),
        Some(trail) if trail.serves(wanted) => Decision::Accept(trail),
        None if wanted.may_make => Decision::Create,
        _ => Decision::Refuse(missing(wanted)),
    }
}

/// Our own trail, if it is there.
fn ours<'a>(found: &'a [Found], wanted: &Wanted) -> Option<&'a Found> {
    found.iter().find(|trail| trail.is_ours(wanted))
}

/// Our own trail, when another was accepted in its place: it only costs its owner money now.
pub fn superfluous<'a>(found: &'a [Found], accepted: &Found, wanted: &Wanted) -> Option<&'a Found> {
    ours(found, wanted)
        .filter(|trail| wanted.may_make && !accepted.is_ours(wanted) && trail.bucket.as_deref() == Some(wanted.bucket.as_str()))
}

fn missing(wanted: &Wanted) -> AccountProblem {
    AccountProblem {
        code: "trail_missing".to_owned(),
        detail: format!("no trail of all regions that logs writing management events writes to the bucket {}", wanted.bucket),
        help: format!("let a trail of the account or its organisation write to the bucket {}, or let this program make one", wanted.bucket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted::new("ours", "cloudigrade-", "111122223333", true)
    }

    fn trail(name: &str, account: &str) -> Found {
        Found {
            name: name.to_owned(),
            arn: format!("arn:aws:cloudtrail:us-east-1:{account}:trail/{name}"),
            bucket: Some("ours".to_owned()),
            home_region: Some("us-east-1".to_owned()),
            organization: false,
            multi_region: true,
            global_events: true,
            validated: true,
            logging: Some(true),
            writes: Some(true),
        }
    }

    #[test]
    fn without_a_trail_one_is_made_where_that_is_allowed() {
        assert_eq!(decide(&[], &wanted()), Decision::Create);
        let refused = Wanted { may_make: false, ..wanted() };
        assert!(matches!(decide(&[], &refused), Decision::Refuse(problem) if problem.code == "trail_missing"));
    }

    #[test]
    fn an_organisations_trail_into_our_bucket_is_accepted_before_all_others_even_if_it_cannot_be_looked_into() {
        let ours = trail("cloudigrade-111122223333", "111122223333");
        let other = trail("a-trail", "111122223333");
        let organization = Found { organization: true, logging: None, writes: None, ..trail("org", "999922223333") };
        let found = [ours, other, organization.clone()];
        assert_eq!(decide(&found, &wanted()), Decision::Accept(&organization));
        let stopped = [Found { logging: Some(false), ..organization }];
        assert_eq!(decide(&stopped, &wanted()), Decision::Create);
    }

    #[test]
    fn an_existing_trail_of_all_regions_into_our_bucket_is_accepted() {
        let other = trail("a-trail", "111122223333");
        assert_eq!(decide(std::slice::from_ref(&other), &wanted()), Decision::Accept(&other));
    }

    #[test]
    fn a_trail_that_does_not_deliver_what_is_needed_is_not_relied_on() {
        let good = || trail("a-trail", "111122223333");
        for bad in [
            Found { bucket: Some("theirs".to_owned()), ..good() },
            Found { multi_region: false, ..good() },
            Found { logging: Some(false), ..good() },
            Found { writes: Some(false), ..good() },
            Found { logging: None, ..good() },
        ] {
            assert_eq!(decide(std::slice::from_ref(&bad), &wanted()), Decision::Create, "{bad:?}");
        }
    }

    #[test]
    fn ours_is_left_alone_when_in_order_and_mended_when_not() {
        let good = || trail("cloudigrade-111122223333", "111122223333");
        assert_eq!(decide(&[good()], &wanted()), Decision::Accept(&good()));
        for bad in [
            Found { bucket: Some("elsewhere".to_owned()), ..good() },
            Found { multi_region: false, ..good() },
            Found { global_events: false, ..good() },
            Found { validated: false, ..good() },
            Found { logging: Some(false), ..good() },
            Found { writes: Some(false), ..good() },
        ] {
            assert_eq!(decide(std::slice::from_ref(&bad), &wanted()), Decision::Update(&bad));
        }
    }

    #[test]
    fn a_trail_of_our_name_that_is_an_organisations_or_another_accounts_is_never_touched() {
        let organization =
            Found { organization: true, bucket: Some("theirs".to_owned()), ..trail("cloudigrade-111122223333", "999922223333") };
        assert_eq!(decide(&[organization], &wanted()), Decision::Create);
        let elsewhere = Found { bucket: Some("theirs".to_owned()), ..trail("cloudigrade-111122223333", "999922223333") };
        assert_eq!(decide(&[elsewhere], &wanted()), Decision::Create);
    }

    #[test]
    fn ours_is_kept_beside_another_and_superfluous_beside_an_organisations() {
        let ours = trail("cloudigrade-111122223333", "111122223333");
        let other = trail("a-trail", "111122223333");
        let found = [other, ours.clone()];
        assert_eq!(decide(&found, &wanted()), Decision::Accept(&ours));
        assert_eq!(superfluous(&found, &ours, &wanted()), None);
        let organization = Found { organization: true, ..trail("org", "999922223333") };
        let found = [ours.clone(), organization.clone()];
        assert_eq!(decide(&found, &wanted()), Decision::Accept(&organization));
        assert_eq!(superfluous(&found, &organization, &wanted()), Some(&ours));
        let may_not = Wanted { may_make: false, ..wanted() };
        assert_eq!(superfluous(&found, &organization, &may_not), None);
    }

    #[test]
    fn the_choice_does_not_depend_on_the_order() {
        let (a, b) = (trail("a", "111122223333"), trail("b", "111122223333"));
        assert_eq!(decide(&[b.clone(), a.clone()], &wanted()), Decision::Accept(&a));
        assert_eq!(decide(&[a.clone(), b], &wanted()), Decision::Accept(&a));
    }
}
