"""What is no plain command line, by examples: denied before any verb is looked at."""

import pytest

from core.commands.gate import judge
from core.commands.grammar import MAX_LENGTH, MAX_STAGES, parse_line

DENIED_SHAPES = [
    # R1a, R1h: one line, one command
    ("", "R1h"),
    ("   ", "R1h"),
    ("# only a comment", "R1h"),
    ("kubectl get pods; kubectl get svc", "R1a"),
    ("kubectl get pods ;", "R1a"),
    ("kubectl get pods && kubectl delete pod web-1", "R1b"),
    ("kubectl get pods || kubectl delete pod web-1", "R1b"),
    ("kubectl get pods &", "R1a"),
    ("kubectl get pods # and more\nkubectl delete pod web-1", "R1a"),
    ("kubectl get pods\nkubectl delete pod web-1", "R1a"),
    ("kubectl get pods\rkubectl delete pod web-1", "R1a"),
    ("kubectl get pods |& grep web", "R1a"),
    ("kubectl get pods |", "R1h"),
    ("| grep web", "R1h"),
    ("kubectl get 'pods", "R1h"),
    ('kubectl get "pods', "R1h"),
    ("kubectl get pods)", "R1h"),
    ("! kubectl get pods", "R1b"),
    ("(kubectl get pods)", "R1b"),
    ("{ kubectl get pods; }", "R1b"),
    ("if true; then kubectl get pods; fi", "R1b"),
    ("for x in 1 2; do kubectl get pods; done", "R1b"),
    ("while true; do kubectl get pods; done", "R1b"),
    ("f() { kubectl get pods; }", "R1b"),
    ("[[ -n x ]]", "R1b"),
    ("kubectl get pods | (grep web)", "R1a"),
    # R1b: computed words
    ("kubectl get $(echo pods)", "R1b"),
    ("kubectl get `echo pods`", "R1b"),
    ("$(echo kubectl) get pods", "R1b"),
    ('kubectl get "$(echo pods)"', "R1b"),
    ('kubectl get "`echo pods`"', "R1b"),
    ("kubectl get $KIND", "R1b"),
    ("kubectl get ${KIND}", "R1b"),
    ('kubectl get "$KIND"', "R1b"),
    ("kubectl get $((1+1))", "R1b"),
    ("kubectl delete pod web-{1,2}", "R1b"),
    ("kubectl delete pod web-{1..9}", "R1b"),
    ("kubectl delete pod web-*", "R1b"),
    ("kubectl delete pod web-?", "R1b"),
    ("kubectl delete pod web-[12]", "R1b"),
    ("kubectl get ~/x", "R1b"),
    ("kubectl get pods\\ -A", "R1b"),
    ("kubectl get $'pods'", "R1b"),
    ('kubectl get $"pods"', "R1b"),
    ('kubectl get "\\\\$KIND"', "R1b"),
    ("kubectl get pods -l {a,b}", "R1b"),
    ("kubectl get -o jsonpath={.items[0].metadata.name} pods", "R1b"),
    ("kubectl get { pods", "R1b"),
    ("kubectl delete -f <(echo x)", "R1b"),
    # what R1c says of redirections
    ("kubectl get pods > out", "R1c"),
    ("kubectl get pods >> out", "R1c"),
    ("kubectl get pods >| out", "R1c"),
    ("kubectl get pods 2> out", "R1c"),
    ("kubectl get pods &> out", "R1c"),
    ("kubectl get pods <> out", "R1h"),
    ("kubectl get pods < in", "R1c"),
    ("> out kubectl get pods", "R1c"),
    ("kubectl get pods > /dev/null extra", "R1c"),
    ("kubectl get pods | cat > out", "R1c"),
    ("kubectl get pods <<< here", "R1c"),
    # what R1d says of assignments
    ("KUBECONFIG=x kubectl get pods", "R1d"),
    ("LD_PRELOAD=x kubectl get pods", "R1d"),
    ("A=b kubectl get pods", "R1d"),
    ("kubectl get pods | A=b grep web", "R1d"),
    ("A=b", "R1b"),
    # R1e, R1f: other programs
    ("sudo kubectl get pods", "R1e"),
    ("timeout 5 kubectl get pods", "R1e"),
    ("env kubectl get pods", "R1e"),
    ("xargs kubectl delete pod", "R1e"),
    ("bash -c 'kubectl get pods'", "R1b"),
    ("sh -c 'kubectl get pods'", "R1b"),
    ("eval 'kubectl get pods'", "R1b"),
    ("source file", "R1b"),
    (". file", "R1b"),
    ("helm list", "R10"),
    ("curl http://127.0.0.1", "R11"),
    ("cat /etc/passwd", "R1f"),
    ("grep x /etc/passwd", "R1f"),
    ("k get pods", "R1f"),
    ("./kubectl get pods", "R1f"),
    ("/tmp/kubectl get pods", "R1f"),
    ("../kubectl get pods", "R1f"),
    ("kubectl.exe get pods", "R1f"),
    ("KUBECTL get pods", "R1f"),
    ("kubect1 get pods", "R1f"),
    ("'kubectl ' get pods", "R1f"),
    ("'' get pods", "R1f"),
    # what R1g says of characters
    ("kubectl get pods\x00", "R1g"),
    ("kubectl get pods\x1b[2K", "R1g"),
    ("kubectl get pods\x08", "R1g"),
    ("kubectl\tget pods", "R1g"),
    ("kubectl get p\u043eds", "R1g"),
    ("\u212aubectl get pods", "R1g"),
    ("kubectl get pods\u200b", "R1g"),
    ("kubectl get pods \u202e", "R1g"),
    ("kubectl get\u00a0pods", "R1g"),
    ("kubectl \u2013\u2013all get pods", "R1g"),
    ("kubectl get pods\u2028kubectl delete pod x", "R1g"),
    ("kubectl get pods \ud800", "R1g"),
    ("kubectl delete pod Web_1", "R1g"),
    ("kubectl delete pod -n '' web-1", "R1g"),
    ("kubectl delete pod web-1 -n ../x", "R1g"),
    ("kubectl get pods -n 'a b'", "R1g"),
]


