"""A small fleet with known runs, and the CloudTrail files that tell of them: late, twice, out of order, with calls that failed or did nothing.

Shares nothing with the program's own demo.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import trail

TYPES = ["t3.micro", "m5.large", "m5.xlarge", "c5.2xlarge"]
REGIONS = ["us-east-1", "eu-west-1"]
START = trail.seconds("2024-03-01T00:00:00Z")
DAY = 86400
FILE_SECONDS = 300
Run = tuple[int, int | None]
Key = tuple[str, str, str]


@dataclass
class Fleet:
    """Files by key, and the truth: the runs of each (account, region, instance)."""

    seed: int
    files: dict[str, bytes] = field(default_factory=dict)
    truth: dict[Key, list[Run]] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def make(cls, seed: int, accounts: list[str], instances: int = 12, days: int = 5, start: int = START) -> "Fleet":
        """`instances` for each account, of which some still run at the end."""
        fleet, dice = cls(seed), random.Random(seed)
        for account in accounts:
            for _ in range(instances):
                fleet._live(dice, account, dice.choice(REGIONS), start, start + days * DAY)
        fleet._write(dice)
        return fleet

    def _live(self, dice: random.Random, account: str, region: str, start: int, end: int) -> None:
        instance, image = f"i-{dice.getrandbits(68):017x}", f"ami-{dice.getrandbits(68):017x}"
        at, runs = start + dice.randrange(DAY), []
        self.records.append(trail.run(account, region, at, [instance], dice.choice(TYPES), image))
        forever = dice.random() < 0.6
        while True:
            off = at + dice.randrange(60, DAY)
            if off >= end:
                runs.append((at, None if forever else end))
                if not forever:
                    self.records.append(trail.change("TerminateInstances", account, region, end, [instance]))
                break
            last = dice.random() < 0.15
            if last and dice.random() < 0.3:
                self.records.append(trail.reclaim(account, region, off, [instance]))
            else:
                self.records.append(trail.change("TerminateInstances" if last else "StopInstances", account, region, off, [instance]))
            runs.append((at, off))
            if last:
                break
            self._do_nothing(dice, account, region, off, instance)
            at = off + dice.randrange(120, DAY // 2)
            if at >= end:
                break
            if dice.random() < 0.3:
                self.records.append(trail.retype(account, region, at - 60, instance, dice.choice(TYPES)))
            self.records.append(trail.change("StartInstances", account, region, at, [instance]))
        self.truth[account, region, instance] = runs

    def _do_nothing(self, dice: random.Random, account: str, region: str, at: int, instance: str) -> None:
        """Calls that change nothing: a repeated stop, one that failed, one of another service."""
        if dice.random() < 0.3:
            self.records.append(trail.change("StopInstances", account, region, at + 10, [instance]))
        if dice.random() < 0.3:
            self.records.append({**trail.change("StartInstances", account, region, at + 20, [instance]), "errorCode": "Client.UnauthorizedOperation"})
        if dice.random() < 0.3:
            self.records.append({**trail.change("StartInstances", account, region, at + 30, [instance]), "eventSource": "opsworks-cm.amazonaws.com"})

    def _write(self, dice: random.Random) -> None:
        """Five minutes of an account and region a file; some late, some twice."""
        windows: dict[tuple[str, str, int], list[dict[str, Any]]] = defaultdict(list)
        for record in self.records:
            account, region, at = record["recipientAccountId"], record["awsRegion"], trail.seconds(record["eventTime"])
            late = dice.randrange(6 * 3600) if dice.random() < 0.1 else 0
            windows[account, region, (at + late) // FILE_SECONDS].append(record)
            if dice.random() < 0.15:
                windows[account, region, (at + dice.randrange(7200)) // FILE_SECONDS].append(record)
        for (account, region, window), records in sorted(windows.items()):
            dice.shuffle(records)
            body = trail.packed(records)
            self.files[trail.key(account, region, (window + 1) * FILE_SECONDS, body)] = body

    def runs(self, account: str | None = None) -> dict[str, list[tuple[str, str | None]]]:
        """The truth as the program tells it: runs by instance."""
        wanted = {key: runs for key, runs in self.truth.items() if account in (None, key[0])}
        return {key[2]: [(trail.stamp(on), None if off is None else trail.stamp(off)) for on, off in runs] for key, runs in wanted.items()}


def seconds_by_instance(runs: dict[str, list[tuple[str, str | None]]], start: str, end: str) -> dict[str, int]:
    """What a report over `[start, end)`, all of it in the past, says of each instance that ran in it."""
    since, until, found = trail.seconds(start), trail.seconds(end), {}
    for instance, spans in runs.items():
        cut = [(max(trail.seconds(on), since), min(until if off is None else trail.seconds(off), until)) for on, off in spans]
        if total := sum(max(0, off - on) for on, off in cut):
            found[instance] = total
    return found
