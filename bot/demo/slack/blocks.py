"""Checks blocks as Slack would: the schema of @slack/types, slack_sdk's own validation, and rules that neither has."""

import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jsonschema
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block

Surface = Literal["message", "modal", "home"]
Json = dict[str, Any]

SCHEMA_FILE = Path(__file__).with_name("blocks.schema.json")
BLOCK_LIMIT: dict[Surface, int] = {"message": 50, "modal": 100, "home": 100}
PAYLOAD_LIMIT = 13_200
"""Characters of JSON in a message's blocks; not documented by Slack, observed by users of its SDK."""
MARKDOWN_LIMIT = 12_000
TABLE_COLUMNS = 20
OVERFLOW_OPTIONS = 5
SENTENCE_LIMIT = 180

_HOLDERS = {"actions": "elements", "context": "elements", "context_actions": "elements", "carousel": "elements"}


def check_blocks(blocks: object, surface: Surface = "message") -> list[str]:
    """What Slack would refuse in these blocks, one sentence each with the place in the JSON; empty if nothing.

    Takes plain JSON (lists and dicts) or slack_sdk block objects.
    """
    plain = _plain(blocks)
    if not isinstance(plain, list):
        return ["blocks: must be a list of blocks"]
    faults: list[str] = []
    if len(plain) > BLOCK_LIMIT[surface]:
        faults.append(f"blocks: no more than {BLOCK_LIMIT[surface]} blocks in a {surface}, these are {len(plain)}")
    for number, block in enumerate(plain):
        faults.extend(_check_one(block, f"blocks/{number}"))
    if not faults:
        faults.extend(_own_rules(plain, surface))
    return faults


def check_view(view: object) -> list[str]:
    """The same for a whole modal or home view: its title, buttons and sizes too."""
    plain = _plain(view)
    if not isinstance(plain, dict) or plain.get("type") not in {"modal", "home"}:
        return ["view: must be an object with type 'modal' or 'home'"]
    surface: Surface = "modal" if plain["type"] == "modal" else "home"
    faults = check_blocks(plain.get("blocks"), surface)
    if surface == "modal":
        shell = {**plain, "blocks": []}
        faults.extend(_schema_faults(shell, "ModalView", "view"))
        if not plain.get("submit") and any(_type_of(block) == "input" for block in _list(plain.get("blocks"))):
            faults.append("view/submit: required where a modal has an input block")
    return faults


def check_metadata(metadata: object) -> list[str]:
    return _schema_faults(_plain(metadata), "MessageMetadata", "metadata")


def payload_size(blocks: object) -> int:
    return len(json.dumps(_plain(blocks), ensure_ascii=False, separators=(",", ":")))


def walk(node: object, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every JSON object in the node with the path to it, outermost first."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            yield from walk(value, f"{path}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from walk(value, f"{path}/{number}")


def _plain(node: object) -> object:
    if isinstance(node, list | tuple):
        return [_plain(one) for one in node]
    to_dict = getattr(node, "to_dict", None)
    return to_dict() if callable(to_dict) else node


def _list(node: object) -> list[Any]:
    return node if isinstance(node, list) else []


def _type_of(node: object) -> str:
    return str(node.get("type", "")) if isinstance(node, dict) else ""


@cache
def _definitions() -> Json:
    definitions: Json = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))["definitions"]
    return definitions


@cache
def _block_names() -> dict[str, str]:
    """Block type to the name of its definition: so an error speaks of that block, not of all that it is not."""
    definitions = _definitions()
    references = [one["$ref"].rsplit("/", 1)[1] for one in definitions["KnownBlock"]["anyOf"]]
    named: dict[str, str] = {}
    for name in references:
        shape = next(
            node for _, node in walk(definitions[name]) if "properties" in node and "type" in node["properties"]
        )
        named[shape["properties"]["type"]["const"]] = name
    return named


@cache
def _validator(name: str) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator({"$ref": f"#/definitions/{name}", "definitions": _definitions()})


def _check_one(block: object, path: str) -> list[str]:
    if not isinstance(block, dict):
        return [f"{path}: must be an object"]
    kind = block.get("type")
    name = _block_names().get(kind) if isinstance(kind, str) else None
    if name is None:
        return [f"{path}/type: unsupported type {kind!r}"]
    faults = _schema_faults(block, name, path)
    return faults or _sdk_faults(block, path)


def _schema_faults(node: object, name: str, path: str) -> list[str]:
    return list(dict.fromkeys(_sentence(error, path) for error in _validator(name).iter_errors(node)))


