"""The verdict: LOW, MEDIUM, HIGH, CRITICAL or DENY, with the rule that said so and what the line would change.

One function, `judge`, for everybody who asks. What cannot be understood is DENY.
"""

from collections.abc import Sequence

from core.commands.filters import check_filter
from core.commands.grammar import Refused, parse_line
from core.commands.helm import judge_helm
from core.commands.kubectl_verdict import judge_kubectl
from core.commands.local_files import Files, is_plain_name
from core.commands.other_tools import TOOLS, judge_tool
from core.commands.programs import refuse_program, refuse_unconfigured
from core.commands.raises import raised
from core.commands.verdicts import Verdict
from core.effects import Judged, JudgedFile
from core.policy.command_raises import CommandRaise
from core.risk_levels import RiskLevel

KUBECTL_ONLY = frozenset({"kubectl"})
KNOWN_PROGRAMS = KUBECTL_ONLY | {"helm"} | TOOLS.keys()
"""All that the rule sheet knows. Which of them are configured, the caller says."""


def judge(
    line: str,
    namespace: str,
    *,
    programs: frozenset[str] = KUBECTL_ONLY,
    files: Files | None = None,
    raises: Sequence[CommandRaise] = (),
) -> Judged:
    """Never raises. `namespace` is the one a line without -n means.

    `programs` are those configured here; any other is DENY. `files` reads the workspace: without it a line is judged
    by its text alone, and a file as what it may hold. `raises` are the policy's, which only make a verdict higher.
    """
    once = _Once(files) if files is not None else None
    try:
        stages = parse_line(line)
        for stage in stages[1:]:
            check_filter(stage)
        verdict = _judge_first(stages[0], namespace, programs, once)
    except Refused as refused:
        return Judged(line, None, refused.rule, refused.reason)
    except RecursionError:
        return Judged(line, None, "R1h", "The line is nested too deeply.")
    judged = Judged(
        line,
        verdict.risk,
        verdict.rule,
        verdict.sentence,
        stages=stages,
        effects=verdict.effects if verdict.risk is not RiskLevel.LOW else (),
        files=None if verdict.paths is None else once.read if once is not None else (),
        verb=verdict.verb,
        namespaces=verdict.namespaces,
        kinds=verdict.kinds,
        aim=verdict.aim if verdict.risk is not RiskLevel.LOW else None,
    )
    return raised(judged, raises) if raises else judged


def _judge_first(argv: tuple[str, ...], namespace: str, programs: frozenset[str], files: "_Once | None") -> Verdict:
    program = argv[0]
    if program not in KNOWN_PROGRAMS:
        raise refuse_program(program)
    if program not in programs:
        raise refuse_unconfigured(program)
    if program == "kubectl":
        return judge_kubectl(argv[1:], namespace, files)
    if program == "helm":
        return judge_helm(argv[1:], namespace)
    return judge_tool(argv, namespace)


class _Once:
    """Reads each file one time: what was judged, hashed and handed over is the same bytes."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._found: dict[str, bytes | None] = {}

    def __call__(self, path: str) -> bytes | None:
        if path not in self._found:
            self._found[path] = self._files(path) if is_plain_name(path) and path not in {"-", ".", "./"} else None
        return self._found[path]

    @property
    def read(self) -> tuple[JudgedFile, ...]:
        return tuple(JudgedFile(name, content) for name, content in self._found.items() if content is not None)
