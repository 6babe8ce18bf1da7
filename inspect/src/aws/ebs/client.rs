//! The two calls of the EBS direct API that read, and whether what they gave is what AWS has.

use aws_sdk_ebs::operation::get_snapshot_block::GetSnapshotBlockOutput;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cloudigrade_connectors::aws::{Api, AwsError, Caller};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::BLOCK_BYTES;
use crate::aws::limits::BLOCKS_PER_LISTING;

/// Why blocks could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// AWS refused or did not answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// What came is not what was asked for; the next time it may be.
    #[error("block {index} of {snapshot} came damaged: {why}")]
    Damaged {
        /// The snapshot.
        snapshot: String,
        /// The block.
        index: u32,
        /// What of it.
        why: String,
    },
    /// AWS speaks of blocks in a way that this program does not know.
    #[error("the blocks of {snapshot} cannot be read: {why}")]
    Unknown {
        /// The snapshot.
        snapshot: String,
        /// What is not known.
        why: String,
    },
    /// Nobody waits for them any more.
    #[error("the reading was given up")]
    GivenUp,
}

impl BlockError {
    /// Whether the same question may be answered later without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Aws(error) => error.is_transient(),
            Self::Damaged { .. } => true,
            Self::Unknown { .. } | Self::GivenUp => false,
        }
    }

    /// Whether AWS took what it was given for wrong: a block's token ends after some days.
    pub fn is_refused_token(&self) -> bool {
        matches!(self, Self::Aws(error) if error.code == "ValidationException")
    }
}

/// A page of the blocks that a snapshot has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Their indices, rising, and what each is asked for by.
    pub blocks: Vec<(u32, String)>,
    /// What the next page is asked for by; `None` if there is none.
    pub next: Option<String>,
    /// Length of the volume in GiB.
    pub volume_gib: u64,
}

/// What can be asked about the blocks of one snapshot. Waits for the answer.
pub trait Blocks: Send + Sync {
    /// Blocks from an index on, or the page that `token` names.
    ///
    /// # Errors
    /// [`BlockError`].
    fn list(&self, first: u32, token: Option<&str>) -> Result<Listed, BlockError>;

    /// All bytes of a block.
    ///
    /// # Errors
    /// [`BlockError`].
    fn get(&self, index: u32, token: &str) -> Result<Vec<u8>, BlockError>;
}

/// AWS, asked from a thread that may wait.
pub struct EbsClient {
    caller: Caller,
    region: String,
    client: aws_sdk_ebs::Client,
    snapshot: String,
    runtime: Handle,
    given_up: CancellationToken,
}

impl EbsClient {
    /// The blocks of a snapshot, asked for by `caller`. Its calls run on the runtime that this is called in, and the threads that wait must be none
    /// of its own. They stop waiting once it is `given_up`.
    pub fn new(caller: Caller, region: &str, snapshot: &str, given_up: CancellationToken) -> Self {
        let client = aws_sdk_ebs::Client::new(&caller.config(region));
        Self { caller, region: region.to_owned(), client, snapshot: snapshot.to_owned(), runtime: Handle::current(), given_up }
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T, BlockError>>) -> Result<T, BlockError> {
        self.runtime.block_on(async { self.given_up.run_until_cancelled(answer).await.unwrap_or(Err(BlockError::GivenUp)) })
    }

    async fn fetch(&self, index: u32, token: &str) -> Result<Vec<u8>, BlockError> {
        let damaged = |why: String| BlockError::Damaged { snapshot: self.snapshot.clone(), index, why };
        let asked = self.client.get_snapshot_block().snapshot_id(&self.snapshot).block_index(self.number(index)?).block_token(token);
        let told = self.caller.call(&self.region, Api::GetSnapshotBlock, asked.send()).await?;
        let GetSnapshotBlockOutput { block_data, checksum, .. } = told;
        let bytes = block_data.collect().await.map_err(|error| damaged(error.to_string()))?.into_bytes();
        if bytes.len() != BLOCK_BYTES {
            return Err(damaged(format!("it has {} bytes, not {BLOCK_BYTES}", bytes.len())));
        }
        let hash = BASE64_STANDARD.encode(Sha256::digest(&bytes));
        match checksum {
            Some(told) if told == hash => Ok(bytes.to_vec()),
            Some(_) => Err(damaged("its checksum is not that of its bytes".to_owned())),
            None => Err(damaged("it has no checksum".to_owned())),
        }
    }

    async fn page(&self, first: u32, token: Option<&str>) -> Result<Listed, BlockError> {
        let unknown = |why: String| BlockError::Unknown { snapshot: self.snapshot.clone(), why };
        let asked = self.client.list_snapshot_blocks().snapshot_id(&self.snapshot).max_results(BLOCKS_PER_LISTING);
        let asked = match token {
            Some(token) => asked.next_token(token),
            None => asked.starting_block_index(self.number(first)?),
        };
        let told = self.caller.call(&self.region, Api::ListSnapshotBlocks, asked.send()).await?;
        if told.block_size().is_none_or(|bytes| usize::try_from(bytes) != Ok(BLOCK_BYTES)) {
            return Err(unknown(format!("they have {:?} bytes each, not {BLOCK_BYTES}", told.block_size())));
        }
        let block = |block: &aws_sdk_ebs::types::Block| {
            let index = block.block_index().and_then(|index| u32::try_from(index).ok());
            index.zip(block.block_token().map(str::to_owned)).ok_or_else(|| unknown("a block has no index or no token".to_owned()))
        };
        Ok(Listed {
            blocks: told.blocks().iter().map(block).collect::<Result<_, _>>()?,
            next: told.next_token().filter(|token| !token.is_empty()).map(str::to_owned),
            volume_gib: told.volume_size().and_then(|gib| u64::try_from(gib).ok()).ok_or_else(|| unknown("it has no size".to_owned()))?,
        })
    }

    /// An index as AWS counts.
    fn number(&self, index: u32) -> Result<i32, BlockError> {
        i32::try_from(index).map_err(|_| BlockError::Unknown {
            snapshot: self.snapshot.clone(),
            why: format!("there is no block {index}: AWS counts up to {}", i32::MAX),
        })
    }
}

impl Blocks for EbsClient {
    fn list(&self, first: u32, token: Option<&str>) -> Result<Listed, BlockError> {
        self.wait(self.page(first, token))
    }

    fn get(&self, index: u32, token: &str) -> Result<Vec<u8>, BlockError> {
        self.wait(self.fetch(index, token))
    }
}
