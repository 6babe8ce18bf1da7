//! A batch: the volumes that one scanner reads.

use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::inspection::CommandId;
use serde::{Deserialize, Serialize};

/// A scanner and what it reads. It is kept in the worker's state from before the scanner is started until it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its name: a function of its members. The scanner is tagged with this, and is started with this as its client token.
    pub batch_id: String,
    /// The attempts whose volumes it reads, each with the device that its volume is attached as. They do not change.
    pub members: Vec<Member>,
    /// How far it is.
    pub state: BatchState,
    /// The scanner's instance, once it was started.
    pub instance_id: Option<String>,
    /// How often the step was tried and not done, since it last went on.
    pub tries: u32,
    /// How often in a row something was missing that should have been there.
    pub missing: u32,
    /// What is in the way of the step now.
    pub problem: Option<String>,
    /// When the step is to be tried, or looked at, next.
    pub due_at: UtcSecond,
    /// When the scanner is given up unless the batch's state has changed by then; absent while it is removed.
    pub deadline_at: Option<UtcSecond>,
    /// Since when it is in its state.
    pub state_since: UtcSecond,
}

/// One volume of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The attempt that it is for.
    pub command_id: CommandId,
    /// The image, as the scanner is to call it in its findings.
    pub image_id: String,
    /// The volume.
    pub volume_id: String,
    /// The name that it is attached as, `/dev/sdf`. Instances with NVMe show another; the volume's id is its serial number there.
    pub device: String,
}

/// How far a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// The scanner is being started.
    Starting,
    /// The volumes are being attached to it.
    Attaching,
    /// It reads them, and its findings are awaited.
    Scanning,
    /// It ended; its findings may still be in the queue.
    Draining,
    /// It is being removed.
    Stopping,
}

impl Batch {
    /// The name of a batch of these attempts.
    pub fn id_of<'a>(members: impl IntoIterator<Item = &'a CommandId>) -> String {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for member in members {
            hash.update(member.as_str().as_bytes());
            hash.update(b"/");
        }
        format!("{:032x}", hash.digest128())
    }
}
