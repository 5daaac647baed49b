"""What the documents show is what the program reads."""

import re
from pathlib import Path

from core.policy.loading import load_policy
from core.resolution import ActionType
from core.risk_levels import RiskLevel

ROOT = Path(__file__).parent.parent.parent


def test_the_policy_in_the_documentation_is_understood_to_the_letter():
    text = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    policy = load_policy(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])

    assert policy.actions[ActionType.CONFIG_FIX] is RiskLevel.HIGH
    assert policy.clients["loc-01"].name == "production-eu"
    assert policy.scale_factor == 3


def test_every_link_in_the_readme_leads_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / target).exists(), target
