"""Whatever happens to processes and their broker, what several of them make on Kafka is what one makes in its folder."""

import random
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws import Aws, TrailBucket
from broker import Broker
from cluster import Cluster
from corpus import Corpus
from flow import FINISH_SECONDS, Flow
from kafka_proxy import CuttingProxy

PROCESSES = {"source": "run source", "left": "run operators", "right": "run operators", "shown": "run sink api"}
OPERATORS = ("left", "right")
# Each process commits for itself, and operators in several steps.
CUT_MIN = 20


@pytest.fixture
def flow(cluster: Cluster, corpus: Corpus) -> Flow:
    """Out of a folder."""
    return Flow(cluster, corpus, random.Random(1))


@pytest.fixture
def shaken(broker: Broker, aws: Aws, bucket: TrailBucket, tmp_path: Path) -> Iterator[Cluster]:
    """A log on a broker that may be killed, and a queue that delivers twice and in any order."""
    bucket.unkind(duplicate=0.3, reorder=True, seed=1)
    cluster = Cluster(tmp_path / "shaken", broker.address, aws.url)
    yield cluster
    cluster.end()


@pytest.fixture
def lossy(aws: Aws, bucket: TrailBucket, tmp_path: Path) -> Iterator[tuple[Cluster, CuttingProxy]]:
    """A log on a broker of which the processes do not hear that every third of their commits was done."""
    bucket.unkind(duplicate=0.3, reorder=True, seed=2)
    (folder := tmp_path / "broker").mkdir()
    with CuttingProxy(every=3) as proxy:
        broker = Broker(folder, advertised=proxy.port)
        proxy.upstream = broker.port
        cluster = Cluster(tmp_path / "lossy", proxy.address, aws.url)
        try:
            broker.start()
            yield cluster, proxy
        finally:
            cluster.end()
            broker.kill()


def test_kills_of_any_process_and_of_the_broker_lose_and_double_nothing(shaken: Cluster, broker: Broker, bucket: TrailBucket, corpus: Corpus) -> None:
    """Each process twice, the broker once and once in good order, as the dice say; another process joins and leaves, which divides the work anew."""
    flow = Flow(shaken, corpus, dice := random.Random(1), bucket).start(**PROCESSES)
    acts = [*PROCESSES, *PROCESSES, "broker", "broker is updated"]
    dice.shuffle(acts)
    acts.insert(len(acts) // 3, "one more")
    acts.insert(2 * len(acts) // 3, "one less")
    for number, act in enumerate(acts):
        flow.put(1 / (len(acts) - number + 1))
        flow.moment()
        match act:
            case "broker" | "broker is updated":
                broker.kill() if act == "broker" else broker.stop()
                flow.moment()
                broker.start()
            case "one more":
                flow.start(third="run operators")
            case "one less":
                flow.stop("third")
                del shaken.members["third"]
            case process:
                flow.kill(process)
        flow.revive()
    flow.finish(broker_was_away=True)


def test_commits_of_which_nobody_hears_that_they_were_done_count_once(
    lossy: tuple[Cluster, CuttingProxy], bucket: TrailBucket, corpus: Corpus
) -> None:
    cluster, proxy = lossy
    flow = Flow(cluster, corpus, random.Random(3), bucket).start(**PROCESSES)
    for _ in range(8):
        flow.put(0.2)
        flow.moment()
    flow.finish()
    assert flow.ended == [], "a lost answer ends nobody"
    assert proxy.cut >= CUT_MIN, f"{proxy.cut} answers to {proxy.commits} commits were taken away"


@pytest.mark.parametrize("process", ["left", "source"])
def test_a_process_that_stood_still_until_others_had_its_work_comes_back_and_changes_nothing(
    cluster: Cluster, corpus: Corpus, bucket: TrailBucket, process: str
) -> None:
    flow = Flow(cluster, corpus, random.Random(2), bucket).start(**PROCESSES, spare="run source")
    flow.take_all(*OPERATORS)
    flow.put(0.3)
    flow.moment()
    flow[process].pause()
    flow.put(0.5)
    if process == "left":
        flow.take_all("right")
        flow.shows(0.3)
    else:
        bucket.show_hidden()
        # Where it stands still in a transaction, Kafka gives that up only after half a minute and more.
        bucket.drained(FINISH_SECONDS)
    flow[process].go_on()
    flow.finish()
    assert {name for name, *_ in flow.ended} <= {process}


def test_caches_of_state_that_are_lost_or_old_are_made_anew_from_the_log(flow: Flow, tmp_path: Path) -> None:
    flow.start(**PROCESSES).put(0.3)
    flow.shows(0.1)
    caches = {name: flow[name].data / "kafka" for name in OPERATORS}
    assert all(any(file.is_file() for file in cache.rglob("*")) for cache in caches.values())
    flow["left"].kill()
    shutil.copytree(caches["left"], tmp_path / "old")
    flow["left"].start()
    flow.put(0.6)
    flow.shows(0.5)
    for name in OPERATORS:
        flow[name].kill()
        shutil.rmtree(caches[name])
    shutil.copytree(tmp_path / "old", caches["left"])
    for name in OPERATORS:
        flow[name].start(ready=False)
    flow.finish()
    assert flow.ended == []


@pytest.mark.parametrize("store", ["files", "s3"])
def test_two_sinks_on_the_same_tables_write_what_one_writes_and_neither_has_to_end(flow: Flow, store: str, aws: Aws) -> None:
    if store == "s3":
        aws.client("s3").create_bucket(Bucket=(name := f"tables-{uuid.uuid4().hex}"))
        flow.cluster.in_store = f"s3://{name}/of/all"
    flow.start(**PROCESSES, other="run sink")
    for _ in range(6):
        flow.put(0.2)
        flow.moment()
    flow["shown"].pause()
    flow.put(0.5)
    flow.shows(0.6)
    flow["shown"].go_on()
    flow.put()
    flow.kill("other")
    flow.finish()
    assert flow.ended == []
    for sink in ("shown", "other"):
        assert "panicked" not in flow[sink].log.read_text()
