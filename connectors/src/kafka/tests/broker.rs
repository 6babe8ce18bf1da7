//! A broker of Apache Kafka: one node, on free ports, in a folder of its own, and gone with this process.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

/// How long a broker may take to answer after its start.
const START_MAX: Duration = Duration::from_secs(120);
/// Has the broker die with whoever holds the other end of the pipe, however that dies, and takes the folder along in the end.
const GUARD: &str = r#""$@" >>"$FOLDER/out" 2>&1 & child=$!; cat >/dev/null; kill -9 $child 2>/dev/null; wait $child 2>/dev/null; [ -z "$LAST" ] || rm -rf "$FOLDER""#;
const JAVA: [&str; 6] =
    ["-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"];

/// Where the broker's jars are, if they are there.
fn jars() -> Option<PathBuf> {
    // Beside the folder that this test was built into.
    let exe = std::env::current_exe().unwrap();
    let mut folders = exe.ancestors().map(|folder| folder.join("testbed/kafka"));
    folders.find(|folder| folder.join("stamp").is_file())
}

fn has_java() -> bool {
    Command::new("java").arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The jars; without them the test is skipped, loudly, and fails in CI.
fn jars_or_skip() -> Option<PathBuf> {
    match jars() {
        Some(jars) if has_java() => Some(jars),
        _ => {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "Apache Kafka is missing: run scripts/need-broker");
            println!("SKIPPED: Apache Kafka is missing: run scripts/need-broker");
            None
        }
    }
}

/// What a broker has beyond one listener for everybody.
#[derive(Default)]
pub(super) struct Extra {
    /// More listeners: what they are called, what they speak, and where.
    pub(super) listeners: Vec<(&'static str, &'static str, u16)>,
    /// More of its properties, one a line.
    pub(super) properties: String,
    /// Users who prove a password by SCRAM.
    pub(super) scram: Vec<String>,
}

/// A broker.
pub(super) struct Broker {
    jars: PathBuf,
    folder: PathBuf,
    port: u16,
    guard: Option<Child>,
    /// `None` for the one that outlives its tests; its guard removes the folder.
    _owned: Option<TempDir>,
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn properties(folder: &Path, port: u16, controller: u16, advertised: u16, extra: &Extra) -> String {
    let listeners: String = extra.listeners.iter().map(|(name, _, port)| format!(",{name}://127.0.0.1:{port}")).collect();
    let protocols: String = extra.listeners.iter().map(|(name, protocol, _)| format!(",{name}:{protocol}")).collect();
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}{listeners}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}
log.dirs={}
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=2
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=2097152
{}",
        folder.join("data").display(),
        extra.properties
    )
}

impl Broker {
    /// Starts a broker of its own, for tests that stop it; `None` where there is none.
    pub(super) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let mut broker = Self::prepare(jars_or_skip()?, path, Some(folder), None, &Extra::default());
        broker.run();
        Some(broker)
    }

    /// Starts one that tells its clients to come to another port, where a proxy listens that is told the broker's own.
    pub(super) fn start_behind(advertised: u16, extra: &Extra, proxy: impl FnOnce(u16)) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let mut broker = Self::prepare(jars_or_skip()?, path, Some(folder), Some(advertised), extra);
        proxy(broker.port);
        broker.run();
        Some(broker)
    }

    /// One that outlives its tests, in a folder that goes with it, which is filled first.
    pub(super) fn start_lasting(fill: impl FnOnce(&Path) -> Extra) -> Option<Self> {
        let (jars, folder) = (jars_or_skip()?, tempfile::tempdir().unwrap().keep());
        let extra = fill(&folder);
        let mut broker = Self::prepare(jars, folder, None, None, &extra);
        broker.run();
        Some(broker)
    }

    fn prepare(jars: PathBuf, folder: PathBuf, owned: Option<TempDir>, advertised: Option<u16>, extra: &Extra) -> Self {
        let (port, controller) = (free_port(), free_port());
        fs::write(folder.join("server.properties"), properties(&folder, port, controller, advertised.unwrap_or(port), extra)).unwrap();
        let broker = Self { jars, folder, port, guard: None, _owned: owned };
        let users = extra.scram.iter().flat_map(|user| ["--add-scram", user]);
        let arguments: Vec<&str> = ["format", "-t", "4L6g3nShT-eMCtK--X86sw"].into_iter().chain(users).chain(["-c"]).collect();
        let formatted = broker.java("kafka.tools.StorageTool", &arguments).output().unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        broker
    }

    fn java(&self, class: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("java");
        command.args(JAVA).arg(format!("{}/*", self.jars.display())).arg(class).args(arguments).arg(self.folder.join("server.properties"));
        command
    }

    /// Starts it, again after [`Self::kill`], and waits until it answers.
    pub(super) fn run(&mut self) {
        let java = self.java("kafka.Kafka", &[]);
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "broker"]).arg(java.get_program()).args(java.get_args()).env("FOLDER", &self.folder);
        if self._owned.is_none() {
            guard.env("LAST", "1");
        }
        self.guard = Some(guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", self.direct()).create().unwrap();
        let began = Instant::now();
        while client.fetch_metadata(None, Duration::from_secs(1)).map_or(true, |metadata| metadata.brokers().is_empty()) {
            let out = || fs::read_to_string(self.folder.join("out")).unwrap_or_default();
            assert!(began.elapsed() < START_MAX, "Apache Kafka did not start: {}", out());
        }
    }

    /// Kills it, as a power cut would.
    pub(super) fn kill(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            guard.wait().unwrap();
        }
    }

    /// Where its files are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its own address.
    pub(super) fn direct(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The broker that all tests share which do not stop it: that of TEST_KAFKA_BOOTSTRAP, or one of our own. `None` where there is none.
pub(super) fn shared() -> Option<String> {
    static SHARED: OnceLock<Option<(String, Option<Broker>)>> = OnceLock::new();
    let start = || match std::env::var("TEST_KAFKA_BOOTSTRAP") {
        Ok(bootstrap) if !bootstrap.is_empty() => Some((bootstrap, None)),
        _ => Broker::start_lasting(|_| Extra::default()).map(|broker| (broker.direct(), Some(broker))),
    };
    SHARED.get_or_init(start).as_ref().map(|(bootstrap, _)| bootstrap.clone())
}

/// A prefix that no other log of any test has.
pub(super) fn fresh_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("t{nanos:x}-{}-{}.", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
