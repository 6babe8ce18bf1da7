//! Writes a simulated record as CloudTrail would.
//!
//! Everything is a template with blanks, see [`super::templates`]. That reads like the records themselves, and is quick even in an
//! unoptimised build.

use std::fmt;

use cloudigrade_schemas::PowerAction;

use super::random::Random;
use super::record::{Call, Caller, LaunchBy, Record, Switched};
use super::templates::*;

/// A record as JSON. The same seed gives the same ids.
pub(super) struct Json<'a> {
    pub(super) record: &'a Record,
    pub(super) seed: u64,
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let template = if matches!(self.record.call, Call::Reclaim { .. }) { SERVICE_EVENT } else { API_CALL };
        let mut random = Random::new(self.seed);
        let host = [random.below(256), random.below(256), random.below(254) + 1];
        Blanks { record: self.record, instance: self.record.call.an_instance(), switched: None, random, host }.expand(template, f)
    }
}

/// Letters and digits of the ids of principals and keys.
const KEY_LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Leaves out line ends, and the indentation behind them.
fn write_on_one_line(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut lines = text.split('\n');
    f.write_str(lines.next().unwrap_or_default())?;
    lines.try_for_each(|line| f.write_str(line.trim_start()))
}

/// What the blanks of a record's templates stand for.
struct Blanks<'a> {
    record: &'a Record,
    /// The instance in hand, while a list of them is written.
    instance: &'a str,
    switched: Option<&'a Switched>,
    random: Random,
    /// The last three parts of a private address.
    host: [usize; 3],
}

impl<'a> Blanks<'a> {
    /// Writes a template on one line. A blank is a `$` and the small letters that follow; `$$` is a dollar.
    fn expand(&mut self, template: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pieces = template.split('$');
        write_on_one_line(pieces.next().unwrap_or_default(), f)?;
        while let Some(piece) = pieces.next() {
            if piece.is_empty() {
                write!(f, "${}", pieces.next().unwrap_or_default())?;
                continue;
            }
            let end = piece.bytes().position(|b| !b.is_ascii_lowercase()).unwrap_or(piece.len());
            let (blank, rest) = piece.split_at(end);
            self.fill(blank, f)?;
            write_on_one_line(rest, f)?;
        }
        Ok(())
    }

    fn fill(&mut self, blank: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.record;
        match blank {
            "account" => f.write_str(record.place.account),
            "region" => f.write_str(record.place.region),
            "zone" => write!(f, "{}a", record.place.region),
            "time" => write!(f, "{}", record.at),
            "milliseconds" => write!(f, "{}000", record.at.0),
            "session" => write!(f, "{}", super::calendar::day_of(record.at)),
            "instance" => f.write_str(self.instance),
            "hexadecimal" => f.write_str(&self.random.hex(17)),
            "uuid" => self.uuid(f),
            "ip" => write!(f, "10.{}.{}.{}", self.host[0], self.host[1], self.host[2]),
            "dashedip" => write!(f, "10-{}-{}-{}", self.host[0], self.host[1], self.host[2]),
            "identity" | "address" | "agent" | "caller" | "principal" | "key" | "tls" => self.fill_caller(blank, f),
            _ => self.fill_call(blank, f),
        }
    }

    /// What is known of the one who calls. A caller keeps address, id and key.
    fn fill_caller(&mut self, blank: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (caller, template) = match self.record.caller {
            Caller::Person(name) => (name, PERSON),
            Caller::Role(name) => (name, ROLE),
            Caller::AutoScaling => ("AWSServiceRoleForAutoScaling", SERVICE_ROLE),
            Caller::Ec2 => ("ec2.amazonaws.com", SERVICE),
        };
        let service = match self.record.caller {
            Caller::AutoScaling => Some("autoscaling.amazonaws.com"),
            Caller::Ec2 => Some("ec2.amazonaws.com"),
            Caller::Person(_) | Caller::Role(_) => None,
        };
        let mut of_caller = Random::of_text(&format!("{caller}@{}", self.record.place.account));
        match (blank, service) {
            ("caller", _) => f.write_str(caller),
            ("identity", _) => self.expand(template, f),
            ("principal", _) => f.write_str(&of_caller.text(KEY_LETTERS, 17)),
            ("key", _) => f.write_str(&Random::branch(of_caller.next(), 1).text(KEY_LETTERS, 16)),
            ("address" | "agent", Some(service)) => f.write_str(service),
            ("address", None) => write!(f, "203.0.113.{}", of_caller.between(1, 254)),
            ("agent", None) => f.write_str(of_caller.pick([
                "aws-cli/2.15.17 Python/3.11.6 Linux/6.1.0 exe/x86_64",
                "aws-sdk-go-v2/1.24.0 os/linux",
                "Boto3/1.34.40",
                "console.amazonaws.com",
            ])),
            ("tls", None) => self.expand(TLS, f),
            (_, _) => Ok(()),
        }
    }