@pytest.mark.parametrize(("line", "rule"), DENIED_SHAPES, ids=repr)
def test_a_line_that_is_no_simple_command_is_denied_with_the_rule_and_a_reason(line, rule):
    judged = judge(line, "shop")

    assert (judged.verdict, judged.rule) == ("DENY", rule), judged.reason
    assert judged.reason
    assert (judged.risk, judged.stages, judged.effects) == (None, (), ())


@pytest.mark.parametrize("line", ["cat <<EOF\nkubectl get pods\nEOF", "kubectl delete -f - <<EOF\nx\nEOF"])
def test_a_here_document_is_denied(line):
    assert judge(line, "shop").is_denied


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("env!=prod", "env!=prod"),
        ('"env!=prod"', "env!=prod"),
        ("jsonpath={.status.phase}", "jsonpath={.status.phase}"),
        ("{{.status.phase}}", "{{.status.phase}}"),
        (r'"a\"b\\c\td\$e"', r'a"b\c\td$e'),
        ("""'{range .items[*]}{"\\n"}{end}'""", r'{range .items[*]}{"\n"}{end}'),
        ("a#b", "a#b"),
        ("x # --dry-run=client", "x"),
    ],
)
def test_what_bash_leaves_as_it_stands_is_taken_as_it_stands(text, word):
    assert parse_line(f"kubectl get pods {text}") == (("kubectl", "get", "pods", word),)


def test_a_line_too_long_is_denied_before_it_is_parsed():
    longest = "kubectl get pods -l " + "a" * (MAX_LENGTH - 20)

    assert judge(longest, "shop").verdict == "LOW"
    assert judge(longest + "a", "shop").rule == "R1h"
    assert judge("(" * 5_000_000, "shop").rule == "R1h"


@pytest.mark.parametrize("sign", ["(", "$(", "{ ", '"$(', "[", "|", "'\"", "`"])
def test_a_line_nested_as_deep_as_its_length_allows_is_denied_and_not_an_accident(sign):
    assert judge(f"kubectl get {sign * (3_900 // len(sign))}", "shop").is_denied


def test_a_pipe_has_at_most_six_commands():
    assert judge("kubectl get pods" + " | cat" * (MAX_STAGES - 1), "shop").verdict == "LOW"
    assert judge("kubectl get pods" + " | cat" * MAX_STAGES, "shop").rule == "R1h"
