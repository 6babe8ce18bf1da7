//! Whether a cluster, its topics and the rights of this program's user are as the log needs them. Nothing is made or changed; only an unused
//! transactional id is left, which Kafka forgets after `transactional.id.expiration.ms`.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Instant;

use cloudigrade_pipeline::log::TaskId;
use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};

use crate::doctor::Finding;
use crate::kafka::client::{Deliveries, Quiet};
use crate::kafka::failure::{is_refusal, is_refusal_code, is_there_already, no_answer, passes_code};
use crate::kafka::names::{self, Names};
use crate::kafka::reach::reach;
use crate::kafka::rights::{self, Operation, Rights};
use crate::kafka::session::again;
use crate::kafka::settings;
use crate::kafka::topics::{self, Making, Wanted};
use crate::kafka::{KafkaOptions, OpenError};
use crate::limits as l;

const CHECK: &str = "kafka";
/// The setting of brokers that says how long positions of idle groups are kept, in minutes.
const POSITIONS_KEPT: &str = "offsets.retention.minutes";
/// How many names a finding lists.
const NAMES_TOLD: usize = 3;

/// Looks at a cluster for a log whose tasks have positions in these groups.
pub fn check_kafka(options: &KafkaOptions, groups: &[TaskId]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !names::is_valid(&options.prefix) {
        return vec![Finding::failure(CHECK, &options.prefix, "the prefix is none that Kafka takes", "change kafka.prefix")];
    }
    if let Some(exposure) = options.security.exposure(&options.bootstrap) {
        findings.push(Finding::warning(
            CHECK,
            &options.bootstrap,
            exposure,
            "set kafka.security_protocol to sasl_ssl, with https for tokens",
        ));
    }
    let reached = reach(options).and_then(|()| topics::admin(options));
    match reached {
        Ok(admin) => Doctor { options, names: Names::new(&options.prefix), admin, findings: &mut findings }.look(groups),
        Err(error) => findings.push(not_reached(options, error)),
    }
    findings
}

fn not_reached(options: &KafkaOptions, error: OpenError) -> Finding {
    let (detail, help) = match &error {
        OpenError::Unreachable { barrier, cause, .. } => (format!("{barrier}: {cause}"), barrier.help()),
        _ => (error.to_string(), ""),
    };
    Finding::failure(CHECK, &options.bootstrap, detail, help)
}

struct Doctor<'a> {
    options: &'a KafkaOptions,
    names: Names,
    admin: AdminClient<Quiet>,
    findings: &'a mut Vec<Finding>,
}

