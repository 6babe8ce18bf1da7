//! What can be asked of whoever has the log, and the answers: the same in this process and over the control socket.

use cloudigrade_connectors::source::batch::{Done, Named};
use cloudigrade_query::rest::backend::{Refused, UserInfo};
use cloudigrade_schemas::image_fact::InspectionWanted;
use cloudigrade_schemas::{Account, Inspection, Product, Token};
use serde::{Deserialize, Serialize};

use super::records::{RecordsAnswer, RecordsRequest};
use crate::users::Secret;

/// Something asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// About accounts.
    Accounts(Request),
    /// About dead letters.
    DeadLetters(LettersRequest),
    /// About objects of buckets.
    Objects(ObjectsRequest),
    /// About users and their tokens.
    Users(UsersRequest),
    /// To say what is in an image.
    Override(OverrideRequest),
    /// About inspections of images.
    Inspections(InspectionsRequest),
    /// About records of the log.
    Records(RecordsRequest),
}

/// What was answered, of the same kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// About accounts.
    Accounts(Answer),
    /// About dead letters.
    DeadLetters(LettersAnswer),
    /// About users and their tokens.
    Users(UsersAnswer),
    /// What was said of an image holds.
    Override,
    /// About objects of buckets.
    Objects(Done),
    /// Inspections that were asked about.
    Inspections(Vec<Inspection>),
    /// Records that were asked about.
    Records(RecordsAnswer),
}

/// Something asked about inspections of images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InspectionsRequest {
    /// Who asks.
    pub by: String,
    /// What is wanted.
    pub operation: InspectionsOperation,
}

/// What can be asked about inspections.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InspectionsOperation {
    /// Those that there are, the latest changes first, [`INSPECTIONS_TOLD_MAX`](crate::limits::INSPECTIONS_TOLD_MAX) at most.
    List {
        /// Of this image alone.
        image: Option<String>,
        /// Also those that are over.
        all: bool,
    },
    /// The one whose id begins so, of all that there ever were.
    Find {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// To have an image inspected, or its inspection given up; gives all of the image's.
    Want {
        /// The image.
        image: String,
        /// What is wanted.
        wanted: InspectionWanted,
    },
}

/// What to do with objects of buckets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ObjectsRequest {
    /// The objects, at most [`BATCH_OBJECTS_MAX`](cloudigrade_connectors::limits::BATCH_OBJECTS_MAX).
    pub objects: Vec<Named>,
    /// What to do.
    pub action: ObjectsAction,
}

/// What can be done with objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectsAction {
    /// Count those that were read before.
    Look,
    /// Read those that were not.
    Read,
}

/// Something asked about users.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UsersRequest {
    /// Who asks.
    pub by: String,
    /// What is wanted.
    pub operation: UsersOperation,
}

/// What can be asked about users.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum UsersOperation {
    /// Make one.
    Create {
        /// What they log in as.
        name: String,
        /// Whose accounts they see; their own tenant if absent.
        tenant: Option<String>,
        /// Where they can be written to.
        email: Option<String>,
        /// Whether they see all tenants and manage users.
        superuser: bool,
        /// What they log in with.
        password: Secret,
    },
    /// All of them.
    List,
    /// Shut one out.
    Disable {
        /// Whom.
        name: String,
    },
    /// Let one in again.
    Enable {
        /// Whom.
        name: String,
    },
    /// Another password; all tokens end.
    Reset {
        /// Whose.
        name: String,
        /// What they log in with from now on.
        password: Secret,
    },
    /// The tokens of one that work.
    Tokens {
        /// Whose.
        name: String,
    },
    /// End tokens.
    Revoke {
        /// Whose.
        name: String,
        /// The beginning of the hash of one; all of them if absent.
        hash: Option<String>,
    },
}

/// What was done about users, or is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersAnswer {
    /// The users that it is about, as they stand.
    #[serde(default)]
    pub users: Vec<UserInfo>,
    /// The tokens that were asked for.
    #[serde(default)]
    pub tokens: Vec<Token>,
    /// How many tokens were ended.
    #[serde(default)]
    pub revoked: usize,
}

