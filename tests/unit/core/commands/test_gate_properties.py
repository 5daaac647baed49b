"""The gate for any text at all."""

import shlex
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from core.commands.gate import judge
from core.risk_levels import RiskLevel
from tests.unit.core.commands.test_filters import DENIED_FILTERS
from tests.unit.core.commands.test_gate import CHANGES, PIPED_READS, READS
from tests.unit.core.commands.test_gate_denials import DENIED_KUBECTL
from tests.unit.core.commands.test_grammar import DENIED_SHAPES

LINES = [
    *READS,
    *PIPED_READS,
    *DENIED_FILTERS,
    *(line for line, *_ in (*CHANGES, *DENIED_SHAPES, *DENIED_KUBECTL)),
]
WORDS = sorted({word for line in LINES for word in line.split()})
SIGNS = st.sampled_from([*"|;&<>(){}[]$`'\"\\*?~!#= \t\n\x00\u202e\u043e", "--", "&&", "||", "$(", "<<<", "2>&1"])
CHANGE_FLAGS = st.sampled_from(
    [
        *("--dry-run", "--dry-run=client", "--dry-run=server", "--dry-run=none", "--dry-run=false", "--dry_run=none"),
        *("-n other", "-nshop", "--namespace=kube-system", "-o name", "-oyaml", "--output=json", "--"),
        *("--wait=false", "--to-revision=2", "--replicas=4", "--all", "-l app=web", "-A", "--as=x", "--force"),
    ]
)


@st.composite
def mixed_lines(draw):
    """Words of the corpora in any order, now and then with a sign between or inside them."""
    parts = draw(st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(WORDS), SIGNS), max_size=8))
    return draw(st.sampled_from(["kubectl ", "", "kubectl get ", "kubectl delete pod "])) + " ".join(parts)


@st.composite
def changed_lines(draw):
    """A line of the corpora with one character put in, taken out or replaced."""
    line = draw(st.sampled_from(LINES))
    at = draw(st.integers(0, len(line)))
    return line[:at] + draw(st.one_of(st.just(""), SIGNS, st.characters())) + line[at + draw(st.integers(0, 1)) :]


@st.composite
def flagged_changes(draw):
    """A change with any flags behind its words: what an agent would try to get past the gate with."""
    line = draw(st.sampled_from([line for line, _, _ in CHANGES]))
    return " ".join([line, *draw(st.lists(CHANGE_FLAGS, max_size=4))])


ANY_LINE = st.one_of(mixed_lines(), changed_lines(), flagged_changes())


@given(st.text())
def test_no_text_whatever_makes_the_gate_raise(text):
    assert judge(text, "shop").line == text


@given(ANY_LINE)
def test_every_verdict_is_whole(line):
    """LOW never has effects, DENY has nothing that could run, and above LOW one effect at most is told exactly."""
    judged = judge(line, "shop")

    assert judged.line == line
    assert judged.rule.startswith("R")
    assert judged.reason
    if judged.risk is None:
        assert (judged.stages, judged.effects) == ((), ())
    elif judged.risk is RiskLevel.LOW:
        assert judged.stages[0][0] == "kubectl"
        assert judged.effects == ()
    else:
        assert judged.stages[0][0] == "kubectl"
        assert len(judged.effects) <= 1


@given(ANY_LINE)
def test_what_would_run_quoted_for_a_shell_gets_the_same_verdict(line):
    judged = judge(line, "shop")
    if judged.is_denied:
        return
    again = judge(" | ".join(shlex.join(stage) for stage in judged.stages), "shop")

    assert (again.risk, again.rule, again.effects, again.stages) == (
        judged.risk,
        judged.rule,
        judged.effects,
        judged.stages,
    )


@given(ANY_LINE)
def test_nothing_that_runs_holds_an_identity_flag_before_the_end_of_flags(line):
    judged = judge(line, "shop")
    for stage in judged.stages[:1]:
        flags = stage[: stage.index("--")] if "--" in stage else stage
        assert not [word for word in flags if word.startswith(("--as", "--server", "--token", "--kube", "--context"))]


@given(flagged_changes())
def test_flags_never_turn_a_change_into_a_low_line_but_by_an_effective_dry_run(line):
    judged = judge(line, "shop")

    if judged.risk is RiskLevel.LOW:
        given_flags = [word.replace("_", "-") for word in line.split(" -- ")[0].split()]
        dry_runs = [word for word in given_flags if word.startswith("--dry-run")]
        assert dry_runs
        assert dry_runs[-1] in {"--dry-run", "--dry-run=client", "--dry-run=server"}


@given(ANY_LINE, st.sampled_from([" ; id", " && id", " || id", " & id", "\nid", " > out", " $(id)", " `id`", " <(id)"]))
@example("kubectl delete pod #", " ; id")
@example("kubectl get pods # all", "\nid")
def test_no_line_can_be_lengthened_by_what_only_a_shell_understands(line, tail):
    """Behind a comment sign on the same line it is a comment, which is not run."""
    judged = judge(line + tail, "shop")

    is_comment = "#" in line and "\n" not in tail
    assert judged.is_denied or (is_comment and replace(judged, line=line) == judge(line, "shop"))


@given(ANY_LINE)
def test_the_namespace_is_never_ignored(line):
    """A change is always in the namespace its line names last, or in the one it is judged in."""
    here, there = judge(line, "shop"), judge(line, "other")
    for one, other in zip(here.effects, there.effects, strict=True):
        assert one.namespace == other.namespace or (one.namespace, other.namespace) == ("shop", "other")
