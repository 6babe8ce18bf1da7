"""Measures the live path, from a message in the queue to a row in the tables.

    bench_live.py CLOUDIGRADE FOLDER                      as fast as it goes: FOLDER holds a trail
    bench_live.py CLOUDIGRADE FOLDER --per-second 200     at that rate: memory over time

Queue and bucket are bench_live_stub.py. Beside the program the same is done by a client that only fetches, which is what the stand-in
allows at most. Prints JSON.
"""

import argparse
import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STUB = Path(__file__).with_name("bench_live_stub.py")
FETCHERS = 8
LIMIT_SECONDS = 1800
SAMPLE_SECONDS = 1.0
TICKS = os.sysconf("SC_CLK_TCK")


class Stub:
    """The stand-in, running."""

    def __init__(self, folder: Path, per_second: float | None) -> None:
        rate = [] if per_second is None else [str(per_second)]
        self.process = subprocess.Popen([sys.executable, str(STUB), str(folder), *rate], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.out = self.process.stdout
        self.told = json.loads(self.out.readline())
        self.url = f"http://127.0.0.1:{self.told['port']}"

    def end(self) -> None:
        """Whatever it did."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


async def fetch_all(folder: Path, port: int) -> float:
    """Seconds that plain clients take to get all files."""
    names = [f"/bench/{file.relative_to(folder)}" for file in sorted(folder.rglob("*.json.gz"))]
    left = iter(names)

    async def fetcher() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for name in left:
            writer.write(f"GET {name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        writer.close()

    started = time.monotonic()
    await asyncio.gather(*(fetcher() for _ in range(FETCHERS)))
    return time.monotonic() - started


def sample(pid: int) -> tuple[float, float]:
    """Resident MiB and processor seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, (int(fields[11]) + int(fields[12])) / TICKS


def serve(binary: str, stub: Stub, work: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """Starts the program on the stand-in."""
    config, data = work / "cloudigrade.toml", work / "data"
    source = f'[source.sqs]\nqueue_url = "{stub.url}/123456789012/bench"\nbuckets = ["bench"]\nwait_time = "1s"\n'
    config.write_text(f'[aws]\nregion = "us-east-1"\nendpoint_url = "{stub.url}"\n{source}[serve]\nlisten = "127.0.0.1:0"\n')
    env = {**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_EC2_METADATA_DISABLED": "true"}
    with (work / "serve.log").open("wb") as log:
        command = [binary, "serve", "--config", str(config), "--data", str(data)]
        return subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log), data


def rows(binary: str, data: Path) -> int:
    """Runs in the tables."""
    query = ["sql", "SELECT count(*) AS n FROM power_events", "--data", str(data), "--format", "json"]
    done = subprocess.run([binary, *query], capture_output=True, timeout=300)
    return json.loads(done.stdout)[0]["n"] if done.returncode == 0 else 0


def measure(binary: str, folder: Path, per_second: float | None, work: Path) -> dict[str, Any]:
    """One run of the program."""
    stub = Stub(folder, per_second)
    try:
        process, data = serve(binary, stub, work)
        os.set_blocking(stub.out.fileno(), False)
        memory: list[float] = []
        used, told, deadline = 0.0, "", time.monotonic() + LIMIT_SECONDS
        while not told and time.monotonic() < deadline:
            assert process.poll() is None, (work / "serve.log").read_text()
            time.sleep(SAMPLE_SECONDS)
            resident, used = sample(process.pid)
            memory.append(round(resident, 1))
            told = stub.out.readline()
        result = json.loads(told)
        process.send_signal(signal.SIGTERM)
        stopping = time.monotonic()
        assert process.wait(300) == 0, (work / "serve.log").read_text()
        result |= {"stop_seconds": round(time.monotonic() - stopping, 2), "program_cpu_seconds": used, "power_events": rows(binary, data)}
        return {**result, "memory_mib": memory}
    finally:
        stub.end()


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-second", type=float)
    args = parser.parse_args()
    files = sorted(args.folder.rglob("*.json.gz"))
    raw = sum(len(gzip.decompress(file.read_bytes())) for file in files)
    stub = Stub(args.folder, None)
    alone = asyncio.run(fetch_all(args.folder, stub.told["port"]))
    stub.end()
    with tempfile.TemporaryDirectory() as work:
        result = measure(args.binary, args.folder, args.per_second, Path(work))
    seconds, memory = result["seconds"], result.pop("memory_mib")
    minute = round(60 / SAMPLE_SECONDS)
    minutes = [memory[at : at + minute] for at in range(0, len(memory), minute)]
    summary = {
        "objects": len(files),
        "objects_per_second": round(len(files) / seconds),
        "objects_per_second_by_fetching_alone": round(len(files) / alone),
        "json_mb_per_second": round(raw / 1e6 / seconds, 1),
        "program_cpu_ms_per_object": round(result["program_cpu_seconds"] * 1000 / len(files), 3),
        "stand_in_cpu_share": round(result["cpu_seconds"] / seconds, 2),
        "memory_mib_at_most": max(memory),
        "memory_mib_by_minute": [round(sum(part) / len(part), 1) for part in minutes],
        "memory_mib_at_most_by_minute": [max(part) for part in minutes],
    }
    print(json.dumps({**summary, **result}, indent=1))


if __name__ == "__main__":
    main()
