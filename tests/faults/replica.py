"""A replica of the service that a test may kill, freeze and thaw; nothing of it lives in the test's process."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
import psutil

from tests.faults.moments import Moment

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 20.0


@dataclass(slots=True)
class Replica:
    """`url` is its REST address."""

    process: psutil.Process
    url: str
    log: Path

    @property
    def is_alive(self) -> bool:
        return is_alive(self.process)

    def children(self) -> list[psutil.Process]:
        """Every process below it, the agent's CLI and kubectl among them."""
        return self.process.children(recursive=True)

    def has_agent(self) -> bool:
        """Whether the agent's CLI lives below it."""
        return any("claude" in _command_line(one) for one in self.children())

    async def kill(self) -> None:
        """kill -9; AssertionError where something it had started is still there after STOP_SECONDS."""
        below = self.children()
        self.process.kill()
        await gone([self.process, *below])

    def freeze(self) -> None:
        """The process itself stands still; what it started does not."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """As an operator does; AssertionError where it, or what it had started, is still there after STOP_SECONDS."""
        if self.is_alive:
            await _stop(self.process)

    async def post(self, path: str, body: object, **headers: str) -> tuple[int, dict, dict]:
        """Status, JSON and headers of a POST to the incident endpoints."""
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.url}/api/v1/incident{path}", json=body, headers=headers) as answer,
        ):
            return answer.status, await answer.json(content_type=None), dict(answer.headers)

    async def get(self, path: str) -> tuple[int, dict, dict]:
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}{path}") as answer:
            return answer.status, await answer.json(content_type=None), dict(answer.headers)


@dataclass(slots=True)
class Maker:
    """The process that replicas are forked from."""

    process: "subprocess.Popen[str]"

    def fork(self, order: dict[str, object]) -> psutil.Process:
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return psutil.Process(int(self.process.stdout.readline()))


@contextmanager
def open_maker() -> Iterator[Maker]:
    """Importing everything takes seconds of processor time, so it is done once."""
    dying_with_us = ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--"] if Path("/usr/bin/setpriv").is_file() else []
    process = subprocess.Popen(
        [*dying_with_us, sys.executable, "-m", "tests.faults.host"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield Maker(process)
    finally:
        process.stdin.close()
        process.wait(STOP_SECONDS)
        process.stdout.close()


@asynccontextmanager
async def open_replica(
    maker: Maker, values: dict[str, object], *, log: Path, moment: Moment | None = None
) -> AsyncIterator[Replica]:
    """Started when entered; stopped at the end, unless the test was faster. It stands still at `moment`."""
    address = log.with_suffix(".url")
    stands_still = None if moment is None else asdict(moment)
    process = maker.fork({"settings": values, "log": str(log), "address": str(address), "moment": stands_still})
    try:
        async with asyncio.timeout(START_SECONDS):
            while not address.exists():
                assert is_alive(process), f"the replica did not start:\n{log.read_text()[-3000:]}"
                await asyncio.sleep(0.02)
        yield Replica(process, address.read_text(), log)
    finally:
        if is_alive(process):
            await _stop(process)


async def _stop(process: psutil.Process) -> None:
    below = process.children(recursive=True)
    process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        await gone([process])
    except AssertionError:
        process.kill()
        raise
    finally:
        await gone(below)


async def gone(processes: list[psutil.Process]) -> None:
    """AssertionError where one of them is still there after STOP_SECONDS."""
    left = processes
    try:
        async with asyncio.timeout(STOP_SECONDS):
            while left := [one for one in left if is_alive(one)]:
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"still there: {[str(one) for one in left]}") from None


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def is_alive(process: psutil.Process) -> bool:
    """Processes are compared with their start time too, so that a pid used again is another process."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
