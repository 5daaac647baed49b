"""kubectl's changing verbs: how far each reaches, from one ordinary object to the whole cluster (R5 to R8)."""

from collections.abc import Callable

from core.commands.flags import Invocation
from core.commands.grammar import Refused
from core.commands.kinds import CLUSTER_KINDS, CUSTOM_KINDS, IDENTITY_KINDS
from core.commands.kubectl_pods import judge_in_pod, judge_overrides
from core.commands.local_files import Files, is_address, named_files
from core.commands.manifests import UnreadableError, check_operations, documents, field_reasons, judge_manifest
from core.commands.targets import Targets, check_names, has_selector, namespaces_of, targets_of, without_pairs
from core.commands.verdicts import Reasons
from core.redaction import MARK
from core.resources import SYSTEM_NAMESPACES
from core.risk_levels import RiskLevel

CRITICAL, HIGH, MEDIUM = RiskLevel.CRITICAL, RiskLevel.HIGH, RiskLevel.MEDIUM
_CREATED = {
    **dict.fromkeys(("configmap", "deployment", "job", "cronjob", "ingress", "poddisruptionbudget"), MEDIUM),
    **dict.fromkeys((f"service {kind}" for kind in ("clusterip", "externalname", "loadbalancer", "nodeport")), MEDIUM),
    **dict.fromkeys((f"secret {kind}" for kind in ("generic", "tls", "docker-registry")), HIGH),
    **dict.fromkeys(("quota", "role", "rolebinding", "serviceaccount"), HIGH),
    **dict.fromkeys(("namespace", "priorityclass", "clusterrole", "clusterrolebinding"), CRITICAL),
}
_SEVERAL_WORDS = frozenset({"set image", "set env", "set selector", "label", "annotate"})
"""Verbs whose KEY=VALUE words name no object."""


def reach(invocation: Invocation, namespace: str, files: Files | None) -> Reasons:
    """Every reason why the line is not LOW; at least one. Refused for what nobody may approve."""
    reasons = Reasons()
    _judge_verb(invocation, reasons, files)
    for where in sorted(namespaces_of(invocation, namespace) & SYSTEM_NAMESPACES):
        reasons.add(CRITICAL, "R8", f"A change in {where} touches the cluster itself.")
    if invocation.is_on("all-namespaces"):
        reasons.add(CRITICAL, "R8", "It reaches into every namespace.")
    return reasons


def _judge_verb(invocation: Invocation, reasons: Reasons, files: Files | None) -> None:
    verb = invocation.verb
    if any(MARK in word for words in (invocation.words, *invocation.flags.values()) for word in words):
        raise Refused("R4", f"The line holds {MARK}, which would take a secret's place; leave that field out.")
    if "raw" in invocation.flags:
        raise Refused("R8", f"{verb} --raw is refused: it hides what it changes.")
    if verb in _BY_VERB:
        _BY_VERB[verb](invocation, reasons, files)
    elif verb.startswith("create "):
        _judge_created(invocation, reasons)
    elif verb.startswith(("set ", "rollout ")) or verb in {"label", "annotate", "expose"}:
        _judge_ordinary(invocation, reasons, files)
    else:
        raise Refused("R12", f"kubectl {verb} is not known to this gate.")


# --- objects by name, selector or file -----------------------------------------------------------------------------


def _judge_ordinary(invocation: Invocation, reasons: Reasons, files: Files | None) -> None:
    """A verb that changes the objects its words name: MEDIUM for one ordinary object, more for more."""
    words = without_pairs(invocation.words) if invocation.verb in _SEVERAL_WORDS else invocation.words
    if invocation.verb == "set serviceaccount" and len(words) > 1:
        words = words[:-1]
    targets = _targets(invocation, words)
    verb = invocation.verb
    reasons.add(MEDIUM, "R6", _one_sentence(verb, targets))
    _judge_kinds(targets, reasons)
    _judge_number(invocation, targets, reasons)
    _judge_files(invocation, reasons, files)
    if verb in {"set serviceaccount", "set subject"}:
        reasons.add(HIGH, "R6", f"{verb} changes who may do what.")
    judge_overrides(invocation, reasons)
    if verb == "set selector":
        reasons.add(HIGH, "R7", "set selector changes which pods a Service reaches.")


