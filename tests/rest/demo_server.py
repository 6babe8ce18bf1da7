"""A server that speaks Postgres over the demo's data, and what its tests ask it by."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import cloudigrade
import psycopg
import pytest
from conftest import create_user, postgres_port
from program import Program

ANSWER_SECONDS = 60
# Both at ports that the system chooses, which the server says.
CONFIGURATION = '[serve]\nlisten = "127.0.0.1:0"\n[serve.postgres]\nlisten = "127.0.0.1:0"\n'


def must_be_there(there: bool, what: str, packages: str) -> None:
    """Skips a test without what it needs, and says so; in CI that is a failure."""
    if not there:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{what} is missing: sudo apt-get install {packages}")


def psql_binary() -> str:
    """The path of psql."""
    binary = shutil.which("psql")
    must_be_there(binary is not None, "psql", "postgresql-client")
    return str(binary)


@dataclass
class Server:
    """A server that speaks Postgres, and who may ask it: root sees all, ann a tenant without accounts."""

    program: Program
    port: int
    passwords: dict[str, str]

    def connect(self, user: str = "root", **more: object) -> psycopg.Connection:
        """A connection of a user."""
        with_user = {"host": "127.0.0.1", "port": self.port, "user": user, "password": self.passwords[user], "dbname": "cloudigrade"}
        return psycopg.connect(**{**with_user, "connect_timeout": ANSWER_SECONDS, **more})

    def psql(self, *commands: str, user: str = "root", expect: int = 0, args: tuple[str, ...] = ()) -> str:
        """What psql prints."""
        env = {**os.environ, "PGPASSWORD": self.passwords[user], "PAGER": "cat", "LC_ALL": "C.UTF-8"}
        listed = [word for command in commands for word in ("-c", command)]
        command = [psql_binary(), "-X", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", user, "-d", "cloudigrade", *args, *listed]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=ANSWER_SECONDS, stdin=subprocess.DEVNULL)
        assert done.returncode == expect, f"{commands} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests of a file."""
    folder = tmp_path_factory.mktemp("postgres")
    cloudigrade.run("demo", "--folder", folder / "demo", "--days", 10, "--seed", 7)
    (folder / "demo" / "data").rename(folder / "data")
    program = Program(folder, "http://127.0.0.1:9")
    program.config_file.write_text(CONFIGURATION)
    passwords = {"root": create_user(program, "root", "--superuser"), "ann": create_user(program, "ann")}
    program.start()
    try:
        yield Server(program, postgres_port(program), passwords)
    finally:
        program.end()


@pytest.fixture
def root(server: Server) -> Iterator[psycopg.Connection]:
    """A connection of who sees all, each statement by itself."""
    with server.connect(autocommit=True) as connection:
        yield connection


def one(connection: psycopg.Connection, query: str, *parameters: object, **more: object) -> object:
    """The only value of a query."""
    ((value,),) = connection.execute(query, parameters or None, **more).fetchall()
    return value


def code(connection: psycopg.Connection, query: str, *parameters: object) -> str:
    """The SQLSTATE that a query fails with."""
    with pytest.raises(psycopg.Error) as failure:
        connection.execute(query, parameters or None).fetchall()
    return str(failure.value.sqlstate)
