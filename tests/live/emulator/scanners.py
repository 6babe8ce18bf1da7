"""Instances that do what their user data says, as far as scanners go: the script is run as it stands, its disks are the files that the attached
volumes have their bytes in, and houndigrade is the real one. Only its message is put on the queue by this side."""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance, StateReason
from moto.sqs.models import sqs_backends

MARK = "# cloudigrade:"
LOOK_SECONDS = 0.05
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parents[3] / "target"))
PROGRAM = os.environ.get("HOUNDIGRADE_BINARY", str(TARGET / "debug" / "houndigrade"))
# The arguments about the queue are left out: what it writes is put there by us.
WRAPPER = """#!/bin/sh
told=$(mktemp {folder}/told.XXXXXX)
{program} "$1" "$2" "$3" "$4" "$5" > "$told" && mv "$told" {folder}/messages/
"""
SHUTDOWN = """#!/bin/sh
[ "$2" = now ] && touch {folder}/off
exit 0
"""


@dataclass
class Scanners:
    """What scanners do, and which there were."""

    lock: Lock
    # Or `silent`: does nothing for ever; `dies`: ends without a word; `xen`: works, and names disks as they are attached; `stays`: works, and does not
    # turn itself off.
    mode: str = "works"
    started: list[dict[str, Any]] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    def reset(self) -> None:
        """All work; those that run end."""
        self.over.set()
        self.mode, self.started, self.over = "works", [], Event()

    def change(self, given: dict[str, Any]) -> dict[str, Any]:
        """What scanners do from now on."""
        self.mode = given["mode"]
        return given

    def start(self, backend: EC2Backend, instance: Instance) -> None:
        """A new instance, which is a scanner if its user data say so."""
        script = instance.user_data.decode() if instance.user_data else ""
        if MARK not in script:
            return
        images = re.findall(r"^read_disk '([^']+)'", script, re.MULTILINE)
        self.started.append({"id": instance.id, "account": backend.account_id, "images": images, "script": script})
        if self.mode == "dies":
            Thread(target=self._die, args=(instance,), daemon=True).start()
        elif self.mode != "silent":
            Thread(target=self._scan, args=(backend, instance, script, self.mode, self.over), daemon=True).start()

    def _die(self, instance: Instance) -> None:
        with self.lock:
            end(instance)

    def _scan(self, backend: EC2Backend, instance: Instance, script: str, mode: str, over: Event) -> None:
        folder = Path(tempfile.mkdtemp(prefix="scanner."))
        try:
            for name in ("dev", "block", "messages"):
                (folder / name).mkdir()
            _program(folder / "houndigrade", WRAPPER.format(folder=folder, program=PROGRAM))
            _program(folder / "shutdown", SHUTDOWN.format(folder=folder))
            for pattern, line in (
                (r"^devices=.*$", f"devices={folder}/dev"),
                (r"^blocks=.*$", f"blocks={folder}/block"),
                (r"^program=.*$", f"program={folder}/houndigrade"),
            ):
                script, replaced = re.subn(pattern, line, script, count=1, flags=re.MULTILINE)
                assert replaced == 1, f"{pattern} is not in the script"
            env = {"PATH": f"{folder}:{os.environ['PATH']}"}
            process = subprocess.Popen(["/bin/sh", "-c", script], env=env, stdin=subprocess.DEVNULL, start_new_session=True)
            try:
                self._serve(backend, instance, script, process, folder, mode, over)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, 9)
                process.wait()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _serve(self, backend: EC2Backend, instance: Instance, script: str, process: Any, folder: Path, mode: str, over: Event) -> None:
        while not over.wait(LOOK_SECONDS):
            ended = process.poll() is not None
            with self.lock:
                if instance.state not in ("pending", "running"):
                    return
                _plug(backend, instance, folder, mode == "xen")
            for message in sorted((folder / "messages").iterdir()):
                _send(script, message.read_text())
                message.unlink()
            if ended:
                assert (folder / "off").exists(), "the script ended and did not turn the machine off"
                if mode == "stays":
                    continue
                with self.lock:
                    end(instance)
                return


def _plug(backend: EC2Backend, instance: Instance, folder: Path, is_xen: bool) -> None:
    """The volumes that are attached, as the machine sees them."""
    for number, (device, attached) in enumerate(instance.get_block_device_mapping):
        volume = backend.volumes.get(attached.volume_id)
        disk = getattr(volume, "disk", None)
        if volume is None or not disk or volume.attachment is None or volume.attachment.status != "attached":
            continue
        name = device.removeprefix("/dev/").replace("sd", "xvd") if is_xen else f"nvme{number}n1"
        link = folder / "dev" / name
        if link.is_symlink():
            continue
        link.symlink_to(disk)
        if not is_xen:
            serial = folder / "block" / name / "device" / "serial"
            serial.parent.mkdir(parents=True)
            serial.write_text(volume.id.replace("-", "") + "\n")


def _send(script: str, body: str) -> None:
    url = re.search(r"^queue='([^']+)'$", script, re.MULTILINE)
    region = re.search(r"^region='([^']+)'$", script, re.MULTILINE)
    assert url and region, "the script names no queue"
    account, name = url[1].rsplit("/", 2)[1:]
    sqs_backends[account][region[1]].send_message(name, body)


def end(instance: Instance) -> None:
    """The machine turns itself off, which terminates it."""
    if instance.state in ("pending", "running"):
        instance.terminate()
        instance.state_reason = StateReason("Client.InstanceInitiatedShutdown: Instance initiated shutdown", "Client.InstanceInitiatedShutdown")


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o700)


def install(scanners: Scanners) -> None:
    """Patches moto."""
    run = EC2Backend.run_instances

    def run_instances(self: EC2Backend, *args: Any, **kwargs: Any) -> Any:
        reservation = run(self, *args, **kwargs)
        for instance in reservation.instances:
            scanners.start(self, instance)
        return reservation

    EC2Backend.run_instances = run_instances  # type: ignore[method-assign]