impl Doctor<'_> {
    fn look(&mut self, groups: &[TaskId]) {
        let metadata = match self.admin.inner().fetch_metadata(None, l::KAFKA_CALL_TIMEOUT) {
            Ok(metadata) => metadata,
            Err(error) => {
                let finding = not_reached(self.options, OpenError::unreachable(self.options, &error));
                return self.findings.push(finding);
            }
        };
        let brokers: Vec<i32> = metadata.brokers().iter().map(rdkafka::metadata::MetadataBroker::id).collect();
        let principal = self.options.security.principal();
        self.ok(&self.options.bootstrap, format!("{} brokers, which let {principal} in", brokers.len()));
        self.replicas(brokers.len());
        self.topics();
        self.groups(groups);
        self.transactions();
        self.positions(brokers.first().copied());
    }

    fn ok(&mut self, subject: &str, detail: impl Into<String>) {
        self.findings.push(Finding::ok(CHECK, subject, detail));
    }

    fn warn(&mut self, subject: &str, detail: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding::warning(CHECK, subject, detail, help));
    }

    fn fail(&mut self, subject: &str, detail: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding::failure(CHECK, subject, detail, help));
    }

    fn replicas(&mut self, brokers: usize) {
        let (replication, min_in_sync) = (self.options.replication.get(), self.options.min_in_sync.get());
        let subject = format!("{replication} replicas, {min_in_sync} in sync");
        if usize::from(replication) > brokers {
            self.fail(
                &subject,
                format!("there are {brokers} brokers, and each replica needs one"),
                "add brokers, or lower kafka.replication",
            );
        } else if min_in_sync == 1 {
            let detail = "a record counts once one broker has it, and is lost with that broker's disk";
            self.warn(&subject, detail, "set kafka.min_in_sync to 2 and kafka.replication to 3");
        } else if min_in_sync == replication {
            self.warn(&subject, "nothing can be written while one broker is away", "set kafka.replication higher than kafka.min_in_sync");
        }
    }

    fn topics(&mut self) {
        let wanted = topics::wanted(self.options, &self.names);
        let names: Vec<String> = wanted.iter().map(|topic| topic.name.clone()).collect();
        let told = match rights::of_topics(&self.admin, &names) {
            Ok(told) => told,
            Err(error) => return self.not_told("topics", &error),
        };
        let mut lacking = Lacking::default();
        // Missing, or hidden: to whoever may not see it a topic is refused whether it is there or not.
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        for topic in &wanted {
            match told.iter().find(|rights| rights.name == topic.name).map(|rights| &rights.allowed) {
                Some(Ok(allowed)) => {
                    lacking.note(&topic.name, allowed, &[Operation::Read, Operation::Write, Operation::DescribeConfigs]);
                    there.push(topic);
                }
                _ => missing.push(topic),
            }
        }
        let makeable = self.could_be_made(&missing, &told, &mut lacking);
        let in_order = self.as_they_must_be(&there);
        if lacking.is_empty() {
            self.ok(&self.pattern(), format!("{in_order} topics are as they must be, {makeable} are missing and can be made"));
        } else {
            let operations = [Operation::Describe, Operation::Read, Operation::Write, Operation::Create, Operation::DescribeConfigs];
            self.refused("topics", &lacking, &operations, "--topic");
        }
    }

    /// Asks which of the missing topics could be made, and says what stands against it. Returns how many could.
    fn could_be_made(&mut self, missing: &[&Wanted], told: &[Rights], lacking: &mut Lacking) -> usize {
        if missing.is_empty() {
            return 0;
        }
        let asked = match topics::make(self.options, &self.admin, missing, Making::AskOnly) {
            Ok(asked) => asked,
            Err(error) => {
                self.fail(&self.pattern(), error.to_string(), "look at the brokers' messages");
                return 0;
            }
        };
        let is_hidden =
            |name: &str| told.iter().any(|rights| rights.name == name && rights.allowed.as_ref().is_err_and(|code| is_refusal_code(*code)));
        let mut makeable = 0;
        let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, answer) in asked {
            match answer {
                Ok(()) => makeable += 1,
                Err(code) if is_there_already(code) => lacking.add(Operation::Describe, &name),
                Err(code) if is_refusal_code(code) => lacking.add(Operation::Create, &name),
                Err(code) => others.entry(code.to_string()).or_default().push(name.clone()),
            }
            if is_hidden(&name) {
                lacking.add(Operation::Describe, &name);
            }
        }
        for (code, names) in others {
            self.fail(&list(&names), format!("cannot be made: {code}"), "check kafka.replication and the brokers' create.topic.policy");
        }
        makeable
    }

    /// Holds topics against what they must be, and tells of each that is not so. Returns how many are.
    fn as_they_must_be(&mut self, there: &[&Wanted]) -> usize {
        if there.is_empty() {
            return 0;
        }
        let (shapes, settings) = match (topics::found(&self.admin), topics::check_settings(&self.admin, there)) {
            (Ok(shapes), Ok(settings)) => (shapes, settings),
            (Err(error), _) | (_, Err(error)) => {
                self.fail(&self.pattern(), error.to_string(), "look at the brokers' messages");
                return 0;
            }
        };
        let mut in_order = 0;
        for (topic, settings) in there.iter().zip(settings) {
            let shape = shapes.get(&topic.name).map_or(Ok(()), |shape| topics::check_shape(self.options, topic, *shape));
            match shape.and(settings) {
                Ok(()) => in_order += 1,
                // Told with the rights that are lacking.
                Err(OpenError::Refused { .. }) => {}
                Err(error) => self.fail(&topic.name, error.to_string(), ""),
            }
        }
        in_order
    }

    fn groups(&mut self, groups: &[TaskId]) {
        let names: Vec<String> = groups.iter().map(|group| self.names.group(*group)).chain([self.names.readers()]).collect();
        // A broker that has just begun to look after groups is asked again.
        let began = Instant::now();
        let told = loop {
            match rights::of_groups(&self.admin, &names) {
                Ok(told)
                    if began.elapsed() < l::KAFKA_CALL_TIMEOUT
                        && told.iter().any(|told| matches!(told.allowed, Err(code) if passes_code(code))) =>
                {
                    sleep(l::KAFKA_RETRY_MAX);
                }
                Ok(told) => break told,
                Err(error) => return self.not_told("groups", &error),
            }
        };
        let mut lacking = Lacking::default();
        for Rights { name, allowed } in told {
            match allowed {
                Ok(allowed) => lacking.note(&name, &allowed, &[Operation::Read]),
                Err(code) if is_refusal_code(code) => lacking.add(Operation::Read, &name),
                Err(code) => {
                    self.warn(&name, format!("what may be done with the group is not told: {code}"), "look at the brokers' messages")
                }
            }
        }
        if lacking.is_empty() {
            self.ok("groups", format!("{} groups can be read", names.len()));
        } else {
            self.refused("groups", &lacking, &[Operation::Describe, Operation::Read], "--group");
        }
    }

    /// Opens a session with an id that no task has: with those of tasks it would end theirs.
    fn transactions(&mut self) {
        let id = format!("{}doctor", self.options.prefix);
        let opened = settings::producer(self.options, &id)
            .create_with_context(Deliveries::default())
            // As long as opening a task waits: brokers make what they need for it when they are asked first.
            .and_then(|producer: BaseProducer<Deliveries>| again(l::KAFKA_OPEN_MAX, |wait| producer.init_transactions(wait)));
        match opened {
            Ok(()) => self.ok("transactional ids", "transactions can be begun"),
            Err(error) if is_refusal(&error) => {
                let mut lacking = Lacking::default();
                lacking.add(Operation::Write, &id);
                self.refused("transactional ids", &lacking, &[Operation::Describe, Operation::Write], "--transactional-id");
            }
            Err(error) => {
                let help = "look at the brokers' messages: the topic __transaction_state needs as many brokers as transaction.state.log.replication.factor says";
                self.fail("transactional ids", format!("transactions cannot be begun: {error}"), help);
            }
        }
    }

    /// How long brokers keep positions of groups whose members are all away.
    fn positions(&mut self, broker: Option<i32>) {
        let Some(broker) = broker else { return };
        let how = AdminOptions::new().request_timeout(Some(l::KAFKA_CALL_TIMEOUT));
        let told = block_on(self.admin.describe_configs(&[ResourceSpecifier::Broker(broker)], &how));
        let told = told.and_then(|mut told| told.pop().ok_or_else(no_answer)?.map_err(KafkaError::AdminOp));
        let minutes = match told {
            // The library's wrapper does not tell that they are refused: there are none.
            Ok(told) if told.entries.is_empty() => {
                let help = self.acl(&[Operation::DescribeConfigs], "--cluster");
                return self.warn(POSITIONS_KEPT, "is not shown to this program, which only looks at it here", help);
            }
            Ok(told) => told.get(POSITIONS_KEPT).and_then(|entry| entry.value.as_ref()?.parse::<u64>().ok()),
            Err(error) => return self.warn(POSITIONS_KEPT, format!("is not told: {error}"), "look at the brokers' messages"),
        };
        let least = l::KAFKA_POSITIONS_KEPT_MIN.as_secs() / 60;
        match minutes {
            Some(minutes) if minutes < least => {
                let days = minutes as f64 / (24.0 * 60.0);
                let detail =
                    format!("is {minutes} ({days:.1} days): work that nobody does for so long begins anew at the beginning of the log");
                self.warn(POSITIONS_KEPT, detail, format!("set it to {least} (30 days) or more on all brokers"));
            }
            Some(minutes) => self.ok(POSITIONS_KEPT, format!("is {minutes}")),
            None => self.warn(POSITIONS_KEPT, "is not told", "look at the brokers' messages"),
        }
    }

    fn not_told(&mut self, what: &str, error: &KafkaError) {
        self.fail(what, format!("what may be done with them is not told: {error}"), "look at the brokers' messages");
    }

    /// Says what is refused, and the line that an administrator gives the rights with: all of them, of all names that begin with the prefix.
    fn refused(&mut self, what: &str, lacking: &Lacking, operations: &[Operation], resource: &str) {
        let detail = format!("{} may not {}", self.options.security.principal(), lacking.told());
        let help = self.acl(operations, resource);
        self.fail(&format!("{what} {}", self.pattern()), detail, help);
    }

    fn pattern(&self) -> String {
        format!("{}*", self.options.prefix)
    }

    fn acl(&self, operations: &[Operation], resource: &str) -> String {
        let operations: Vec<String> = operations.iter().map(|operation| format!("--operation {}", operation.name())).collect();
        let resource = match (resource, self.options.prefix.as_str()) {
            ("--cluster", _) => resource.to_owned(),
            (_, "") => format!("{resource} '*'"),
            (_, prefix) => format!("{resource} {prefix} --resource-pattern-type prefixed"),
        };
        let principal = self.options.security.principal().replace('\'', r"'\''");
        let (bootstrap, operations) = (&self.options.bootstrap, operations.join(" "));
        format!("kafka-acls.sh --bootstrap-server {bootstrap} --add --allow-principal '{principal}' {operations} {resource}")
    }
}

/// Which rights are lacking, with what.
#[derive(Default)]
struct Lacking(BTreeMap<Operation, Vec<String>>);

impl Lacking {
    fn add(&mut self, operation: Operation, name: &str) {
        self.0.entry(operation).or_default().push(name.to_owned());
    }

    /// Adds those of these that are not allowed.
    fn note(&mut self, name: &str, allowed: &[Operation], needed: &[Operation]) {
        needed.iter().filter(|operation| !allowed.contains(operation)).for_each(|operation| self.add(*operation, name));
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn told(&self) -> String {
        let told = self.0.iter().map(|(operation, names)| format!("{} {}", operation.name(), list(names)));
        told.collect::<Vec<_>>().join(", nor ")
    }
}

/// The first of some names, and how many more there are.
fn list(names: &[String]) -> String {
    let told = names.iter().take(NAMES_TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}
