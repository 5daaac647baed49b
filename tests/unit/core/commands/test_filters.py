"""The text filters behind a pipe: no file, no program, no environment."""

import pytest

from core.commands.gate import judge

DENIED_FILTERS = [
    "kubectl get pods | xargs kubectl delete pod",
    "kubectl get pods | kubectl delete -f -",
    "kubectl get pods | tee out",
    "kubectl get pods | sh",
    "kubectl get pods | awk 'BEGIN{system(\"id\")}'",
    "kubectl get pods | sed -i s/a/b/ file",
    "kubectl get pods | sed s/a/b/e",
    "kubectl get pods | perl -e 1",
    "kubectl get pods | less",
    "kubectl get pods | sort -o out",
    "kubectl get pods | sort -oout",
    "kubectl get pods | sort -no out",
    "kubectl get pods | sort --output=out",
    "kubectl get pods | sort --compress-program=id",
    "kubectl get pods | sort -T /tmp",
    "kubectl get pods | sort --files0-from=x",
    "kubectl get pods | sort /etc/passwd",
    "kubectl get pods | cat /etc/passwd",
    "kubectl get pods | cat -",
    "kubectl get pods | grep x /etc/passwd",
    "kubectl get pods | grep -f /etc/passwd",
    "kubectl get pods | grep -f/etc/passwd",
    "kubectl get pods | grep -if /etc/passwd",
    "kubectl get pods | grep --file=/etc/passwd",
    "kubectl get pods | grep -r x",
    "kubectl get pods | grep -e x /etc/passwd",
    "kubectl get pods | grep -- x",
    "kubectl get pods | grep -",
    "kubectl get pods | tr - x",
    "kubectl get pods | grep -P x",
    "kubectl get pods | grep",
    "kubectl get pods | head /etc/passwd",
    "kubectl get pods | head -n",
    "kubectl get pods | head -n 5 /etc/passwd",
    "kubectl get pods | tail -f",
    "kubectl get pods | tail -F x",
    "kubectl get pods | wc --files0-from=x",
    "kubectl get pods | wc -l /etc/passwd",
    "kubectl get pods | uniq in out",
    "kubectl get pods | uniq in",
    "kubectl get pods | cut -d: -f1 /etc/passwd",
    "kubectl get pods | tr a b c",
    "kubectl get pods | nl /etc/passwd",
    "kubectl get pods | column /etc/passwd",
    "kubectl get pods -o json | jq . /etc/passwd",
    "kubectl get pods -o json | jq -f x",
    "kubectl get pods -o json | jq -n input /etc/passwd",
    "kubectl get pods -o json | jq --slurpfile a b .",
    "kubectl get pods -o json | jq -L /tmp .",
    "kubectl get pods -o json | jq 'include \"x\"; .'",
    "kubectl get pods -o json | jq 'import \"x\" as x; .'",
    "kubectl get pods -o json | jq '\"x\" | modulemeta'",
    "kubectl get pods -o json | jq env",
    "kubectl get pods -o json | jq '$ENV'",
    "kubectl get pods -o json | jq '$ ENV'",
    "kubectl get pods -o json | jq '$__prog_args'",
    "kubectl get pods | ''",
]


@pytest.mark.parametrize("line", DENIED_FILTERS)
def test_a_filter_that_could_reach_a_file_a_program_or_the_environment_is_denied(line):
    judged = judge(line, "shop")

    assert (judged.verdict, judged.rule) == ("DENY", "R1a"), judged.reason
    assert judged.reason


def test_and_so_it_is_behind_a_filter_that_is_fine():
    for line in DENIED_FILTERS:
        read, _, stage = line.partition(" | ")
        assert judge(f"{read} | sort | {stage}", "shop").is_denied