def _targets(invocation: Invocation, words: tuple[str, ...]) -> Targets:
    if {"filename", "kustomize"} & invocation.flags.keys():
        return Targets((), ())
    if not words:
        raise Refused("R12", f"kubectl {invocation.verb} needs objects: KIND/NAME.")
    targets = targets_of(words)
    check_names(targets)
    return targets


def _one_sentence(verb: str, targets: Targets) -> str:
    if targets.is_one:
        return f"{verb} changes one object: {targets.kinds[0] or targets.unknown[0]} {targets.names[0]}."
    return f"{verb} changes objects."


def _judge_kinds(targets: Targets, reasons: Reasons) -> None:
    for word in targets.unknown:
        reasons.kinds.add("unknown")
        if word.lower() == "all":
            reasons.add(HIGH, "R7", "'all' stands for ten kinds.")
        else:
            reasons.add(CRITICAL, "R8", f"{word!r} is not a kind this gate knows; it may be cluster-wide.")
    for kind in targets.kinds:
        reasons.kinds.add(kind or "unknown")
        if kind in CLUSTER_KINDS:
            reasons.add(CRITICAL, "R8", f"A {kind} belongs to the whole cluster.")
        elif kind in IDENTITY_KINDS:
            reasons.add(HIGH, "R6", f"A {kind} decides who may do what.")
        elif kind == "HorizontalPodAutoscaler":
            reasons.add(HIGH, "R7", "Changing an autoscaler is scaling.")
        elif kind in CUSTOM_KINDS:
            reasons.add(HIGH, "R7", f"What a changed {kind} sets in motion, its operator decides.")


def _judge_number(invocation: Invocation, targets: Targets, reasons: Reasons) -> None:
    if has_selector(invocation) and invocation.verb != "expose":
        reasons.add(HIGH, "R7", "A selector may match several objects.")
    if invocation.is_on("all"):
        reasons.add(HIGH, "R7", "--all means every object of the kind.")
    if targets.names and not targets.is_one:
        reasons.add(HIGH, "R7", "Several objects, or a whole kind: name one as KIND/NAME to stay below HIGH.")


def _judge_files(invocation: Invocation, reasons: Reasons, files: Files | None) -> None:
    """R6: a file the gate has read is judged by its content, any other as what it may hold."""
    paths = [(flag, path) for flag, path in named_files(invocation) if flag in {"filename", "kustomize"}]
    for flag, path in paths:
        if is_address(path):
            raise Refused("R6", f"--{flag} with an address is refused: it may be anything when it is fetched.")
        content = files(path) if files is not None and flag == "filename" else None
        _refuse_marks(content)
        if content is None or not _is_judged(content, reasons, verb=invocation.verb):
            reasons.kinds.add("unread")
            reasons.add(HIGH, "R6", f"--{flag} {path!r} may hold anything: it was not read here.")
    if len(paths) > 1 or invocation.is_on("recursive"):
        reasons.add(HIGH, "R6", "Several files at once.")


def _refuse_marks(content: bytes | None) -> None:
    """What the agent was not shown it cannot write back: the mark itself would take the secret's place."""
    if content is not None and MARK.encode() in content:
        raise Refused("R4", f"The file holds {MARK} where a secret was taken out; patch the one field instead.")


def _is_judged(content: bytes, reasons: Reasons, *, verb: str) -> bool:
    try:
        return judge_manifest(content, reasons, verb=verb) > 0
    except UnreadableError as error:
        reasons.add(CRITICAL, "R8", f"The file cannot be judged, {error}: it may hold the worst.")
        return False


# --- one function per verb that has rules of its own -----------------------------------------------------------------


