//! What this program's user may do with topics and groups, as brokers tell it: to ask changes nothing.
//!
//! The library's wrapper for Rust does not have these questions, so they are asked here.

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::time::Instant;

use rdkafka::admin::AdminClient;
use rdkafka::bindings as ffi;
use rdkafka::error::{IsError, KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr as Native;

use crate::kafka::client::Quiet;
use crate::kafka::events::{Event, Queue};
use crate::kafka::failure::{self, Code};
use crate::limits as l;

/// What can be done, as Kafka calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Read,
    Write,
    Create,
    Describe,
    DescribeConfigs,
}

impl Operation {
    const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Create, Self::Describe, Self::DescribeConfigs];

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Create => "Create",
            Self::Describe => "Describe",
            Self::DescribeConfigs => "DescribeConfigs",
        }
    }

    const fn number(self) -> u32 {
        use ffi::rd_kafka_AclOperation_t as Native;
        match self {
            Self::Read => Native::RD_KAFKA_ACL_OPERATION_READ as u32,
            Self::Write => Native::RD_KAFKA_ACL_OPERATION_WRITE as u32,
            Self::Create => Native::RD_KAFKA_ACL_OPERATION_CREATE as u32,
            Self::Describe => Native::RD_KAFKA_ACL_OPERATION_DESCRIBE as u32,
            Self::DescribeConfigs => Native::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS as u32,
        }
    }
}

/// What is allowed with something of this name; or why that is not told.
pub(super) struct Rights {
    pub(super) name: String,
    pub(super) allowed: Result<Vec<Operation>, Code>,
}

/// What this program's user may do with topics.
pub(super) fn of_topics(client: &AdminClient<Quiet>, names: &[String]) -> KafkaResult<Vec<Rights>> {
    let names = Names::of(names)?;
    let mut pointers = names.pointers();
    // SAFETY: `pointers` are as many strings as its length says; they are copied.
    let collection = unsafe { ffi::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()) };
    let question = Question::new(client, ffi::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    let asked = question.inspect(|question| {
        // SAFETY: client, topics, options and queue live; all that is needed of them later is copied.
        unsafe { ffi::rd_kafka_DescribeTopics(question.client(), collection, question.options.as_ptr(), question.queue.as_ptr()) }
    });
    // SAFETY: it is ours, and not used after this.
    unsafe { ffi::rd_kafka_TopicCollection_destroy(collection) };
    let answer = asked?.answer(ffi::RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT)?;
    let mut count = 0;
    // SAFETY: the event lives and is an answer to this question; `count` is where the number of descriptions is written to.
    let told =
        unsafe { ffi::rd_kafka_DescribeTopics_result_topics(ffi::rd_kafka_event_DescribeTopics_result(answer.as_ptr()), &raw mut count) };
    let describe = |topic: &*const ffi::rd_kafka_TopicDescription_t| {
        let mut count = 0;
        // SAFETY: the description, its name, its error and its operations live as long as the answer, and `count` is how many those are.
        unsafe {
            let operations = ffi::rd_kafka_TopicDescription_authorized_operations(*topic, &raw mut count);
            rights(ffi::rd_kafka_TopicDescription_name(*topic), ffi::rd_kafka_TopicDescription_error(*topic), operations, count)
        }
    };
    // SAFETY: as many descriptions as `count` says live as long as the answer.
    Ok(unsafe { slice(told, count) }.iter().map(describe).collect())
}

/// What this program's user may do with groups, whether they are there or not.
pub(super) fn of_groups(client: &AdminClient<Quiet>, names: &[String]) -> KafkaResult<Vec<Rights>> {
    let names = Names::of(names)?;
    let mut pointers = names.pointers();
    let question = Question::new(client, ffi::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS)?;
    let (rk, options, queue) = (question.client(), question.options.as_ptr(), question.queue.as_ptr());
    // SAFETY: `pointers` are as many strings as its length says; client, options and queue live; all that is needed of them later is copied.
    unsafe { ffi::rd_kafka_DescribeConsumerGroups(rk, pointers.as_mut_ptr(), pointers.len(), options, queue) };
    let answer = question.answer(ffi::RD_KAFKA_EVENT_DESCRIBECONSUMERGROUPS_RESULT)?;
    let mut count = 0;
    // SAFETY: the event lives and is an answer to this question; `count` is where the number of descriptions is written to.
    let told = unsafe {
        ffi::rd_kafka_DescribeConsumerGroups_result_groups(
            ffi::rd_kafka_event_DescribeConsumerGroups_result(answer.as_ptr()),
            &raw mut count,
        )
    };
    let describe = |group: &*const ffi::rd_kafka_ConsumerGroupDescription_t| {
        let mut count = 0;
        // SAFETY: the description, its name, its error and its operations live as long as the answer, and `count` is how many those are.
        unsafe {
            let operations = ffi::rd_kafka_ConsumerGroupDescription_authorized_operations(*group, &raw mut count);
            let (name, error) =
                (ffi::rd_kafka_ConsumerGroupDescription_group_id(*group), ffi::rd_kafka_ConsumerGroupDescription_error(*group));
            rights(name, error, operations, count)
        }
    };
    // SAFETY: as many descriptions as `count` says live as long as the answer.
    Ok(unsafe { slice(told, count) }.iter().map(describe).collect())
}

