"""Where brokers let in only whom they know, and only to what they may do, an administrator is told what to give, and with it everything works."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws import Aws
from cluster import Cluster, Member
from corpus import Corpus
from flow import Flow
from program import DONE, OBSTRUCTED, STORAGE
from secured import USER, Secured


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    """A broker that knows one user, who may do nothing."""
    (folder := tmp_path / "secured").mkdir()
    secured = Secured(folder)
    secured.broker.start()
    yield secured
    secured.broker.kill()


@pytest.fixture
def flow(secured: Secured, aws: Aws, piece: Corpus, tmp_path: Path) -> Iterator[Flow]:
    """A log of that user."""
    cluster = Cluster(tmp_path / "cluster", secured.users, aws.url, security=secured.security, others=secured.broker.address)
    yield Flow(cluster, piece, random.Random(5))
    cluster.end()


def failures(member: Member, expect: int) -> dict[str, dict[str, str]]:
    """What `doctor` finds wrong with Kafka, and what it says to it, by what it is about."""
    findings = json.loads(member.run("doctor", "--format", "json", expect=expect).stdout)
    of_kafka = [finding for finding in findings if finding["check"] == "kafka"]
    assert of_kafka, findings
    return {finding["subject"]: finding for finding in of_kafka if finding["help"].startswith("kafka-acls.sh") or finding["verdict"] == "failure"}


def test_the_rights_that_doctor_names_are_all_that_a_server_needs(secured: Secured, flow: Flow) -> None:
    server = flow.cluster.member("server", **flow.source)
    refused = failures(server, OBSTRUCTED)
    assert {subject.rsplit(" ", 1)[0] for subject in refused} == {"topics", "groups", "transactional ids", "offsets.retention.minutes"}
    said = server.run("serve", "--listen", "127.0.0.1:0", expect=STORAGE).stderr.decode()
    assert "refuses" in said and "`cloudigrade doctor` says which" in said, said
    for finding in refused.values():
        assert f"User:{USER}" in finding["help"]
        secured.allow(finding["help"])
    assert failures(server, DONE) == {}
    server.start()
    flow.put()
    flow.finish()
    assert flow.ended == []
