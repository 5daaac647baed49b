"""A real Neo4j on 127.0.0.1: its jars come from Maven Central into a cache, once; what it holds is thrown away."""

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import neo4j

from tests.servers.parts import PartMissingError, program
from tests.servers.processes import free_ports, started, wait_until

JAVA_AT_LEAST = 17
FETCH_SECONDS = 600
START_SECONDS = 90
USER = "neo4j"

_HERE = Path(__file__).parent
_OPENED = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")


@dataclass(frozen=True, slots=True)
class Programs:
    """Java, and the folder with Neo4j's jars."""

    java: Path
    jars: Path


@dataclass(frozen=True, slots=True)
class GraphServer:
    """Where it listens, and the login."""

    uri: str
    password: str
    user: str = USER


def find_or_fetch() -> Programs:
    """The jars in the cache folder, fetched by Maven when missing (118 MB). Raises PartMissingError."""
    java = program("java")()
    told = subprocess.run([java, "-XshowSettings:properties", "-version"], capture_output=True, text=True, check=False)
    version = re.search(r"java\.specification\.version = (\d+)", told.stderr)
    if version is None or int(version[1]) < JAVA_AT_LEAST:
        raise PartMissingError(f"Java {JAVA_AT_LEAST} or later")
    folder = cache_folder()
    if not folder.is_dir():
        _fetch(folder)
    return Programs(java, folder)


def cache_folder() -> Path:
    """A folder outside the checkout, named after the pom."""
    digest = hashlib.sha256((_HERE / "pom.xml").read_bytes()).hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "incident-resolver" / "graph" / digest


@contextmanager
def open_graph_server(programs: Programs) -> Iterator[GraphServer]:
    """Up, empty, with a password of its own; killed in the end."""
    home = Path(tempfile.mkdtemp(prefix="ir-graph-"))
    try:
        port = free_ports(1)[0]
        log = home / "log"
        with started(_command(programs, home / "data", port), log=log) as process:
            wait_until(lambda: _is_open(port), what="Neo4j", seconds=START_SECONDS, process=process, log=log)
            server = GraphServer(f"bolt://127.0.0.1:{port}", secrets.token_urlsafe(16))
            _set_password(server)
            yield server
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _command(programs: Programs, data: Path, port: int) -> list[str]:
    """A source file as program: Java compiles it as it starts."""
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
    memory = ["-Xms256m", "-Xmx512m", "-XX:+UseG1GC"]
    quiet = ["-Dlog4j2.disable.jmx=true", "-Dio.netty.tryReflectionSetAccessible=true"]
    classes = ["-cp", f"{programs.jars}/*", str(_HERE / "GraphServer.java")]
    return [str(programs.java), *memory, *opened, *quiet, *classes, str(data), str(port)]


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _set_password(server: GraphServer) -> None:
    """The first login may do nothing else."""
    with neo4j.GraphDatabase.driver(server.uri, auth=(USER, "neo4j"), telemetry_disabled=True) as driver:
        driver.execute_query(
            "ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $password",
            {"password": server.password},
            database_="system",
        )


def _fetch(folder: Path) -> None:
    """Fetched beside the folder and renamed, so that a fetch that was cut short is never taken for a whole one."""
    maven = program("mvn")()
    with _only_one_at_a_time(folder):
        if folder.is_dir():
            return
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder.parent))
        try:
            _copy_dependencies(maven, unfinished)
            (unfinished / "jars").rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def _copy_dependencies(maven: Path, folder: Path) -> None:
    """Checksums that do not fit fail it."""
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder / 'jars'}"]
    argv = [str(maven), "-B", "-q", "-C", "-f", str(_HERE / "pom.xml"), f"-Dmaven.repo.local={folder / 'm2'}", *goal]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise PartMissingError(f"Neo4j's jars: Maven did not fetch them in {FETCH_SECONDS} s") from error
    if done.returncode:
        raise PartMissingError(f"Neo4j's jars: {' '.join(done.stdout.split())[-400:]}")


@contextmanager
def _only_one_at_a_time(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
