//! What the worker needs of a cloud: one method for each step of an inspection.
//!
//! The worker decides what is done and when, remembers how far each inspection is, waits, counts tries and holds deadlines. An implementation
//! makes the calls, and says what came of them. It keeps no state of its own that matters: it may be made anew between any two calls, and two
//! workers may call two of them at the same time.
//!
//! # What every method promises
//!
//! * **It can be repeated.** The worker calls it again after a crash, a lost answer or a failure, with the same inspection as before, and gets the
//!   same resource. What is made is made with a client token, and where AWS takes none it is looked for by its tags before it is made. Tokens and
//!   tags are functions of the installation's name and the command's id (of a scanner: the batch's id), so that another attempt, and another
//!   installation in the same account, never gets it.
//! * **It is tagged as it is made** (`TagSpecifications`, never a later call): [`TAG_INSTALLATION`], [`TAG_COMMAND`] or [`TAG_BATCH`],
//!   [`TAG_IMAGE`], and `Name`. A volume that was attached stays tagged. So whatever was made is found, though its id was lost.
//! * **It makes nothing else**, and removes nothing that is not tagged as ours; a snapshot that was not made by us is only shared and unshared.
//! * **It does not wait** for what takes AWS longer than a call. It says [`Step::NotYet`], and is asked again.
//! * **It ends.** Calls have time limits; an implementation repeats one a few times at most, within the limits of the SDK.
//! * **It tells nothing secret**: neither external ids nor credentials are in what it says, and messages of AWS are cut as
//!   `cloudigrade_connectors::aws::AwsError` does.
//!
//! # What the worker promises
//!
//! The state that names a step is durable before the step is taken, and what the step gave is durable before the next one is. Of one inspection,
//! one step is taken at a time by one worker; but a worker that was given up may still be taking an earlier one.

use async_trait::async_trait;
use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::findings::ImageFindings;
use cloudigrade_schemas::inspection::{Inspection, Reader, SourceDisk, SpecialImage};

use crate::batch::Batch;

/// The tag with the installation's name, as it is configured: on everything.
pub const TAG_INSTALLATION: &str = "cloudigrade-installation";
/// The tag with the attempt's id: on copies of images and snapshots, and on volumes.
pub const TAG_COMMAND: &str = "cloudigrade-inspection";
/// The tag with the batch's id: on scanners.
pub const TAG_BATCH: &str = "cloudigrade-scanner";
/// The tag with the image's id, for people: on what has [`TAG_COMMAND`].
pub const TAG_IMAGE: &str = "cloudigrade-image";

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// It is done. `T` is what it gave.
    Done(T),
    /// Nothing is wrong; AWS is working on it. Look again.
    NotYet,
    /// It cannot be done, and no attempt can, until somebody does something: the image is a special one.
    Refused {
        /// Why.
        special: SpecialImage,
        /// What AWS said.
        detail: String,
    },
    /// It was not done, or it is not known whether it was; the same call may work later. So are throttling, no answer, limits of the account that
    /// are used up, and permissions that are missing: somebody may give them.
    Retry {
        /// What happened, to what, and what to do.
        detail: String,
    },
    /// Something that an earlier step made, or AWS listed a moment ago, is not there. It may be that AWS does not show it yet: the worker asks a few
    /// times more before it gives the attempt up.
    Missing {
        /// What.
        detail: String,
    },
    /// AWS gave it up: a snapshot in the state `error`, a volume that failed. This attempt cannot go on; another one may.
    Failed {
        /// What happened, to what.
        detail: String,
    },
}

/// What was read without a scanner.
#[derive(Clone, Debug, PartialEq)]
pub enum DirectRead {
    /// It was read.
    Found {
        /// What is in it.
        findings: Box<ImageFindings>,
        /// Blocks of 512 KiB that were read, each of which costs.
        blocks: u64,
    },
    /// AWS does not let this snapshot be read so, or not by us; a scanner may be able to.
    NotPossible {
        /// Why.
        detail: String,
    },
}

/// How a scanner is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScannerState {
    /// It runs, or is about to.
    Running,
    /// It stopped, or is not there any more: no findings will come that are not in the queue already.
    Ended {
        /// What is known of why.
        detail: String,
    },
}

/// A message of the queue that scanners send their findings to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingsMessage {
    /// What the message is deleted by.
    pub receipt: String,
    /// Its name, for evidence: the queue and the message's id.
    pub source: String,
    /// Its body, as houndigrade wrote it: [`cloudigrade_schemas::Findings`].
    pub body: String,
}

/// Where resources are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Our own account, in the region where scanners run.
    Own,
    /// The account of a reader, in the region of an image.
    Of {
        /// The account and its role.
        reader: Reader,
        /// The region.
        region: String,
    },
}

/// What a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    /// An instance that is not terminated.
    Scanner,
    /// A volume.
    Volume,
    /// A copy of an image.
    Image,
    /// A snapshot.
    Snapshot,
}

impl ResourceKind {
    /// Its word, for messages and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scanner => "scanner",
            Self::Volume => "volume",
            Self::Image => "image",
            Self::Snapshot => "snapshot",
        }
    }
}

