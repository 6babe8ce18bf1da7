"""The composition is what the Compose specification allows, names only what is there, and asks of the program only what it knows."""

import re
import subprocess
import sys
import tomllib
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import cloudigrade
import dockerfile
import pytest
from conftest import DEPLOY, REPOSITORY

ROLES = ["source", "operators", "sink", "inspect", "api"]
ONE_SHOT = "setup"
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
PRIVILEGES = {"privileged", "network_mode", "pid", "ipc", "cap_add", "devices", "userns_mode"}
SECRET = re.compile(r"KEY|SECRET|PASSWORD|TOKEN")


def seconds(text: str) -> int:
    """A duration of the specification, or of the program's configuration."""
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in re.findall(r"(\d+)([hms])", text))


def mounts(service: dict[str, Any]) -> list[tuple[str | None, str]]:
    """What is mounted, and where; what has no name is made for the container alone."""
    pairs = [mount.split(":") for mount in service.get("volumes", [])]
    return [(pair[0], pair[1]) if len(pair) > 1 else (None, pair[0]) for pair in pairs]


def test_it_is_what_the_specification_allows() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    checked = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_images_are_pinned_and_ours_is_built_from_the_dockerfile(services: dict[str, Any], processes: dict[str, Any]) -> None:
    for name, service in services.items():
        assert re.fullmatch(r"[a-z0-9./-]+:[\w.-]+", service["image"]), name
        assert not service["image"].endswith(":latest"), name
        assert ("build" in service) == (name in processes), name
    for service in processes.values():
        assert (REPOSITORY / service["build"] / "Dockerfile").is_file()
    images = {service["image"] for service in services.values()}
    assert len({image.split(":")[0] for image in images}) == len(images), "two versions of one"


def test_all_that_is_waited_for_comes(services: dict[str, Any]) -> None:
    waits = {name: service.get("depends_on", {}) for name, service in services.items()}
    for name, needed in waits.items():
        for other, how in needed.items():
            assert other in services, f"{name} waits for {other}"
            assert how["condition"] in CONDITIONS
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for {other} to be healthy"
            assert (how["condition"] == "service_completed_successfully") == (other == ONE_SHOT), f"{name} waits for {other}"
    # Nobody waits for itself, however indirectly: each round takes away those that wait for nobody left.
    left = {name: set(needed) for name, needed in waits.items()}
    while free := {name for name, needed in left.items() if not needed & set(left)}:
        left = {name: needed for name, needed in left.items() if name not in free}
    assert not left


def test_all_that_is_mounted_is_there(services: dict[str, Any], compose: dict[str, Any]) -> None:
    used = Counter()
    for name, service in services.items():
        places = [place for _, place in mounts(service)]
        assert len(set(places)) == len(places), name
        for source, _ in mounts(service):
            if source and source.startswith("."):
                assert (REPOSITORY / source).exists(), f"{name}: {source}"
                assert f"{source}:" in str(service["volumes"]) and not source.startswith(".."), name
            elif source:
                assert source in compose["volumes"], f"{name}: {source}"
                used[source] += 1
    assert set(used) == set(compose["volumes"])
    assert set(used.values()) == {1}, "a folder of two services"


def test_files_of_the_repository_are_only_read(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for mount in service.get("volumes", []):
            assert not mount.startswith(".") or mount.endswith(":ro"), f"{name}: {mount}"


def test_ports_are_open_on_loopback_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports)


def test_everything_is_looked_after_and_bounded(services: dict[str, Any]) -> None:
    for name, service in services.items():
        limits = service["deploy"]["resources"]["limits"]
        assert set(limits) == {"cpus", "memory"}, name
        assert service["restart"] == ("no" if name == ONE_SHOT else "unless-stopped"), name
        assert ("healthcheck" in service) != (name == ONE_SHOT), name
        if check := service.get("healthcheck"):
            assert check["test"][0] == "CMD", f"{name}: a shell is not needed"
            assert seconds(check["timeout"]) <= 15 and seconds(check["start_period"]) >= 30 and check["retries"] >= 3, name


def test_nothing_has_more_rights_than_it_needs(services: dict[str, Any], processes: dict[str, Any]) -> None:
    for name, service in services.items():
        assert PRIVILEGES.isdisjoint(service), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        # The store gives its rights up by itself, which takes some.
        assert service.get("cap_drop") == ["ALL"] or name == "store", name
    for name, process in processes.items():
        assert process["read_only"], name
        assert (None, "/tmp") in mounts(process), f"{name}: large queries go to disk there"


