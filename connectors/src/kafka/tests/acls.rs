//! Rights, given as an administrator gives them with `kafka-acls.sh`.

use std::ffi::CString;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::bindings as ffi;
use rdkafka::types::RDKafkaRespErr as Native;

use super::super::client::Quiet;
use super::super::events::Queue;

/// How long a broker may take.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Does what a line for `kafka-acls.sh` says, and nothing else.
pub(super) fn run(bootstrap: &str, line: &str) {
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("kafka-acls.sh"), "{line}");
    let (mut operations, mut principal, mut resources, mut is_prefixed) = (Vec::new(), None, Vec::new(), false);
    let mut permission = ffi::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW;
    let mut value = |option: &str| words.next().map(|option| option.to_owned()).ok_or(option.to_owned());
    while let Ok(option) = value("") {
        match option.as_str() {
            "--add" => {}
            "--bootstrap-server" => drop(value(&option).unwrap()),
            "--operation" => operations.push(operation(&value(&option).unwrap())),
            "--allow-principal" => principal = Some(value(&option).unwrap().trim_matches('\'').to_owned()),
            "--deny-principal" => {
                permission = ffi::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_DENY;
                principal = Some(value(&option).unwrap().trim_matches('\'').to_owned());
            }
            "--topic" => resources.push((ffi::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, value(&option).unwrap())),
            "--group" => resources.push((ffi::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_GROUP, value(&option).unwrap())),
            "--transactional-id" => {
                resources.push((ffi::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TRANSACTIONAL_ID, value(&option).unwrap()));
            }
            // The library calls it by the other thing that has this number.
            "--cluster" => resources.push((ffi::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_BROKER, "kafka-cluster".to_owned())),
            "--resource-pattern-type" => is_prefixed = value(&option).unwrap() == "prefixed",
            other => panic!("{other} in {line}"),
        }
    }
    let pattern = match is_prefixed {
        true => ffi::rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_PREFIXED,
        false => ffi::rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_LITERAL,
    };
    let principal = CString::new(principal.unwrap()).unwrap();
    let mut bindings = Vec::new();
    for (kind, name) in &resources {
        let name = CString::new(name.as_str()).unwrap();
        for operation in &operations {
            let mut words = [0; 256];
            // SAFETY: all strings end with a null and live for the call; `words` is as long as is said.
            let binding = unsafe {
                ffi::rd_kafka_AclBinding_new(
                    *kind,
                    name.as_ptr(),
                    pattern,
                    principal.as_ptr(),
                    c"*".as_ptr(),
                    *operation,
                    permission,
                    words.as_mut_ptr(),
                    words.len(),
                )
            };
            assert!(!binding.is_null(), "{line}");
            bindings.push(binding);
        }
    }
    create(bootstrap, &mut bindings);
    for binding in bindings {
        // SAFETY: it is ours, and not used after this.
        unsafe { ffi::rd_kafka_AclBinding_destroy(binding) };
    }
}

fn create(bootstrap: &str, bindings: &mut [*mut ffi::rd_kafka_AclBinding_t]) {
    let admin: AdminClient<Quiet> = ClientConfig::new().set("bootstrap.servers", bootstrap).create_with_context(Quiet).unwrap();
    let (queue, client) = (Queue::fresh(admin.inner()).unwrap(), admin.inner().native_ptr());
    // SAFETY: client, bindings and queue live; all that is needed of the bindings later is copied.
    unsafe { ffi::rd_kafka_CreateAcls(client, bindings.as_mut_ptr(), bindings.len(), std::ptr::null(), queue.as_ptr()) };
    let answer = queue.next(ANSWER_MAX).unwrap();
    assert_eq!((answer.kind(), answer.error()), (ffi::RD_KAFKA_EVENT_CREATEACLS_RESULT, Native::RD_KAFKA_RESP_ERR_NO_ERROR));
    let mut count = 0;
    // SAFETY: the event lives and is an answer to this question; as many results as `count` says live as long as it.
    let results = unsafe {
        let told = ffi::rd_kafka_CreateAcls_result_acls(ffi::rd_kafka_event_CreateAcls_result(answer.as_ptr()), &raw mut count);
        std::slice::from_raw_parts(told, count)
    };
    assert_eq!(count, bindings.len());
    for result in results {
        // SAFETY: the result and its error live as long as the answer.
        let code = unsafe { ffi::rd_kafka_error_code(ffi::rd_kafka_acl_result_error(*result)) };
        assert_eq!(code, Native::RD_KAFKA_RESP_ERR_NO_ERROR);
    }
}

fn operation(name: &str) -> ffi::rd_kafka_AclOperation_t {
    use ffi::rd_kafka_AclOperation_t as Native;
    match name {
        "Read" => Native::RD_KAFKA_ACL_OPERATION_READ,
        "Write" => Native::RD_KAFKA_ACL_OPERATION_WRITE,
        "Create" => Native::RD_KAFKA_ACL_OPERATION_CREATE,
        "Describe" => Native::RD_KAFKA_ACL_OPERATION_DESCRIBE,
        "DescribeConfigs" => Native::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS,
        other => panic!("{other}"),
    }
}
