"""Programs as children that die with us: started on 127.0.0.1, their output in a file, stopped by pid."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.dying import dying_with_us

_STOP_SECONDS = 5


class NotStartedError(Exception):
    """A server did not come up; the sentence holds the end of what it printed."""


@contextmanager
def started(
    argv: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The process, for as long as the block lasts: then SIGTERM, 5 s, SIGKILL. `environment` None means ours."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            dying_with_us(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(
    is_there: Callable[[], bool], *, what: str, seconds: float, process: subprocess.Popen[bytes], log: Path
) -> None:
    """Asks ten times a second. NotStartedError when time is over or the process ended."""
    end = time.monotonic() + seconds
    while not is_there():
        if process.poll() is not None or time.monotonic() > end:
            why = f"ended with {process.returncode}" if process.returncode is not None else f"not within {seconds:g} s"
            raise NotStartedError(f"{what}: {why}\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listened on a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
