"""`cloudigrade serve`, or another command that lasts, and its sister commands as their users run them."""

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudigrade
from aws import KEYS, REGION, Aws, TrailBucket, end_with_parent, until

START_SECONDS = 60
STOP_SECONDS = 60
ANSWER_SECONDS = 30
# Exit codes.
DONE, FAILED, USAGE, NO_INPUT, DEAD_LETTERS, IN_USE, STORAGE, OBSTRUCTED = 0, 1, 2, 3, 4, 5, 6, 7


@dataclass
class Program:
    """A data folder, a configuration, and at most one running server."""

    folder: Path
    endpoint: str
    config: dict[str, dict[str, Any]] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    starts: int = 0
    verbose: bool = False  # whether the server logs requests
    command: tuple[str, ...] = ("serve",)

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def env(self) -> dict[str, str]:
        """The environment of all commands."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true", "RUST_BACKTRACE": "1"}

    def configure(self, bucket: TrailBucket | None = None, **sections: dict[str, Any]) -> "Program":
        """Writes the configuration: what all tests want, a source if there is a bucket, and what one test wants."""
        config: dict[str, dict[str, Any]] = {
            "aws": {"region": REGION, "endpoint_url": self.endpoint},
            "accounts": {"reconcile_every": "15m", "history_days": 90},
            "serve": {"listen": "127.0.0.1:0", "tables_every": "1s"},
        }
        if bucket is not None:
            config["source.sqs"] = {"queue_url": bucket.queue_url, "visibility_timeout": "30s", "wait_time": "1s", "buckets": [bucket.name]}
            config["accounts"]["trail_bucket"] = bucket.name
        for name, values in sections.items():
            config.setdefault(name.replace("__", "."), {}).update(values)
        self.config = config
        lines = [f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()) for name, values in config.items()]
        self.config_file.write_text("\n".join(lines))
        return self

    @property
    def config_file(self) -> Path:
        """The configuration."""
        return self.folder / "cloudigrade.toml"

    @property
    def log(self) -> Path:
        """What the newest server says on standard error."""
        return self.folder / f"serve-{self.starts}.log"

    def start(self, ready: bool = True) -> "Program":
        """Starts the server and waits until it listens, and unless told otherwise until it is ready."""
        self.launch()
        self.wait_until_listening()
        if ready:
            until("the server to be ready", lambda: self.get("readyz")[0] == 200, START_SECONDS)
        return self

    def launch(self) -> None:
        """Starts the server and waits for nothing: it may also end before it listens."""
        assert self.process is None
        self.starts += 1
        self.url = ""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDIGRADE", "AWS_"))}
        command = [cloudigrade.BINARY, *self.command, "--config", str(self.config_file), "--data", str(self.data), *(["-v"] if self.verbose else [])]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env={**inherited, **self.env}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent)

    def listens(self) -> bool:
        """Whether the server has said where it listens, which is known from then on."""
        if not self.url and (said := re.search(r"listening at (http://[0-9.:]+)\n", self.log.read_text())):
            self.url = said[1]
        return bool(self.url)

    def wait_until_listening(self) -> None:
        """Waits for that. A server that ends before is a failure."""

        def listening() -> bool:
            self.assert_alive()
            return self.listens()

        until("the server to listen", listening, START_SECONDS)

    def assert_alive(self) -> None:
        """A server that ended is a failure that no waiting mends."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self.process = None
            raise RuntimeError(f"{' '.join(self.command)} ended with {code}:\n{self.log.read_text()}")

    def stop(self) -> str:
        """Stops the server as an operator does, and gives what it said."""
        self.ask_to_stop()
        return self.stopped()

    def ask_to_stop(self) -> None:
        """Asks once: who asks a second time stops the server at once, whatever is under way."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def stopped(self) -> str:
        """Waits until the server that was asked to stop has, and gives what it said."""
        assert self.process is not None
        code = self.process.wait(STOP_SECONDS)
        self.process = None
        said = self.log.read_text()
        assert code == 0, f"{' '.join(self.command)} ended with {code}:\n{said}"
        return said

    def kill(self) -> None:
        """Ends the server as a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def end(self) -> None:
        """Leaves nothing behind."""
        if self.process is not None:
            self.kill()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        self.assert_alive()
        if not self.url:
            self.wait_until_listening()
        try:
            with urllib.request.urlopen(f"{self.url}/{path}", timeout=ANSWER_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels; 0 where it is not told."""
        pattern = re.compile(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.eE+-]+)$", re.MULTILINE)
        return sum(float(value) for value in pattern.findall(self.get("metrics")[1]))

    def metric_by(self, name: str, label: str) -> dict[str, float]:
        """A metric by one of its labels."""
        pattern = re.compile(rf'^{name}\{{[^}}]*\b{label}="([^"]*)"[^}}]*\}} (\S+)$', re.MULTILINE)
        return {of: float(value) for of, value in pattern.findall(self.get("metrics")[1])}

    def run(self, *args: object, expect: int | tuple[int, ...] = 0) -> subprocess.CompletedProcess[bytes]:
        """Another command on the same data and configuration."""
        env = {**self.env, **({"CLOUDIGRADE_CONFIG": str(self.config_file)} if self.config else {})}
        return cloudigrade.run(*args, "--data", self.data, env=env, expect=expect)

    def rows(self, *args: object) -> list[dict[str, Any]]:
        """The rows that a command prints."""
        printed = json.loads(self.run(*args, "--format", "json").stdout)
        return printed if isinstance(printed, list) else [printed]

    def sql(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query."""
        return self.rows("sql", query)

    def accounts(self, *args: object, expect: int | tuple[int, ...] = 0) -> subprocess.CompletedProcess[bytes]:
        """`cloudigrade accounts ...`."""
        return self.run("accounts", *args, expect=expect)

    def listed(self, *args: object) -> list[dict[str, Any]]:
        """All accounts of a tenant."""
        return json.loads(self.accounts("list", *args, "--format", "json").stdout)["accounts"]

    def account(self, *args: object) -> dict[str, Any]:
        """What `accounts COMMAND ...` says of one account; that it has problems is no failure here."""
        command = args if len(args) > 1 else ("show", *args)
        return json.loads(self.accounts(*command, "--format", "json", expect=(DONE, OBSTRUCTED)).stdout)["accounts"][0]

    def register(self, arn: str, *args: object) -> dict[str, Any]:
        """Registers an account and gives what it is then."""
        return self.account("register", arn, *args)

    def external_id(self, tenant: str | None = None) -> str:
        """What roles of a tenant are to ask for."""
        tenant_args = ["--tenant", tenant] if tenant else []
        told = self.accounts("policy", "--format", "json", *tenant_args).stdout.decode()
        found = re.search(r"cloudigrade-[0-9a-f]{32}", told)
        assert found, told
        return found[0]

    def enroll(self, aws: Aws, account: str, *args: str, **role: Any) -> dict[str, Any]:
        """Makes a role that asks for the external id, and registers its account."""
        tenant = args[args.index("--tenant") + 1] if "--tenant" in args else None
        return self.register(aws.role(account, self.external_id(tenant), **role), *args)

    def report(self, start: str, end: str, by: str = "account,instance", granularity: str = "month") -> list[dict[str, Any]]:
        """`cloudigrade report usage`."""
        return self.rows("report", "usage", "--start", start, "--end", end, "--by", by, "--granularity", granularity)

    def used(self, account: str, start: str, end: str) -> dict[str, int]:
        """Seconds of each of an account's instances in `[start, end)`, as the report says."""
        seconds: dict[str, int] = {}
        for row in self.report(start, end):
            if row["account_id"] == account:
                seconds[row["instance_id"]] = seconds.get(row["instance_id"], 0) + row["runtime_seconds"]
        return seconds

    def runs(self, account: str | None = None) -> dict[str, list[tuple[str, str | None]]]:
        """Start and end of the runs of each instance."""
        where = f"WHERE account_id = '{account}' " if account else ""
        found: dict[str, list[tuple[str, str | None]]] = {}
        for row in self.sql(f"SELECT instance_id, started_at, ended_at FROM instance_intervals {where}ORDER BY started_at, ended_at"):
            found.setdefault(row["instance_id"], []).append((row["started_at"], row.get("ended_at")))
        return found

    def tail(self, topic: str, *args: object) -> list[dict[str, Any]]:
        """The records of a topic that `tail` shows up to its end: JSON objects that follow each other."""
        found, decoder = [], json.JSONDecoder()
        rest = self.run("tail", topic, *args, "--no-follow", "--format", "json").stdout.decode().strip()
        while rest:
            value, end = decoder.raw_decode(rest)
            found.append(value)
            rest = rest[end:].lstrip()
        return found

    def top(self, *names: str) -> str:
        """What `top` shows of the server: how it stands, its topics and its tasks, with these names among them."""
        shown = self.run("top", "--once", "--every", "1", "--url", self.url).stdout.decode()
        wanted = ("ready", "event time", "records wait for tasks", "PER SECOND", "power.events", "operators.intervals", *names)
        assert all(name in shown for name in wanted), f"{wanted} are to be in\n{shown}"
        return shown

    def digest(self) -> dict[str, tuple[int, str]]:
        """What the tables say, as a number of rows and a hash for each."""
        return cloudigrade.digest(self.data, env=self.env)
