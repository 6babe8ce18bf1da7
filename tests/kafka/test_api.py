"""Whoever answers, answers the same: servers of the API on one log, and commands from anywhere."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from aws import Aws, TrailBucket, becomes, until
from client import Client
from cloud import Cloud
from cluster import LONG_SESSION_TIMEOUT, Cluster, Member
from conftest import new_account

TENANT, START, END = "acme", "2024-03-01", "2024-03-10"
REPORTS = ("usage", "concurrency")


@dataclass
class Servers:
    """A server that does everything, and another that only answers; users and accounts are made on the first."""

    cluster: Cluster
    aws: Aws
    bucket: TrailBucket
    first: Member
    second: Member

    def user(self, name: str, *args: str) -> str:
        """Makes a user by the command line, and gives the password that was made up."""
        return json.loads(self.first.run("users", "create", name, "--generate", "--format", "json", *args).stdout)["password"]

    def elsewhere(self, *args: object, expect: int | tuple[int, ...] = 0) -> Any:
        """What a command says on another machine."""
        return json.loads(self.cluster.elsewhere(self.bucket).run(*args, "--format", "json", expect=expect).stdout)


@pytest.fixture(scope="module")
def servers(bootstrap: str, aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """For all tests here: each has users and accounts of its own."""
    folder, bucket = tmp_path_factory.mktemp("servers") / "cluster", TrailBucket.make(aws)
    cluster = Cluster(folder, bootstrap, aws.url, session_timeout=LONG_SESSION_TIMEOUT)
    try:
        first, second = cluster.member("first", bucket=bucket), cluster.member("second", "run", "api", bucket=bucket)
        yield Servers(cluster, aws, bucket, first.start(), second.start())
    finally:
        cluster.end()


def me(member: Member, token: str) -> int:
    """What a token is answered."""
    return Client(member.url, token).ask("GET", "/api/v1/me").status_code


def test_an_account_that_is_registered_on_one_server_is_read_and_reported_alike_on_the_other(servers: Servers) -> None:
    account = new_account()
    cloud = Cloud(servers.aws, servers.bucket, account)
    ids = cloud.run("2024-03-01T10:00:00Z", count=2)
    cloud.stop(ids[:1], "2024-03-02T10:00:00Z")
    password = servers.user("ann", "--tenant", TENANT)
    ann = Client(servers.first.url).as_user("ann", password, "write")
    arn = servers.aws.role(account, servers.first.external_id(TENANT))
    # 202 where AWS takes its time.
    assert ann.ask("POST", "/api/v1/accounts", json={"arn": arn, "name": "production"}).status_code in (201, 202)
    also = Client(servers.second.url, ann.token)

    def listed(client: Client) -> list[tuple[str, str, str]]:
        return [(one["account_id"], one["name"], one["state"]) for one in client.get("/api/v1/accounts")["items"]]

    becomes("the token to work on the second", lambda: me(servers.second, str(ann.token)), 200)
    for client in (ann, also):
        becomes("the account to be listed", lambda client=client: listed(client), [(account, "production", "enabled")])
    becomes("the runs", lambda: servers.first.runs(account), cloud.truth)

    def reports(client: Client) -> dict[str, Any]:
        asked = {name: client.get(f"/api/v1/report/{name}", start=START, end=END, by="account,instance,instance_type") for name in REPORTS}
        return {name: told["rows"] for name, told in asked.items()}

    def alike() -> dict[str, Any]:
        one, other = reports(ann), reports(also)
        assert one == other
        assert {row["instance_id"] for row in one["usage"]} == set(ids)
        return one

    until("both to report the same", alike)
    # What the second changes, the first shows.
    also.send("PATCH", f"/api/v1/accounts/{account}", {"name": "staging"})
    becomes("the new name on the first", lambda: listed(ann), [(account, "staging", "enabled")])


def test_a_token_of_one_server_works_on_the_other_and_ends_there_with_the_password(servers: Servers) -> None:
    first = servers.user("bob", "--tenant", TENANT)
    token = Client(servers.first.url).log_in("bob", first)["token"]
    becomes("the token to work on the second", lambda: me(servers.second, token), 200)
    second = json.loads(servers.first.run("users", "reset", "bob", "--generate", "--format", "json").stdout)["password"]
    assert me(servers.first, token) == 401
    becomes("the token to be refused by the second", lambda: me(servers.second, token), 401)
    Client(servers.second.url).log_in("bob", first, expect=401)
    again = Client(servers.second.url).log_in("bob", second)["token"]
    becomes("the second's token to work on the first", lambda: me(servers.first, again), 200)
    servers.first.run("users", "disable", "bob")
    becomes("who is disabled to be refused by the second", lambda: me(servers.second, again), 401)


def test_the_same_name_is_given_once_by_however_many_servers(servers: Servers) -> None:
    root = Client(servers.first.url).as_user("root", servers.user("root", "--superuser"), "admin")
    becomes("the token to work on the second", lambda: me(servers.second, str(root.token)), 200)
    for number, member in enumerate((servers.first, servers.second)):
        body = {"name": "eve", "tenant": TENANT, "password": f"a long password {number}"}
        answer = Client(member.url, root.token).ask("POST", "/api/v1/users", json=body)
        assert answer.status_code == (201 if number == 0 else 409), answer.text
    Client(servers.second.url).log_in("eve", "a long password 0")


def test_a_password_that_was_reset_on_one_server_stays_reset_whatever_the_other_writes(servers: Servers) -> None:
    password, before, after = servers.user("ruth", "--superuser"), servers.user("dan", "--tenant", TENANT), "another password"
    root = Client(servers.first.url).as_user("ruth", password, "admin")
    follow_each_other(servers, "ruth", password)
    root.send("PUT", "/api/v1/users/dan/password", {"password": after}, 204)
    Client(servers.second.url, root.token).ask("PATCH", "/api/v1/users/dan", json={"disabled": False})
    follow_each_other(servers, "ruth", password)
    for member in (servers.first, servers.second):
        Client(member.url).log_in("dan", after)
        Client(member.url).log_in("dan", before, expect=401)


def follow_each_other(servers: Servers, name: str, password: str) -> None:
    """Waits until each server knows what the other knew just now: a token made after it. (To try passwords is limited.)"""
    for one, other in ((servers.first, servers.second), (servers.second, servers.first)):
        token = Client(one.url).log_in(name, password)["token"]
        becomes(f"the {other.name} to follow", lambda other=other, token=token: me(other, token), 200)


def test_commands_from_another_machine_see_and_change_the_log_and_disturb_nobody(servers: Servers) -> None:
    account, token = new_account(), Client(servers.first.url).log_in("kim", servers.user("kim", "--tenant", "globex"))["token"]
    becomes("the first to have all partitions", lambda: servers.first.metric("cloudigrade_kafka_partitions"), servers.cluster.divided)
    before = rebalances(servers)
    arn = servers.aws.role(account, servers.first.external_id("globex"))
    servers.elsewhere("accounts", "--tenant", "globex", "register", arn, "--name", "from afar")
    (listed,) = servers.elsewhere("accounts", "--tenant", "globex", "list")["accounts"]
    assert (listed["account_id"], listed["name"], listed["state"]) == (account, "from afar", "enabled")
    assert "kim" in {user["name"] for user in servers.elsewhere("users", "list")["users"]}
    kim = Client(servers.first.url, token)
    becomes("it to be shown by the first", lambda: [one["name"] for one in kim.get("/api/v1/accounts")["items"]], ["from afar"])
    servers.elsewhere("users", "disable", "kim")
    for member in (servers.first, servers.second):
        becomes(f"who is disabled from afar to be refused by the {member.name}", lambda member=member: me(member, token), 401)
        member.assert_alive()
    assert rebalances(servers) == before, "no partition changed hands"


def rebalances(servers: Servers) -> float:
    """How often partitions were given to the operators of the first."""
    return servers.first.metric("cloudigrade_kafka_rebalances_total")


def test_what_somebody_says_of_an_image_shows_at_once(servers: Servers) -> None:
    image = "ami-0ff0ff0ff0ff0ff01"
    servers.first.run("images", "override", image, "--product", "openshift", "--is", "yes", "--region", "us-east-1")
    (row,) = servers.first.sql(f"SELECT overrides FROM images WHERE image_id = '{image}'")
    assert json.loads(row["overrides"])[0]["product"] == "openshift"
