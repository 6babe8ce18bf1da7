"""The Dockerfile, as BuildKit's own parser reads it."""

import fnmatch
import json
import os
import re
import socket
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dockerfile
import pytest
from conftest import DEPLOY, REPOSITORY

PINNED = re.compile(r"(?P<name>[a-z0-9./-]+):(?P<tag>[\w.-]+)(@sha256:[0-9a-f]{64})?")
# A process may run as any user but those whose numbers are the system's.
FIRST_USER = 1000
# How long the check waits for a server that does answer, and how long a check may take that does not end by itself.
ANSWER_SECONDS, GUARD_SECONDS = 60, 120


@pytest.fixture(scope="module")
def commands() -> list[dockerfile.Command]:
    """All commands."""
    return list(dockerfile.parse_file(str(REPOSITORY / "Dockerfile")))


@pytest.fixture(scope="module")
def stages(commands: list[dockerfile.Command]) -> dict[str, list[dockerfile.Command]]:
    """The commands of each stage, by its name; the last one is the image."""
    stages: dict[str, list[dockerfile.Command]] = {}
    for command in commands:
        if command.cmd == "FROM":
            [_, word, name] = command.value
            assert word.upper() == "AS", command.original
            stages[name] = []
        else:
            stages[list(stages)[-1]].append(command)
    return stages


@pytest.fixture(scope="module")
def image(stages: dict[str, list[dockerfile.Command]]) -> list[dockerfile.Command]:
    """What the image is made by."""
    return list(stages.values())[-1]


def only(stage: list[dockerfile.Command], name: str) -> dockerfile.Command:
    """The one command of a name; of two only the last would count."""
    [command] = [each for each in stage if each.cmd == name]
    return command


def environment(stage: list[dockerfile.Command]) -> dict[str, str]:
    """What a stage sets."""
    pairs = [pair for each in stage if each.cmd == "ENV" for pair in zip(each.value[::2], each.value[1::2], strict=True)]
    return {name: value.strip('"') for name, value in pairs}


def copied(stage: list[dockerfile.Command]) -> list[str]:
    """What a stage takes from this repository."""
    return [source for each in stage if each.cmd == "COPY" and not from_stage(each) for source in each.value[:-1]]


def from_stage(command: dockerfile.Command) -> str | None:
    """The stage that is copied from, if it is one."""
    return next((flag.removeprefix("--from=") for flag in command.flags if flag.startswith("--from=")), None)


def is_sent(path: str) -> bool:
    """Whether a file is sent to the builder: the last line of .dockerignore that fits it or a folder of it decides."""
    lines = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    sent = True
    for line in lines:
        if any(fnmatch.fnmatch(each, line.removeprefix("!")) for each in above):
            sent = line.startswith("!")
    return sent


def test_it_runs_on_the_release_that_it_is_built_on(commands: list[dockerfile.Command], image: list[dockerfile.Command]) -> None:
    bases = [PINNED.fullmatch(each.value[0]) for each in commands if each.cmd == "FROM"]
    assert all(bases) and len(bases) == 2
    assert [base["name"] for base in bases] == ["rust", "debian"]
    assert all(base["tag"] != "latest" for base in bases)
    # What is linked in one is loaded in the other.
    assert [re.search(r"bookworm|trixie|forky", base["tag"])[0] for base in bases] == ["bookworm"] * 2
    assert {from_stage(each) for each in image if each.cmd == "COPY"} == {None, "builder"}


def test_the_compiler_is_the_one_that_the_workspace_asks_for(commands: list[dockerfile.Command]) -> None:
    workspace = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]
    assert PINNED.fullmatch(commands[0].value[0])["tag"].startswith(f"{workspace['package']['rust-version']}-")


def test_it_does_not_run_as_root(image: list[dockerfile.Command]) -> None:
    [user] = only(image, "USER").value
    assert re.fullmatch(r"\d+:\d+", user), "a number is what orchestrators can tell from root"
    assert all(int(each) >= FIRST_USER for each in user.split(":"))
    # Nothing after it needs root.
    after = image[image.index(only(image, "USER")) + 1 :]
    assert {each.cmd for each in after} <= {"WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    # The data folder is that user's.
    owner, group = user.split(":")
    installs = " ".join(each.original for each in image if each.cmd == "RUN")
    assert f"install -d --owner={owner} --group={group} {environment(image)['CLOUDIGRADE_DATA']}" in installs
    assert only(image, "VOLUME").value == (environment(image)["CLOUDIGRADE_DATA"],)


def test_it_starts_without_a_shell_and_ends_by_a_signal(image: list[dockerfile.Command]) -> None:
    for name in ("ENTRYPOINT", "CMD", "HEALTHCHECK"):
        assert only(image, name).json, f"{name} would run in a shell, which passes no signals on"
    assert only(image, "ENTRYPOINT").value == ("cloudigrade",)
    assert only(image, "STOPSIGNAL").value == ("SIGTERM",)


def test_labels_say_whose_it_is(image: list[dockerfile.Command]) -> None:
    values = only(image, "LABEL").value
    labels = {name: value.strip('"') for name, value in zip(values[::2], values[1::2], strict=True)}
    package = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]["package"]
    assert labels["org.opencontainers.image.licenses"] == package["license"] == "Apache-2.0"
    assert labels["org.opencontainers.image.source"] == package["repository"]
    assert "LICENSE" in copied(image)


