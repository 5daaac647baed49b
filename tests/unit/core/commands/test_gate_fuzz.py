"""A bounded fuzz run over the whole rule sheet: never an exception, never LOW with a changing effect.

The judge of these tests is crude on purpose and shares nothing with the gate but the flag tables' names: it looks for
the changing verbs among the words.
"""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from core.commands.gate import KNOWN_PROGRAMS, judge
from core.commands.grammar import MAX_LENGTH
from core.commands.kubectl import KUBECTL
from core.risk_levels import RiskLevel
from tests.unit.core.commands.rule_rows import rows

EXAMPLES = 1_500
LINES = [line for line, _, _ in rows()]
WORDS = sorted({word for line in LINES for word in line.split()})
FLAGS = sorted({f"--{name}" for flags in KUBECTL.verbs.values() for name in flags} | {"-A", "-h", "--help", "-n", "--"})
CHANGING = frozenset(
    {
        *(
            "delete",
            "apply",
            "create",
            "replace",
            "patch",
            "scale",
            "autoscale",
            "cordon",
            "uncordon",
            "drain",
            "taint",
        ),
        *("label", "annotate", "expose", "exec", "cp", "run", "debug", "restart", "undo", "pause", "resume", "image"),
        *("env", "resources", "selector", "serviceaccount", "subject", "approve", "deny", "reconcile", "edit"),
        *("install", "upgrade", "rollback", "uninstall", "test", "sync", "attach", "proxy", "port-forward"),
    }
)
SAVED = re.compile(r"--dry[-_]run|--help|-\w*h|--local|--list")
TEXTS = st.one_of(st.text(max_size=40), st.sampled_from(WORDS), st.sampled_from(FLAGS))


@st.composite
def lines(draw):
    """A row of the sheet with words put in, taken out or exchanged."""
    words = draw(st.sampled_from(LINES)).split(" ")
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(1, len(words)))
        words[at : at + draw(st.integers(0, 1))] = [draw(TEXTS)]
    return " ".join(words)


def verb_words(line):
    """The words of the first command that are no flag and no flag's own text, up to --."""
    return [word for word in line.split(" -- ")[0].split("|")[0].split() if not word.startswith("-")]


@settings(max_examples=EXAMPLES)
@given(lines())
def test_no_changed_row_raises_and_none_is_low_with_an_effect(line):
    judged = judge(line, "shop", programs=KNOWN_PROGRAMS)

    assert judged.line == line
    assert judged.rule
    assert judged.reason
    if judged.risk is RiskLevel.LOW:
        assert judged.effects == ()


@settings(max_examples=EXAMPLES)
@given(lines())
def test_a_low_line_is_of_a_reading_verb_or_holds_what_makes_a_change_harmless(line):
    judged = judge(line, "shop", programs=KNOWN_PROGRAMS)
    if judged.risk is not RiskLevel.LOW:
        return
    program, verb = judged.stages[0][0], judged.verb.split(" ")[1:]
    if CHANGING & set(verb) and "view-last-applied" not in verb and judged.rule == "R3":
        assert any(SAVED.match(word) for word in judged.stages[0]), line
    if judged.rule == "R9":
        assert any(word.replace("_", "-").startswith("--dry-run") for word in judged.stages[0]), line
    assert program in KNOWN_PROGRAMS


@settings(max_examples=EXAMPLES)
@given(st.sampled_from([one for one in rows() if one[1] != "LOW"]), st.lists(st.sampled_from(FLAGS), max_size=3))
def test_no_flag_but_a_dry_run_help_or_a_listing_makes_a_change_low(row, flags):
    line, *_ = row
    head, dash, tail = line.partition(" -- ")
    changed = " ".join([head, *(flag for flag in flags if flag != "--")]) + dash + tail
    judged = judge(changed, "shop", programs=KNOWN_PROGRAMS)

    if judged.risk is RiskLevel.LOW:
        assert any(SAVED.match(word) for word in changed.split(" "))


@settings(max_examples=EXAMPLES)
@given(st.text(max_size=MAX_LENGTH))
def test_any_text_gets_a_verdict(text):
    assert judge(text, "shop", programs=KNOWN_PROGRAMS).risk is None or text.strip()


@settings(max_examples=300)
@given(
    st.sampled_from(LINES), st.integers(0, 200), st.sampled_from("\u200b\u202e\u0430\u2013\x00\x1b\x08\r\t\u00a0\uff0d")
)
def test_a_foreign_character_anywhere_is_denied(line, place, sign):
    at = min(place, len(line))
    assert judge(line[:at] + sign + line[at:], "shop", programs=KNOWN_PROGRAMS).is_denied
