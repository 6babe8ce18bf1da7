"""Registering an account over HTTP: allowed, refused, and while AWS is slow; by the first API and by the new resource."""

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
import requests
from aws import Aws, TrailBucket, until
from client import Client
from conftest import PATIENT, create_user, lets_nobody_in
from gate import Gate
from program import Program

# What clients of the first API wait.
CLIENTS_WAIT_SECONDS = 7
ACCOUNTS = count(1)
TENANT = "acme"
METERING = ("ec2:DescribeInstances", "ec2:DescribeImages", "cloudtrail:LookupEvents")


@dataclass(frozen=True)
class Way:
    """One of the ways to register, and what each answers."""

    path: str
    body: Callable[[str, str], dict[str, Any]]
    said_of_arn: Callable[[dict[str, Any]], list[str]]


WAYS = {
    "first API": Way(
        "/api/v1/account/", lambda arn, name: {"resourcetype": "AwsAccount", "account_arn": arn, "name": name}, lambda told: told["account_arn"]
    ),
    "new resource": Way("/api/v1/accounts", lambda arn, name: {"arn": arn, "name": name}, lambda told: told["errors"]["account_arn"]),
}


@dataclass
class Desk:
    """A server that collects, and a user of a tenant who registers accounts."""

    aws: Aws
    program: Program
    bucket: TrailBucket
    user: Client

    @classmethod
    def opened(cls, aws: Aws, program: Program, serve: dict[str, str]) -> "Desk":
        """Starts the server with settings of its own, and makes the user."""
        bucket = TrailBucket.make(aws)
        program.configure(bucket, serve=serve).start()
        password = create_user(program, "ann", "--tenant", TENANT)
        return cls(aws, program, bucket, Client(program.url).as_user("ann", password, "write"))

    def opened_again(self, serve: dict[str, str]) -> None:
        """Starts the server again with other settings. The user's token outlives that."""
        self.program.stop()
        self.program.configure(self.bucket, serve=serve).start()
        self.user.url = self.program.url

    def role(self, account: str, **how: Any) -> str:
        """A role that asks for the tenant's external id."""
        return self.aws.role(account, **{"external_id": self.program.external_id(TENANT), **how})

    def denied(self, account: str, action: str) -> None:
        """Has AWS refuse an action in an account."""
        service, name = action.split(":")
        code, status = ("UnauthorizedOperation", 403) if service == "ec2" else ("AccessDeniedException", 400)
        self.aws.fault(service=service, action=name, account=account, code=code, status=status, count=None)

    def register(self, way: str, arn: str, name: str = "production") -> requests.Response:
        """Asks for it."""
        return self.user.ask("POST", WAYS[way].path, json=WAYS[way].body(arn, name))

    def listed(self) -> dict[str, str]:
        """The accounts that the user sees, with their states. Both ways show the same."""
        new = {account["account_id"]: account["state"] for account in self.user.get("/api/v1/accounts")["items"]}
        assert {account["aws_account_id"] for account in self.user.pages("/api/v1/account/")} == set(new)
        return new