    /// What is called, and how it went.
    fn fill_call(&mut self, blank: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = &self.record.call;
        match (blank, call) {
            ("source", _) => f.write_str(call.source()),
            ("host", _) => f.write_str(call.source().strip_suffix(".amazonaws.com").unwrap_or_default()),
            ("event", _) => f.write_str(call.event()),
            ("readonly", _) => write!(f, "{}", matches!(call, Call::Chatter { what, .. } if what.read_only)),
            ("request", _) => self.expand(call.request(), f),
            ("response", _) => self.expand(call.response(), f),
            ("refusal", Call::Refused { .. }) => self.expand(REFUSAL, f),
            ("errorcode", Call::Refused { why, .. }) => f.write_str(why.code_and_message().0),
            ("errormessage", Call::Refused { why, .. }) => f.write_str(why.code_and_message().1),
            ("spot", Call::Launch { by: LaunchBy::Spot, .. }) => self.expand(SPOT, f),
            ("image", Call::Launch { image_id, .. }) => f.write_str(image_id),
            ("count", _) => write!(f, "{}", call.instances().count()),
            ("type", Call::Launch { instance_type, .. } | Call::Retype { instance_type, .. }) => f.write_str(instance_type),
            ("ids", _) => self.list(r#""$instance""#, f),
            ("items", Call::Launch { .. }) => self.list(LAUNCHED_INSTANCE, f),
            ("items", _) => self.list(NAMED_INSTANCE, f),
            ("states", _) => self.list(SWITCHED_INSTANCE, f),
            ("beforecode" | "beforename" | "aftercode" | "aftername", _) => self.fill_state(blank, f),
            (_, _) => Ok(()),
        }
    }

    fn fill_state(&self, blank: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(switched) = self.switched else { return Ok(()) };
        let (code, name) = if blank.starts_with("before") { switched.before } else { switched.after }.code_and_name();
        if blank.ends_with("code") { write!(f, "{code}") } else { f.write_str(name) }
    }

    /// The template once for each instance of the call.
    fn list(&mut self, template: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call: &'a Call = &self.record.call;
        for (n, instance) in call.instances().enumerate() {
            self.instance = instance;
            self.switched = if let Call::Switch { instances, .. } = call { instances.get(n) } else { None };
            self.host[2] = (self.host[2] + 1) % 254 + 1;
            f.write_str(if n == 0 { "" } else { "," })?;
            self.expand(template, f)?;
        }
        Ok(())
    }

    fn uuid(&mut self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.random.hex(32);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl Call {
    /// The instances that it names.
    fn instances(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Launch { instances, .. } | Self::Reclaim { instances } | Self::Refused { instances, .. } => {
                Box::new(instances.iter().map(String::as_str))
            }
            Self::Switch { instances, .. } => Box::new(instances.iter().map(|switched| switched.instance.as_str())),
            Self::Retype { instance, .. } | Self::Chatter { instance, .. } => Box::new(std::iter::once(instance.as_str())),
        }
    }

    /// The first instance that it names.
    pub(super) fn an_instance(&self) -> &str {
        self.instances().next().unwrap_or_default()
    }

    fn source(&self) -> &'static str {
        if let Self::Chatter { what, .. } = self { what.source } else { "ec2.amazonaws.com" }
    }

    fn event(&self) -> &'static str {
        match self {
            Self::Launch { .. } => PowerAction::RunInstances.name(),
            Self::Retype { .. } => PowerAction::ModifyInstanceAttribute.name(),
            Self::Reclaim { .. } => PowerAction::BidEvictedEvent.name(),
            Self::Switch { action, .. } | Self::Refused { action, .. } => action.name(),
            Self::Chatter { what, .. } => what.event,
        }
    }

    fn request(&self) -> &'static str {
        match self {
            Self::Launch { by: LaunchBy::Request, .. } => LAUNCH_BY_REQUEST,
            Self::Refused { action: PowerAction::RunInstances, .. } => REFUSED_LAUNCH,
            Self::Launch { by: LaunchBy::Template, .. } => LAUNCH_BY_TEMPLATE,
            Self::Launch { by: LaunchBy::Spot, .. } => LAUNCH_SPOT,
            Self::Switch { action: PowerAction::StopInstances, .. } => STOP,
            Self::Switch { .. } | Self::Refused { .. } => SWITCH,
            Self::Retype { .. } => RETYPE,
            Self::Reclaim { .. } => NOTHING,
            Self::Chatter { what, .. } => what.request,
        }
    }

    fn response(&self) -> &'static str {
        match self {
            Self::Launch { .. } => LAUNCHED,
            Self::Switch { .. } => SWITCHED,
            Self::Retype { .. } => SUCCESS,
            Self::Reclaim { .. } | Self::Refused { .. } => NOTHING,
            Self::Chatter { what, .. } => what.response,
        }
    }
}
