"""The corpus: each line has one of the verdicts that the rule sheet allows."""

import pytest

from core.commands.gate import KNOWN_PROGRAMS, judge
from tests.unit.core.commands.corpus_rows import corpus

CORPUS = corpus()
FEWEST_LINES = 1_700


def test_the_corpus_is_large_and_holds_no_line_twice_with_other_verdicts():
    assert len(CORPUS) >= FEWEST_LINES
    assert len(dict(CORPUS)) == len(set(CORPUS))


@pytest.mark.parametrize("verdict", "LMHCD")
def test_every_line_has_a_verdict_that_the_rule_sheet_allows(verdict):
    judged = [(judge(line, "shop", programs=KNOWN_PROGRAMS), allowed) for line, allowed in CORPUS]
    ours = [one for one in judged if one[0].verdict.startswith(verdict)]

    assert ours
    assert [(one.verdict, allowed, one.line) for one, allowed in ours if verdict not in allowed] == []
