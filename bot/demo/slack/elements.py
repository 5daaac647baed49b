"""Interactive elements: finding them in blocks, and what they send when somebody uses them."""

from typing import Any

from bot.demo.slack.blocks import walk
from bot.demo.slack.refusal import SlackRefusal
from bot.demo.slack.workspace import Json

_SINGLE = {"static_select", "radio_buttons", "overflow"}
_SEVERAL = {"multi_static_select", "checkboxes"}
_PLAIN_KEYS = {
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "multi_users_select": "selected_users",
    "multi_conversations_select": "selected_conversations",
    "multi_channels_select": "selected_channels",
    "rich_text_input": "rich_text_value",
}
_INITIAL_KEYS = {
    "static_select": "initial_option",
    "radio_buttons": "initial_option",
    "multi_static_select": "initial_options",
    "checkboxes": "initial_options",
    "datepicker": "initial_date",
    "timepicker": "initial_time",
    "datetimepicker": "initial_date_time",
    "users_select": "initial_user",
    "channels_select": "initial_channel",
    "conversations_select": "initial_conversation",
    "multi_users_select": "initial_users",
}
_NO_STATE = {"button", "overflow", "workflow_button", "feedback_buttons", "icon_button"}


def find(blocks: list[Json], action_id: str, block_id: str | None = None) -> tuple[Json, Json]:
    """The block and its element with this action_id. Raises SlackRefusal if it is not (or no longer) there."""
    for block in blocks:
        if block_id is not None and block["block_id"] != block_id:
            continue
        for _, node in walk(block):
            if node.get("action_id") == action_id:
                return _inner_block(block, node), node
    place = f" in block {block_id!r}" if block_id else ""
    raise SlackRefusal("element_not_found", f"there is no {action_id!r}{place} on this message any more")


def action(block: Json, element: Json, value: Any) -> Json:  # noqa: ANN401 - what a person enters depends on the element
    """The entry of `actions` in a block_actions payload."""
    sent: Json = {"action_id": element["action_id"], "block_id": block["block_id"], "type": element["type"]}
    match element["type"]:
        case "button":
            sent["text"] = element["text"]
            sent |= {key: element[key] for key in ("value", "style", "url") if element.get(key) is not None}
        case "icon_button":
            sent |= {key: element[key] for key in ("value", "icon", "text") if element.get(key) is not None}
        case "feedback_buttons":
            chosen = [element[key] for key in ("positive_button", "negative_button") if element[key]["value"] == value]
            if not chosen:
                raise SlackRefusal("option_not_found", f"no such answer: {value!r}")
            sent |= {"value": value, "text": chosen[0]["text"]}
        case _:
            sent |= state_of(element, value)
    if element.get("confirm"):
        sent["confirm"] = element["confirm"]
    return sent


def keeps_state(element: Json) -> bool:
    return element["type"] not in _NO_STATE


def initial(element: Json) -> Json:
    """The state of an element that nobody has touched."""
    kind = element["type"]
    given = element.get(_INITIAL_KEYS.get(kind, "initial_value"))
    if given is None and kind in _SEVERAL:
        given = []
    if kind in _SINGLE:
        return {"type": kind, "selected_option": given}
    if kind in _SEVERAL:
        return {"type": kind, "selected_options": given}
    return {"type": kind, _PLAIN_KEYS.get(kind, "value"): given}


def state_of(element: Json, value: Any) -> Json:  # noqa: ANN401 - as above
    """The state of an element in which somebody has entered this value; options are named by their value."""
    kind = element["type"]
    if kind in _SINGLE:
        return {"type": kind, "selected_option": _option(element, value)}
    if kind in _SEVERAL:
        values = value if isinstance(value, list) else [value]
        return {"type": kind, "selected_options": [_option(element, one) for one in values]}
    if value is not None and not isinstance(value, str | int | float | list | dict):
        raise SlackRefusal("invalid_value", f"{kind} does not take {value!r}")
    return {"type": kind, _PLAIN_KEYS.get(kind, "value"): value if value != "" else None}


def complaint(block: Json, state: Json) -> str:
    """What Slack's own client says before it sends an input block; empty if it is well."""
    element = block["element"]
    entered = next((value for key, value in state.items() if key != "type"), None)
    if not entered:
        return "" if block.get("optional") else "Please complete this required field."
    if isinstance(entered, str):
        if len(entered) < element.get("min_length", 0):
            return f"Please enter at least {element['min_length']} characters."
        if element["type"] == "plain_text_input" and len(entered) > element.get("max_length", 3000):
            return f"Please enter at most {element.get('max_length', 3000)} characters."
    return ""


def _option(element: Json, value: object) -> Json | None:
    if value in {None, ""}:
        return None
    options = element.get("options") or [one for group in element.get("option_groups", []) for one in group["options"]]
    for option in options:
        if option.get("value") == value:
            found: Json = option
            return found
    raise SlackRefusal("option_not_found", f"{value!r} is not among the options of {element['action_id']!r}")


def _inner_block(block: Json, node: Json) -> Json:
    """The block that holds the element itself, where blocks are nested."""
    inner = block
    for _, candidate in walk(block):
        if "block_id" in candidate and any(found is node for _, found in walk(candidate)):
            inner = candidate
    return inner
