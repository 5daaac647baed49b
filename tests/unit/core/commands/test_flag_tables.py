"""The flag tables, read as pflag reads flags. Whether they are the programs' own is an integration test."""

import json

import pytest

from core.commands.flags import parse_invocation
from core.commands.gate import KNOWN_PROGRAMS, judge
from core.commands.generate_flags import HELM_FILE, KUBECTL_FILE
from core.commands.grammar import Refused
from core.commands.helm import HELM
from core.commands.kubectl import KUBECTL
from core.commands.kubectl_reads import READS


@pytest.mark.parametrize("file", [KUBECTL_FILE, HELM_FILE])
def test_a_table_names_the_version_it_came_from(file):
    assert json.loads(file.read_text(encoding="utf-8"))["version"].startswith("v")


def parse(*words):
    return parse_invocation("kubectl", words, KUBECTL, lambda verb, name: None)


@pytest.mark.parametrize(
    ("words", "flags", "left"),
    [
        (("get", "pods", "-nfoo"), {"namespace": ("foo",)}, ("pods",)),
        (("get", "pods", "-n=foo"), {"namespace": ("foo",)}, ("pods",)),
        (("get", "pods", "-n", "--help"), {"namespace": ("--help",)}, ("pods",)),
        (("get", "pods", "-Aoname"), {"all-namespaces": ("true",), "output": ("name",)}, ("pods",)),
        (("get", "pods", "-Ao", "name"), {"all-namespaces": ("true",), "output": ("name",)}, ("pods",)),
        (("get", "pods", "-lapp=x"), {"selector": ("app=x",)}, ("pods",)),
        (("get", "pods", "--all_namespaces"), {"all-namespaces": ("true",)}, ("pods",)),
        (("get", "pods", "--output=a=b"), {"output": ("a=b",)}, ("pods",)),
        (("get", "pods", "-A=false"), {"all-namespaces": ("false",)}, ("pods",)),
        (("get", "--", "pods", "-A"), {}, ("pods", "-A")),
        (("delete", "pod", "x", "--dry-run", "client"), {"dry-run": ("true",)}, ("pod", "x", "client")),
        (("delete", "pod", "x", "--cascade", "y"), {"cascade": ("true",)}, ("pod", "x", "y")),
        (("-n", "a", "get", "pods"), {"namespace": ("a",)}, ("pods",)),
        (("rollout", "-n", "a", "restart", "x"), {"namespace": ("a",)}, ("x",)),
        (("create", "cm", "x"), {}, ("x",)),
        (("get", "pods", "-"), {}, ("pods", "-")),
    ],
)
def test_flags_are_read_as_kubectl_reads_them(words, flags, left):
    found = parse(*words)

    assert (found.flags, found.words) == (flags, left)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("get", "pods", "--out", "yaml"), "R12"),
        (("get", "pods", "-Z"), "R12"),
        (("get", "pods", "-n"), "R1h"),
        (("get", "pods", "-n="), "R1h"),
        (("get", "pods", "-A=maybe"), "R1h"),
        (("-A", "get", "pods"), "R1b"),
        (("--all-namespaces", "get", "pods"), "R1b"),
        (("get", "pods", "--=x"), "R12"),
    ],
)
def test_what_kubectl_would_refuse_or_read_otherwise_is_refused(words, rule):
    with pytest.raises(Refused) as refused:
        parse(*words)
    assert refused.value.rule == rule


def test_helm_takes_no_underscores_for_dashes():
    with pytest.raises(Refused):
        parse_invocation("helm", ("list", "--all_namespaces"), HELM, lambda verb, name: None)


def test_every_verb_of_the_table_gets_a_verdict_and_none_but_the_reads_is_low_when_it_stands_alone():
    for verb in KUBECTL.verbs:
        judged = judge(f"kubectl {verb} deploy/web", "shop", programs=KNOWN_PROGRAMS)
        assert judged.verdict != "LOW" or verb in READS, verb
    for verb in HELM.verbs:
        assert judge(f"helm {verb} web", "shop", programs=KNOWN_PROGRAMS).rule.startswith("R")
