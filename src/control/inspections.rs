//! Answers what is asked about inspections of machine images.

use std::cmp::Reverse;

use crate::log::DataLog;
use cloudigrade_inspect::record;
use cloudigrade_pipeline::log::{Log, LogError, StateRead};
use cloudigrade_schemas::image_fact::{Fact, InspectionRequest, InspectionWanted};
use cloudigrade_schemas::inspection::InspectionState;
use cloudigrade_schemas::{ImageFact, Inspection};

use super::images;
use super::service::Service;
use super::wire::{InspectionsOperation, InspectionsRequest, Refusal};
use crate::limits::INSPECTIONS_TOLD_MAX;

/// The code of a refusal: there is nothing that could be given up.
const NOTHING_TO_ABORT: &str = "nothing_to_abort";
/// The code of a refusal: nobody can be asked for the disks of the image.
const NOT_DESCRIBED: &str = "not_described";
/// The code of a refusal: what was wanted is written, and nothing came of it.
const NOTHING_ORDERED: &str = "nothing_ordered";
/// The code of a refusal: there is no such inspection.
pub(super) const UNKNOWN: &str = "inspection_unknown";
/// The code of a refusal: there is more than one such inspection.
pub(super) const AMBIGUOUS: &str = "inspection_ambiguous";

/// Lists or finds inspections, or says what is wanted of one.
///
/// # Errors
/// [`Refusal`]: it was not said, or with the code `still_working` it does not show yet.
pub(super) async fn answer(
    service: &Service,
    InspectionsRequest { by, operation }: InspectionsRequest,
) -> Result<Vec<Inspection>, Refusal> {
    match operation {
        InspectionsOperation::List { image, all } => {
            let is_asked_for = move |inspection: &Inspection| all || inspection.state != InspectionState::Over;
            read(service, move |log| latest(log, log.partitions(), image.as_deref(), is_asked_for)).await
        }
        InspectionsOperation::Find { id } => {
            let beginning = id.to_ascii_lowercase();
            let found = read(service, move |log| begin_with(log, log.partitions(), &beginning)).await?;
            the_only(found, &id).map(|inspection| vec![inspection])
        }
        InspectionsOperation::Want { image, wanted } => {
            want(service, by, &image, wanted).await?;
            attempts(service, &image).await
        }
    }
}

/// What is answered where there is no log yet: there are no inspections. `None` where a log is needed.
pub(super) fn answer_without_log(request: &InspectionsRequest) -> Option<Result<Vec<Inspection>, Refusal>> {
    match &request.operation {
        InspectionsOperation::List { .. } => Some(Ok(Vec::new())),
        InspectionsOperation::Find { id } => Some(the_only(Vec::new(), id).map(|inspection| vec![inspection])),
        InspectionsOperation::Want { .. } => None,
    }
}

/// Reads the log where waiting for a disk keeps nobody else waiting.
async fn read<T: Send + 'static>(
    service: &Service,
    read: impl FnOnce(&DataLog) -> Result<T, LogError> + Send + 'static,
) -> Result<T, Refusal> {
    let log = service.log.clone();
    let found = tokio::task::spawn_blocking(move || read(&log)).await.map_err(|error| Refusal::failed(&error))?;
    found.map_err(|error| Refusal::failed(&error))
}

async fn attempts(service: &Service, image: &str) -> Result<Vec<Inspection>, Refusal> {
    let image = image.to_owned();
    read(service, move |log| record::of_image(log, log.partitions(), &image)).await
}

/// Of those asked for, of one image or of all, the [`INSPECTIONS_TOLD_MAX`] that changed last, the latest first. No more than twice as many are
/// kept meanwhile.
fn latest(
    state: &dyn StateRead,
    partitions: u32,
    image: Option<&str>,
    is_asked_for: impl Fn(&Inspection) -> bool,
) -> Result<Vec<Inspection>, LogError> {
    let mut found: Vec<Inspection> = Vec::new();
    let cut = |found: &mut Vec<Inspection>| {
        found.sort_by_key(|inspection| Reverse(inspection.changed_at));
        found.truncate(INSPECTIONS_TOLD_MAX);
    };
    let see = |inspection: Inspection| {
        if is_asked_for(&inspection) {
            found.push(inspection);
        }
        if found.len() >= 2 * INSPECTIONS_TOLD_MAX {
            cut(&mut found);
        }
    };
    match image {
        Some(image) => record::of_image(state, partitions, image)?.into_iter().for_each(see),
        None => record::each(state, partitions, see)?,
    }
    cut(&mut found);
    Ok(found)
}

/// Those whose ids begin so, two at most: more make no difference.
fn begin_with(state: &dyn StateRead, partitions: u32, beginning: &str) -> Result<Vec<Inspection>, LogError> {
    let mut found: Vec<Inspection> = Vec::new();
    record::each(state, partitions, |inspection| {
        if found.len() < 2 && !beginning.is_empty() && inspection.command_id.as_str().starts_with(beginning) {
            found.push(inspection);
        }
    })?;
    Ok(found)
}

/// Holds only where a beginning is that of one inspection.
fn the_only(found: Vec<Inspection>, id: &str) -> Result<Inspection, Refusal> {
    const HELP: &str = "`cloudigrade inspections list --all` shows those there are";
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(inspection), None) => Ok(inspection),
        (None, _) => Err(Refusal::new(UNKNOWN, format!("there is no inspection {id}"), HELP)),
        (Some(_), Some(_)) => {
            let detail = format!("{id} is the beginning of several inspections; write more of it");
            Err(Refusal::new(AMBIGUOUS, detail, HELP))
        }
    }
}

