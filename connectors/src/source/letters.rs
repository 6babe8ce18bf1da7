//! Dead letters after they were written: found, replayed, dropped.
//!
//! To replay a letter is to read again what it is about. What that gives enters the log as if it came for the first time: whatever was
//! known before changes nothing, so a replay can be repeated.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use cloudigrade_pipeline::engine::Cx;
use cloudigrade_pipeline::log::{Log, LogError, PollLimits};
use cloudigrade_schemas::{DeadLetter, Resolution, Topic, UtcSecond};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::again::Again;
use super::committer::{Committer, Entry, Message, NotCommitted};
use super::feed::Object;
use super::harvest::Harvest;
use crate::codec::{CodecLimits, Decoder};
use crate::limits::{LETTERS_AT_ONCE_MAX, REPLAYS_AT_ONCE};

/// The message of a letter.
///
/// # Errors
/// Those of [`Cx::encode`].
pub fn letter_message(letter: &DeadLetter) -> Result<Message, LogError> {
    let id = letter.id.as_bytes().to_vec();
    Ok(Message { topic: Topic::DeadLetters, partition_key: id.clone(), key: id, value: Cx::encode(letter)? })
}

/// Letters that were looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letters {
    /// Those that were found, in the order of their ids; at most [`LETTERS_AT_ONCE_MAX`].
    pub letters: Vec<DeadLetter>,
    /// Whether there are more.
    pub more: bool,
}

/// The open letters of a log that are wanted.
///
/// # Errors
/// Those of [`Log::read`], and [`LogError::Storage`] for a message that is no letter.
pub fn open_letters<L: Log>(log: &L, wanted: impl Fn(&DeadLetter) -> bool) -> Result<Letters, LogError> {
    let mut found = BTreeMap::new();
    let mut more = false;
    for partition in 0..log.partitions() {
        let mut from = patiently(|| log.begin(Topic::DeadLetters, partition))?;
        loop {
            let records = patiently(|| log.read(from, PollLimits::default()))?;
            let Some(last) = records.last() else { break };
            from.offset = last.offset + 1;
            for record in &records {
                let letter: DeadLetter = serde_json::from_slice(&record.value).map_err(unreadable)?;
                // The latest message of an id is the letter as it is.
                match letter.is_open() && wanted(&letter) {
                    true => found.insert(letter.id.clone(), letter),
                    false => found.remove(&letter.id),
                };
            }
        }
        while found.len() > LETTERS_AT_ONCE_MAX {
            more = true;
            found.pop_last();
        }
    }
    Ok(Letters { letters: found.into_values().collect(), more })
}

/// Repeats what a log says may be repeated.
fn patiently<T>(ask: impl Fn() -> Result<T, LogError>) -> Result<T, LogError> {
    const TRIES: usize = 8;
    let mut answer = ask();
    for _ in 1..TRIES {
        if !matches!(answer, Err(LogError::Retry { .. })) {
            break;
        }
        answer = ask();
    }
    answer
}

fn unreadable(error: serde_json::Error) -> LogError {
    LogError::Storage {
        doing: "reading a dead letter",
        cause: error.to_string(),
        help: "the log is damaged or was written by a newer version; use that version",
    }
}

/// What a replay did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Ids of the letters that are resolved now.
    pub resolved: Vec<String>,
    /// Ids of the letters that stay open, and why.
    pub open: Vec<(String, String)>,
    /// CloudTrail records in what was read again.
    pub records: u64,
}

