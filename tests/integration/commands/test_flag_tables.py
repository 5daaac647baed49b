"""The committed flag tables are what the pinned programs say of themselves."""

import pytest

from core.cluster.runner import kubectl_path
from core.commands.generate_flags import HELM_FILE, KUBECTL_FILE, helm_table, kubectl_table, text_of
from tests.servers.helm.programs import find_or_build
from tests.servers.parts import require


def test_the_kubectl_table_is_what_the_pinned_kubectl_says():
    assert text_of(kubectl_table(str(kubectl_path(None)))) == KUBECTL_FILE.read_text(encoding="utf-8")


@pytest.mark.timeout(600)
def test_the_helm_table_is_what_the_pinned_helm_says():
    assert text_of(helm_table(str(require(find_or_build)))) == HELM_FILE.read_text(encoding="utf-8")
