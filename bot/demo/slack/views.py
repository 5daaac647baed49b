"""views.*: the stack of modals on each person's screen."""

import secrets

from bot.demo.slack import blocks
from bot.demo.slack.arguments import Arguments
from bot.demo.slack.refusal import SlackRefusal
from bot.demo.slack.workspace import Json, View, Workspace, named_block

STACK_LIMIT = 3
_SHELL = {
    "type": "modal",
    "callback_id": "",
    "private_metadata": "",
    "external_id": "",
    "close": None,
    "submit": None,
    "clear_on_close": False,
    "notify_on_close": False,
}


def open_view(workspace: Workspace, given: Arguments) -> Json:
    body = _checked(given)
    user = workspace.triggers.use(given.required("trigger_id"))
    workspace.views[user] = []
    return _put(workspace, user, body)


def push_view(workspace: Workspace, given: Arguments) -> Json:
    body = _checked(given)
    user = workspace.triggers.use(given.required("trigger_id"))
    return {"view": workspace.view_json(push_for(workspace, user, body))}


def update_view(workspace: Workspace, given: Arguments) -> Json:
    body = _checked(given)
    view = _named_view(workspace, given)
    if given.text("hash") and given.text("hash") != view.hash:
        raise SlackRefusal("hash_conflict")
    replace_body(workspace, view, body)
    return {"view": workspace.view_json(view)}


def push_for(workspace: Workspace, user: str, body: Json) -> View:
    stack = workspace.views.get(user, [])
    if not stack:
        raise SlackRefusal("invalid_trigger_id", "there is no open modal to push onto")
    if len(stack) >= STACK_LIMIT:
        raise SlackRefusal("push_limit_reached")
    return _stacked(workspace, user, body)


def replace_body(workspace: Workspace, view: View, body: Json) -> None:
    view.body = body
    view.errors = {}
    view.hash = _new_hash(workspace)
    workspace.note_change()


def checked_view(view: object) -> Json:
    """The view with Slack's defaults and a block_id on each block. Raises SlackRefusal where Slack refuses it."""
    faults = blocks.check_view(view)
    if faults or not isinstance(view, dict):
        raise SlackRefusal("invalid_arguments", *faults)
    return {**_SHELL, **view, "blocks": [named_block(block) for block in view["blocks"]]}


def _checked(given: Arguments) -> Json:
    return checked_view(given.json("view", "invalid_arguments"))


def _named_view(workspace: Workspace, given: Arguments) -> View:
    external_id = given.text("external_id")
    if not external_id:
        return workspace.view(given.required("view_id"))
    for stack in workspace.views.values():
        for view in stack:
            if view.body["external_id"] == external_id:
                return view
    raise SlackRefusal("not_found")


def _put(workspace: Workspace, user: str, body: Json) -> Json:
    return {"view": workspace.view_json(_stacked(workspace, user, body))}


def _stacked(workspace: Workspace, user: str, body: Json) -> View:
    stack = workspace.views.setdefault(user, [])
    view_id = f"V0{secrets.token_hex(5).upper()}"
    view = View(view_id, body, _new_hash(workspace), user, stack[0].id if stack else view_id)
    view.previous_id = stack[-1].id if stack else None
    stack.append(view)
    workspace.note_change()
    return view


def _new_hash(workspace: Workspace) -> str:
    return f"{workspace.new_ts().split('.')[0]}.{secrets.token_hex(4)}"
