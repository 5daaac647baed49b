"""A child dies with its parent, by the kernel or by the watcher that stands in for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.dying import SETPRIV, dying_with_us

NONE = Path("/nowhere/setpriv")
each_way = pytest.mark.parametrize("setpriv", [SETPRIV, NONE], ids=["setpriv", "watcher"])
SLEEPS = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until_gone(pid: int) -> None:
    for _ in range(100):
        if not is_alive(pid):
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError(f"{pid} lives on")


@each_way
def test_a_child_is_gone_soon_after_its_parent_was_killed(setpriv):
    starts = f"import subprocess, time; subprocess.Popen({dying_with_us(SLEEPS, setpriv=setpriv)}); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", starts], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
        parent.wait()
        until_gone(child)


@each_way
def test_a_signal_to_stop_reaches_the_child(setpriv):
    with subprocess.Popen(dying_with_us(SLEEPS, setpriv=setpriv), stdout=subprocess.PIPE, text=True) as started:
        child = int(started.stdout.readline())
        started.terminate()
        assert started.wait(5) == -signal.SIGTERM
        until_gone(child)


@each_way
@pytest.mark.parametrize(
    ("ends", "code"),
    [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 13)", -signal.SIGPIPE), ("", 0)],
)
def test_it_ends_as_its_child_did(setpriv, ends, code):
    program = [sys.executable, "-c", f"import signal; signal.signal(13, signal.SIG_DFL); {ends}"]
    done = subprocess.run(dying_with_us(program, setpriv=setpriv), check=False, timeout=20)

    assert done.returncode == code


@each_way
def test_what_is_handed_down_reaches_the_child(setpriv):
    reading, writing = os.pipe()
    os.write(writing, b"kept")
    program = [sys.executable, "-c", f"import os; print(os.read({reading}, 4).decode())"]
    done = subprocess.run(
        dying_with_us(program, setpriv=setpriv),
        pass_fds=(reading,),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    os.close(reading)
    os.close(writing)

    assert done.stdout == "kept\n"
