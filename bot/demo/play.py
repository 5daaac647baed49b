"""The demo: the whole product on this machine, everything real but three stand-ins that it talks to over loopback."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.demo.cluster.scenarios import SCENARIOS, Scenario
from bot.demo.cluster.server import Simulator, open_simulator
from bot.demo.incidents import first_request, side_bar
from bot.demo.leftovers import removed_at_the_end
from bot.demo.model.scripts import demo_script
from bot.demo.model.server import ScriptedModel, open_scripted_model
from bot.demo.slack.local_slack import LocalSlack
from bot.demo.slack.server import open_local_slack
from bot.rest.auth import LocalDoor
from bot.settings import Settings, settings_from
from bot.wiring import Assembled, open_service
from core.errors import InvalidInputError
from core.overview import Overview
from core.resolution import OPEN_STATES, Person, ResolutionId

DEMO = Person("demo", "demo")
PLAY_SECONDS = 180.0
CLEANING_TRIES = 20
"""A process that was just killed may still be writing."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asked for. `real` is the environment's settings where a flag wants something real."""

    port: int
    slack_port: int
    page: Path | None
    real: Settings | None = None
    has_real_model: bool = False
    has_real_slack: bool = False
    kubeconfig: Path | None = None
    restage: Callable[[str], None] | None = None
    """Breaks the workload of a demo incident in the cluster behind `kubeconfig`; None where that is not ours to do."""
    changed: Mapping[str, object] = field(default_factory=dict)
    """Settings that replace the demo's own, by field name (tests)."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The running demo. `model`, `slack` and `simulator` are None where the real thing stands in their place."""

    assembled: Assembled
    kubeconfig: Path
    model_url: str
    model: ScriptedModel | None
    slack: LocalSlack | None
    simulator: Simulator | None
    has_incidents: bool

    def addresses(self) -> dict[str, str]:
        return {
            "rest": self.assembled.service.url,
            "slack": self.slack.page_url if self.slack else "https://slack.com/",
            "kubeconfig": str(self.kubeconfig),
            "messages_api": self.model_url,
        }

    async def start(self, scenario: Scenario) -> Overview:
        """Asks for the resolution of a demo incident, as an alert would."""
        return await self.assembled.intake.request(first_request(scenario, token_limit=100_000), by=DEMO)

    async def until_ended(self, resolution_id: ResolutionId) -> Overview:
        """Waits for the end; TimeoutError after three minutes."""
        async with asyncio.timeout(PLAY_SECONDS):
            while True:
                seen = await self.assembled.intake.overview(resolution_id)
                if seen.resolution.state not in OPEN_STATES:
                    return seen
                await asyncio.sleep(0.1)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Gone when left, or when this process is killed. PostgreSQL's unprivileged account must pass through it."""
    folder = Path(tempfile.mkdtemp(prefix="incident-resolver-demo-"))
    folder.chmod(0o711)
    try:
        with removed_at_the_end(folder):
            yield folder
    finally:
        for _ in range(CLEANING_TRIES):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.2)


@asynccontextmanager
async def open_stage(wanted: Wanted) -> AsyncIterator[Stage]:
    """The service wired to the stand-ins; the environment's tokens, database and cluster are not looked at."""
    async with AsyncExitStack() as using:
        folder = using.enter_context(temporary_folder())
        simulator, kubeconfig = await _cluster(using, wanted, folder)
        model = None if wanted.has_real_model else await using.enter_async_context(open_scripted_model(demo_script))
        slack = None
        if not wanted.has_real_slack:
            slack = await _open_slack(using, wanted)
            restage = _breaking(simulator) if simulator is not None else wanted.restage
            if restage is not None:
                slack.incidents, slack.on_play = side_bar(), restage
        values: dict[str, object] = {
            "host": "127.0.0.1",
            "port": wanted.port,
            "data": folder / "data",
            "kubeconfig": kubeconfig,
            "kubectl_path": wanted.real.kubectl_path if wanted.real else None,
            "auto_rollback": True,
            "verify_seconds": 20.0,
            "lease_seconds": 10.0,
            "log": "WARNING",
        }
        values |= _model(wanted, model.url if model else None) | _slack(wanted, slack)
        settings = settings_from(values | dict(wanted.changed))
        assembled = await using.enter_async_context(open_service(settings, door=LocalDoor()))
        has_incidents = simulator is not None or wanted.restage is not None
        url = settings.anthropic_base_url
        yield Stage(assembled, kubeconfig, url, model, slack, simulator, has_incidents=has_incidents)


async def _open_slack(using: AsyncExitStack, wanted: Wanted) -> LocalSlack:
    try:
        return await using.enter_async_context(
            open_local_slack(wanted.slack_port, page=wanted.page, events=["app_mention"])
        )
    except OSError as error:
        raise InvalidInputError(
            f"Cannot listen on 127.0.0.1:{wanted.slack_port}: {error.strerror}. Choose another port with --slack-port "
            "(0: any free one)."
        ) from error


async def _cluster(using: AsyncExitStack, wanted: Wanted, folder: Path) -> tuple[Simulator | None, Path]:
    if wanted.kubeconfig is not None:
        return None, wanted.kubeconfig.absolute()
    simulator = await using.enter_async_context(open_simulator())
    return simulator, simulator.write_kubeconfig(folder / "kubeconfig")


def _model(wanted: Wanted, url: str | None) -> dict[str, object]:
    if url is not None:
        return {"anthropic_api_key": "the-scripted-model-takes-any-key", "anthropic_base_url": url}
    if wanted.real is None or wanted.real.anthropic_api_key is None:
        raise InvalidInputError("--real-model needs ANTHROPIC_API_KEY in the environment.")
    return {
        "anthropic_api_key": wanted.real.anthropic_api_key,
        "anthropic_base_url": wanted.real.anthropic_base_url,
        "https_proxy": wanted.real.https_proxy,
        "no_proxy": wanted.real.no_proxy,
        "haiku_model": wanted.real.haiku_model,
        "sonnet_model": wanted.real.sonnet_model,
    }


def _slack(wanted: Wanted, slack: LocalSlack | None) -> dict[str, object]:
    if slack is not None:
        people = slack.people
        return {
            "slack_bot_token": slack.bot_token,
            "slack_app_token": slack.app_token,
            "slack_api_url": slack.api_url,
            "slack_channel": slack.channel_id,
            "approvers": ",".join(people[name] for name in ("ada", "linus", "grace")),
        }
    real = wanted.real
    if real is None or real.slack_bot_token is None or real.slack_app_token is None or real.slack_channel is None:
        raise InvalidInputError(
            "--real-slack needs SLACK_BOT_TOKEN, SLACK_APP_TOKEN and SLACK_CHANNEL in the environment."
        )
    return {
        "slack_bot_token": real.slack_bot_token,
        "slack_app_token": real.slack_app_token,
        "slack_api_url": real.slack_api_url,
        "https_proxy": real.https_proxy,
        "no_proxy": real.no_proxy,
        "slack_channel": real.slack_channel,
        "approvers": real.approvers or "channel",
    }


def _breaking(simulator: Simulator) -> Callable[[str], None]:
    """Puts an incident's workload into its broken state again before it is played from the page."""

    def play(name: str) -> None:
        for one in SCENARIOS:
            if one.name == name:
                simulator.install(one)

    return play
