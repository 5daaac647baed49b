"""`incident-resolver check`: each dependency with its state, what is missing, and what to add."""

import argparse
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import anthropic

from bot.administration import TABLES, tables_version, utc_now
from bot.configured import approval_engine, load_policy_file, signing_key, snapshot_key
from bot.identities import cluster_state
from bot.settings import Settings, refuse_unknown_settings
from bot.slack.connection import Workspace, open_workspace, try_app_token, why_no_card
from bot.slack.manifest import BOT_SCOPES
from bot.wiring import open_sources
from core.errors import ResolverError
from core.grants import Enforcement
from core.resolution import ActionType, Request


@dataclass(frozen=True, slots=True)
class Finding:
    """`state` is "ok", "off", "warning" or "error"; only an error makes the exit status 1."""

    state: str
    told: str


PROBE = Request(
    "incident-resolver-check",
    "default",
    ActionType.INVESTIGATION,
    "incident-resolver check",
    event_id="incident-resolver-check",
)
"""Names everything a source may want to be asked with."""
SIGNS = {"ok": "ok     ", "off": "off    ", "warning": "warning", "error": "ERROR  "}


async def check(settings: Settings, given: argparse.Namespace) -> int:
    """Prints a line or more for each dependency; exit status 1 where one that is needed does not work."""
    probes: list[tuple[str, Callable[[Settings], Awaitable[list[Finding]]]]] = [
        ("settings", _names),
        ("database", _database),
        ("keys", _keys),
        ("policy", _policy),
        ("cluster", lambda one: _cluster(one, given.namespace)),
        ("slack", _slack),
        ("model", _model),
        ("sources", _sources),
    ]
    has_failed = False
    for name, probe in probes:
        for finding in await _looked(settings, probe):
            print(f"{SIGNS[finding.state]} {name:<9} {finding.told}")
            has_failed = has_failed or finding.state == "error"
    return 1 if has_failed else 0