def _sentence(error: jsonschema.ValidationError, path: str) -> str:
    error = _closest(error)
    place = "/".join([path, *map(str, error.absolute_path)])
    if error.validator == "maxLength" and isinstance(error.instance, str):
        return f"{place}: must be no more than {error.validator_value} characters, this has {len(error.instance)}"
    if error.validator == "minLength":
        return f"{place}: must be more than 0 characters"
    if error.validator == "maxItems":
        return f"{place}: no more than {error.validator_value} items allowed, these are {len(_list(error.instance))}"
    words = error.message
    return f"{place}: {words if len(words) <= SENTENCE_LIMIT else words[:SENTENCE_LIMIT] + '…'}"


def _closest(error: jsonschema.ValidationError) -> jsonschema.ValidationError:
    """Of a union's errors, the one of the branch that has the instance's own type, as deep as it goes."""
    while error.context:
        same_type = [branch for branch in _branches(error) if _may_be_meant(branch)]
        if len(same_type) != 1:
            return error
        error = same_type[0][0]
    return error


def _branches(error: jsonschema.ValidationError) -> list[list[jsonschema.ValidationError]]:
    branches: dict[object, list[jsonschema.ValidationError]] = {}
    for inner in error.context or []:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    return list(branches.values())


def _may_be_meant(branch: list[jsonschema.ValidationError]) -> bool:
    for error in branch:
        if list(error.path) == ["type"]:
            return False
        if error.context and not error.path and not any(map(_may_be_meant, _branches(error))):
            return False
    return True


def _sdk_faults(block: Json, path: str) -> list[str]:
    try:
        parsed = Block.parse(block)
        if parsed is not None:
            parsed.validate_json()
    except SlackObjectFormationError as error:
        return [f"{path}: {error}"]
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        return [f"{path}: slack_sdk cannot read this block ({error})"]
    return []


def _own_rules(blocks: list[Json], surface: Surface) -> list[str]:
    nodes = [(path, node) for path, node in walk(blocks, "blocks") if "type" in node]
    faults = [*_repeated_ids(blocks), *_too_few_or_many(nodes), *_whole_message(blocks, surface)]
    for path, node in nodes:
        match node["type"]:
            case "section" if not node.get("text") and not node.get("fields"):
                faults.append(f"{path}: a section needs text or fields")
            case "alert" if surface != "modal":
                faults.append(f"{path}: an alert is allowed in modals only")
            case "container" if not node.get("title") and not node.get("rich_text_title"):
                faults.append(f"{path}: a container needs a title")
            case "card" if not any(node.get(key) for key in ("hero_image", "title", "actions", "body")):
                faults.append(f"{path}: a card needs a hero_image, title, actions or body")
            case "image" if not node.get("image_url") and not node.get("slack_file"):
                faults.append(f"{path}: an image needs an image_url or a slack_file")
    for number, block in enumerate(blocks):
        if block["type"] == "task_card" and block.get("status") == "pending":
            faults.append(f"blocks/{number}: a task card that stands alone may not be pending")
    return faults


def _repeated_ids(blocks: list[Json]) -> Iterator[str]:
    block_ids = Counter(block["block_id"] for block in blocks if block.get("block_id"))
    for block_id, count in block_ids.items():
        if count > 1:
            yield f"blocks: block_id {block_id!r} is used {count} times"
    for number, block in enumerate(blocks):
        action_ids = Counter(node["action_id"] for _, node in walk(block) if node.get("action_id"))
        for action_id, count in action_ids.items():
            if count > 1:
                yield f"blocks/{number}: action_id {action_id!r} is used {count} times in one block"


def _too_few_or_many(nodes: list[tuple[str, Json]]) -> Iterator[str]:
    for path, node in nodes:
        held = _HOLDERS.get(node["type"])
        if held and not node[held]:
            yield f"{path}/{held}: at least one is needed"
        if "options" in node and not node["options"]:
            yield f"{path}/options: at least one is needed"
        if node["type"] == "overflow" and len(node["options"]) > OVERFLOW_OPTIONS:
            yield f"{path}/options: no more than {OVERFLOW_OPTIONS} in an overflow menu"
        if node["type"] == "table" and any(len(row) > TABLE_COLUMNS for row in node["rows"]):
            yield f"{path}/rows: no more than {TABLE_COLUMNS} columns"
        if node["type"] == "table" and not node["rows"]:
            yield f"{path}/rows: at least one is needed"


def _whole_message(blocks: list[Json], surface: Surface) -> Iterator[str]:
    kinds = Counter(node.get("type") for _, node in walk(blocks))
    if kinds["table"] > 1:
        yield f"blocks: one table in a {surface}, these are {kinds['table']}"
    markdown = sum(len(block["text"]) for block in blocks if block["type"] == "markdown")
    if markdown > MARKDOWN_LIMIT:
        yield f"blocks: markdown is {markdown} characters in all, {MARKDOWN_LIMIT} are allowed"
    size = payload_size(blocks)
    if surface == "message" and size > PAYLOAD_LIMIT:
        yield f"blocks: {size} characters of JSON, Slack takes about {PAYLOAD_LIMIT} in one message"