@pytest.fixture(scope="module")
def desk(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all tests that want to hear how it ends, however long AWS takes: each has an account of its own."""
    program = Program(tmp_path_factory.mktemp("registering"), aws.url, verbose=True)
    try:
        yield Desk.opened(aws, program, PATIENT)
    finally:
        program.end()
        aws.admin("faults", method="DELETE")


@pytest.fixture
def gate(aws: Aws) -> Iterator[Gate]:
    """What makes AWS slow, for as long as a test wants."""
    with Gate(aws.url) as made:
        yield made


@pytest.fixture
def behind(gate: Gate, aws: Aws, program: Program) -> Iterator[Desk]:
    """A desk behind the gate, whose server waits for AWS as long as one does by itself."""
    program.endpoint, program.verbose = gate.url, True
    try:
        yield Desk.opened(aws, program, {})
    finally:
        program.end()
        aws.admin("faults", method="DELETE")


@pytest.fixture
def account() -> str:
    """An AWS account that no other test has."""
    return f"0140000{next(ACCOUNTS):05d}"


@pytest.mark.parametrize("way", WAYS)
def test_an_account_is_registered_with_its_trail_and_shown_both_ways(desk: Desk, account: str, way: str) -> None:
    answer = desk.register(way, desk.role(account), f"by the {way}")
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told.get("aws_account_id") or told["account_id"], told["name"]) == (account, f"by the {way}")
    assert desk.listed()[account] == "enabled"
    assert len(desk.aws.calls(action="CreateTrail", account=account)) == 1
    again = desk.register(way, told.get("account_arn") or told["arn"], "another name")
    assert again.status_code == (400 if way == "first API" else 409), again.text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", [{"external_id": "of somebody else"}, {"refuses": True}], ids=["another external id", "access denied"])
def test_a_role_that_does_not_let_us_in_is_refused_and_leaves_nothing_behind(desk: Desk, account: str, way: str, how: dict[str, Any]) -> None:
    arn = desk.role(account, **how)
    answer = desk.register(way, arn, account)
    assert answer.status_code == 400, answer.text
    said = WAYS[way].said_of_arn(answer.json())
    assert said == [f'Permission denied for ARN "{arn}"'] if way == "first API" else arn in said[0] and "external id" in said[0]
    assert account not in desk.listed()
    assert desk.aws.calls(action="CreateTrail", account=account) == []
    assert desk.register(way, desk.role(account), account).status_code == 201, "nothing of it is in the way once the role is mended"


@pytest.mark.parametrize("way", WAYS)
def test_all_permissions_that_are_missing_are_told_at_once(desk: Desk, account: str, way: str) -> None:
    for action in METERING:
        desk.denied(account, action)
    answer = desk.register(way, desk.role(account), account)
    assert answer.status_code == 400, answer.text
    said = WAYS[way].said_of_arn(answer.json())
    if way == "first API":
        assert said[0] == "Account verification failed."
        assert sorted(said[1:]) == sorted(f'Access denied for policy action "{action}".' for action in METERING)
    else:
        assert sorted(said[1:]) == sorted(METERING)
        assert all(action in said[0] for action in METERING)
    assert account not in desk.listed()


def test_clients_of_the_first_api_wait_longer_than_a_server_does_by_itself(program: Program) -> None:
    shown = tomllib.loads(program.configure().run("config", "show").stdout.decode())["serve"]["answer_wait"]
    assert 0 < int(shown.removesuffix("s")) < CLIENTS_WAIT_SECONDS


@pytest.mark.parametrize("way", WAYS)
def test_while_aws_is_slow_it_is_answered_that_it_is_carried_on_with_and_it_is(gate: Gate, behind: Desk, account: str, way: str) -> None:
    arn = behind.role(account)
    with gate.shut_for("DescribeImages"):
        answer = behind.register(way, arn, account)
        assert answer.status_code == 202, answer.text
        assert "still asked" in answer.json()["detail"]
        until("AWS to be asked", lambda: gate.held)
        assert account not in behind.listed(), "it is nobody's before AWS has shown that it is theirs"
    until("the account to be listed", lambda: behind.listed().get(account) == "enabled")
    (kept,) = [one for one in behind.user.get("/api/v1/accounts")["items"] if one["account_id"] == account]
    assert (kept["name"], kept["problems"], kept["trail"]["ours"]) == (account, [], True)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_refused_late_is_not_registered_the_log_says_why_and_so_does_asking_again(gate: Gate, behind: Desk, account: str, way: str) -> None:
    arn = behind.role(account)
    behind.denied(account, "ec2:DescribeImages")
    with gate.shut_for("DescribeImages"):
        assert behind.register(way, arn, account).status_code == 202

    def refused() -> list[str]:
        said = behind.program.log.read_text().splitlines()
        return [line for line in said if "was not registered" in line and "ec2:DescribeImages" in line and account in line]

    until("the refusal in the log", refused)
    assert account not in behind.listed()
    behind.opened_again(PATIENT)
    answer = behind.register(way, arn, account)
    assert answer.status_code == 400 and "ec2:DescribeImages" in answer.text


def test_stopping_waits_for_what_was_begun(gate: Gate, behind: Desk, account: str) -> None:
    program, arn = behind.program, behind.role(account)
    with gate.shut_for("DescribeImages"):
        assert behind.register("new resource", arn).status_code == 202
        until("AWS to be asked", lambda: gate.held)
        program.ask_to_stop()
        until("nobody to be let in any more", lambda: lets_nobody_in(program))
        program.assert_alive()
    program.stopped()
    assert [(one["account_id"], one["state"]) for one in program.listed("--tenant", TENANT)] == [(account, "enabled")]