def _delete(invocation: Invocation, reasons: Reasons, files: Files | None) -> None:
    if {"filename", "kustomize"} & invocation.flags.keys():
        _judge_files(invocation, reasons, files)
        reasons.add(CRITICAL, "R8", "delete with files removes whatever they name.")
        return
    targets = _targets(invocation, invocation.words)
    kinds = set(targets.kinds)
    reasons.kinds |= {kind or "unknown" for kind in kinds}
    reasons.add(MEDIUM, "R6", _one_sentence("delete", targets))
    if kinds != {"Pod"}:
        named = ", ".join(sorted({kind or "unknown kind" for kind in kinds}))
        reasons.add(CRITICAL, "R8", f"delete of anything but a single pod ({named}) does not heal by itself.")
    if invocation.is_on("all"):
        reasons.add(CRITICAL, "R8", "delete --all removes every object of the kind.")
    if not targets.is_one or has_selector(invocation):
        if "" in targets.names and not has_selector(invocation):
            reasons.add(CRITICAL, "R8", "delete of a whole kind.")
        reasons.add(HIGH, "R7", "Several pods at once.")
    if invocation.any_on("force", "now") or _is_forced(invocation):
        reasons.add(HIGH, "R7", "A forced deletion does not wait for the pod to end.")
    _judge_cascade(invocation, reasons)


def _is_forced(invocation: Invocation) -> bool:
    """A grace of a second or less; -1 is the pod's own."""
    given = invocation.last("grace-period")
    return given not in {None, "-1"} and (not given.isdigit() or int(given[:6]) <= 1)


def _judge_cascade(invocation: Invocation, reasons: Reasons) -> None:
    cascade = invocation.last("cascade")
    if cascade is not None and cascade not in {"background", "foreground", "true"}:
        reasons.add(CRITICAL, "R8", "--cascade=orphan leaves the dependants behind.")


def _from_files(invocation: Invocation, reasons: Reasons, files: Files | None) -> None:
    """apply, create, replace with -f or -k."""
    verb = invocation.verb
    if invocation.is_on("edit"):
        raise Refused("R5", "--edit opens an editor; there is none here.")
    if invocation.words and invocation.dash != 0:
        raise Refused("R12", f"kubectl {verb} takes no word {invocation.words[0]!r}.")
    if not {"filename", "kustomize"} & invocation.flags.keys():
        raise Refused("R12", f"kubectl {verb} needs -f FILE.")
    _judge_files(invocation, reasons, files)
    if verb == "replace":
        reasons.add(HIGH, "R6", "replace drops every field that the file does not hold.")
    if invocation.is_on("force-conflicts"):
        reasons.add(HIGH, "R6", "--force-conflicts takes fields from their managers.")
    for name in ("force", "prune"):
        if invocation.is_on(name):
            reasons.add(CRITICAL, "R8", f"{verb} --{name} deletes objects.")
    _judge_cascade(invocation, reasons)


def _judge_created(invocation: Invocation, reasons: Reasons) -> None:
    what = invocation.verb.removeprefix("create ")
    if what == "token":
        raise Refused("R4", "create token would print a credential.")
    level = _CREATED.get(what)
    if level is None:
        raise Refused("R12", f"kubectl {invocation.verb} is not known to this gate.")
    rule = "R8" if level is CRITICAL else "R6"
    reasons.kinds.add("Secret" if what.startswith("secret ") else what)
    reasons.add(level, rule, f"It creates one {what}{' for the whole cluster' if level is CRITICAL else ''}.")
    if len(invocation.words) > 1 and "--" not in invocation.words and invocation.dash is None:
        reasons.add(HIGH, "R7", "More than one name.")


def _patch(invocation: Invocation, reasons: Reasons, files: Files | None) -> None:
    _judge_ordinary(invocation, reasons, files)
    subresource = (invocation.last("subresource") or "").lower()
    if subresource == "scale":
        reasons.add(HIGH, "R7", "A patch of the scale subresource is scaling.")
    elif subresource not in {"", "status", "resize"}:
        reasons.add(HIGH, "R6", "A patch of a subresource is more than an ordinary change.")
    if invocation.is_on("force"):
        reasons.add(CRITICAL, "R8", "A forced patch.")
    is_json = (invocation.last("type") or "").lower() == "json"
    for text in invocation.flags.get("patch", ()):
        _judge_text(text.encode(), reasons, what="The patch", is_json=is_json)
    for path in invocation.flags.get("patch-file", ()):
        content = files(path) if files is not None else None
        _refuse_marks(content)
        if content is None:
            reasons.add(HIGH, "R6", f"--patch-file {path!r} may hold anything: it was not read here.")
        else:
            _judge_text(content, reasons, what="The patch file", is_json=is_json)


