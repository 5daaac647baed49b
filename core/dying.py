"""Child processes that die with this one, however it dies."""

import sys
from collections.abc import Sequence
from pathlib import Path

SETPRIV = Path("/usr/bin/setpriv")
_WATCH = """\
import os, signal, subprocess, sys, time
parent = os.getppid()
child = subprocess.Popen(sys.argv[1:], close_fds=False)
signal.signal(signal.SIGTERM, lambda *_: child.terminate())
while child.poll() is None:
    if os.getppid() != parent:
        child.kill()
    time.sleep(0.05)
if child.returncode < 0:
    signal.signal(-child.returncode, signal.SIG_DFL) if -child.returncode != signal.SIGKILL else None
    os.kill(os.getpid(), -child.returncode)
sys.exit(child.returncode)
"""
"""Stands in for setpriv where there is none: passes SIGTERM on, and ends as its child did."""


def dying_with_us(argv: Sequence[str], *, by: str = "KILL", setpriv: Path = SETPRIV) -> list[str]:
    """The argument vector that starts this one: the kernel sends it the signal `by` when this process dies.

    On a system without setpriv (Linux has it) a small watcher looks twenty times a second instead, and kills.
    """
    if setpriv.is_file():
        return [str(setpriv), "--pdeathsig", by, "--", *argv]
    return [sys.executable, "-I", "-c", _WATCH, *argv]