/// What a description says.
///
/// # Safety
/// `name` is a string that ends with a null, `error` is null or an error, `operations` is null or has `count` numbers.
unsafe fn rights(
    name: *const c_char,
    error: *const ffi::rd_kafka_error_t,
    operations: *const ffi::rd_kafka_AclOperation_t,
    count: usize,
) -> Rights {
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
    // SAFETY: the caller's promise; null is no error.
    let code = unsafe { ffi::rd_kafka_error_code(error) };
    if code.is_error() {
        return Rights { name, allowed: Err(code.into()) };
    }
    // As numbers: there may be some that this program does not know.
    // SAFETY: the caller's promise.
    let told = unsafe { slice(operations.cast::<u32>(), count) };
    let allowed = match told {
        // A broker that does not tell refuses by itself what is not allowed.
        [] => Operation::ALL.to_vec(),
        told => Operation::ALL.into_iter().filter(|operation| told.contains(&operation.number())).collect(),
    };
    Rights { name, allowed: Ok(allowed) }
}

/// What the library gives as a slice; empty where there are none.
///
/// # Safety
/// `first` is null or has `count` elements, which live and do not change as long as what is returned.
unsafe fn slice<'a, T>(first: *const T, count: usize) -> &'a [T] {
    if first.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(first, count) }
}

/// Names, as the library takes them.
struct Names(Vec<CString>);

impl Names {
    fn of(names: &[String]) -> KafkaResult<Self> {
        Ok(Self(names.iter().map(|name| CString::new(name.as_str())).collect::<Result<_, _>>()?))
    }

    fn pointers(&self) -> Vec<*const c_char> {
        self.0.iter().map(|name| name.as_ptr()).collect()
    }
}

/// A question for what is allowed.
struct Question<'a> {
    asks: &'a AdminClient<Quiet>,
    options: NonNull<ffi::rd_kafka_AdminOptions_t>,
    queue: Queue,
}

impl<'a> Question<'a> {
    fn new(asks: &'a AdminClient<Quiet>, operation: ffi::rd_kafka_admin_op_t) -> KafkaResult<Self> {
        let queue = Queue::fresh(asks.inner())?;
        // SAFETY: the client lives; what is returned is null or ours to destroy.
        let options = unsafe { ffi::rd_kafka_AdminOptions_new(asks.inner().native_ptr(), operation) };
        let options = NonNull::new(options).ok_or_else(|| KafkaError::AdminOpCreation("there are no options".to_owned()))?;
        let question = Self { asks, options, queue };
        // SAFETY: the options live; what is returned is null or ours to destroy.
        let error = unsafe { ffi::rd_kafka_AdminOptions_set_include_authorized_operations(options.as_ptr(), 1) };
        if !error.is_null() {
            // SAFETY: it is ours, and not used after this.
            unsafe { ffi::rd_kafka_error_destroy(error) };
            return Err(KafkaError::AdminOpCreation("what is allowed cannot be asked for".to_owned()));
        }
        let (millis, mut words) = (i32::try_from(l::KAFKA_CALL_TIMEOUT.as_millis()).unwrap_or(i32::MAX), [0; 256]);
        // SAFETY: the options live, and `words` is as long as is said.
        let set = unsafe { ffi::rd_kafka_AdminOptions_set_request_timeout(options.as_ptr(), millis, words.as_mut_ptr(), words.len()) };
        if set.is_error() {
            return Err(KafkaError::AdminOp(set.into()));
        }
        Ok(question)
    }

    fn client(&self) -> *mut ffi::rd_kafka_t {
        self.asks.inner().native_ptr()
    }

    /// Waits for the answer.
    fn answer(self, kind: i32) -> KafkaResult<Event> {
        let began = Instant::now();
        // The library answers in time, be it that there was no answer.
        let limit = l::KAFKA_CALL_TIMEOUT + l::KAFKA_SOCKET_TIMEOUT;
        loop {
            let wait = limit.saturating_sub(began.elapsed());
            match self.queue.next(wait) {
                Some(event) if event.kind() == kind => match event.error() {
                    Native::RD_KAFKA_RESP_ERR_NO_ERROR => return Ok(event),
                    error => return Err(KafkaError::AdminOp(error.into())),
                },
                None if wait.is_zero() => return Err(failure::no_answer()),
                Some(_) | None => {}
            }
        }
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        // SAFETY: they are ours, and not used after this.
        unsafe { ffi::rd_kafka_AdminOptions_destroy(self.options.as_ptr()) }
    }
}
