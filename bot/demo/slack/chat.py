"""The chat.* methods but streams, and reactions.add."""

from bot.demo.slack import blocks
from bot.demo.slack.arguments import Arguments
from bot.demo.slack.refusal import SlackRefusal
from bot.demo.slack.workspace import Channel, Json, Message, Workspace, checked_blocks

TEXT_LIMIT = 40_000
METADATA_LIMIT = 16_000


def post_message(workspace: Workspace, given: Arguments) -> Json:
    channel = joined_channel(workspace, given)
    message = _new_message(workspace, given, channel)
    message.is_broadcast = given.flag("reply_broadcast")
    if message.thread_ts:
        _check_thread(workspace, message)
    workspace.add(message)
    tell_of_message(workspace, message)
    shown = workspace.message_json(message, with_metadata=True)
    return {"channel": channel.id, "ts": message.ts, "message": shown}


def post_ephemeral(workspace: Workspace, given: Arguments) -> Json:
    channel = joined_channel(workspace, given)
    user = workspace.person(given.required("user"))
    if user.id not in channel.members:
        raise SlackRefusal("user_not_in_channel")
    message = _new_message(workspace, given, channel)
    message.metadata = None
    message.ephemeral_to = user.id
    if message.thread_ts:
        _check_thread(workspace, message)
    workspace.add(message)
    return {"message_ts": message.ts}


def update(workspace: Workspace, given: Arguments) -> Json:
    message = _own_message(workspace, given, refusal="cant_update_message")
    if message.stream == "open" and message.stream_until > workspace.now():
        raise SlackRefusal("streaming_state_conflict")
    change_message(workspace, message, given)
    return {
        "channel": message.channel,
        "ts": message.ts,
        "text": message.text,
        "message": shown_json(workspace, message),
    }


def change_message(workspace: Workspace, message: Message, given: Arguments) -> None:
    """Puts what was given in the place of what was there; blocks and metadata not named stay. Refused: no change."""
    new_blocks = message.blocks
    if given.has("blocks"):
        new_blocks = checked_blocks(given.json("blocks", "invalid_blocks_format"))
    text = given.text("text") if given.has("text") or given.has("blocks") else message.text
    metadata = _metadata(given) if given.has("metadata") else message.metadata
    if not text and not new_blocks:
        raise SlackRefusal("no_text")
    if len(text) > TEXT_LIMIT:
        raise SlackRefusal("msg_too_long")
    message.text, message.blocks, message.metadata = text, new_blocks, metadata
    message.edited_ts = workspace.new_ts()
    message.inputs.clear()
    workspace.note_change()


def delete(workspace: Workspace, given: Arguments) -> Json:
    message = _own_message(workspace, given, refusal="cant_delete_message")
    workspace.remove(message)
    return {"channel": message.channel, "ts": message.ts}


def get_permalink(workspace: Workspace, given: Arguments) -> Json:
    channel = workspace.channel(given.required("channel"))
    message = workspace.message(channel.id, given.required("message_ts"))
    link = f"{workspace.url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def add_reaction(workspace: Workspace, given: Arguments) -> Json:
    channel = joined_channel(workspace, given)
    message = workspace.message(channel.id, given.required("timestamp"))
    users = message.reactions.setdefault(given.required("name").strip(":"), [])
    if workspace.bot.id in users:
        raise SlackRefusal("already_reacted")
    users.append(workspace.bot.id)
    workspace.note_change()
    return {}


def joined_channel(workspace: Workspace, given: Arguments) -> Channel:
    channel = workspace.channel(given.required("channel"))
    if workspace.bot.id not in channel.members:
        raise SlackRefusal("not_in_channel")
    return channel


def shown_json(workspace: Workspace, message: Message) -> Json:
    return workspace.message_json(message, with_metadata=True)


def tell_of_message(workspace: Workspace, message: Message) -> None:
    """Queues the events that a message in a channel causes: one of its own, one more if it mentions the app."""
    channel = workspace.channels[message.channel]
    event = {
        **workspace.message_json(message),
        "channel": channel.id,
        "channel_type": "im" if channel.is_im else "channel",
        "event_ts": message.ts,
    }
    workspace.events.put_nowait(event)
    if f"<@{workspace.bot.id}>" in message.text and message.user != workspace.bot.id:
        mention = {key: value for key, value in event.items() if key != "channel_type"}
        workspace.events.put_nowait(mention | {"type": "app_mention"})


def _new_message(workspace: Workspace, given: Arguments, channel: Channel) -> Message:
    text = given.text("text")
    made = checked_blocks(given.json("blocks", "invalid_blocks_format")) if given.has("blocks") else []
    if not text.strip() and not made:
        raise SlackRefusal("no_text")
    if len(text) > TEXT_LIMIT:
        raise SlackRefusal("msg_too_long")
    return Message(
        channel=channel.id,
        ts=workspace.new_ts(),
        user=workspace.bot.id,
        text=text,
        blocks=made,
        thread_ts=given.text("thread_ts"),
        metadata=_metadata(given),
    )


def _metadata(given: Arguments) -> Json | None:
    metadata = given.json("metadata", "invalid_metadata_format")
    if not metadata:
        return None
    faults = blocks.check_metadata(metadata)
    if faults:
        raise SlackRefusal("invalid_metadata_schema", *faults)
    if blocks.payload_size(metadata) > METADATA_LIMIT:
        raise SlackRefusal("metadata_too_large")
    checked: Json = metadata
    return checked


def _check_thread(workspace: Workspace, message: Message) -> None:
    try:
        workspace.message(message.channel, message.thread_ts)
    except SlackRefusal as error:
        raise SlackRefusal("thread_not_found") from error


def _own_message(workspace: Workspace, given: Arguments, *, refusal: str) -> Message:
    channel = workspace.channel(given.required("channel"))
    message = workspace.message(channel.id, given.required("ts"))
    if message.user != workspace.bot.id:
        raise SlackRefusal(refusal)
    return message
