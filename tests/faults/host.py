"""Makes replicas: everything is imported once, then each line on standard input becomes a process of its own by fork.

A line is JSON: settings, where its log and its REST address are to be written, and the moment at which it is to stand
still, if any. The answer is the new pid.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from bot.cli.logs import configure_logs
from bot.rest.auth import LocalDoor
from bot.service import stop_on_signals
from bot.settings import settings_from
from bot.wiring import open_service
from tests.faults.moments import Moment, stand_still

PR_SET_PDEATHSIG = 1


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            become(json.loads(line))
        print(pid, flush=True)


def become(given: dict[str, Any]) -> None:
    """Never returns. The replica dies with whoever made it, so that a killed test leaves nothing behind."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    log = os.open(str(given["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number, replaces in enumerate((nothing, log, log)):
        os.dup2(replaces, number)
    try:
        configure_logs("INFO")
        if (moment := given["moment"]) is not None:
            stand_still(Moment(**moment))
        asyncio.run(serve(given["settings"], Path(str(given["address"]))))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


async def serve(values: dict[str, object], address: Path) -> None:
    stop = stop_on_signals()
    async with open_service(settings_from(values), door=LocalDoor()) as assembled:
        draft = address.with_suffix(".draft")
        draft.write_text(assembled.service.url)
        draft.rename(address)
        await assembled.service.run(stop)


if __name__ == "__main__":
    main()