/// What is in an image, against all evidence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OverrideRequest {
    /// For whose accounts; all if absent.
    pub tenant: Option<String>,
    /// Who says so.
    pub by: String,
    /// The image.
    pub image_id: String,
    /// The region that it is in, if it is not the one that is known.
    pub region: Option<String>,
    /// About which product.
    pub product: Product,
    /// Whether it is there; absent takes back what was said.
    pub is: Option<bool>,
    /// Why.
    pub reason: Option<String>,
}

/// What to do with open dead letters.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LettersRequest {
    /// Which: ids or their beginnings; none means all.
    pub ids: Vec<String>,
    /// Who asks.
    pub by: String,
    /// What to do.
    pub action: LettersAction,
}

/// What can be done with dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LettersAction {
    /// Read again what they are about.
    Replay,
    /// Mark them as of no use.
    Drop,
}

/// What was done with dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LettersAnswer {
    /// How many were found.
    pub found: usize,
    /// Ids of those that are resolved now.
    pub resolved: Vec<String>,
    /// Ids of those that stay open, and why.
    pub open: Vec<(String, String)>,
    /// CloudTrail records in what was read again.
    pub records: u64,
    /// Whether there are more than are done at once.
    pub more: bool,
}

/// Something asked about a tenant's accounts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Whose accounts.
    pub tenant: String,
    /// Who asks.
    pub by: String,
    /// What is wanted.
    pub operation: Operation,
}

/// What can be asked. It is also what the command line takes: its documentation is the help.
#[derive(Clone, Debug, Serialize, Deserialize, clap::Subcommand)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Operation {
    /// The tenant's external id, made at the first time
    #[command(skip)]
    ExternalId,
    /// Collect from an account from now on, with its history
    Register {
        /// The role that was made for cloudigrade
        #[arg(value_name = "ROLE_ARN")]
        arn: String,
        /// What to call the account
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// All accounts
    List,
    /// One account, with its problems and how to mend them
    Show {
        /// Its AWS account id or name
        account: String,
    },
    /// Give an account another name, or none
    Rename {
        /// Its AWS account id or name
        account: String,
        /// The new name; without it, the name is taken away
        name: Option<String>,
    },
    /// Use another role of the same AWS account
    ChangeRole {
        /// Its AWS account id or name
        account: String,
        /// The role that was made for cloudigrade
        #[arg(value_name = "ROLE_ARN")]
        arn: String,
    },
    /// Meter an account again from now on
    Enable {
        /// Its AWS account id or name
        account: String,
    },
    /// Do not meter an account from now on; its trail is removed if cloudigrade made it
    Disable {
        /// Its AWS account id or name
        account: String,
    },
    /// Do not meter an account for a while; its trail stays
    Pause {
        /// Its AWS account id or name
        account: String,
    },
    /// End a pause
    Resume {
        /// Its AWS account id or name
        account: String,
    },
    /// Forget an account; its trail is removed if cloudigrade made it
    Delete {
        /// Its AWS account id or name
        account: String,
    },
    /// Look again whether role, permissions and trail are in order
    Verify {
        /// Its AWS account id or name
        account: String,
    },
}

/// What was done, or is known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// The accounts as they stand.
    #[serde(default)]
    pub accounts: Vec<Account>,
    /// The tenant's external id, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// What to tell the one who asked, beside the accounts.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}; {help}")]
pub struct Refusal {
    /// A stable word.
    pub code: String,
    /// What is the matter.
    pub detail: String,
    /// What to do.
    pub help: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: &str, detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into(), help: help.into() }
    }

    /// The program or its log failed.
    pub fn failed(cause: &dyn std::fmt::Display) -> Self {
        Self::new("failed", cause.to_string(), "see the messages of the server, mend it, and ask again")
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::Credentials => Self::new("credentials", detail, "check both"),
            Refused::TooManyAttempts { .. } => Self::new("too_many_attempts", detail, "wait"),
            Refused::NotFound { .. } => Self::new("not_found", detail, "list them to see which there are"),
            Refused::Invalid { code, details, .. } if details.is_empty() => Self::new(&code, detail, "change it and ask again"),
            Refused::Invalid { code, details, .. } => {
                Self::new(&code, format!("{detail}: {}", details.join(", ")), "mend it and ask again")
            }
            Refused::Unsupported { .. } => Self::new("unsupported", detail, "nothing was changed"),
            Refused::StillWorking { .. } => Self::new("still_working", detail, "look again in a moment"),
            Refused::Failed => Self::new("failed", detail, "mend it, and ask again"),
        }
    }
}