async fn want(service: &Service, by: String, image: &str, wanted: InspectionWanted) -> Result<(), Refusal> {
    if !service.inspects {
        let help = "set inspection.mode in the configuration of the server: it costs money, so by default no disks are read";
        return Err(Refusal::new("unsupported", "no disks are read here", help));
    }
    images::check_id(image)?;
    let known = images::known(service, image).await?;
    if wanted == InspectionWanted::Inspect && !known.is_described {
        let detail = format!("EC2 has described {image} to no account yet, so nobody can be asked for its disk");
        let help = "share it with an account that is registered, or say what is in it: `cloudigrade images override`";
        return Err(Refusal::new(NOT_DESCRIBED, detail, help));
    }
    let attempts = attempts(service, image).await?;
    let newest = attempts.last();
    if wanted == InspectionWanted::Abort && newest.is_none_or(|newest| newest.end.is_some()) {
        let detail = format!("no inspection of {image} is at work");
        return Err(Refusal::new(NOTHING_TO_ABORT, detail, "`cloudigrade inspections list` shows those that are"));
    }
    // What is wanted is about the attempt after the last that has come to its end, or will, as it is being given up.
    let over = newest.map_or(0, |newest| newest.attempt - u32::from(newest.end.is_none()));
    let given_up = known.attempt.filter(|_| known.is_given_up && wanted == InspectionWanted::Inspect);
    let after_attempt = over.max(given_up.unwrap_or(0));
    let at = newest.map_or((service.now)(), |newest| newest.changed_at.max((service.now)()));
    let request = InspectionRequest { wanted, by, after_attempt };
    let source = "inspection request".to_owned();
    let fact = ImageFact { image_id: image.to_owned(), region: known.region, at, source, fact: Fact::InspectionRequest(request) };
    images::tell(service, &fact).await?;
    if wanted == InspectionWanted::Inspect && images::known(service, image).await?.attempt.is_none() {
        let detail = format!("that {image} is to be inspected is written, but no attempt came of it");
        return Err(Refusal::new(NOTHING_ORDERED, detail, "`cloudigrade images show` says how it stands; ask again after that"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use cloudigrade_pipeline::log::{KeyValue, Store};
    use cloudigrade_schemas::UtcSecond;
    use serde_json::json;

    use super::*;

    /// State with nothing but inspections, by partition.
    struct Inspections(Vec<Vec<KeyValue>>);

    impl StateRead for Inspections {
        fn get(&self, _: Store, _: u32, _: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
            Ok(None)
        }

        fn scan(&self, _: Store, partition: u32, _: &[u8]) -> Result<Vec<KeyValue>, LogError> {
            Ok(self.0[partition as usize].clone())
        }
    }

    /// The inspection of a number, which is its id and when it changed; one in a hundred is at work.
    fn inspection(number: usize) -> KeyValue {
        let state = if number.is_multiple_of(100) { InspectionState::Looking } else { InspectionState::Over };
        let (id, at) = (format!("{number:08x}"), UtcSecond(number as i64));
        let inspection = json!({
            "command_id": id, "image_id": "ami-1", "region": "r", "attempt": 1, "state": state.word(), "way": "scanner",
            "due_at": at, "created_at": at, "state_since": at, "changed_at": at,
        });
        (id.into_bytes(), inspection.to_string().into_bytes())
    }

    /// More inspections than one answer tells of.
    fn many() -> Inspections {
        let (even, odd) = (0..2 * INSPECTIONS_TOLD_MAX + 7).partition::<Vec<_>, _>(|number| number.is_multiple_of(2));
        Inspections([even, odd].map(|numbers| numbers.into_iter().map(inspection).collect()).into())
    }

    #[test]
    fn a_list_tells_of_the_latest_and_what_is_over_crowds_out_nothing_that_is_at_work() {
        let state = many();
        let changed = |found: Vec<Inspection>| found.iter().map(|inspection| inspection.changed_at.0).collect::<Vec<_>>();
        let (told, all) = (INSPECTIONS_TOLD_MAX as i64, 2 * INSPECTIONS_TOLD_MAX as i64 + 7);
        assert_eq!(changed(latest(&state, 2, None, |_| true).unwrap()), (all - told..all).rev().collect::<Vec<_>>());
        let at_work = changed(latest(&state, 2, None, |inspection| inspection.state != InspectionState::Over).unwrap());
        assert_eq!(at_work, (0..all).rev().filter(|number| number % 100 == 0).collect::<Vec<_>>());
    }

    #[test]
    fn an_inspection_is_found_by_the_beginning_of_its_id_among_all_that_there_ever_were() {
        let state = many();
        let find = |id: &str| the_only(begin_with(&state, 2, id).unwrap(), id).map(|inspection| inspection.changed_at.0);
        assert_eq!(find("00000000"), Ok(0), "the oldest");
        let code = |id: &str| find(id).map_err(|refusal| refusal.code);
        assert_eq!(code("0000000"), Err(AMBIGUOUS.to_owned()));
        assert_eq!([code("ff"), code("")], [Err(UNKNOWN.to_owned()), Err(UNKNOWN.to_owned())]);
    }
}