def _judge_text(content: bytes, reasons: Reasons, *, what: str, is_json: bool) -> None:
    try:
        for one in documents(content):
            if is_json:
                check_operations(one)
            reasons.found += field_reasons(one)
    except UnreadableError as error:
        reasons.add(CRITICAL, "R8", f"{what} cannot be judged, {error}: it may hold the worst.")


def _scale(invocation: Invocation, reasons: Reasons, files: Files | None) -> None:
    _judge_ordinary(invocation, reasons, files)
    reasons.add(HIGH, "R7", "Scaling changes how much there is of something.")


def _nodes(invocation: Invocation, reasons: Reasons, _files: Files | None) -> None:
    """cordon, uncordon, taint; label of a node is judged by its kind."""
    reasons.kinds.add("Node")
    reasons.add(HIGH, "R7", f"{invocation.verb} changes what a node may run.")
    pairs = [word for word in invocation.words if "=" in word or ":" in word or word.endswith("-")]
    if invocation.verb == "taint" and any("noexecute" in pair.lower() or ":" not in pair for pair in pairs):
        reasons.add(CRITICAL, "R8", "A NoExecute taint drives pods off the node.")
    if invocation.is_on("all"):
        reasons.add(CRITICAL, "R8", "--all means every node.")


def _label(invocation: Invocation, reasons: Reasons, files: Files | None) -> None:
    _judge_ordinary(invocation, reasons, files)
    if any("finalizer" in word for word in invocation.words):
        reasons.add(CRITICAL, "R8", "It touches finalizers.")


def _always(risk: RiskLevel, rule: str, sentence: str) -> Callable[[Invocation, Reasons, Files | None], None]:
    def judge(_invocation: Invocation, reasons: Reasons, _files: Files | None) -> None:
        reasons.kinds.add("unknown")
        reasons.add(risk, rule, sentence)

    return judge


def _never(rule: str, sentence: str) -> Callable[[Invocation, Reasons, Files | None], None]:
    def judge(_invocation: Invocation, _reasons: Reasons, _files: Files | None) -> None:
        raise Refused(rule, sentence)

    return judge


_EDITOR = _never("R5", "It opens an editor; there is none here. Use patch or set.")
_STATE = _never("R13", "It changes kubectl's own state; which cluster and user are used is not yours to choose.")
_BY_VERB: dict[str, Callable[[Invocation, Reasons, Files | None], None]] = {
    "delete": _delete,
    "apply": _from_files,
    "create": _from_files,
    "replace": _from_files,
    "apply set-last-applied": _from_files,
    "patch": _patch,
    "scale": _scale,
    "autoscale": _scale,
    "cordon": _nodes,
    "uncordon": _nodes,
    "taint": _nodes,
    "label": _label,
    "annotate": _label,
    **dict.fromkeys(("exec", "run", "debug", "cp"), judge_in_pod),
    "drain": _always(CRITICAL, "R8", "drain evicts every pod of a node."),
    "certificate approve": _always(CRITICAL, "R8", "Approving a certificate request hands out an identity."),
    "certificate deny": _always(CRITICAL, "R8", "Deciding a certificate request is for the whole cluster."),
    "auth reconcile": _always(CRITICAL, "R8", "auth reconcile changes permissions, cluster-wide ones too."),
    "edit": _EDITOR,
    "apply edit-last-applied": _EDITOR,
    "attach": _never("R5", "attach joins a running process; use logs."),
    "proxy": _never("R5", "proxy opens a door to the API server."),
    "port-forward": _never("R5", "port-forward opens a tunnel."),
    **dict.fromkeys(
        (
            *("config set", "config set-cluster", "config set-context", "config set-credentials", "config unset"),
            *("config use-context", "config rename-context", "config delete-cluster", "config delete-context"),
            *("config delete-user", "kuberc set", "kuberc view"),
        ),
        _STATE,
    ),
}