/// A resource that has this installation's tags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaggedResource {
    /// What it is.
    pub kind: ResourceKind,
    /// Its id.
    pub id: String,
    /// The value of [`TAG_COMMAND`], or of [`TAG_BATCH`] for a scanner.
    pub owner: String,
    /// When it was made, as far as AWS tells.
    pub made_at: Option<UtcSecond>,
}

/// A cloud, as far as inspections need it. All methods keep the promises in the documentation of this module.
#[async_trait]
pub trait Cloud: Send + Sync + 'static {
    /// Looks at the image and the snapshot of its root disk, by the reader's role. [`Step::NotYet`] while the image is pending;
    /// [`SpecialImage::ImageGone`], [`SpecialImage::ImageFailed`], [`SpecialImage::NoSnapshot`] and [`SpecialImage::OtherPartition`] are found here, and
    /// [`SpecialImage::Marketplace`] where its product codes say so. A snapshot that is not shown to the reader has no owner, and the size that
    /// the image's block device tells. An image that is only not shown to this reader is [`Step::Missing`].
    async fn find_disk(&self, inspection: &Inspection) -> Step<SourceDisk>;

    /// Starts the copy of the image into the reader's account, in its region, and gives its id. Refusals tell the storage-related special images.
    /// Taken where the snapshot is not the reader's.
    async fn copy_image(&self, inspection: &Inspection) -> Step<String>;

    /// Gives the snapshot of the image's copy (`made.image_copy_id`), once the copy is available, tagged as ours.
    async fn find_copied_disk(&self, inspection: &Inspection) -> Step<SourceDisk>;

    /// Shares [`Inspection::snapshot_id`] with our own account; done when a description shows it. An encrypted snapshot needs a key that our account
    /// may use, else it is [`SpecialImage::Encrypted`].
    async fn share_snapshot(&self, inspection: &Inspection) -> Step<()>;

    /// Starts the copy of [`Inspection::snapshot_id`] into our account and region, and gives its id.
    async fn copy_snapshot(&self, inspection: &Inspection) -> Step<String>;

    /// Whether that copy (`made.snapshot_copy_id`) is complete. One that failed because of a key is [`SpecialImage::Encrypted`].
    async fn check_snapshot(&self, inspection: &Inspection) -> Step<()>;

    /// Takes the sharing of `made.shared_snapshot_id` back; done when a description shows that it is not shared, or not there.
    async fn unshare_snapshot(&self, inspection: &Inspection) -> Step<()>;

    /// Makes the volume of the snapshot's copy, in the zone of scanners, and gives its id.
    async fn create_volume(&self, inspection: &Inspection) -> Step<String>;

    /// Whether the volume (`made.volume_id`) is available.
    async fn check_volume(&self, inspection: &Inspection) -> Step<()>;

    /// Starts the batch's scanner, and gives its instance's id. Its user data name all members, so it waits for their volumes, reads them, sends
    /// its findings to the queue and powers off, which terminates it. It ends by itself some time after that too, whatever happens to us.
    async fn start_scanner(&self, batch: &Batch) -> Step<String>;

    /// Attaches all volumes of the batch to its scanner; done when all are attached. They are deleted when it terminates. A volume that is not
    /// there any more is left out, and said so by [`Step::Missing`] only if none is left.
    async fn attach_volumes(&self, batch: &Batch) -> Step<()>;

    /// How the batch's scanner is. Its findings may be in the queue, whatever this says.
    async fn check_scanner(&self, batch: &Batch) -> Step<ScannerState>;

    /// Terminates the batch's scanner, also one whose id is not known, found by [`TAG_BATCH`]; done when it is terminated, or there never was one.
    async fn stop_scanner(&self, batch: &Batch) -> Step<()>;

    /// Reads the disk without a scanner, by the reader's role: nothing is shared, copied or made. It has the whole inspection in one call, which takes
    /// minutes at most, and can be repeated from the start.
    async fn read_directly(&self, inspection: &Inspection) -> Step<DirectRead>;

    /// Some messages of the queue of findings, waiting for the first one for some seconds. They come again unless they are deleted.
    ///
    /// # Errors
    /// What is the matter with the queue, and what to do.
    async fn receive_findings(&self) -> Result<Vec<FindingsMessage>, String>;

    /// Deletes a message.
    ///
    /// # Errors
    /// What is the matter with the queue; the message comes again.
    async fn delete_findings(&self, message: &FindingsMessage) -> Result<(), String>;

    /// Removes all that the attempt made, by the ids in `made` and by [`TAG_COMMAND`]: takes the sharing back, deregisters the copied image and
    /// deletes its snapshot, deletes the copied snapshot and the volume. Done when nothing of it is left; what is not there is as good as
    /// removed. [`Step::NotYet`] where AWS has still to finish something, such as a volume in use or an image copy that is pending. Never
    /// [`Step::Refused`].
    async fn clean_up(&self, inspection: &Inspection) -> Step<()>;

    /// All resources at a place that have [`TAG_INSTALLATION`] with this installation's name; terminated instances are none.
    async fn list_tagged(&self, place: &Place) -> Step<Vec<TaggedResource>>;

    /// Removes one of them. Done when it is gone, or about to be without anything more being done.
    async fn remove_tagged(&self, place: &Place, resource: &TaggedResource) -> Step<()>;
}
