"""A broker of Apache Kafka, alone or one of several: on free ports, in a folder of its own, and gone with this process."""

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aws import end_with_parent, until
from cloudigrade import TARGET
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

START_SECONDS = 120
STOP_SECONDS = 60
JAVA = ["java", "-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
HELD: list[socket.socket] = []  # bound to ports that brokers have, or are to have
CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}{listeners}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}
log.dirs={folder}/data
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
{more}"""


@dataclass(frozen=True)
class Extra:
    """What a broker has beyond one listener for everybody."""

    listeners: dict[str, tuple[str, int]] = field(default_factory=dict)  # what they speak, and their ports, by their names
    properties: str = ""  # one a line
    scram: tuple[str, ...] = ()  # users who prove a password: MECHANISM=[name=NAME,password=PASSWORD]


def jars() -> Path:
    """Where the broker's jars are. Without them, or without Java, the test is skipped, loudly, and fails in CI."""
    folder = TARGET / "testbed" / "kafka"
    if not (folder / "stamp").is_file() or not shutil.which("java"):
        absent = "Apache Kafka or Java is missing: nothing of several processes on one log was tested; run scripts/need-broker"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(absent)
    return folder


def free_ports(count: int) -> list[int]:
    """Ports that were free, all different, and that the system gives to nobody else who leaves the choice to it, as long as this process runs:
    also while a broker is not started yet, or is away."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        # Who names the port and reuses addresses, as Java does, binds it beside a socket that does so too and never listens.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
    HELD.extend(probes)
    return [probe.getsockname()[1] for probe in probes]


class Broker:
    """A broker that was formatted, and not started."""

    def __init__(
        self, folder: Path, advertised: int | None = None, extra: Extra = Extra(), node: int = 1, controllers: dict[int, int] | None = None
    ) -> None:
        """Prepares its folder. Clients that ask it for its address are sent to the advertised port of this machine, where there is one. One of
        several is told the ports at which all of them agree on who leads, by their numbers."""
        self.folder, self.jars = folder, jars()
        self.port, alone = free_ports(2)
        controllers = controllers or {node: alone}
        voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in controllers.items())
        self.process: subprocess.Popen[bytes] | None = None
        ports = {"port": self.port, "controller": controllers[node], "advertised": advertised or self.port}
        listeners = "".join(f",{name}://127.0.0.1:{port}" for name, (_, port) in extra.listeners.items())
        protocols = "".join(f",{name}:{protocol}" for name, (protocol, _) in extra.listeners.items())
        text = PROPERTIES.format(folder=folder, listeners=listeners, protocols=protocols, more=extra.properties, node=node, voters=voters, **ports)
        (folder / "server.properties").write_text(text)
        users = [word for user in extra.scram for word in ("--add-scram", user)]
        formatted = subprocess.run(self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, *users, "-c"), capture_output=True)
        assert formatted.returncode == 0, formatted.stderr.decode()

    def _java(self, name: str, *args: str) -> list[str]:
        return [*JAVA, "-cp", f"{self.jars}/*", name, *args, str(self.folder / "server.properties")]

    @property
    def address(self) -> str:
        """Where clients reach it, without a proxy."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> "Broker":
        """Starts it, again after `kill`, and waits until it answers."""
        self.launch()
        self.wait_for_answer()
        return self

    def launch(self) -> None:
        """Starts it. It goes with the thread that starts it."""
        with (self.folder / "out").open("ab") as out:
            command = self._java("kafka.Kafka")
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=end_with_parent)

    def wait_for_answer(self) -> None:
        """Waits until it answers clients."""
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0})

        def answers() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"Apache Kafka ended: {(self.folder / 'out').read_text()[-4000:]}")
            try:
                return bool(client.list_topics(timeout=1).brokers)
            except KafkaException:
                return False

        until("Apache Kafka to answer", answers, START_SECONDS)

    def stop(self) -> None:
        """Ends it as an administrator does: it says to all that it goes, and writes down what it has."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(STOP_SECONDS)
        self.process = None

    def kill(self) -> None:
        """Ends it as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
