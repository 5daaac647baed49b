"""The verdict on a kubectl line: reads, dry runs, and changes with their reach."""

from core.commands.flags import Invocation, is_dry_run
from core.commands.grammar import Refused
from core.commands.kubectl import KUBECTL, parse_kubectl
from core.commands.kubectl_aims import aim_of
from core.commands.kubectl_changes import reach
from core.commands.kubectl_effects import effects_of
from core.commands.kubectl_reads import (
    READS,
    TELLING,
    check_output,
    check_read,
    is_local,
    is_verbose,
    prints_values,
)
from core.commands.local_files import Files, named_files, refuse_addresses, refuse_foreign_files
from core.commands.manifests import UnreadableError, judge_manifest
from core.commands.targets import namespace_of, namespaces_of, refuse_odd_namespaces
from core.commands.verdicts import Reasons, Verdict
from core.risk_levels import RiskLevel


def judge_kubectl(arguments: tuple[str, ...], namespace: str, files: Files | None) -> Verdict:
    """`arguments` are those after the program. Refused for DENY."""
    invocation = parse_kubectl(arguments)
    if invocation.is_on("help"):
        return Verdict(RiskLevel.LOW, "R3", "It only prints help.")
    check_output(invocation)
    where = namespace_of(invocation, namespace)
    if invocation.verb in READS or is_local(invocation) or _lists(invocation):
        check_read(invocation)
        rule, sentence, kinds = "R3", "It only reads.", _kinds_in_files(invocation, files)
        verdict = Verdict(RiskLevel.LOW, rule, sentence)
    else:
        reasons = reach(invocation, namespace, files)
        kinds = reasons.kinds
        effects = effects_of(invocation, where)
        if is_dry_run(invocation, KUBECTL):
            verdict = Verdict(RiskLevel.LOW, "R9", "An effective dry run changes nothing.")
        else:
            worst = reasons.worst
            aim = aim_of(invocation, where, reasons)
            verdict = Verdict(worst.risk, worst.rule, worst.sentence, effects, aim=aim)
    refuse_addresses(invocation)
    _check_secrets(invocation, kinds, has_files=files is not None)
    refuse_odd_namespaces(invocation, is_change=verdict.risk is not RiskLevel.LOW)
    if verdict.risk is RiskLevel.LOW:
        refuse_foreign_files(invocation)
    return Verdict(
        risk=verdict.risk,
        rule=verdict.rule,
        sentence=verdict.sentence,
        effects=verdict.effects,
        namespaces=namespaces_of(invocation, namespace),
        kinds=frozenset(kinds),
        verb=f"kubectl {invocation.verb}",
        paths=_paths(invocation),
        aim=verdict.aim,
    )


def _lists(invocation: Invocation) -> bool:
    """--list of label, annotate and set env, where nothing else is asked for."""
    if invocation.verb not in {"label", "annotate", "set env"} or not invocation.is_on("list"):
        return False
    names_changes = any("=" in word or word.endswith("-") for word in invocation.words)
    return not names_changes and not {"env", "from"} & invocation.flags.keys()


def _kinds_in_files(invocation: Invocation, files: Files | None) -> set[str]:
    """The kinds that -f names in a read, "unread" among them where a file was not read."""
    reasons = Reasons()
    for flag, path in named_files(invocation):
        content = files(path) if files is not None and flag == "filename" else None
        try:
            if content is None or judge_manifest(content, reasons, verb="read") == 0:
                reasons.kinds.add("unread")
        except UnreadableError:
            reasons.kinds.add("unread")
    return reasons.kinds


def _check_secrets(invocation: Invocation, kinds: set[str], *, has_files: bool) -> None:
    """R4 for every verb: what is printed with -o yaml and the like is the live object, not the line's."""
    if not _shows_values(invocation) or is_local(invocation) or invocation.verb == "kustomize":
        return
    instead = "name other objects" if invocation.verb in TELLING else "leave -o out"
    if "Secret" in kinds:
        raise Refused("R4", f"The output would show a Secret's values; {instead}.")
    if "unread" in kinds and has_files:
        raise Refused("R4", f"The output could show a Secret's values, since the file was not read; {instead}.")
    if "unknown" in kinds and invocation.verb not in TELLING:
        raise Refused("R4", "The output could show values of a kind this gate does not know; leave -o out.")


def _shows_values(invocation: Invocation) -> bool:
    """What create prints stands in the line itself, but for the files that a verbose request shows whole."""
    if is_verbose(invocation):
        return True
    if invocation.verb.startswith("create "):
        return False
    if invocation.verb == "annotate" and invocation.is_on("list"):
        return True
    return prints_values(invocation)


def _paths(invocation: Invocation) -> tuple[str, ...] | None:
    """What is read from the disk; empty for folders, which nothing is handed over of."""
    if invocation.verb == "cp":
        return invocation.words[:1]
    paths = tuple(path for _, path in named_files(invocation))
    return paths if paths or invocation.verb == "kustomize" else None
