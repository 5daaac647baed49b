"""docs/rules.md says what the gate says."""

import re
from pathlib import Path

from core.cluster.runner import FILTERS
from core.commands import filters
from core.commands.gate import KNOWN_PROGRAMS, judge
from core.commands.grammar import MAX_LENGTH
from core.commands.helm import HELM
from core.commands.kubectl import KUBECTL
from core.resources import SYSTEM_NAMESPACES
from tests.unit.core.commands.rule_rows import rows
from tests.unit.core.commands.test_filters import DENIED_FILTERS
from tests.unit.core.commands.test_gate_denials import DENIED_KUBECTL
from tests.unit.core.commands.test_grammar import DENIED_SHAPES

SHEET = (Path(__file__).parents[4] / "docs" / "rules.md").read_text(encoding="utf-8")


def test_every_rule_the_gate_names_stands_in_the_sheet_and_every_rule_of_the_sheet_is_named_by_some_line():
    lines = [line for line, *_ in (*rows(), *DENIED_KUBECTL, *DENIED_SHAPES)] + DENIED_FILTERS
    named = {judge(line, "shop", programs=KNOWN_PROGRAMS).rule for line in lines}

    assert named == set(re.findall(r"^\| (R\d+[a-h]?) \|", SHEET, re.MULTILINE))


def test_the_numbers_and_names_in_the_sheet_are_those_of_the_code():
    assert f"{MAX_LENGTH:,} characters" in SHEET
    assert f"kubectl {KUBECTL.version} and helm {HELM.version}" in SHEET
    assert f"`{' '.join(sorted(filters.FILTERS))}`" in SHEET
    assert set(FILTERS) == set(filters.FILTERS)
    for namespace in SYSTEM_NAMESPACES:
        assert f"`{namespace}`" in SHEET
