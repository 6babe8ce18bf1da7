"""Whatever processes, broker and network do, what comes out of several processes on Kafka is what one process makes in its folder."""

import random
import time
from collections.abc import Callable

import pytest
from aws import Aws, TrailBucket
from broker import Broker
from cluster import Cluster
from corpus import Corpus
from flow import Flow
from pathlib import Path

PROCESSES = {"source": "run source", "left": "run operators", "right": "run operators", "shown": "run sink api"}


@pytest.mark.parametrize("seed", [1])
def test_kills_of_processes_and_of_the_broker_and_a_pause_lose_and_double_nothing(
    broker: Broker, aws: Aws, bucket: TrailBucket, corpus: Corpus, tmp_path: Path, seed: int
) -> None:
    cluster, dice = Cluster(tmp_path / "cluster", broker.address, aws.url), random.Random(seed)
    bucket.unkind(duplicate=0.3, reorder=True, seed=seed)
    t = time.monotonic()
    def say(what): print(f"{time.monotonic()-t:.1f} {what}", flush=True)
    try:
        flow = Flow(cluster, bucket, corpus, dice).start(**PROCESSES)
        say("started")
        acts = [*PROCESSES, *PROCESSES, "broker", "pause"]
        dice.shuffle(acts)
        for number, act in enumerate(acts):
            flow.put(1 / (len(acts) - number + 1))
            say(f"{act}, {bucket.depth()} deep")
            flow.moment()
            match act:
                case "broker":
                    broker.kill()
                    flow.moment(3)
                    broker.start()
                case "pause":
                    paused = dice.choice(["left", "right", "source"])
                    say(paused)
                    flow[paused].pause()
                    flow.put(0.2)
                    time.sleep(10)
                    flow[paused].go_on()
                case name:
                    flow.kill(name)
            flow.revive()
        say("finishing")
        flow.finish()
        say(flow.ended)
    finally:
        cluster.end()
