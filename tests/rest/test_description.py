"""Whatever /openapi.json allows is answered as it says, and whatever it does not allow is refused; to a user, and to a superuser. What answers
hold is taken by the endpoints that their links name: what was made is there, and what was deleted is not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws import Aws, emulator
from client import Client
from conftest import World, start
from program import Program

SEED, EXAMPLES = 5, 8
LIMIT_SECONDS = 600


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world of its own, as all of it may be changed."""
    folder = tmp_path_factory.mktemp("tried")
    with emulator(folder / "emulator.log") as url:
        program = Program(folder, url)
        try:
            yield start(program, Aws(url), serve={"proxies": ["127.0.0.1"]})
        finally:
            program.end()


def test_the_description_is_of_openapi_3_1_and_has_an_example_for_all_that_is_sent(tried: World) -> None:
    told = tried.anybody.get("/openapi.json")
    assert told["openapi"].startswith("3.1")
    operations = {operation["operationId"] for methods in told["paths"].values() for operation in methods.values()}
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            links = [link for answer in operation["responses"].values() for link in answer.get("links", {}).values()]
            assert all(link["operationId"] in operations for link in links), (method, path)
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                assert "example" in content or "examples" in content, (method, path, media_type)
            assert operation.get("summary") and operation.get("tags"), (method, path)


# What is tried request by request, with all checks; and what is tried along the links, where it was tried already whether what a schema allows is
# taken: no schema can say that a start is before an end.
TRIED = {"each": ["examples,coverage,fuzzing"], "linked": ["stateful", "--exclude-checks", "positive_data_acceptance"]}


@pytest.mark.parametrize("phases", TRIED)
@pytest.mark.parametrize("user,scope", [("ann", "write"), ("root", "admin")])
def test_schemathesis_finds_nothing(tried: World, tmp_path: Path, user: str, scope: str, phases: str) -> None:
    client: Client = tried.users[user]
    here = Path(__file__).parent
    who = {"TRIED_URL": client.url, "TRIED_USER": client.name, "TRIED_PASSWORD": client.password, "TRIED_SCOPE": scope}
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(here / "description.toml"), "run", f"{client.url}/openapi.json"]
    command += ["--checks", "all", "--phases", *TRIED[phases], "--seed", str(SEED), "--max-examples", str(EXAMPLES)]
    # The data base of earlier failures is for people: a test tries the same each time.
    command += ["--request-timeout", "120", "--no-shrink", "--warnings", "off", "--suppress-health-check", "all"]
    env = {**os.environ, **who, "SCHEMATHESIS_HOOKS": "description_hooks", "PYTHONPATH": str(here), "NO_COLOR": "1", "COLUMNS": "160"}
    done = subprocess.run(command, env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert done.returncode == 0, f"{done.stdout[-20000:]}\n{done.stderr[-4000:]}"
    tried.program.assert_alive()
    assert "panicked" not in tried.program.log.read_text()
