"""The policy file (YAML) to a Policy, with errors that name the line."""

import difflib
import hashlib
from typing import Any

import yaml

from core.errors import InvalidInputError
from core.policy.command_raises import CommandRaise
from core.policy.policy import ACTION_RISK_MAP, UNDO_CAUSES, AutoApproval, ClusterPin, Policy, TokenBound
from core.resolution import ActionType
from core.risk_levels import RiskLevel

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
_EXECUTION = ("auto_rollback", "undo_when", "scale_factor", "snapshot_namespaces")
_SECTIONS = ("version", "risk", "commands", "people", "clusters", "execution", "plan")


class _Reader:
    """Walks YAML nodes, which know their lines; aliases are refused, so nothing can grow."""

    def __init__(self, name: str) -> None:
        self.name = name

    def error(self, node: yaml.Node, path: str, sentence: str) -> InvalidInputError:
        return InvalidInputError(f"{self.name}:{node.start_mark.line + 1}: {path}: {sentence}")

    def mapping(self, node: yaml.Node, path: str, known: tuple[str, ...] | None = None) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, path, "this must be a mapping (key: value).")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            word = self.text(key, path)
            if word in found:
                raise self.error(key, path, f"{word!r} stands here twice.")
            if known is not None and word not in known:
                near = difflib.get_close_matches(word, known, 1)
                hint = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(known)}."
                raise self.error(key, path, f"there is no {word!r} here.{hint}")
            found[word] = value
        return found

    def sequence(self, node: yaml.Node, path: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(node, path, "this must be a list.")
        return list(node.value)

    def text(self, node: yaml.Node, path: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value:
            raise self.error(node, path, "this must be a text.")
        return str(node.value)

    def texts(self, node: yaml.Node, path: str) -> tuple[str, ...]:
        return tuple(self.text(one, path) for one in self.sequence(node, path))

    def number(self, node: yaml.Node, path: str, *, least: float, most: float) -> float:
        try:
            value = float(self.text(node, path))
        except ValueError as error:
            raise self.error(node, path, f"{self.text(node, path)!r} is not a number.") from error
        if not least <= value <= most:
            raise self.error(node, path, f"{value:g} is not between {least:g} and {most:g}.")
        return value

    def flag(self, node: yaml.Node, path: str) -> bool:
        word = self.text(node, path)
        if word not in {"true", "false"}:
            raise self.error(node, path, f"{word!r} is neither true nor false.")
        return word == "true"

    def level(self, node: yaml.Node, path: str) -> RiskLevel:
        word = self.text(node, path)
        if word not in RiskLevel.__members__:
            raise self.error(node, path, f"{word!r} is not a risk level; use LOW, MEDIUM, HIGH or CRITICAL.")
        return RiskLevel[word]

    def action(self, node: yaml.Node, word: str, path: str) -> ActionType:
        try:
            return ActionType(word)
        except ValueError as error:
            known = ", ".join(one.value for one in ActionType)
            raise self.error(node, path, f"{word!r} is not an action type; use {known}.") from error


def load_policy(text: str, name: str = "policy.yaml") -> Policy:
    """InvalidInputError with file, line and path for anything that is not understood to the letter."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise InvalidInputError(f"{name}: larger than {MAX_BYTES} bytes.")
    read = _Reader(name)
    root = _composed(text, read)
    sections = read.mapping(root, "policy", _SECTIONS)
    if "version" not in sections or read.text(sections["version"], "version") != "1":
        raise read.error(sections.get("version", root), "version", "the file must say 'version: 1'.")
    given: dict[str, Any] = {"version": hashlib.sha256(text.encode()).hexdigest()[:12]}
    if "risk" in sections:
        given |= _risk(read, sections["risk"])
    if "people" in sections:
        given |= _people(read, sections["people"])
    if "commands" in sections:
        given |= _commands(read, sections["commands"])
    if "clusters" in sections:
        given["clients"] = _clusters(read, sections["clusters"])
    if "plan" in sections:
        given |= _plan(read, sections["plan"])
    if "execution" in sections:
        given |= _execution(read, sections["execution"])
    return Policy(**given)


def _plan(read: _Reader, node: yaml.Node) -> dict[str, Any]:
    plan = read.mapping(node, "plan", ("from",))
    return {"plan_from": read.level(plan["from"], "plan.from")} if "from" in plan else {}


def _execution(read: _Reader, node: yaml.Node) -> dict[str, Any]:
    given: dict[str, Any] = {}
    execution = read.mapping(node, "execution", _EXECUTION)
    if "auto_rollback" in execution:
        given["auto_rollback"] = read.flag(execution["auto_rollback"], "execution.auto_rollback")
    if "undo_when" in execution:
        given["undo_when"] = _undo_when(read, execution["undo_when"])
    if "scale_factor" in execution:
        given["scale_factor"] = read.number(execution["scale_factor"], "execution.scale_factor", least=1, most=10)
    if "snapshot_namespaces" in execution:
        given["snapshot_namespaces"] = read.texts(execution["snapshot_namespaces"], "execution.snapshot_namespaces")
    return given


def _composed(text: str, read: _Reader) -> yaml.Node:
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise InvalidInputError(f"{read.name}:{_line(event)}: nested deeper than {MAX_DEPTH} levels.")
            if isinstance(event, yaml.AliasEvent):
                raise InvalidInputError(f"{read.name}:{_line(event)}: aliases (*name) are not allowed.")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark is not None else 1
        raise InvalidInputError(f"{read.name}:{line}: this is not YAML: {error.problem}.") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InvalidInputError(f"{read.name}:{line}: this is not YAML: {error.reason}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInputError(f"{read.name}: this is not YAML.") from error
    if root is None:
        raise InvalidInputError(f"{read.name}:1: the file is empty; it must say 'version: 1'.")
    return root


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _risk(read: _Reader, node: yaml.Node) -> dict[str, Any]:
    keys = ("actions", "production_namespaces", "timeouts_seconds", "auto_approve")
    risk = read.mapping(node, "risk", keys)
    given: dict[str, Any] = {}
    if "actions" in risk:
        actions = dict(ACTION_RISK_MAP)
        for word, value in read.mapping(risk["actions"], "risk.actions").items():
            path = f"risk.actions.{word}"
            action, level = read.action(value, word, path), read.level(value, path)
            if level < ACTION_RISK_MAP[action]:
                least = ACTION_RISK_MAP[action].value
                raise read.error(
                    value,
                    path,
                    f"a policy only raises; {word} is {least}. To let MEDIUM pass by itself, use risk.auto_approve.",
                )
            if action is ActionType.INVESTIGATION and level is not RiskLevel.LOW:
                raise read.error(value, path, "an investigation never changes anything and stays LOW.")
            actions[action] = level
        given["actions"] = actions
    if "production_namespaces" in risk:
        given["production_namespaces"] = read.texts(risk["production_namespaces"], "risk.production_namespaces")
    if "timeouts_seconds" in risk:
        path = "risk.timeouts_seconds"
        known = read.mapping(risk["timeouts_seconds"], path, tuple(RiskLevel.__members__))
        given["timeouts_seconds"] = {
            RiskLevel[word]: read.number(value, f"{path}.{word}", least=1, most=604_800)
            for word, value in known.items()
        }
    if "auto_approve" in risk:
        items = read.sequence(risk["auto_approve"], "risk.auto_approve")
        given["auto_approvals"] = tuple(_auto_approval(read, one) for one in items)
    return given


def _auto_approval(read: _Reader, node: yaml.Node) -> AutoApproval:
    path = "risk.auto_approve"
    item = read.mapping(node, path, ("caller", "actions", "namespaces"))
    for needed in ("caller", "actions"):
        if needed not in item:
            raise read.error(node, path, f"{needed!r} is missing.")
    actions = frozenset(
        read.action(one, read.text(one, path), f"{path}.actions")
        for one in read.sequence(item["actions"], f"{path}.actions")
    )
    namespaces = read.texts(item["namespaces"], f"{path}.namespaces") if "namespaces" in item else ("*",)
    return AutoApproval(read.text(item["caller"], f"{path}.caller"), actions, namespaces)


def _people(read: _Reader, node: yaml.Node) -> dict[str, Any]:
    people = read.mapping(node, "people", ("approvers", "may_requesters_approve", "token_limits"))
    given: dict[str, Any] = {}
    if "approvers" in people:
        given["approvers"] = read.texts(people["approvers"], "people.approvers")
    if "may_requesters_approve" in people:
        given["may_requesters_approve"] = read.flag(people["may_requesters_approve"], "people.may_requesters_approve")
    if "token_limits" in people:
        items = read.sequence(people["token_limits"], "people.token_limits")
        given["token_bounds"] = tuple(_token_bound(read, one) for one in items)
    return given


def _token_bound(read: _Reader, node: yaml.Node) -> TokenBound:
    path = "people.token_limits"
    item = read.mapping(node, path, ("caller", "at_most"))
    for needed in ("caller", "at_most"):
        if needed not in item:
            raise read.error(node, path, f"{needed!r} is missing.")
    at_most = read.number(item["at_most"], f"{path}.at_most", least=1, most=2_000_000)
    if not at_most.is_integer():
        raise read.error(item["at_most"], f"{path}.at_most", f"{at_most:g} is not a whole number.")
    return TokenBound(read.text(item["caller"], f"{path}.caller"), int(at_most))


def _commands(read: _Reader, node: yaml.Node) -> dict[str, Any]:
    """`commands: {uncovered: ask, raise: [{to: DENY, verbs: […], kinds: […], namespaces: […], rules: […]}]}`."""
    commands = read.mapping(node, "commands", ("raise", "uncovered"))
    given: dict[str, Any] = {}
    if "raise" in commands:
        given["command_raises"] = _command_raises(read, commands["raise"])
    if "uncovered" in commands:
        word = read.text(commands["uncovered"], "commands.uncovered")
        if word not in {"ask", "refuse"}:
            raise read.error(commands["uncovered"], "commands.uncovered", f"{word!r} is neither ask nor refuse.")
        given["asks_uncovered"] = word == "ask"
    return given


def _command_raises(read: _Reader, node: yaml.Node) -> tuple[CommandRaise, ...]:
    path = "commands.raise"
    found: list[CommandRaise] = []
    for one in read.sequence(node, path):
        item = read.mapping(one, path, ("to", "verbs", "kinds", "namespaces", "rules"))
        if "to" not in item:
            raise read.error(one, path, "'to' is missing: MEDIUM, HIGH, CRITICAL or DENY.")
        word = read.text(item["to"], f"{path}.to")
        to = None if word == "DENY" else read.level(item["to"], f"{path}.to")
        patterns = {key: read.texts(value, f"{path}.{key}") for key, value in item.items() if key != "to"}
        found.append(CommandRaise(to, **patterns))
    return tuple(found)


def _undo_when(read: _Reader, node: yaml.Node) -> frozenset[str]:
    path = "execution.undo_when"
    for one in read.sequence(node, path):
        word = read.text(one, path)
        if word not in UNDO_CAUSES:
            raise read.error(one, path, f"there is no {word!r}; there are: {', '.join(UNDO_CAUSES)}.")
    return frozenset(read.texts(node, path))


def _clusters(read: _Reader, node: yaml.Node) -> dict[str, ClusterPin]:
    """`clusters: {clients: {CLIENT: {name: …, uid: …}}}`."""
    clusters = read.mapping(node, "clusters", ("clients",))
    pins: dict[str, ClusterPin] = {}
    if "clients" in clusters:
        for client, value in read.mapping(clusters["clients"], "clusters.clients").items():
            path = f"clusters.clients.{client}"
            pin = read.mapping(value, path, ("name", "uid"))
            if "name" not in pin:
                raise read.error(value, path, "'name' is missing.")
            uid = read.text(pin["uid"], f"{path}.uid") if "uid" in pin else None
            pins[client] = ClusterPin(read.text(pin["name"], f"{path}.name"), uid)
    return pins
