"""What must stay true to each other, and what no file may become. Run as `python -m tests.drift`."""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from prometheus_client import CollectorRegistry

from bot.rest.endpoints import Endpoints
from bot.rest.figures import Figures
from bot.rest.health import Health
from bot.rest.openapi import openapi_document
from bot.settings import Settings
from bot.slack import manifest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
MANIFEST = ROOT / "slack_manifest.yaml"
ROOMS = ("bot", "core", "storage")
SHOWN_DEFAULTS = {"INCIDENT_RESOLVER_DATA": "see right"}
LONGEST_MODULE = 400
JUNK_DRAWERS = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "base", "shared", "types"})

SCOPES: dict[str, frozenset[str]] = {
    "apps.connections.open": frozenset(),  # an app-level token with connections:write
    "auth.test": frozenset(),
    "chat.postEphemeral": frozenset({"chat:write"}),
    "chat.postMessage": frozenset({"chat:write"}),
    "chat.update": frozenset({"chat:write"}),
    "conversations.history": frozenset({"channels:history", "groups:history"}),
    "conversations.info": frozenset({"channels:read", "groups:read"}),
    "conversations.members": frozenset({"channels:read", "groups:read"}),
    "conversations.replies": frozenset({"channels:history", "groups:history"}),
    "usergroups.users.list": frozenset({"usergroups:read"}),
    "users.info": frozenset({"users:read"}),
    "views.open": frozenset(),
    "views.update": frozenset(),
}
"""Bot scopes by Web API method, for public and private channels: docs.slack.dev/reference/methods."""
EVENT_SCOPES = {"app_mention": frozenset({"app_mentions:read"})}


def _text(longest: int, shortest: int = 1, **more: object) -> dict[str, Any]:
    return {"type": "string", "minLength": shortest, "maxLength": longest, **more}


def _object(needed: Iterable[str] = (), **properties: object) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(needed), "properties": properties}


def _list(of: object, most: int) -> dict[str, Any]:
    return {"type": "array", "items": of, "maxItems": most, "uniqueItems": True}


FLAG = {"type": "boolean"}
URL = r"^https?://"
MANIFEST_SHAPE = _object(
    ["display_information", "features", "oauth_config", "settings"],
    display_information=_object(
        ["name"],
        name=_text(35),
        description=_text(140),
        long_description=_text(4_000, 175),
        background_color=_text(7, 4, pattern=r"^#([0-9a-fA-F]{3}){1,2}$"),
    ),
    features=_object(
        app_home=_object(home_tab_enabled=FLAG, messages_tab_enabled=FLAG, messages_tab_read_only_enabled=FLAG),
        bot_user=_object(["display_name"], display_name=_text(80, pattern=r"^[\w .-]+$"), always_online=FLAG),
        slash_commands=_list(
            _object(
                ["command", "description"],
                command=_text(32, 2, pattern=r"^/[a-z0-9_-]+$"),
                description=_text(2_000),
                usage_hint=_text(1_000),
                url=_text(3_000, pattern=URL),
                should_escape=FLAG,
            ),
            50,
        ),
    ),
    oauth_config=_object(redirect_urls=_list(_text(2_500), 1_000), scopes=_object(bot=_list(_text(50), 255))),
    settings=_object(
        event_subscriptions=_object(request_url=_text(3_500, pattern=URL), bot_events=_list(_text(50), 100)),
        interactivity=_object(["is_enabled"], is_enabled=FLAG, request_url=_text(3_000, pattern=URL)),
        org_deploy_enabled=FLAG,
        socket_mode_enabled=FLAG,
        token_rotation_enabled=FLAG,
    ),
)
"""Keys and lengths that Slack takes, of those this app may need: docs.slack.dev/reference/app-manifest."""


def read_manifest() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    return parsed


def settings_table() -> str:
    """The README's table, made from `bot/settings.py`."""
    rows = ["| variable | default | what it is |", "| --- | --- | --- |"]
    for field in Settings.model_fields.values():
        name = str(field.alias)
        value = SHOWN_DEFAULTS.get(name, "" if field.default in (None, "") else str(field.default))
        rows.append(f"| `{name}` | {f'`{value}`' if value and value != 'see right' else value} | {field.description} |")
    return "\n".join(rows)


def readme_faults(readme: str) -> Iterator[str]:
    if settings_table() not in readme:
        yield f"README.md's table of settings differs from bot/settings.py; it should be:\n\n{settings_table()}\n"


def manifest_faults(given: dict[str, Any]) -> Iterator[str]:
    """What Slack would refuse in the manifest by its shape."""
    for error in jsonschema.Draft7Validator(MANIFEST_SHAPE).iter_errors(given):
        yield f"slack_manifest.yaml, {'.'.join(map(str, error.absolute_path)) or 'at the top'}: {error.message:.160}"


def registered() -> dict[str, set[str]]:
    """What the clerks register, by kind of listener ("command", "event", "action", "view"), read from the code."""
    found: dict[str, set[str]] = {kind: set() for kind in ("command", "event", "action", "view")}
    constants = _constants()
    for tree in _trees("bot/slack"):
        for call in _calls(tree):
            if _is_of(call, "app") and call.func.attr in found and call.args:
                found[call.func.attr].add(_constant(call.args[0], constants))
    return found


def listener_faults(given: dict[str, Any]) -> Iterator[str]:
    """Commands and events in the code, in bot/slack/manifest.py and in the manifest are the same ones."""
    code = registered()
    commands = {one["command"] for one in given["features"].get("slash_commands", ())}
    events = set(given["settings"].get("event_subscriptions", {}).get("bot_events", ()))
    yield from _difference("command", code["command"], commands, manifest.COMMANDS)
    yield from _difference("event", code["event"], events, manifest.BOT_EVENTS)
    if (code["action"] or code["view"]) and not given["settings"].get("interactivity", {}).get("is_enabled"):
        yield "slack_manifest.yaml: buttons and forms are listened to, so settings.interactivity must be enabled"


