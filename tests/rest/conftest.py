"""What the tests of REST, SQL and users share: one server with a fleet of nine days, and its tenants."""

import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

for folder in ("readers", "live"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))

import fleet_of_nine_days as fleet  # noqa: E402
import vectors  # noqa: E402
from aws import Aws, TrailBucket, emulator, until  # noqa: E402
from client import Client  # noqa: E402
from program import Program  # noqa: E402

# Users by name, and their tenants; the first user of each tenant is the first of it here.
USERS = {"root": None, "ann": "acme", "bob": "acme", "gina": "globex", "ivan": "initech", "vera": "vectors", "nora": "nobodys"}
REGISTERED = {
    ("acme", fleet.PROD): "Production EU",
    ("acme", fleet.STAGING): "staging",
    ("globex", fleet.JEWELS): "crown-jewels",
    ("globex", fleet.SHARED): "shared-first",
    ("initech", fleet.SHARED): "shared-second",
    ("initech", fleet.GONE): "gone",
    ("vectors", fleet.VECTORS): "vectors",
}
# Of a server whose tests want what comes of a change, however long it takes here.
PATIENT = {"answer_wait": "5m"}
# Processor time after which a question is being computed.
WORK_SECONDS = 0.3


@dataclass
class World:
    """A server with its users. All of them are logged in: root with all rights, the others to read and write."""

    program: Program
    aws: Aws
    users: dict[str, Client]
    postgres: int

    @property
    def anybody(self) -> Client:
        """Who has no token."""
        return Client(self.program.url)

    def __getattr__(self, name: str) -> Client:
        """A user by name."""
        try:
            return self.users[name]
        except KeyError:
            raise AttributeError(name) from None


def postgres_port(program: Program) -> int:
    """Where a server that has started speaks Postgres: it was to choose a free port, and says which."""
    return int(until("the server to speak Postgres", lambda: re.search(r"listening at postgres://[0-9.]+:(\d+)\n", program.log.read_text()))[1])


def lets_nobody_in(program: Program) -> bool:
    """Whether a server takes no connections any more."""
    where = urlsplit(program.url)
    try:
        socket.create_connection((where.hostname, where.port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False


def busy_seconds(program: Program) -> float:
    """Processor seconds that the server has used."""
    assert program.process is not None
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def works_on(program: Program) -> None:
    """Waits until the server has worked for a while from now on: what it was asked is under way. Where others work too, that takes longer."""
    before = busy_seconds(program)
    until("the server to work", lambda: busy_seconds(program) >= before + WORK_SECONDS)


def create_user(program: Program, name: str, *args: str) -> str:
    """Makes a user, and gives the password that was made up."""
    return json.loads(program.run("users", "create", name, "--generate", "--format", "json", *args).stdout)["password"]


def register(program: Program, aws: Aws) -> None:
    """Has the tenants register their accounts. In each something ran once, before anybody looked, that shows which images it uses."""
    for account, region, image in sorted(fleet.IMAGES_OF | {(fleet.VECTORS, fleet.US, fleet.RHEL)}):
        if image in fleet.DESCRIBED:
            aws.admin("images", {"account": account, "region": region, "id": image, **fleet.DESCRIBED[image]})
        ran = aws.run(account, region, image=image)
        aws.client("ec2", account, region).terminate_instances(InstanceIds=ran)
    # Of somebody who has nothing to do with us: as in AWS, it cannot be told from a role that is not there.
    aws.role("012000000777", "of somebody else", "nobody")
    for (tenant, account), name in REGISTERED.items():
        program.register(aws.role(account, program.external_id(tenant), f"metering-{tenant}"), "--tenant", tenant, "--name", name)


def collect(program: Program, bucket: TrailBucket) -> None:
    """Delivers the fleet and the vectors, the pieces of the vectors one after the other, and waits until EC2 has told of all images."""
    for records in (fleet.all_records(), *vectors.PIECES):
        for key, body in fleet.files(records):
            bucket.put(key, body)
        bucket.drained()

    def unheard() -> set[str]:
        told = program.sql("SELECT DISTINCT image_id FROM image_facts WHERE kind IN ('metadata', 'unavailable')")
        return {*fleet.DESCRIBED, fleet.MISSING} - {row["image_id"] for row in told}

    until("EC2 to tell of all images", lambda: not unheard(), 120)


def looked_at_all_accounts(program: Program) -> None:
    """Waits until the first look into each account after a start shows in the tables, and all of their history: how far it is read is how far
    data reaches, and rows of reports are provisional until then."""
    active = {(row["tenant"], row["account_id"]) for row in program.sql("SELECT tenant, account_id FROM accounts WHERE state = 'enabled'")}
    until("a look into each account", lambda: program.metric("cloudigrade_reconciliations_total") >= len(active), 120)

    def unread() -> list[str]:
        told = [program.accounts("list", "--tenant", tenant).stderr.decode() for tenant in sorted({tenant for tenant, _ in active})]
        return [line for of_tenant in told for line in of_tenant.splitlines() if "history is being read" in line]

    until("all history to be read", lambda: not unread(), 240)

    def facts() -> list[Any]:
        return [program.sql(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in ("image_facts", "images", "accounts", "coverage")]

    def settled() -> bool:
        before, caught_up = facts(), program.metric("cloudigrade_table_catch_up_seconds_count")
        # The second one begins after this.
        until("the tables to follow", lambda: program.metric("cloudigrade_table_catch_up_seconds_count") >= caught_up + 2)
        return facts() == before

    until("what the look told to be in the tables", settled, 120)


def start(program: Program, aws: Aws, **sections: dict) -> World:
    """A server with all of it, from an empty folder."""
    bucket = TrailBucket.make(aws)
    program.configure(bucket, accounts={"reconcile_every": "2s"}).start()
    register(program, aws)
    collect(program, bucket)
    program.accounts("delete", fleet.GONE, "--tenant", "initech")
    program.stop()
    # After the first look nothing changes by itself.
    sections["serve"] = {**PATIENT, **sections.get("serve", {})}
    program.configure(bucket, accounts={"reconcile_every": "30m"}, serve__postgres={"listen": "127.0.0.1:0"}, **sections)
    passwords = {}
    for name, tenant in USERS.items():
        passwords[name] = create_user(program, name, *(["--tenant", tenant] if tenant else ["--superuser"]))
    program.start()
    looked_at_all_accounts(program)
    scopes = {name: "write" if tenant else "admin" for name, tenant in USERS.items()}
    users = {name: Client(program.url).as_user(name, passwords[name], scopes[name]) for name in USERS}
    return World(program, aws, users, postgres_port(program))


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """One emulator for all tests."""
    with emulator(tmp_path_factory.mktemp("emulator") / "log") as url:
        yield Aws(url)


@pytest.fixture(scope="session")
def world(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The server that most tests ask. They leave it as they found it."""
    program = Program(tmp_path_factory.mktemp("world"), aws.url, verbose=True)
    try:
        yield start(program, aws)
    finally:
        program.end()


@pytest.fixture
def program(aws: Aws, tmp_path: Path) -> Iterator[Program]:
    """The program with a data folder of its own, not started. Whatever runs at the end is ended."""
    program = Program(tmp_path, aws.url)
    yield program
    program.end()