async def _looked(settings: Settings, probe: Callable[[Settings], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        return await probe(settings)
    except ResolverError as error:
        return [Finding("error", str(error))]


async def _names(_: Settings) -> list[Finding]:
    refuse_unknown_settings()
    return [Finding("ok", "no variable is spelt like a setting and is none")]


async def _database(settings: Settings) -> list[Finding]:
    found = await tables_version(settings, may_upgrade=False)
    where = "DATABASE_URL" if settings.database_url else f"embedded in {settings.data}"
    if found == TABLES:
        return [Finding("ok", f"{where}, tables at {found}")]
    return [Finding("warning", f"{where}, tables at {found or 'nothing'}: run incident-resolver db upgrade")]


async def _keys(settings: Settings) -> list[Finding]:
    snapshot_key(settings)
    signing_key(settings)
    return [Finding("ok", "the snapshot key and the signing key can be used")]


async def _policy(settings: Settings) -> list[Finding]:
    policy = load_policy_file(settings)
    name = settings.policy or "built in"
    engine = approval_engine(settings, policy)
    nobody = engine.why_nobody() or engine.why_not_these()
    people = Finding("warning", nobody) if nobody else Finding("ok", f"approvers: {', '.join(engine.all_approvers)}")
    return [Finding("ok", f"{name}, version {policy.version}"), people]


async def _cluster(settings: Settings, namespace: str | None) -> list[Finding]:
    state = await cluster_state(settings, utc_now, namespace=namespace)
    where = f"in namespace {namespace}" if namespace else "in every namespace (name one with --namespace)"
    told = [Finding("ok", f"{state.name} answers, uid {state.uid or 'not shown'}")]
    is_held = state.posture.enforcement is Enforcement.VALUES
    told.append(Finding("ok" if is_held else "warning", str(state.posture.enforcement)))
    told += [Finding("warning", f"{' and '.join(names)} are one and the same") for names in state.posture.same()]
    told += [Finding("warning", gap) for gap in state.posture.gaps]
    told += [
        Finding("error", f"may not read {where}; add to its ClusterRole: {one}") for one in state.reads.missing_reads
    ]
    changes = state.changes.missing_changes if state.changes else ()
    told += [Finding("warning", f"may not change {where}; add to a Role: {one}") for one in changes]
    if state.reads.may_read_secrets:
        told.append(Finding("warning", f"may read Secrets {where}; the agent's commands use this identity"))
    return told


async def _slack(settings: Settings) -> list[Finding]:
    if settings.slack_bot_token is None:
        return [Finding("off", "SLACK_BOT_TOKEN is not set: REST only")]
    async with open_workspace(
        token=settings.slack_bot_token.get_secret_value(), api_url=settings.slack_api_url
    ) as workspace:
        told = [Finding("ok", f"workspace {workspace.team_id}, bot {workspace.bot_user_id}")]
        if workspace.scopes and (missing := sorted(BOT_SCOPES - workspace.scopes)):
            told.append(Finding("error", f"missing scopes: {', '.join(missing)}; add them and reinstall the app"))
        told.append(await _slack_mode(settings, workspace))
        told.append(await _slack_channel(settings, workspace))
    return told


async def _slack_mode(settings: Settings, workspace: Workspace) -> Finding:
    if settings.slack_app_token is None:
        if settings.slack_signing_secret is None:
            return Finding("error", "set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP mode)")
        return Finding("ok", "HTTP mode (/slack/events)")
    try:
        await try_app_token(workspace, settings.slack_app_token.get_secret_value())
    except ResolverError as error:
        return Finding("error", str(error))
    return Finding("ok", "Socket Mode")


async def _slack_channel(settings: Settings, workspace: Workspace) -> Finding:
    if settings.slack_channel is None:
        return Finding("warning", "SLACK_CHANNEL is not set: alerts by REST get no card")
    fault = await why_no_card(workspace, settings.slack_channel)
    return Finding("error", fault) if fault else Finding("ok", f"cards go to {settings.slack_channel}")


async def _model(settings: Settings) -> list[Finding]:
    if settings.anthropic_api_key is None:
        return [Finding("warning", "ANTHROPIC_API_KEY is not set: agents cannot start")]
    client = anthropic.AsyncAnthropic(
        api_key=settings.anthropic_api_key.get_secret_value(),
        base_url=settings.anthropic_base_url,
        max_retries=1,
        timeout=15.0,
        http_client=anthropic.DefaultAsyncHttpxClient(
            proxy=settings.proxy_for(settings.anthropic_base_url), trust_env=False
        ),
    )
    async with client:
        return [await _answer(client, model) for model in (settings.haiku_model, settings.sonnet_model)]


async def _answer(client: anthropic.AsyncAnthropic, model: str) -> Finding:
    """Counting tokens costs nothing and needs key and model to be right."""
    try:
        await client.messages.count_tokens(model=model, messages=[{"role": "user", "content": "ok"}])
    except anthropic.AuthenticationError:
        return Finding("error", "the Messages API refuses ANTHROPIC_API_KEY (401); take a new key")
    except anthropic.NotFoundError:
        return Finding("error", f"there is no model {model}; set its id to one that the key may use")
    except anthropic.APIStatusError as error:
        return Finding("error", f"the Messages API answered {error.status_code} for {model}")
    except anthropic.APIConnectionError:
        return Finding("error", "the Messages API does not answer; check ANTHROPIC_BASE_URL and the network")
    return Finding("ok", f"{model} answers")


async def _sources(settings: Settings) -> list[Finding]:
    async with AsyncExitStack() as using:
        sources = await using.enter_async_context(open_sources(settings))
        told = []
        for source in sources:
            if source.off_reason is not None:
                told.append(Finding("off", f"{source.name}: {source.off_reason}"))
                continue
            try:
                await source.look(PROBE)
                told.append(Finding("ok", f"{source.name} answers"))
            except ResolverError as error:
                told.append(Finding("warning", f"{source.name}: {error}"))
    return told
