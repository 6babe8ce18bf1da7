"""What others read: findings and images as events, each once, as the documents describe them; and the example that shows how to read them."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import lookalike
import pytest
import topics
from aws import Aws, TrailBucket, end_with_parent
from cloudigrade import REPOSITORY
from cluster import Cluster
from conftest import new_account
from inspecting import Inspecting

EXAMPLE = REPOSITORY / "examples" / "consume_findings.py"
EXAMPLE_SECONDS = 60
RHEL, DEBIAN, TAGGED = (f"ami-0dd0dd0dd0dd0dd0{number}" for number in range(3))


@dataclass
class Told:
    """A log into which two images were inspected, and one was decided by its tags."""

    cluster: Cluster

    def events(self, topic: str) -> list[topics.Event]:
        """All events of a topic."""
        return topics.read(self.cluster.bootstrap, self.cluster.prefix, topic)

    def example(self, *args: str) -> list[str]:
        """The command line of the example."""
        where = ["--bootstrap", self.cluster.bootstrap, "--prefix", self.cluster.prefix]
        return [sys.executable, str(EXAMPLE), *where, *args]


@pytest.fixture(scope="module")
def told(bootstrap: str, aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The server was killed in the middle of it."""
    folder, bucket = tmp_path_factory.mktemp("told"), TrailBucket.make(aws)
    cluster = Cluster(folder / "cluster", bootstrap, aws.url)
    server = cluster.member("server")
    try:
        inspecting = Inspecting(aws, bucket, server, new_account(), folder)
        inspecting.image(RHEL, lookalike.disk(folder, "rhel", lookalike.RHEL))
        inspecting.image(DEBIAN, lookalike.disk(folder, "debian", lookalike.DEBIAN))
        inspecting.image(TAGGED, tags={"cloudigrade-rhel-present": "", "cloudigrade-ocp-present": ""})
        inspecting.start("ebs-direct", scanner=False)
        for image in (RHEL, TAGGED):
            inspecting.use(image)
        inspecting.become({RHEL: ("inspected", True), TAGGED: ("inspected", True)})
        server.kill()
        inspecting.use(DEBIAN)
        server.start(ready=False)
        inspecting.become({DEBIAN: ("inspected", False)})
        server.stop()
        yield Told(cluster)
    finally:
        cluster.end()


def test_each_event_of_a_public_topic_is_there_once_and_is_as_described(told: Told) -> None:
    events = topics.told_once(told.cluster.bootstrap, told.cluster.prefix)
    assert set(events) == {"images", "inspections", "inspection.findings"}
    assert all(events.values()), "a topic is empty"
    found = {image: said for event in events["inspection.findings"] for image, said in event.value["images"].items()}
    assert {image: said["is_rhel"] for image, said in found.items()} == {RHEL: True, DEBIAN: False}
    assert len(events["inspection.findings"]) == 2, "each disk was read once"
    stands = {event.value["image_id"]: event.value for event in events["images"]}
    assert {image: said["rhel_detected"] for image, said in stands.items()} == {RHEL: True, DEBIAN: False, TAGGED: True}
    assert (stands[RHEL]["rhel_version"], stands[TAGGED]["openshift_detected"]) == ("9.4", True)


def test_what_is_not_public_has_no_envelope(told: Told) -> None:
    for topic in ("image.facts", "accounts", "power.events"):
        events = told.events(topic)
        assert events and all(event.headers == {} for event in events)


def test_the_example_prints_what_was_found_and_goes_on_where_its_group_was(told: Told) -> None:
    def printed(*args: str) -> list[str]:
        done = subprocess.run(told.example("--once", *args), capture_output=True, text=True, timeout=EXAMPLE_SECONDS)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    first = printed("--from-beginning")
    assert {f"{RHEL}: RHEL yes (9.4), OpenShift no, inspected", f"{DEBIAN}: RHEL no, OpenShift no, inspected"} <= set(first), first
    assert any(line.startswith(f"{RHEL}: on its disks RHEL yes") for line in first), first
    assert len(first) == len(told.events("images")) + len(told.events("inspection.findings"))
    assert printed() == [], "the group has read all"
    assert sorted(printed("--from-beginning")) == sorted(first)


def test_the_example_ends_at_ctrl_c_and_says_what_is_wrong_with_where_it_reads(told: Told) -> None:
    command, pipes = told.example("--from-beginning", "--group", "of-ctrl-c"), {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, preexec_fn=end_with_parent) as example:
        try:
            assert example.stdout is not None and example.stdout.readline()
            example.send_signal(signal.SIGINT)
            _, said = example.communicate(timeout=EXAMPLE_SECONDS)
            assert (example.returncode, said) == (0, b"")
        finally:
            example.kill()
    for wrong, word in ((["--prefix", "nobodys."], "nobodys.images"), (["--bootstrap", "127.0.0.1:1"], "127.0.0.1:1")):
        done = subprocess.run(told.example("--once", *wrong), capture_output=True, text=True, timeout=EXAMPLE_SECONDS)
        assert done.returncode == 1 and word in done.stderr and "Traceback" not in done.stderr