def test_there_are_no_secrets(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            assert isinstance(value, str), f"{name}: {variable} must be a text: numbers and booleans are written in several ways"
            if SECRET.search(variable) and "ENABLED" not in variable:
                assert value.startswith("local-only"), f"{name}: {variable}"


def test_every_role_has_a_process_and_each_process_its_own_name_and_folder(processes: dict[str, Any]) -> None:
    roles = Counter(role for process in processes.values() for role in process["command"][1:])
    assert set(roles) == set(ROLES)
    assert roles["operators"] == 2, "that one takes over from another can be seen only where there are two"
    members = [process["environment"]["CLOUDIGRADE__KAFKA__MEMBER"] for process in processes.values()]
    assert sorted(members) == sorted(processes)
    folders = [dict((place, source) for source, place in mounts(process))["/data"] for process in processes.values()]
    assert len(set(folders)) == len(processes)


def test_the_program_knows_the_roles_and_flags(processes: dict[str, Any]) -> None:
    told = cloudigrade.run("run", "--help").stdout.decode()
    roles = re.search(r"<ROLE>\.\.\.\n.*?Possible values:\n(.*?)\n\n", told, re.DOTALL)[1]
    assert re.findall(r"- ([a-z]+):", roles) == ROLES
    flags = set(re.findall(r"--[a-z-]+", told))
    for name, process in processes.items():
        command, *rest = process["command"]
        assert command == "run", name
        for word in rest:
            assert word in ROLES or word.split("=")[0] in flags, f"{name}: {word}"


def test_the_program_knows_the_variables(processes: dict[str, Any]) -> None:
    told = cloudigrade.run("--help").stdout.decode()
    known = set(re.findall(r"\[env: (\w+)", told))
    assert "CLOUDIGRADE_DATA" in known
    commands = dockerfile.parse_file(str(REPOSITORY / "Dockerfile"))
    variables = {name for each in commands if each.cmd == "ENV" for name in each.value[::2]}
    variables |= {name for process in processes.values() for name in process["environment"]}
    ours = {name for name in variables if name.startswith("CLOUDIGRADE_") and not name.startswith("CLOUDIGRADE__")}
    assert ours and ours <= known


def test_the_program_takes_the_configuration_of_each_process(processes: dict[str, Any]) -> None:
    for process in processes.values():
        env = {name: value for name, value in process["environment"].items() if name.startswith("CLOUDIGRADE__")}
        cloudigrade.run("config", "check", "--config", DEPLOY / "cloudigrade.toml", env={**env, "CLOUDIGRADE__SERVE__LISTEN": "0.0.0.0:8080"})


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """The configuration of the processes."""
    return tomllib.loads((DEPLOY / "cloudigrade.toml").read_text())


def test_the_configuration_mounted_is_the_one_that_is_read(processes: dict[str, Any]) -> None:
    for process in processes.values():
        at = {place: source for source, place in mounts(process)}
        assert at[process["environment"]["CLOUDIGRADE_CONFIG"]] == "./deploy/cloudigrade.toml"


def test_hosts_that_are_named_are_services_that_listen_there(config: dict[str, Any], services: dict[str, Any], processes: dict[str, Any]) -> None:
    listening = {"store": 8333, "aws": 5000, "kafka": 9092}
    urls = [config["aws"]["endpoint_url"], config["source"]["sqs"]["queue_url"], f"kafka://{config['kafka']['bootstrap']}"]
    urls += [value for service in services.values() for value in service.get("environment", {}).values() if value.startswith("http://")]
    for url in map(urlsplit, urls):
        assert url.hostname in services
        assert url.port == listening[url.hostname], url.geturl()
    assert f"CONTAINERS://kafka:{listening['kafka']}" in services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert {process["environment"]["AWS_ENDPOINT_URL"] for process in processes.values()} == {"http://store:8333"}


def test_listeners_of_the_broker_fit_together(services: dict[str, Any]) -> None:
    env = services["kafka"]["environment"]
    names = [each.split("://")[0] for each in env["KAFKA_LISTENERS"].split(",")]
    ports = [each.rsplit(":", 1)[1] for each in env["KAFKA_LISTENERS"].split(",")]
    assert len(set(ports)) == len(ports)
    assert sorted(each.split(":")[0] for each in env["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")) == sorted(names)
    advertised = dict(each.split("://") for each in env["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert set(advertised) == set(names) - {env["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    assert env["KAFKA_INTER_BROKER_LISTENER_NAME"] in advertised
    # What this machine is told to connect to is open on it.
    [port] = services["kafka"]["ports"]
    assert port == f"{advertised['MACHINE']}:{advertised['MACHINE'].rsplit(':', 1)[1]}"
    assert env["KAFKA_LOG_DIRS"] in [place for _, place in mounts(services["kafka"])]


def test_one_broker_is_asked_for_one_copy(config: dict[str, Any], services: dict[str, Any]) -> None:
    env = services["kafka"]["environment"]
    copies = {name: value for name, value in env.items() if name.endswith(("REPLICATION_FACTOR", "MIN_ISR"))}
    assert set(copies.values()) == {"1"}, copies
    assert (config["kafka"]["replication"], config["kafka"]["min_in_sync"]) == (1, 1)


def test_stopping_has_the_time_that_it_takes(config: dict[str, Any], processes: dict[str, Any]) -> None:
    for name, process in processes.items():
        assert seconds(process["stop_grace_period"]) > seconds(config["serve"]["shutdown_limit"]), name


def test_a_process_is_healthy_when_it_is_ready(processes: dict[str, Any]) -> None:
    # So that `--wait` and those that wait for it begin when it works.
    for name, process in processes.items():
        assert process["healthcheck"]["test"] == ["CMD", "healthcheck", "/readyz"], name


def test_what_the_readme_says_to_run_is_there(services: dict[str, Any]) -> None:
    text = (REPOSITORY / "README.md").read_text()
    section = re.search(r"^## Running it with Docker Compose\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)[1]
    named = set(re.findall(r"docker compose (?:exec|logs|stop|kill|up --detach|restart) ([a-z][a-z0-9-]*)", section))
    assert named and named <= set(services)
    open_ports = {port.split(":")[1] for service in services.values() for port in service.get("ports", [])}
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", section)) <= open_ports
    for command in re.findall(r"docker compose exec api cloudigrade ([a-z-]+(?: [a-z-]+)?)", section):
        cloudigrade.run(*command.split()[:1], "--help")
