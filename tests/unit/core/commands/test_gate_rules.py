"""The rule sheet, rule by rule: lines with their verdict and the rule that said so."""

import pytest

from core.commands.gate import KNOWN_PROGRAMS, judge
from core.risk_levels import RiskLevel
from tests.unit.core.commands.rule_rows import rows


@pytest.mark.parametrize(("line", "verdict", "rule"), rows())
def test_a_line_has_the_verdict_of_the_rule_sheet(line, verdict, rule):
    judged = judge(line, "shop", programs=KNOWN_PROGRAMS)

    assert (judged.verdict, judged.rule) == (verdict, rule), judged.reason
    assert judged.reason.endswith((".", ".)"))


@pytest.mark.parametrize("line", [line for line, _, _ in rows()])
def test_a_line_above_low_is_critical_at_least_in_a_system_namespace(line):
    """But for DENY, which stays DENY; a line that names another namespace itself is left out."""
    here, there = (judge(line, namespace, programs=KNOWN_PROGRAMS) for namespace in ("shop", "kube-system"))
    if here.risk in {None, RiskLevel.LOW} or " -n " in line:
        assert here.risk == there.risk
    else:
        assert there.risk is RiskLevel.CRITICAL


@pytest.mark.parametrize("line", [line for line, _, _ in rows() if line.startswith(("helm", "argocd", "flux"))])
def test_what_is_not_configured_is_denied(line):
    assert judge(line, "shop").is_denied
