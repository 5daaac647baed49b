"""Stops the embedded server once nobody uses it. Run detached: FOLDER PG_CTL [UID]. Standard library only."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

POLL_SECONDS = 2.0


@contextmanager
def locked(file: Path, *, is_shared: bool = False, is_waiting: bool = True, may_create: bool = True) -> Iterator[None]:
    """An flock on a file for as long as inside; BlockingIOError where it is taken and `is_waiting` is false."""
    handle = os.open(file, os.O_RDWR | (os.O_CREAT if may_create else 0), 0o600)
    try:
        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        fcntl.flock(handle, kind if is_waiting else kind | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def main() -> None:
    """Ends itself once it has stopped the server."""
    folder, pg_ctl = Path(sys.argv[1]), sys.argv[2]
    account = int(sys.argv[3]) if len(sys.argv) > 3 else None  # noqa: PLR2004  the optional third argument
    with ExitStack() as holding:
        holding.enter_context(locked(folder / "watchdog.lock"))
        sys.stdout.write("watching\n")
        sys.stdout.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        while not _stopped(folder, pg_ctl, account, holding=holding):
            time.sleep(POLL_SECONDS)


def _stopped(folder: Path, pg_ctl: str, account: int | None, *, holding: ExitStack) -> bool:
    """Nobody can join between the look and the stop: joining takes start.lock first. No file: the folder is going.

    The watchdog's own lock is given back before that one, or who joins next would take this watchdog for theirs.
    """
    try:
        with (
            locked(folder / "start.lock", may_create=False),
            locked(folder / "users.lock", is_waiting=False, may_create=False),
        ):
            _stop(folder, pg_ctl, account)
            holding.close()
            return True
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False


def _stop(folder: Path, pg_ctl: str, account: int | None) -> None:
    subprocess.run(  # noqa: S603  PostgreSQL's own program on our own folder
        [pg_ctl, "stop", "-m", "fast", "-w", "-t", "30", "-D", str(folder / "data")],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        user=account,
        group=account,
        extra_groups=None if account is None else [],
    )


if __name__ == "__main__":
    main()
