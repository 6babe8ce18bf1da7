"""Disk images that look like those of machines: an ext4 file system with the files that an inspection looks for, and nothing else."""

import contextlib
import sqlite3
import struct
import subprocess
from pathlib import Path

MKFS = next((path for path in ("/sbin/mkfs.ext4", "/usr/sbin/mkfs.ext4") if Path(path).exists()), "mkfs.ext4")
RHEL = {
    "etc/os-release": 'NAME="Red Hat Enterprise Linux"\nID="rhel"\nVERSION_ID="9.4"\nPRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"\n',
    "etc/redhat-release": "Red Hat Enterprise Linux release 9.4 (Plow)\n",
    "etc/yum.repos.d/redhat.repo": "[rhel-9-baseos]\nname = RHEL 9 BaseOS\nenabled = 1\nbaseurl = https://cdn.redhat.com/content/dist/rhel9\n",
}
DEBIAN = {"etc/os-release": 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'}


def disk(folder: Path, name: str, files: dict[str, str], mib: int = 32, packages: int = 0) -> Path:
    """A disk image with these files, and as many installed packages, in a root file system, sparse."""
    root, image = folder / f"{name}.root", folder / f"{name}.raw"
    if packages:
        database = root / "var/lib/rpm/rpmdb.sqlite"
        database.parent.mkdir(parents=True)
        write_packages(database, packages)
    for path, text in {"usr/bin/true": "", "bin/sh": "", "sbin/init": "", **files}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    with image.open("wb") as file:
        file.truncate(mib << 20)
    # Without a journal and lazily: the image stays small.
    subprocess.run([MKFS, "-q", "-F", "-O", "^has_journal", "-d", str(root), str(image)], check=True, capture_output=True)
    return image


def write_packages(database: Path, count: int) -> None:
    """A package database as RHEL 9 has it: headers of some ten kilobytes in a table of SQLite."""
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.execute("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
        for number in range(count):
            db.execute("INSERT INTO Packages (blob) VALUES (?)", (_header(f"package-{number}"),))


def _header(name: str) -> bytes:
    """An RPM header: how many entries and bytes, the entries (tag, type, offset, count), the bytes."""
    texts = {1000: name, 1001: "1.0", 1002: "1.el9", 1005: "What it is for. " * 2500, 1011: "Red Hat, Inc.", 1022: "x86_64"}
    entries, data = b"", b""
    for tag, text in sorted(texts.items()):
        entries += struct.pack(">IIII", tag, 6, len(data), 1)
        data += text.encode() + b"\0"
    return struct.pack(">II", len(texts), len(data)) + entries + data


def garbage(folder: Path, name: str) -> Path:
    """A disk image of which nobody can make anything: bytes that are no file system."""
    image = folder / f"{name}.raw"
    image.write_bytes(bytes((at * 7 + 3) % 251 + 1 for at in range(1 << 20)))
    return image


def ntfs(folder: Path, name: str) -> Path:
    """A disk image with the first sector of NTFS."""
    image = folder / f"{name}.raw"
    image.write_bytes(b"\xebR\x90NTFS    ".ljust(1 << 20, b"\0"))
    return image
