"""Tables in Azure's store, on Microsoft's emulator of it."""

import os
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import cloudigrade
import pytest
from azure.storage.blob import BlobServiceClient

START_SECONDS = 60.0
# The emulator's own account, which its documentation names.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an emulator on a port of its own."""
    needed = subprocess.run([cloudigrade.REPOSITORY / "scripts/need-azure-emulator"], stdout=subprocess.PIPE, text=True)
    if needed.returncode != 0:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("the emulator of Azure is missing: see scripts/need-azure-emulator")
    folder = tmp_path_factory.mktemp("azure")
    command = [needed.stdout.strip(), "--blobPort", "0", "--location", str(folder), "--skipApiVersionCheck", "--disableTelemetry"]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (found := re.search(r"successfully listens on (http://\S+)", said := (folder / "out").read_text())):
            assert process.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.1)
        yield found[1].rstrip("/")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small fleet's folder: its logs, and its data ingested from there."""
    folder = tmp_path_factory.mktemp("fleet") / "demo"
    cloudigrade.run("demo", "--folder", folder, "--days", 3, "--seed", 5)
    return folder


def test_tables_in_azures_store_say_what_local_ones_say(logs: Path, emulator: str, tmp_path: Path) -> None:
    container = f"tables-{uuid.uuid4().hex}"
    service = BlobServiceClient(f"{emulator}/{ACCOUNT}", credential=KEY)
    service.create_container(container)
    tables, environment = f"az://{container}/some/prefix", {"AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": emulator}
    for region in sorted((logs / "logs").glob("AWSLogs/*/CloudTrail/*")):
        cloudigrade.run("ingest", region, "--data", tmp_path, "--tables", tables, env=environment)
    local = cloudigrade.digest(logs / "data")
    assert cloudigrade.digest(tmp_path, "--tables", tables, env=environment) == local
    question = ["report", "usage", "--start", "2024-03-01", "--end", "2024-03-04", "--by", "account,region"]
    assert cloudigrade.rows(*question, "--tables", tables, env=environment) == cloudigrade.rows(*question, "--data", logs / "data")
    cloudigrade.run("tables", "rebuild", "--data", tmp_path, "--tables", tables, env=environment)
    assert cloudigrade.digest(tmp_path, "--tables", tables, env=environment) == local
    said = cloudigrade.run("doctor", "--data", tmp_path, "--tables", tables, env=environment).stdout.decode()
    assert "the store does not write over what is there" in said
    assert not list(service.get_container_client(container).list_blobs(name_starts_with="some/prefix/_probe"))


def test_a_container_that_is_not_there_is_named(emulator: str, logs: Path, tmp_path: Path) -> None:
    environment = {"AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": emulator}
    done = cloudigrade.run("ingest", logs / "logs", "--data", tmp_path, "--tables", "az://no-such-container/t", env=environment, expect=6)
    assert "no-such-container" in done.stderr.decode()