def _difference(kind: str, code: set[str], given: set[str], listed: Iterable[str]) -> Iterator[str]:
    for name in sorted(code ^ given):
        where = "the code listens to it" if name in code else "slack_manifest.yaml names it"
        yield f"{kind} {name!r}: only {where}"
    for name in sorted(code ^ set(listed)):
        where = "the code listens to it" if name in code else "bot/slack/manifest.py lists it"
        yield f"{kind} {name!r}: only {where}"


def called_methods() -> set[str]:
    """The methods of slack_sdk's client that bot/slack calls, by their names in Python."""
    found = set()
    for tree in _trees("bot/slack"):
        found |= {call.func.attr for call in _calls(tree) if _is_of(call, "client") and "_" in call.func.attr}
    return found - {"is_connected"}  # the socket's


def scope_faults(given: dict[str, Any], called: set[str]) -> Iterator[str]:
    """Each method and event has its scopes in the manifest, and no scope stands there for nothing."""
    by_python_name = {re.sub(r"(?<!^)\.", "_", method): scopes for method, scopes in SCOPES.items()}
    granted = set(given["oauth_config"]["scopes"]["bot"])
    needed: set[str] = {"commands"} if given["features"].get("slash_commands") else set()
    for method in sorted(called):
        if method not in by_python_name:
            yield f"bot/slack calls {method}: write its scopes into tests/drift.py"
        needed |= by_python_name.get(method, frozenset())
    for event in given["settings"].get("event_subscriptions", {}).get("bot_events", ()):
        needed |= EVENT_SCOPES.get(event, frozenset({f"the scope of the event {event}"}))
    for scope in sorted(needed - granted):
        yield f"slack_manifest.yaml lacks the scope {scope}"
    for scope in sorted(granted - needed):
        yield f"slack_manifest.yaml asks for the scope {scope}, which nothing needs"
    for scope in sorted(granted ^ manifest.BOT_SCOPES):
        yield f"the scope {scope} stands in only one of slack_manifest.yaml and bot/slack/manifest.py"


async def _nothing() -> dict[str, dict[str, float]]:
    return {}


def rest_routes() -> set[tuple[str, str]]:
    """Method and path of every endpoint; the description, the page it is read on and Slack's route are none."""
    nothing: Any = None  # no handler is called
    endpoints = Endpoints(intake=nothing, door=nothing, token_limit=1).routes()
    return {
        (one.method.lower(), one.path)
        for one in [*endpoints, *Health({}, CollectorRegistry(), Figures(_nothing, float)).routes()]
    }


def rest_faults(routes: set[tuple[str, str]], document: dict[str, Any]) -> Iterator[str]:
    """Every route is described, every description is of a route, and its path parameters are named."""
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    for method, path in sorted(routes - described):
        yield f"{method.upper()} {path} is served and not in the OpenAPI document"
    for method, path in sorted(described - routes):
        yield f"{method.upper()} {path} is in the OpenAPI document and not served"
    for method, path in sorted(described & routes):
        given = document["paths"][path][method].get("parameters", [])
        named = {one["name"] for one in given if one["in"] == "path"}
        if named != set(re.findall(r"{(\w+)}", path)):
            yield f"{method.upper()} {path}: its path parameters are described as {sorted(named)}"


def module_faults(files: Iterable[Path]) -> Iterator[str]:
    """No junk drawers, no module that outgrew its room."""
    for file in sorted(files):
        place = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
        for part in (file.stem, file.parent.name):
            if part.strip("_") in JUNK_DRAWERS:
                yield f"{place}: name it after what it holds, not {part!r}"
        lines = len(file.read_text(encoding="utf-8").splitlines())
        if lines > LONGEST_MODULE:
            yield f"{place} has {lines} lines; {LONGEST_MODULE} are the most"


def modules() -> list[Path]:
    return [file for room in ROOMS for file in (ROOT / room).rglob("*.py") if "node_modules" not in file.parts]


def faults() -> dict[str, list[str]]:
    """What differs, by check."""
    given = read_manifest()
    checks: dict[str, Callable[[], Iterator[str]]] = {
        "settings": lambda: readme_faults(README.read_text(encoding="utf-8")),
        "manifest": lambda: manifest_faults(given),
        "listeners": lambda: listener_faults(given),
        "scopes": lambda: scope_faults(given, called_methods()),
        "rest": lambda: rest_faults(rest_routes(), openapi_document("0")),
        "modules": lambda: module_faults(modules()),
    }
    return {name: list(check()) for name, check in checks.items()}


def _trees(room: str) -> list[ast.Module]:
    return [ast.parse(file.read_text(encoding="utf-8")) for file in sorted((ROOT / room).glob("*.py"))]


def _calls(tree: ast.Module) -> Iterator[Any]:
    """Calls of a method: `something.name(…)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node


def _is_of(call: Any, owner: str) -> bool:
    """Whether it is called on `owner` or on something's `.owner`."""
    value = call.func.value
    return (isinstance(value, ast.Name) and value.id == owner) or (
        isinstance(value, ast.Attribute) and value.attr == owner
    )


def _constants() -> dict[str, str]:
    """Text constants of bot/slack's modules by name."""
    return {
        target.id: node.value.value
        for tree in _trees("bot/slack")
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _constant(node: ast.expr, constants: dict[str, str]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in constants:
            return constants[name]
    raise ValueError(f"line {node.lineno}: a listener's name must be a text or a constant of bot/slack")


def main() -> int:
    found = faults()
    for name, told in found.items():
        for one in told:
            print(f"{name}: {one}")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
