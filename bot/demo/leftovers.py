"""Removes the demo's folder once the demo is gone, however it went. Run detached: FOLDER. Standard library only.

The demo holds a lock in the folder for life, which the kernel drops even at kill -9. The embedded database's own
watchdog stops the server; its folder is removed after that.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "in-use.lock"
TRIES = 150
PAUSE_SECONDS = 0.2


@contextmanager
def removed_at_the_end(folder: Path) -> Iterator[None]:
    """From here on the folder goes with this process; leaving the block gives it back to the caller."""
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        subprocess.Popen(  # noqa: S603  our own module
            [sys.executable, "-m", "bot.demo.leftovers", str(folder)],
            cwd=Path(__file__).parent.parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        yield
    finally:
        os.close(handle)


def main() -> None:
    folder = Path(sys.argv[1])
    try:
        handle = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return
    fcntl.flock(handle, fcntl.LOCK_EX)
    for _ in range(TRIES):
        if not folder.exists():
            return
        if not list(folder.glob("data/postgresql/data/postmaster.pid")):
            shutil.rmtree(folder, ignore_errors=True)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
