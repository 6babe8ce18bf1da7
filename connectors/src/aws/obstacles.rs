//! What was in the way in some regions of an account: one problem for all regions that it is the same in.

use std::collections::BTreeMap;

use cloudigrade_schemas::account::AccountProblem;

use super::collector::CollectError;

/// Failures of regions.
#[derive(Debug, Default)]
pub(super) struct Obstacles {
    /// The regions by problem.
    regions: BTreeMap<(String, String, String), Vec<String>>,
}

impl Obstacles {
    /// Notes a region's failure.
    ///
    /// # Errors
    /// A failure that is not the account's, but ours: there is no use in going on.
    pub(super) fn add(&mut self, region: &str, error: CollectError) -> Result<(), CollectError> {
        match error.problem() {
            Some(AccountProblem { code, detail, help }) => {
                tracing::debug!(region, code, detail, "a region could not be looked at");
                self.regions.entry((code, detail, help)).or_default().push(region.to_owned());
                Ok(())
            }
            None => Err(error),
        }
    }

    /// The problems, in an order that does not depend on which region was faster.
    pub(super) fn problems(self) -> Vec<AccountProblem> {
        let told = |((code, detail, help), mut regions): ((String, String, String), Vec<String>)| {
            regions.sort();
            AccountProblem { code, detail: format!("{detail} in {}", regions.join(", ")), help }
        };
        self.regions.into_iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{Api, AwsError};

    #[test]
    fn regions_with_the_same_obstacle_are_one_problem_whatever_their_order() {
        let refused = || CollectError::Aws(AwsError::told(Api::DescribeInstances, Some("UnauthorizedOperation"), Some("no"), None));
        let mut obstacles = Obstacles::default();
        for region in ["us-west-2", "eu-west-1"] {
            obstacles.add(region, refused()).unwrap();
        }
        obstacles.add("us-east-1", CollectError::Aws(AwsError::told(Api::DescribeImages, Some("InternalError"), None, None))).unwrap();
        let problems = obstacles.problems();
        assert_eq!(problems.len(), 2);
        assert_eq!(
            (problems[0].code.as_str(), problems[0].detail.as_str()),
            ("permission_missing", "ec2:DescribeInstances is not permitted: no (UnauthorizedOperation) in eu-west-1, us-west-2")
        );
        assert_eq!(problems[1].code, "unreachable");
    }

    #[test]
    fn a_failure_of_ours_is_not_told_to_the_owner_of_the_account() {
        let mut obstacles = Obstacles::default();
        assert!(obstacles.add("r", CollectError::Fault("x".to_owned())).is_err());
        assert!(obstacles.problems().is_empty());
    }
}
