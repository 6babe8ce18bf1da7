"""Whatever /openapi.json allows is answered as it says, and whatever it does not allow is refused; to a user, and to a superuser."""

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
            yield start(program, Aws(url))
        finally:
            program.end()


def test_the_description_is_of_openapi_3_1_and_has_an_example_for_all_that_is_sent(tried: World) -> None:
    told = tried.anybody.get("/openapi.json")
    assert told["openapi"].startswith("3.1")
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                assert "example" in content or "examples" in content, (method, path, media_type)
            assert operation.get("summary") and operation.get("tags"), (method, path)


@pytest.mark.parametrize("user,scope", [("ann", "write"), ("root", "admin")])
def test_schemathesis_finds_nothing(tried: World, tmp_path: Path, user: str, scope: str) -> None:
    client: Client = tried.users[user]
    here = Path(__file__).parent
    who = {"TRIED_URL": client.url, "TRIED_USER": client.name, "TRIED_PASSWORD": client.password, "TRIED_SCOPE": scope}
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(here / "description.toml"), "run", f"{client.url}/openapi.json"]
    command += ["--checks", "all", "--phases", "examples,coverage,fuzzing", "--seed", str(SEED), "--max-examples", str(EXAMPLES)]
    # The data base of earlier failures is for people: a test tries the same each time.
    command += ["--request-timeout", "120", "--no-shrink", "--warnings", "off", "--suppress-health-check", "all"]
    env = {**os.environ, **who, "SCHEMATHESIS_HOOKS": "description_hooks", "PYTHONPATH": str(here), "NO_COLOR": "1", "COLUMNS": "160"}
    done = subprocess.run(command, env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert done.returncode == 0, f"{done.stdout[-20000:]}\n{done.stderr[-4000:]}"
    tried.program.assert_alive()
    assert "panicked" not in tried.program.log.read_text()