/// Reads again what letters are about, commits what that gives, and marks the letters whose failure did not happen again as replayed.
///
/// # Errors
/// [`NotCommitted`]. What was committed until then stays.
pub async fn replay(
    committer: &Committer,
    letters: Vec<DeadLetter>,
    again: &dyn Again,
    codec: CodecLimits,
    by: &str,
    now: UtcSecond,
) -> Result<Replayed, NotCommitted> {
    let mut by_object: BTreeMap<(String, Option<String>), Vec<DeadLetter>> = BTreeMap::new();
    for letter in letters {
        by_object.entry((letter.source.clone(), letter.version.clone())).or_default().push(letter);
    }
    let doing = Doing { committer, again, codec, by, now };
    let mut objects = by_object.into_iter();
    let mut under_way = FuturesUnordered::new();
    let mut replayed = Replayed::default();
    loop {
        let room = REPLAYS_AT_ONCE - under_way.len();
        objects.by_ref().take(room).for_each(|(object, letters)| under_way.push(doing.replay(object, letters)));
        let Some(one) = under_way.next().await else { return Ok(replayed) };
        let Replayed { resolved, open, records } = one?;
        replayed.resolved.extend(resolved);
        replayed.open.extend(open);
        replayed.records += records;
    }
}

/// How a replay is done.
struct Doing<'a> {
    committer: &'a Committer,
    again: &'a dyn Again,
    codec: CodecLimits,
    by: &'a str,
    now: UtcSecond,
}

impl Doing<'_> {
    async fn replay(&self, (uri, version): (String, Option<String>), letters: Vec<DeadLetter>) -> Result<Replayed, NotCommitted> {
        match self.again.read(&uri, version.as_deref()).await {
            Ok((object, content)) => self.replay_object(letters, object, content).await,
            Err(error) => Ok(all_open(letters, &error.to_string())),
        }
    }

    async fn replay_object(&self, letters: Vec<DeadLetter>, object: Object, content: Bytes) -> Result<Replayed, NotCommitted> {
        let codec = self.codec;
        let decoded = tokio::task::spawn_blocking(move || Harvest::of(object, Decoder::new(codec).decode(&content))).await;
        let harvest = match decoded {
            Ok(harvest) => harvest,
            Err(error) => return Ok(all_open(letters, &format!("the decoder failed: {error}; please report it with the object"))),
        };
        let records = harvest.records;
        let failing: BTreeMap<String, String> = harvest.letters(self.now).map(|letter| (letter.id, letter.detail)).collect();
        let (open, resolved): (Vec<_>, Vec<_>) = letters.into_iter().partition(|letter| failing.contains_key(&letter.id));
        let messages = marked(&resolved, Resolution::Replayed, self.by, self.now)?;
        self.committer.commit(Entry { harvest: Some(harvest), messages, ..Entry::default() }).await?;
        let with_reason = |letter: DeadLetter| {
            let why = failing.get(&letter.id).cloned().unwrap_or_default();
            (letter.id, why)
        };
        Ok(Replayed {
            resolved: resolved.into_iter().map(|letter| letter.id).collect(),
            open: open.into_iter().map(with_reason).collect(),
            records,
        })
    }
}

fn all_open(letters: Vec<DeadLetter>, why: &str) -> Replayed {
    Replayed { open: letters.into_iter().map(|letter| (letter.id, why.to_owned())).collect(), ..Replayed::default() }
}

/// Marks letters as dropped: nobody needs what they are about. Returns how many there were.
///
/// # Errors
/// [`NotCommitted`]: none of them is marked.
pub async fn discard(committer: &Committer, letters: &[DeadLetter], by: &str, now: UtcSecond) -> Result<usize, NotCommitted> {
    let distinct: BTreeSet<&str> = letters.iter().map(|letter| letter.id.as_str()).collect();
    let messages = marked(letters, Resolution::Dropped, by, now)?;
    committer.commit(Entry { messages, ..Entry::default() }).await?;
    Ok(distinct.len())
}

fn marked(letters: &[DeadLetter], how: Resolution, by: &str, now: UtcSecond) -> Result<Vec<Message>, NotCommitted> {
    let mark = |letter: &DeadLetter| letter_message(&letter.clone().resolved(how, by.to_owned(), now));
    letters.iter().map(mark).collect::<Result<_, _>>().map_err(|error| NotCommitted { cause: error.to_string().into() })
}

#[cfg(test)]
mod tests;
