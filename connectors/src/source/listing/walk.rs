//! From a place to its objects: which folders are looked into, and from which key on.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloudigrade_schemas::UtcSecond;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use walkdir::WalkDir;

use super::keys::{Only, Step, Window, before_day, is_branch, step};
use super::pages::{Ask, Lister};
use crate::limits::{LIST_AT_ONCE, LIST_FAILURES_MAX, LIST_FILE_RESTS, LIST_PAGE};
use crate::source::folder::is_log_name;
use crate::source::sqs::classify::{Failure, Reached};
use crate::source::sqs::notification::ObjectRef;

/// Which of a bucket's objects are listed.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Objects that were delivered on earlier days need not be listed; some of them may be.
    pub since: Option<UtcSecond>,
    /// Nor need those that were delivered later.
    pub window: Window,
    /// Only folders of these accounts and regions are looked into.
    pub only: Only,
    /// All below the prefix, whatever its folders: where keys are not those of CloudTrail.
    pub flat: bool,
}

/// Lists a bucket's objects below a prefix, page by page, and goes on in the other folders when one fails.
///
/// # Errors
/// The first [`Failure`]; what other folders hold was given all the same.
pub async fn walk(
    lister: &dyn Lister,
    bucket: &str,
    prefix: &str,
    scope: &Scope,
    out: &mpsc::Sender<Vec<ObjectRef>>,
) -> Result<(), Failure> {
    let mut todo = vec![prefix.to_owned()];
    let mut under_way = FuturesUnordered::new();
    let mut failures = Vec::new();
    loop {
        while under_way.len() < LIST_AT_ONCE && failures.len() < LIST_FAILURES_MAX {
            let Some(folder) = todo.pop() else { break };
            under_way.push(visit(lister, bucket, folder, scope, out));
        }
        match under_way.next().await {
            Some(Ok(more)) => todo.extend(more),
            Some(Err(failure)) => failures.push(failure),
            None => return failures.into_iter().next().map_or(Ok(()), Err),
        }
    }
}

/// Gives the folders that are in a folder, or sends its objects.
async fn visit(
    lister: &dyn Lister,
    bucket: &str,
    folder: String,
    scope: &Scope,
    out: &mpsc::Sender<Vec<ObjectRef>>,
) -> Result<Vec<String>, Failure> {
    let looks = match step(&folder) {
        _ if scope.flat => false,
        Step::Into(folders) => return Ok(folders.into_iter().filter(|folder| is_branch(folder, &scope.only)).collect()),
        Step::Look => true,
        Step::List => false,
    };
    let after = scope.since.filter(|_| !looks && !scope.flat).and_then(|since| before_day(&folder, since));
    let mut ask = Ask { bucket: bucket.to_owned(), prefix: folder, after, folders: looks, token: None };
    let mut folders = Vec::new();
    loop {
        let page = lister.page(&ask).await?;
        folders.extend(page.folders.into_iter().filter(|folder| is_branch(folder, &scope.only)));
        let passed = page.objects.last().is_some_and(|last| scope.window.is_passed_by(&last.key));
        // Objects beside the folders are none of CloudTrail's. A receiver that is gone wants no more.
        let unwanted = !looks && !page.objects.is_empty() && out.send(page.objects).await.is_err();
        ask.token = page.token;
        if ask.token.is_none() || passed || unwanted {
            return Ok(folders);
        }
    }
}

/// Lists the log files of a folder of the disk, and of all below it. A file that was written to just now may not be whole: it is left for
/// the next time.
///
/// # Errors
/// [`Failure`] where the folder or one below it cannot be looked at; what others hold was given all the same.
pub async fn walk_disk(folder: &Path, out: mpsc::Sender<Vec<ObjectRef>>) -> Result<(), Failure> {
    let folder = folder.to_owned();
    let walked = tokio::task::spawn_blocking(move || walk_files(&folder, &out));
    walked.await.unwrap_or_else(|error| Err(disk_failure(&error.to_string())))
}

fn walk_files(folder: &Path, out: &mpsc::Sender<Vec<ObjectRef>>) -> Result<(), Failure> {
    let named = folder.canonicalize().map_err(|error| disk_failure(&format!("{}: {error}", folder.display())))?;
    let settled = SystemTime::now().checked_sub(LIST_FILE_RESTS).unwrap_or(UNIX_EPOCH);
    let mut first_failure = None;
    let mut page = Vec::new();
    for entry in WalkDir::new(&named).sort_by_file_name() {
        let found = entry.and_then(|entry| match entry.file_type().is_file() && is_log_name(&entry.path().to_string_lossy()) {
            true => entry.metadata().map(|metadata| Some((entry.path().to_string_lossy().into_owned(), metadata))),
            false => Ok(None),
        });
        match found {
            Ok(Some((path, metadata))) => {
                let changed = metadata.modified().unwrap_or(UNIX_EPOCH);
                if changed <= settled {
                    page.push(file(path, metadata.len(), changed));
                }
            }
            Ok(None) => {}
            Err(error) => {
                first_failure.get_or_insert_with(|| disk_failure(&error.to_string()));
            }
        }
        if page.len() >= LIST_PAGE as usize && out.blocking_send(std::mem::take(&mut page)).is_err() {
            return Ok(());
        }
    }
    // A receiver that is gone wants no more.
    if !page.is_empty() && out.blocking_send(page).is_err() {
        return Ok(());
    }
    first_failure.map_or(Ok(()), Err)
}

fn file(path: String, size: u64, changed: SystemTime) -> ObjectRef {
    let since = changed.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    ObjectRef {
        key: path,
        size: Some(size),
        etag: Some(since.as_nanos().to_string()),
        made_at: Some(UtcSecond(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))),
        on_disk: true,
        ..ObjectRef::default()
    }
}

/// A failure of the disk, which somebody has to mend.
fn disk_failure(message: &str) -> Failure {
    Failure { reached: Reached::Answer, code: Some("Unreadable".to_owned()), status: None, message: message.to_owned() }
}