def test_nothing_is_fetched_but_packages(commands: list[dockerfile.Command]) -> None:
    assert not [each.original for each in commands if each.cmd == "ADD"]
    for each in commands:
        if each.cmd == "RUN":
            assert not re.search(r"\b(curl|wget)\b|https?://", each.original), each.original
        if each.cmd == "RUN" and "apt-get install" in each.original:
            assert "--no-install-recommends" in each.original and "rm -rf /var/lib/apt/lists/*" in each.original
            assert "apt-get update &&" in each.original, "an old list names packages that are gone"


def test_what_is_copied_is_there_and_sent(stages: dict[str, list[dockerfile.Command]]) -> None:
    for name, stage in stages.items():
        for source in copied(stage):
            assert source not in (".", "./", "*"), f"{name}: all would be compiled anew after any change"
            assert (REPOSITORY / source).exists(), f"{name}: {source}"
            assert is_sent(source), f"{name}: .dockerignore leaves out {source}"
    assert not [path for path in (".git", "target", "data/log.redb", "demo", "tests", "deploy/setup.py", "README.md") if is_sent(path)]


def test_all_that_is_compiled_is_copied(stages: dict[str, list[dockerfile.Command]]) -> None:
    sources = set(copied(stages["builder"]))
    workspace = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]
    assert {"Cargo.toml", "Cargo.lock", "src"} | {member for member in workspace["members"] if member != "."} == sources
    for folder in sources:
        for path in (REPOSITORY / folder).rglob("*.rs"):
            for included in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', path.read_text()):
                inside = os.path.relpath((path.parent / included).resolve(), REPOSITORY)
                assert inside.split("/")[0] in sources, f"{path} includes {inside}"


def test_features_exist(stages: dict[str, list[dockerfile.Command]]) -> None:
    [build] = [each.original for each in stages["builder"] if each.cmd == "RUN" and "cargo" in each.original]
    for line in re.findall(r"cargo build ([^&]*)", build):
        package = re.search(r"--package (\S+)", line)
        manifest = tomllib.loads((REPOSITORY / (package[1] if package else "") / "Cargo.toml").read_text())
        for feature in re.findall(r"--features (\S+)", line):
            assert feature in manifest["features"], line
        assert "--release" in line and "--locked" in line
        assert re.search(r"--bin (\S+)", line)[1] in {each["name"] for each in manifest.get("bin", [manifest["package"]])}


class Answers(BaseHTTPRequestHandler):
    """A server that is healthy and not ready."""

    protocol_version = "HTTP/1.1"
    statuses = {"/healthz": 200, "/readyz": 503}

    def do_GET(self) -> None:  # noqa: N802
        body = json.dumps({}).encode()
        self.send_response(self.statuses.get(self.path, 404))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where that server is."""
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def checked(port: int, *args: str, **more: str) -> int:
    """The exit code of the image's check of a server, with more in its environment."""
    env = {"PATH": os.environ["PATH"], "CLOUDIGRADE__SERVE__LISTEN": f"0.0.0.0:{port}", **more}
    command = [str(DEPLOY / "healthcheck"), *args]
    return subprocess.run(command, env=env, capture_output=True, stdin=subprocess.DEVNULL, timeout=GUARD_SECONDS).returncode


def is_healthy(port: int, *args: str) -> bool:
    """What the image's check says of a server, whose answer it waits for."""
    return checked(port, *args, ANSWER_SECONDS=str(ANSWER_SECONDS)) == 0


def test_the_check_tells_who_answers_from_who_does_not(image: list[dockerfile.Command], port: int) -> None:
    check = only(image, "HEALTHCHECK")
    assert check.value == ("CMD", "healthcheck")
    [copy] = [each for each in image if each.cmd == "COPY" and "deploy/healthcheck" in each.value]
    assert copy.value[-1] == "/usr/local/bin/healthcheck" and "--chmod=0755" in copy.flags
    assert is_healthy(port) and is_healthy(port, "/healthz")
    assert not is_healthy(port, "/readyz") and not is_healthy(port, "/nothing")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        nobody = unused.getsockname()[1]
    assert not is_healthy(nobody)


def test_the_check_waits_for_nobody(image: list[dockerfile.Command]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # What bash's `read` ends with when its time is over.
        assert checked(silent.getsockname()[1]) > 128
    seconds = re.search(r"\{ANSWER_SECONDS:-(\d+)\}", (DEPLOY / "healthcheck").read_text())[1]
    assert "ANSWER_SECONDS" not in environment(image)
    flags = dict(flag.removeprefix("--").split("=") for flag in only(image, "HEALTHCHECK").flags)
    assert int(seconds) < int(flags["timeout"].removesuffix("s")) < int(flags["interval"].removesuffix("s"))


def test_the_program_listens_where_the_check_asks(image: list[dockerfile.Command]) -> None:
    address, port = environment(image)["CLOUDIGRADE__SERVE__LISTEN"].rsplit(":", 1)
    assert address == "0.0.0.0", "loopback of a container is reached by nobody else"
    assert only(image, "EXPOSE").value == (port,)
    assert Path(DEPLOY / "healthcheck").stat().st_mode & 0o111
