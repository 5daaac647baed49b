"""The embedded server under the worst of treatment: shared, killed, left behind, started in odd places."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from core.errors import InvalidInputError
from storage.embedded import NOBODY, keep_up, open_embedded
from storage.heartbeat import connection_arguments

ROOT = Path(__file__).parent.parent.parent.parent
USER = """\
import sys
from pathlib import Path
from storage.embedded import open_embedded
with open_embedded(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""
AS_NOBODY = ["/usr/bin/setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--"]
IS_ROOT = os.geteuid() == 0
SERVER_ACCOUNT = AS_NOBODY if IS_ROOT else []


@pytest.fixture
def data() -> Iterator[Path]:
    """A short path that PostgreSQL's own account can enter."""
    folder = Path(tempfile.mkdtemp(prefix="ir-test-"))
    folder.chmod(0o711)
    yield folder / "data"
    wait_until(lambda: server_of(folder / "data") is None, seconds=15)
    shutil.rmtree(folder)


@contextlib.contextmanager
def user(data: Path, *before: str, python: str = sys.executable) -> Iterator["subprocess.Popen[str]"]:
    """Another process that uses the server; killed at the end."""
    process = subprocess.Popen(
        [*before, python, "-c", USER, str(data)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": sysconfig.get_path("purelib"), "COLUMNS": "40"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def python_of_an_ordinary_user() -> str:
    """Ours may lie in root's home, where nobody else can start it."""
    starts_itself = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        with contextlib.suppress(OSError):
            if subprocess.run([*SERVER_ACCOUNT, python, "-c", starts_itself], cwd="/", check=False).returncode == 0:
                return python
    pytest.skip("an ordinary user cannot start a Python here")


def url_of(process: "subprocess.Popen[str]") -> str:
    line = process.stdout.readline().strip()
    assert line, process.stderr.read()
    return line


def server_of(data: Path) -> psutil.Process | None:
    """The postmaster that serves this folder."""
    try:
        pid = int((data / "postgresql/data/postmaster.pid").read_text().split()[0])
        process = psutil.Process(pid)
        return process if str(data) in " ".join(process.cmdline()) else None
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return None


def watchdogs_of(data: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "storage.watchdog" in words and str(data / "postgresql") in words:
            found.append(process)
    return found


def wait_until(is_so: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)


def run_sql(url: str, statement: str) -> list[asyncpg.Record]:
    async def run() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(**connection_arguments(url))
        try:
            return await connection.fetch(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_it_starts_syncs_to_disk_listens_on_no_port_and_keeps_what_was_written(data):
    with open_embedded(data) as url:
        assert run_sql(url, "SHOW fsync")[0][0] == "on"
        assert run_sql(url, "SHOW listen_addresses")[0][0] == ""
        assert (data / "postgresql").stat().st_mode & 0o077 == 0
        run_sql(url, "CREATE TABLE kept AS SELECT 7 AS n")
    assert server_of(data) is None
    with open_embedded(data) as url:
        assert run_sql(url, "SELECT n FROM kept")[0]["n"] == 7


def test_four_processes_that_start_at_once_share_one_server(data):
    with contextlib.ExitStack() as using:
        users = [using.enter_context(user(data)) for _ in range(4)]
        urls = {url_of(one) for one in users}
        assert len(urls) == 1
        server, started = server_of(data), run_sql(urls.pop(), "SELECT pg_postmaster_start_time()")
        with open_embedded(data) as url:
            assert run_sql(url, "SELECT pg_postmaster_start_time()") == started
            assert server_of(data) == server
            assert len(watchdogs_of(data)) == 1


def test_it_lives_while_one_user_does_and_stops_when_the_last_was_killed(data):
    with user(data) as first, user(data) as second:
        url = url_of(first)
        url_of(second)
        first.kill()
        first.wait()
        time.sleep(3)
        assert run_sql(url, "SELECT 1")
        second.kill()
        second.wait()

        wait_until(lambda: server_of(data) is None, seconds=15)
        wait_until(lambda: not watchdogs_of(data), seconds=15)
    assert not (data / "postgresql/data/postmaster.pid").exists()


def test_what_was_committed_survives_kill_9_of_the_server_and_of_its_users(data):
    with user(data) as process:
        url = url_of(process)
        run_sql(url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
        server = server_of(data)
        os.kill(server.pid, signal.SIGKILL)
        process.kill()
        process.wait()

    with open_embedded(data) as url:
        assert server_of(data) != server
        assert run_sql(url, "SELECT count(*) FROM kept")[0][0] == 1000


def test_a_server_that_was_killed_is_started_again_by_the_next_user_while_others_stay(data):
    with user(data) as process:
        url = url_of(process)
        run_sql(url, "CREATE TABLE kept AS SELECT 7 AS n")
        os.kill(server_of(data).pid, signal.SIGKILL)

        with open_embedded(data) as again:
            assert again == url
            assert run_sql(url, "SELECT n FROM kept")[0]["n"] == 7
        assert run_sql(url, "SELECT n FROM kept")[0]["n"] == 7


def test_lock_files_that_name_a_living_process_of_somebody_else_do_not_keep_it_from_starting(data):
    """After a container's restart with the same volume, the old pids belong to other programs."""
    with open_embedded(data) as url:
        run_sql(url, "CREATE TABLE kept AS SELECT 7 AS n")
        pid_file = data / "postgresql/data/postmaster.pid"
        socket_file = data / "postgresql/run/.s.PGSQL.5432.lock"
        left = {file: file.read_text() for file in (pid_file, socket_file)}
    wait_until(lambda: server_of(data) is None, seconds=15)
    other = subprocess.Popen([*SERVER_ACCOUNT, "/bin/sleep", "60"])
    try:
        for file, text in left.items():
            file.write_text("\n".join([str(other.pid), *text.split("\n")[1:]]))
            file.chmod(0o600)
            if IS_ROOT:
                os.chown(file, NOBODY, NOBODY)

        with open_embedded(data) as url:
            assert run_sql(url, "SELECT n FROM kept")[0]["n"] == 7
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_as_root_the_server_runs_under_an_unprivileged_account(data):
    if not IS_ROOT:
        pytest.skip("this is not root")
    with open_embedded(data) as url:
        assert server_of(data).uids().real == NOBODY
        assert run_sql(url, "SELECT 1")


def test_an_ordinary_user_needs_no_root(data):
    python = python_of_an_ordinary_user()
    data.mkdir()
    if IS_ROOT:
        os.chown(data, NOBODY, NOBODY)
    with user(data, *SERVER_ACCOUNT, python=python) as process:
        url_of(process)
        assert server_of(data).uids().real == (NOBODY if IS_ROOT else os.geteuid())
        assert not list((data / "postgresql").glob("binaries-*"))


def test_a_folder_inside_a_file_is_told_by_its_path(data):
    data.write_text("not a folder")

    with pytest.raises(InvalidInputError, match=rf"{data}.*INCIDENT_RESOLVER_DATA"), open_embedded(data):
        pass


def test_a_folder_its_account_cannot_enter_is_told_with_what_to_do(data):
    if not IS_ROOT:
        pytest.skip("only root's server has another account")
    closed = data.parent / "closed"
    closed.mkdir(mode=0o700)

    with (
        pytest.raises(InvalidInputError, match="Choose another INCIDENT_RESOLVER_DATA"),
        open_embedded(closed / "data"),
    ):
        pass


def test_a_full_disk_is_told_and_what_was_copied_is_removed(data):
    """A small file system of its own, which only root can make."""
    if not IS_ROOT or shutil.which("mount") is None:
        pytest.skip("only root copies the binaries")
    data.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(data)], check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        with pytest.raises(InvalidInputError, match="No space left on device"), open_embedded(data / "full"):
            pass
        assert shutil.disk_usage(data).used < 1_000_000
    finally:
        subprocess.run(["umount", str(data)], check=True)


def test_a_folder_of_another_major_version_is_left_alone_and_told(data):
    with open_embedded(data):
        pass
    version = data / "postgresql/data/PG_VERSION"
    version.write_text("17\n")

    with pytest.raises(InvalidInputError, match=r"PostgreSQL 17.*pg_dumpall"), open_embedded(data):
        pass
    assert version.read_text() == "17\n"


async def test_a_killed_server_is_started_again_under_its_user_and_nothing_committed_is_lost(data):
    with open_embedded(data) as url:
        connection = await asyncpg.connect(**connection_arguments(url))
        await connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        await connection.close()
        keeping = asyncio.create_task(keep_up(data))
        killed = server_of(data)
        os.kill(killed.pid, signal.SIGKILL)

        async with asyncio.timeout(30):
            while True:
                try:
                    connection = await asyncpg.connect(**connection_arguments(url), timeout=2)
                except (OSError, asyncpg.PostgresError):
                    await asyncio.sleep(0.2)
                else:
                    break
        assert await connection.fetchval("SELECT one FROM kept") == 1
        await connection.close()
        assert server_of(data).pid != killed.pid
        keeping.cancel()


def test_a_watchdog_makes_nothing_in_a_folder_that_is_being_removed(tmp_path):
    done = subprocess.run([sys.executable, "-m", "storage.watchdog", str(tmp_path), "pg_ctl"], timeout=20, check=False)

    assert done.returncode == 0
    assert [one.name for one in tmp_path.iterdir()] == ["watchdog.lock"]
