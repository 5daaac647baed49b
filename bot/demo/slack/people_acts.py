"""What people do in the workspace: they say, command, click, submit and close; the app is told, its answer shown."""

from typing import Any

from bot.demo.slack import elements, streams
from bot.demo.slack.arguments import Arguments
from bot.demo.slack.blocks import walk
from bot.demo.slack.chat import change_message, tell_of_message
from bot.demo.slack.courier import Answer, Courier
from bot.demo.slack.refusal import SlackRefusal
from bot.demo.slack.tickets import ResponseUrl
from bot.demo.slack.views import checked_view, push_for, replace_body
from bot.demo.slack.workspace import Channel, Json, Message, View, Workspace, checked_blocks


class PeopleActs:
    """Each act is delivered to the app once; the app's answer takes effect before the act returns."""

    def __init__(self, workspace: Workspace, courier: Courier) -> None:
        self._workspace = workspace
        self._courier = courier

    def say(self, user: str, text: str, *, channel: str, thread_ts: str = "") -> Message:
        found = self._channel_of(user, channel)
        if not text.strip():
            raise SlackRefusal("no_text")
        message = Message(found.id, self._workspace.new_ts(), user, text, thread_ts=thread_ts)
        self._workspace.add(message)
        tell_of_message(self._workspace, message)
        return message

    async def command(self, user: str, command: str, text: str, *, channel: str) -> Answer:
        """A slash command; what the app sends back with its acknowledgement is posted as Slack would."""
        workspace = self._workspace
        found = self._channel_of(user, channel)
        url = workspace.response_urls.issue(channel=found.id, user=user)
        payload = {
            "token": "verification-token",
            "team_id": workspace.team_id,
            "team_domain": workspace.team_domain,
            "channel_id": found.id,
            "channel_name": found.name,
            "user_id": user,
            "user_name": workspace.people[user].name,
            "command": command,
            "text": text,
            "api_app_id": workspace.app_id,
            "is_enterprise_install": "false",
            "response_url": f"{workspace.url}/response/{url}",
            "trigger_id": workspace.triggers.issue(user),
        }
        answer = await self._courier.deliver("slash_commands", payload)
        if not answer.is_acked:
            self._notice(user, f"{command} failed with the error “{_failure(answer)}”")
        elif answer.payload.get("text") or answer.payload.get("blocks"):
            self.respond(ResponseUrl(found.id, user, "", workspace.now()), answer.payload)
        return answer

    async def click(
        self,
        user: str,
        ts: str,
        action_id: str,
        *,
        block_id: str | None = None,
        value: Any = None,  # noqa: ANN401 - what a person enters depends on the element
    ) -> Answer:
        """Uses a button, or chooses `value` in a select; refused if the element is no longer on the message."""
        message = self._workspace.visible_message(ts, user)
        channel = self._channel_of(user, message.channel)
        block, element = elements.find(message.blocks, action_id, block_id)
        sent = elements.action(block, element, value) | {"action_ts": self._workspace.new_ts()}
        if elements.keeps_state(element):
            chosen = elements.state_of(element, value)
            message.inputs.setdefault(user, {}).setdefault(block["block_id"], {})[action_id] = chosen
        thread_ts = message.thread_ts
        url = self._workspace.response_urls.issue(channel=channel.id, user=user, message_ts=ts)
        payload = self._interaction("block_actions", user) | {
            "container": {
                "type": "message",
                "message_ts": ts,
                "channel_id": channel.id,
                "is_ephemeral": bool(message.ephemeral_to),
                **({"thread_ts": thread_ts} if thread_ts else {}),
            },
            "trigger_id": self._workspace.triggers.issue(user),
            "channel": {"id": channel.id, "name": channel.name},
            "state": {"values": _values(message.blocks, message.inputs.get(user, {}))},
            "response_url": f"{self._workspace.url}/response/{url}",
            "actions": [sent],
        }
        if not message.ephemeral_to:
            payload["message"] = self._workspace.message_json(message)
        return await self._deliver(user, payload)

    async def click_in_view(
        self,
        user: str,
        action_id: str,
        *,
        value: Any = None,  # noqa: ANN401 - as above
        values: Json | None = None,
    ) -> Answer:
        """Uses a button or select of the modal on top; `values` are what the inputs hold at that moment."""
        view = self.top_view(user)
        block, element = elements.find(view.body["blocks"], action_id)
        sent = elements.action(block, element, value) | {"action_ts": self._workspace.new_ts()}
        payload = self._interaction("block_actions", user) | {
            "container": {"type": "view", "view_id": view.id},
            "trigger_id": self._workspace.triggers.issue(user),
            "view": self._workspace.view_json(view, self._entered(view, values or {})[0]),
            "actions": [sent],
        }
        return await self._deliver(user, payload)

    async def submit(self, user: str, values: Json) -> Answer:
        """Submits the modal on top with these values by action_id; incomplete ones do not leave the client."""
        view = self.top_view(user)
        if not view.body.get("submit"):
            raise SlackRefusal("no_submit", "this modal has no submit button")
        entered, complaints = self._entered(view, values)
        if complaints:
            self._say_errors(view, complaints)
            raise SlackRefusal("incomplete", *[f"{block}: {words}" for block, words in complaints.items()])
        payload = self._interaction("view_submission", user) | {
            "trigger_id": self._workspace.triggers.issue(user),
            "view": self._workspace.view_json(view, entered),
            "response_urls": [],
        }
        answer = await self._deliver(user, payload)
        if answer.is_acked:
            self._after_submission(user, view, answer.payload)
        return answer

    async def close(self, user: str, *, everything: bool = False) -> Answer:
        """Closes the modal on top; the app hears of it only where it asked to (`notify_on_close`)."""
        view = self.top_view(user)
        is_cleared = everything or bool(view.body.get("clear_on_close"))
        self._pop(user, None if is_cleared else view)
        if not view.body.get("notify_on_close"):
            return Answer(is_acked=True)
        payload = self._interaction("view_closed", user)
        return await self._deliver(user, payload | {"view": self._workspace.view_json(view), "is_cleared": is_cleared})

    def stop_stream(self, user: str, ts: str) -> None:
        message = self._workspace.visible_message(ts, user)
        self._workspace.events.put_nowait(streams.stop_by_person(self._workspace, message, user))

    def respond(self, to: ResponseUrl, payload: Json) -> None:
        """What an app posts to a response URL, or answers a command with."""
        given = Arguments(payload)
        original = self._original(to)
        if original is not None and given.flag("delete_original"):
            self._workspace.remove(original)
        elif original is not None and given.flag("replace_original"):
            change_message(self._workspace, original, given)
        else:
            self._add_response(to, given)

    def top_view(self, user: str) -> View:
        stack = self._workspace.views.get(user)
        if not stack:
            raise SlackRefusal("not_found", f"{user} has no modal open")
        return stack[-1]

    def _add_response(self, to: ResponseUrl, given: Arguments) -> None:
        workspace = self._workspace
        made = checked_blocks(given.json("blocks", "invalid_blocks_format")) if given.has("blocks") else []
        text = given.text("text")
        if not text.strip() and not made:
            raise SlackRefusal("no_text")
        is_public = given.text("response_type") == "in_channel"
        thread_ts = given.text("thread_ts")
        message = Message(to.channel, workspace.new_ts(), workspace.bot.id, text, made, thread_ts=thread_ts)
        message.ephemeral_to = "" if is_public else to.user
        workspace.add(message)
        if is_public:
            tell_of_message(workspace, message)

    def _original(self, to: ResponseUrl) -> Message | None:
        if not to.message_ts:
            return None
        return self._workspace.visible_message(to.message_ts, to.user)

    def _channel_of(self, user: str, channel: str) -> Channel:
        found = self._workspace.channel(channel)
        self._workspace.person(user)
        if user not in found.members:
            raise SlackRefusal("not_in_channel", f"{user} is not in #{found.name}")
        return found

    def _interaction(self, kind: str, user: str) -> Json:
        workspace = self._workspace
        person = workspace.person(user)
        team = {"id": workspace.team_id, "domain": workspace.team_domain}
        who = {"id": user, "username": person.name, "name": person.name, "team_id": person.team_id}
        common: Json = {"type": kind, "user": who, "api_app_id": workspace.app_id, "token": "verification-token"}
        return common | {"team": team, "enterprise": None, "is_enterprise_install": False}

    async def _deliver(self, user: str, payload: Json) -> Answer:
        answer = await self._courier.deliver("interactive", payload)
        if not answer.is_acked:
            self._notice(user, f"This app did not answer ({_failure(answer)}). Try again.")
        return answer

    def _entered(self, view: View, values: Json) -> tuple[Json, dict[str, str]]:
        """The state of the view's elements with these values in them, and what the client complains of."""
        known = {node["action_id"] for _, node in walk(view.body["blocks"]) if node.get("action_id")}
        if unknown := set(values) - known:
            raise SlackRefusal("element_not_found", f"this modal has no {', '.join(sorted(map(repr, unknown)))}")
        chosen: Json = {}
        for action_id, value in values.items():
            block, element = elements.find(view.body["blocks"], action_id)
            chosen.setdefault(block["block_id"], {})[action_id] = elements.state_of(element, value)
        entered = _values(view.body["blocks"], chosen)
        complaints = {}
        for block in view.body["blocks"]:
            if block["type"] == "input":
                words = elements.complaint(block, entered[block["block_id"]][block["element"]["action_id"]])
                if words:
                    complaints[block["block_id"]] = words
        return entered, complaints

    def _after_submission(self, user: str, view: View, payload: Json) -> None:
        match payload.get("response_action"):
            case None:
                self._pop(user, view)
            case "clear":
                self._pop(user, None)
            case "errors":
                self._say_errors(view, dict(payload.get("errors") or {}))
            case "update":
                replace_body(self._workspace, view, checked_view(payload.get("view")))
            case "push":
                push_for(self._workspace, user, checked_view(payload.get("view")))
            case other:
                raise SlackRefusal("invalid_response_action", f"the app answered {other!r}")

    def _say_errors(self, view: View, errors: dict[str, str]) -> None:
        inputs = {block["block_id"] for block in view.body["blocks"] if block["type"] == "input"}
        if unknown := set(errors) - inputs:
            raise SlackRefusal("invalid_errors", f"no input block is named {', '.join(sorted(unknown))}")
        view.errors = errors
        self._workspace.note_change()

    def _pop(self, user: str, view: View | None) -> None:
        stack = self._workspace.views.get(user, [])
        self._workspace.views[user] = [] if view is None else [one for one in stack if one is not view]
        self._workspace.note_change()

    def _notice(self, user: str, words: str) -> None:
        self._workspace.notices[user] = words
        self._workspace.note_change()


def _values(blocks: list[Json], chosen: Json) -> Json:
    """`state.values`: every element that keeps state, as chosen or as it was at first."""
    values: Json = {}
    for block in blocks:
        for _, node in walk(block):
            if not node.get("action_id") or not elements.keeps_state(node):
                continue
            holder = elements.find([block], node["action_id"])[0]["block_id"]
            state = chosen.get(holder, {}).get(node["action_id"]) or elements.initial(node)
            values.setdefault(holder, {})[node["action_id"]] = state
    return values


def _failure(answer: Answer) -> str:
    return "operation_timeout" if answer.reason in {"timeout", "http_timeout"} else "dispatch_failed"
