"""The worker's parts, put together: a part of the composition root, `bot/wiring.py`, of which nobody else knows."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from bot.identities import Ways
from bot.settings import Settings
from core.agent.gateway import open_gateway
from core.agent.profiles import agent_profiles, further_profiles, planning_profiles, reporting_profile
from core.agent.prompts import framed_prompt
from core.agent.runs import ClaudeAgents
from core.approvals import ApprovalEngine
from core.budget import TokenBudgetManager
from core.cluster.source import KubernetesSource
from core.commands.gate import judge
from core.context import ContextGatherer
from core.executor import RemediationExecutor
from core.flow import Flow
from core.gathering import Gathering
from core.history import Entry, Happened
from core.permits import choose_affected
from core.plan_execution import PlanRunner
from core.planning import Planner
from core.ports import Clock, Cluster
from core.previews import Previewer
from core.questions import Asking
from core.replanning import Replanner
from core.resolution import ResolutionId
from core.revising import Revising
from core.rollback import RollbackManager
from core.sources.graph import Graph
from core.sources.platform import open_platform
from core.undoing import Undoing
from core.usage import Usage
from core.verification import Verifier
from core.watching import Watcher
from storage.ledger import PostgresLedger
from storage.store import PostgresStorage


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What does not come from other parts: the settings, the time, and new ids."""

    settings: Settings
    clock: Clock
    new_id: Callable[[], str]


@asynccontextmanager
async def open_flow(
    surroundings: Surroundings,
    *,
    store: PostgresStorage,
    ways: Ways,
    graph: Graph,
    engine: ApprovalEngine,
    rollback: RollbackManager,
) -> AsyncIterator[Flow]:
    settings, ledger = surroundings.settings, PostgresLedger(store.engine)

    async def warn(resolution_id: ResolutionId, usage: Usage) -> None:
        sentence = f"{usage.percent_used:g} % of the token limit is used ({usage.total_tokens:,} tokens)."
        async with store.transaction() as tx:
            await tx.append(Entry(Happened.BUDGET_WARNED, resolution_id, None, {"sentence": sentence}))

    budget = TokenBudgetManager(
        settings.token_limit,
        settings.agent_token_limit,
        ledger=ledger,
        day_usd=settings.money_per_day_usd,
        warn=warn,
    )
    key = settings.anthropic_api_key.get_secret_value() if settings.anthropic_api_key else ""
    async with AsyncExitStack() as using:
        gateway = await using.enter_async_context(
            open_gateway(
                upstream=settings.anthropic_base_url,
                key=key,
                budget=budget,
                proxy=settings.proxy_for(settings.anthropic_base_url),
            )
        )
        platform = await using.enter_async_context(
            open_platform(settings.platform_url, proxy=settings.proxy_for(settings.platform_url))
        )
        gatherer = ContextGatherer(
            [KubernetesSource(ways.reader, clock=surroundings.clock), *platform, graph],
            seconds_per_source=settings.source_seconds,
            choose=choose_affected,
        )
        verifier = Verifier(ways.reader, limit_seconds=settings.verify_seconds)
        executor = RemediationExecutor(
            store=store,
            cluster=ways.reader,
            at_work=ways.at_work(engine.policy.snapshot_namespaces),
            grants=ways.grants,
            agents=ClaudeAgents(gateway, has_key=bool(key)),
            judge=partial(judge, programs=settings.programs, raises=engine.policy.command_raises),
            profiles=agent_profiles(haiku=settings.haiku_model, sonnet=settings.sonnet_model),
            prompt=framed_prompt,
            workspaces=settings.data / "workspaces",
            clock=surroundings.clock,
            asking=Asking(engine.timeout_seconds, surroundings.new_id, is_allowed=engine.policy.asks_uncovered),
        )
        planner = _planner(settings, executor, reader=ways.reader, preview=ways.preview)
        watcher = Watcher(store)
        yield Flow(
            store=store,
            ledger=ledger,
            policy=engine.policy,
            gathering=Gathering(
                store=store,
                gatherer=gatherer,
                policy=engine.policy,
                engine=engine,
                planner=planner,
                watcher=watcher,
                new_id=surroundings.new_id,
                agents_at_once=settings.agents_at_once,
            ),
            revising=Revising(store, planner, engine),
            executor=executor,
            plan_runner=_plan_runner(settings, executor, planner=planner, verifier=verifier),
            watcher=watcher,
            verifier=verifier,
            undoing=Undoing(store, gatherer, engine, rollback, surroundings.new_id),
            cluster=ways.reader,
            memory=graph if graph.off_reason is None else None,
            agents_at_once=settings.agents_at_once,
            day_usd=float(settings.money_per_day_usd),
        )


def _planner(settings: Settings, executor: RemediationExecutor, *, reader: Cluster, preview: Cluster) -> Planner:
    return Planner(
        store=executor.store,
        cluster=reader,
        grants=executor.grants,
        previewer=Previewer(preview),
        agents=executor.agents,
        judge=executor.judge,
        profiles=planning_profiles(haiku=settings.haiku_model, sonnet=settings.sonnet_model),
        prompt=framed_prompt,
        workspaces=executor.workspaces,
        clock=executor.clock,
    )


def _plan_runner(
    settings: Settings, executor: RemediationExecutor, *, planner: Planner, verifier: Verifier
) -> PlanRunner:
    replanner = Replanner(
        planner=planner,
        further=further_profiles(haiku=settings.haiku_model, sonnet=settings.sonnet_model),
        reporting=partial(reporting_profile, haiku=settings.haiku_model),
        asking=executor.asking,
    )
    return PlanRunner(
        store=executor.store,
        cluster=executor.at_work,
        grants=executor.grants,
        previewer=planner.previewer,
        judge=executor.judge,
        verifier=verifier,
        replanner=replanner,
        workspaces=executor.workspaces,
        clock=executor.clock,
    )
