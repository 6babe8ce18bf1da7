"""What a user is told whose configuration, or whose Kafka, is not as it must be: by exit code and in words."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cloudigrade
import pytest
from aws import until
from cluster import Cluster, Member
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from program import DONE, IN_USE, USAGE

# No broker, a topic that is not ours, another number of partitions, and so on: of these codes the README tells.
STORAGE = 6
WRONG_SECONDS = 60
LISTEN = ("--listen", "127.0.0.1:0")


def refused(member: Member, *command: str, expect: int, kafka: dict[str, object] | None = None) -> str:
    """What a process says that ends at once."""
    member.configure(kafka=kafka or {})
    said = member.run(*command, expect=expect).stderr.decode()
    assert "panicked" not in said and "RUST_BACKTRACE" not in said
    assert said.startswith("cloudigrade: ") or "\ncloudigrade: " in said, said
    return said


@pytest.fixture
def member(cluster: Cluster) -> Member:
    """A process that is not started."""
    return cluster.member("mine")


def test_without_a_broker_it_is_said_where_was_asked_and_what_to_look_at(cluster: Cluster) -> None:
    """Nobody listens there, or somebody who is no broker; whatever the command."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        asked = [("127.0.0.1:1", [*command, *LISTEN]) for command in (["serve"], ["run", "operators"], ["run", "sink", "api"])]
        asked += [("127.0.0.1:1", ["accounts", "list"]), (f"127.0.0.1:{mute.getsockname()[1]}", ["serve", *LISTEN])]
        members = [cluster.member(f"number-{number}") for number in range(len(asked))]
        with ThreadPoolExecutor(len(asked)) as threads:
            for (address, _), said in zip(asked, threads.map(refused_without_a_broker, members, asked), strict=True):
                assert address in said and "brokers" in said, said


def refused_without_a_broker(member: Member, asked: tuple[str, list[str]]) -> str:
    """What is said."""
    return refused(member, *asked[1], expect=STORAGE, kafka={"bootstrap": asked[0]})


def plain(tmp_path: Path, *args: str, config: str = "", env: dict[str, str] | None = None) -> str:
    """What a program with this configuration says."""
    (tmp_path / "plain.toml").write_text(config)
    command = [*args, "--data", tmp_path / "data", "--config", tmp_path / "plain.toml"]
    return cloudigrade.run(*command, expect=USAGE, env=env).stderr.decode()


def test_kafka_without_an_address_is_a_wrong_configuration(tmp_path: Path) -> None:
    for said in (
        plain(tmp_path, "serve", "--log", "kafka"),
        plain(tmp_path, "serve", "--log", "kafka", config='[kafka]\nprefix = "mine."\n'),
        plain(tmp_path, "accounts", "list", env={"CLOUDIGRADE_LOG": "kafka"}),
    ):
        assert "kafka.bootstrap" in said
    assert not (tmp_path / "data").exists(), "nothing was made"


def test_a_part_of_the_work_needs_a_log_on_kafka(tmp_path: Path) -> None:
    for roles in (["operators"], ["source", "api"]):
        said = plain(tmp_path, "run", *roles)
        assert "[kafka]" in said and "cloudigrade serve" in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"prefix": "not/one"}, "kafka.prefix"),
        ({"member": "a b"}, "kafka.member"),
        ({"min_in_sync": 3, "replication": 2}, "kafka.min_in_sync"),
        ({"session_timeout": "1h"}, "kafka.session_timeout"),
        ({"session_timeout": "2s"}, "kafka.session_timeout"),
        ({"partitons": 3}, "partitions"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_settings_that_cannot_be_are_refused_by_their_names(member: Member, settings: dict[str, object], word: str) -> None:
    assert word in refused(member, "serve", *LISTEN, expect=USAGE, kafka=settings)


def test_another_number_of_partitions_than_the_log_has_is_refused_and_changes_nothing(cluster: Cluster, member: Member) -> None:
    member.start().stop()
    said = refused(member, "serve", *LISTEN, expect=IN_USE, kafka={"partitions": 8})
    assert "kafka.partitions" in said and "4" in said and "8" in said
    assert "change it in Kafka" not in said, "then keys would be in other partitions than they were"
    member.configure().start().stop()


def test_more_replicas_than_there_are_brokers_are_refused_in_words(member: Member) -> None:
    said = refused(member, "serve", *LISTEN, expect=STORAGE, kafka={"replication": 3})
    assert "kafka.replication" in said


@pytest.mark.parametrize("command", [["run", "operators"], ["serve"], ["run", "source"]], ids=" ".join)
def test_of_two_processes_with_one_name_and_the_same_roles_the_later_goes_on_and_the_earlier_says_why_it_ends(
    cluster: Cluster, command: list[str]
) -> None:
    first, second = cluster.member("first", *command), cluster.member("second", *command)
    for member in (first, second):
        member.configure(kafka={"member": "one"})
    first.start()
    second.start()
    process = first.process
    assert process is not None
    code = until("the first to end", lambda: (code := process.poll()) is not None and (code,), WRONG_SECONDS)[0]
    first.process = None
    said = first.log.read_text()
    assert code not in (DONE, 101), said
    assert said.splitlines()[-1].startswith("cloudigrade: ") and "taken over by another process" in said.splitlines()[-1], said
    assert "kafka.member" in said.splitlines()[-1], "what two processes must not share"
    assert second.get("readyz")[0] == 200
    second.assert_alive()
    second.stop()


def test_a_topic_that_somebody_set_otherwise_is_named_with_what_it_must_be(cluster: Cluster, member: Member, bootstrap: str) -> None:
    member.start().stop()
    setting = ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ConfigResource.Type.TOPIC, f"{cluster.prefix}images", incremental_configs=[setting])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for changed in admin.incremental_alter_configs([topic]).values():
        changed.result()
    said = refused(member, "serve", *LISTEN, expect=IN_USE)
    assert all(word in said for word in (f"{cluster.prefix}images", "cleanup.policy", "delete", "compact"))
