"""Measures reports over HTTP: 64 clients with a connection each that they keep, asking for reports over a million runs for two minutes.

    bench_rest.py CLOUDIGRADE BENCH_TABLES FOLDER [--runs 1000000] [--clients 64] [--seconds 120] [--by account,region]

CLOUDIGRADE and BENCH_TABLES are the release binaries; `bench_tables` writes the tables below FOLDER if they are not there. Beside it the
limit is measured: how many of the same report one thread computes, without HTTP. Prints JSON: answers by status, errors, percentiles of the
time to an answer, what the server held in memory at most, and which share of a processor the clients themselves took.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

START_SECONDS, ANSWER_SECONDS = 60, 120
# The month that the tables are of, and one of the reports that `bench_tables` times: the limit is of the same one.
MONTH = {"start": "2024-03-01", "end": "2024-04-01", "granularity": "day"}
SAME_REPORT = {"": "usage_day", "account,region": "usage_day_by_account_region", "instance_type": "usage_day_by_type"}
BUSY = 503


@dataclass
class Seen:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    lengths: set[int] = field(default_factory=set)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bytes]:
    """One answer, read whole."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
    if length is None:
        raise ValueError("an answer without its length")
    return status, await reader.readexactly(int(length[1]))


async def client(host: str, port: int, request: bytes, until: float, seen: Seen) -> None:
    """Asks, one after the other, on one connection."""
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while time.monotonic() < until:
        try:
            if connection is None:
                connection = await asyncio.open_connection(host, port, limit=1 << 24)
            started = time.monotonic()
            status, body = await asyncio.wait_for(ask(*connection, request), ANSWER_SECONDS)
            seen.seconds.append(time.monotonic() - started)
            seen.statuses[status] += 1
            if status == 200:
                rows = json.loads(body)["rows"] if len(seen.lengths) < 2 and len(body) not in seen.lengths else None
                if rows is not None and not rows:
                    seen.errors["an empty report"] += 1
                seen.lengths.add(len(body))
            if status == BUSY:
                # As the answer says, though not as long: the queue is what is measured.
                await asyncio.sleep(0.1)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            seen.errors[type(error).__name__] += 1
            if connection is not None:
                connection[1].close()
            connection = None
    if connection is not None:
        connection[1].close()


async def load(url: str, path: str, clients: int, seconds: float) -> Seen:
    """All clients at once."""
    where, seen = urlsplit(url), Seen()
    request = f"GET {path} HTTP/1.1\r\nHost: {where.netloc}\r\nAccept: application/json\r\n\r\n".encode()
    assert where.hostname is not None and where.port is not None
    # The first ones fill the server's caches.
    await client(where.hostname, where.port, request, time.monotonic() + 2, Seen())
    until = time.monotonic() + seconds
    await asyncio.gather(*(client(where.hostname, where.port, request, until, seen) for _ in range(clients)))
    return seen


def memory_mib(process: subprocess.Popen[bytes], which: str) -> float:
    """`VmRSS`, or `VmHWM` for the most so far."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split(f"{which}:")[1].split()[0]) / 1024


def serve(binary: str, tables: Path, folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server of reports, and where it is."""
    log = folder / "log"
    command = [binary, "serve", "--read-only", "--listen", "127.0.0.1:0", "--data", str(folder), "--tables", str(tables)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDIGRADE")}
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=inherited, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    deadline = time.monotonic() + START_SECONDS
    while not (found := re.search(r"listening at (http://\S+)\n", log.read_text())):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            sys.exit(f"the server does not start:\n{log.read_text()}")
        time.sleep(0.05)
    return process, found[1]


def of_one_thread(bench_tables: str, tables: Path, runs: int, report: str) -> float:
    """Reports a second that one processor computes, without HTTP. Makes the tables first, if they are not there."""
    if not (tables / "instance_intervals").exists():
        subprocess.run([bench_tables, str(tables), str(runs), "1"], check=True, stdout=subprocess.DEVNULL)
    first = {min(os.sched_getaffinity(0))}
    timed = subprocess.run(
        [bench_tables, str(tables), str(runs), "7"], check=True, stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, first)
    )
    return 1000 / json.loads(timed.stdout)[report]["median_ms"]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cloudigrade")
    parser.add_argument("bench_tables")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--by", default="account,region", choices=list(SAME_REPORT))
    args = parser.parse_args()

    limit = of_one_thread(args.bench_tables, args.folder, args.runs, SAME_REPORT[args.by])
    path = "/api/v1/report/usage?" + urlencode({**MONTH, **({"by": args.by} if args.by else {})})
    with tempfile.TemporaryDirectory() as folder:
        process, url = serve(args.cloudigrade, args.folder, Path(folder))
        try:
            at_first = memory_mib(process, "VmRSS")
            own, started = time.process_time(), time.monotonic()
            seen = asyncio.run(load(url, path, args.clients, args.seconds))
            took, own = time.monotonic() - started, time.process_time() - own
            held, at_most = memory_mib(process, "VmRSS"), memory_mib(process, "VmHWM")
        finally:
            process.terminate()
            ended = process.wait(START_SECONDS)
    if len(seen.seconds) < 2:
        sys.exit(f"there were no answers: {dict(seen.errors)}")
    percentiles = statistics.quantiles(seen.seconds, n=1000, method="inclusive")
    milliseconds = {name: round(percentiles[at] * 1000, 1) for name, at in (("50", 499), ("90", 899), ("99", 989), ("99.9", 998))}
    result: dict[str, Any] = {
        "report": path,
        "runs": args.runs,
        "clients": args.clients,
        "seconds": round(took, 1),
        "answers": {str(status): count for status, count in sorted(seen.statuses.items())},
        "errors": dict(seen.errors),
        "answers_per_second": round(seen.statuses[200] / took, 1),
        "one_thread_without_http_per_second": round(limit, 1),
        "milliseconds": {**milliseconds, "max": round(max(seen.seconds) * 1000, 1)},
        "memory_mib": {"before": round(at_first), "after": round(held), "most": round(at_most)},
        "clients_processor_share": round(own / took, 2),
        "server_exit_code": ended,
    }
    print(json.dumps(result, indent=2))
    if seen.errors or set(seen.statuses) != {200}:
        sys.exit("not every request had its report")


if __name__ == "__main__":
    main()
