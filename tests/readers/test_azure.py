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
from stores import say_what_local_ones_say

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


def test_tables_in_azures_store_say_what_local_ones_say(logs: Path, emulator: str, tmp_path: Path) -> None:
    container = f"tables-{uuid.uuid4().hex}"
    service = BlobServiceClient(f"{emulator}/{ACCOUNT}", credential=KEY)
    service.create_container(container)
    tables, environment = f"az://{container}/some/prefix", {"AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": emulator}
    say_what_local_ones_say(tables, logs, tmp_path, environment)
    assert not list(service.get_container_client(container).list_blobs(name_starts_with="some/prefix/_probe"))


def test_a_container_that_is_not_there_is_named(emulator: str, logs: Path, tmp_path: Path) -> None:
    environment = {"AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": emulator}
    done = cloudigrade.run("ingest", logs / "logs", "--data", tmp_path, "--tables", "az://no-such-container/t", env=environment, expect=6)
    assert "no-such-container" in done.stderr.decode()
