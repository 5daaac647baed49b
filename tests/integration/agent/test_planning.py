"""The planning agent on the real SDK: it proposes by our tool, mends what was refused, and has a share of tokens."""

from contextlib import asynccontextmanager

from bot.demo.model.server import Turn, open_scripted_model
from core.agent.gateway import open_gateway
from core.agent.profiles import planning_profiles, reporting_profile
from core.agent.runs import ClaudeAgents
from core.budget import TokenBudgetManager
from core.plan import Check, Proposal
from core.ports import AgentTask, ProposalAnswer, ToolAnswer
from core.resolution import ActionType, ResolutionId
from tests.fakes.ledger import MemoryLedger
from tests.integration.agent.test_runs import RecordingToolbox, bash, turns

PROPOSE = "mcp__resolver__propose"
SCALE = "kubectl scale deploy/web --replicas=4"
HAIKU = "claude-haiku-4-5-20251001"
PROFILE = planning_profiles(haiku=HAIKU, sonnet="claude-sonnet-4-6")[ActionType.RESOURCE_SCALE]


class Desk:
    """Answers proposals as a test says, the last answer again and again."""

    def __init__(self, *answers: ProposalAnswer) -> None:
        self.answers, self.proposals = list(answers), []

    async def propose(self, proposal: Proposal) -> ProposalAnswer:
        self.proposals.append(proposal)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


TAKEN = ProposalAnswer(ToolAnswer("The plan is taken."), is_final=True)


def refused(*, is_final=False):
    return ProposalAnswer(ToolAnswer("Refused: Step 1: it only reads.", is_error=True), is_final)


def proposing(*lines, **more):
    steps = [{"command": one, "check": "healthy", "undo": "It is scaled back."} for one in lines]
    return Turn("My plan.", ((PROPOSE, {"why": "it is at its limit", "steps": steps} | more),))


@asynccontextmanager
async def planning(folder, script, *, ledger=None, profile=PROFILE, **limits):
    async with open_scripted_model(script) as model:
        budget = TokenBudgetManager(ledger=ledger or MemoryLedger())
        async with open_gateway(upstream=model.url, key="the-real-key", budget=budget) as gateway:
            task = AgentTask(ResolutionId("r1"), "planner", profile, "go", folder, **limits)

            async def run(desk, toolbox=None):
                toolbox = toolbox or RecordingToolbox()
                return await ClaudeAgents(gateway).run(task, toolbox, propose=desk.propose if desk else None)

            yield run, model


async def test_a_proposal_arrives_as_values_and_ends_the_run_once_it_is_taken(tmp_path):
    desk, toolbox = Desk(TAKEN), RecordingToolbox()
    script = turns(bash("kubectl get pods"), proposing(SCALE), Turn("I am not asked any more."))
    async with planning(tmp_path, script) as (run, model):
        outcome = await run(desk, toolbox)

    (proposal,) = desk.proposals
    assert proposal.why == "it is at its limit"
    assert [(one.line, one.check, one.undo) for one in proposal.steps] == [(SCALE, Check.HEALTHY, "It is scaled back.")]
    assert outcome.is_success
    assert toolbox.lines == ["kubectl get pods"]
    assert {PROPOSE, "mcp__resolver__bash", "mcp__resolver__read"} <= {one["name"] for one in model.bodies[0]["tools"]}
    assert "mcp__resolver__edit" not in {one["name"] for one in model.bodies[0]["tools"]}


async def test_a_refused_plan_is_told_back_and_may_be_mended(tmp_path):
    desk = Desk(refused(), TAKEN)
    async with planning(tmp_path, turns(proposing("kubectl get pods"), proposing(SCALE))) as (run, model):
        outcome = await run(desk)

    assert [one.steps[0].line for one in desk.proposals] == ["kubectl get pods", SCALE]
    assert "Refused: Step 1: it only reads." in str(model.bodies[1]["messages"])
    assert outcome.is_success


async def test_the_last_refusal_ends_the_run(tmp_path):
    desk = Desk(refused(is_final=True))
    async with planning(tmp_path, lambda _: proposing("kubectl get pods")) as (run, _):
        outcome = await run(desk)

    assert len(desk.proposals) == 1
    assert (outcome.ending, "it only reads" in outcome.output) == ("failed", True)


async def test_what_is_no_proposal_is_refused_with_the_field_and_reaches_nobody(tmp_path):
    desk = Desk(TAKEN)
    bad = [
        proposing(),
        proposing(SCALE, why=""),
        Turn("", ((PROPOSE, {"why": "x", "steps": [{"command": SCALE, "check": "sometimes", "undo": "y"}]}),)),
        Turn("", ((PROPOSE, {"why": "x", "steps": [{"command": SCALE}]}),)),
        proposing(*[SCALE] * 11),
        Turn("I give up."),
    ]
    async with planning(tmp_path, turns(*bad)) as (run, model):
        outcome = await run(desk)

    assert desk.proposals == []
    assert outcome.output == "I give up."
    answers = str(model.bodies[-1]["messages"])
    assert answers.count("is_error") >= 5


async def test_a_planning_agent_has_its_share_of_the_tokens_and_no_more(tmp_path):
    ledger = MemoryLedger()
    numbers = iter(range(100))

    def script(body):
        if "token budget is spent" in str(body["messages"]):
            return Turn("Last words.")
        return Turn("word " * 400, bash(f"kubectl get pods web-{next(numbers)}").tools)

    toolbox = RecordingToolbox(answer=lambda line: ToolAnswer(f"{line} " + "x" * 8_000))
    given = {"ledger": ledger, "token_limit": 100_000, "agent_tokens": 12_000}
    async with planning(tmp_path, script, **given) as (run, _):
        outcome = await run(Desk(TAKEN), toolbox)

    assert outcome.ending == "budget"
    assert sum(tokens for tokens, _ in ledger.settled) <= 12_000


async def test_the_reporting_agent_has_no_tools_and_gives_one_answer(tmp_path):
    profile = reporting_profile(ActionType.RESOURCE_SCALE, haiku=HAIKU)
    async with planning(tmp_path, turns(Turn("It stopped before step 1.")), profile=profile) as (run, model):
        outcome = await run(None)

    assert outcome.output == "It stopped before step 1."
    assert model.bodies[0].get("tools", []) == []
    assert len(model.bodies) == 1
