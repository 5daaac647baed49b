"""chat.startStream, appendStream, stopStream: a message that grows for at most 306 seconds."""

from bot.demo.slack.arguments import Arguments
from bot.demo.slack.chat import joined_channel, shown_json, tell_of_message
from bot.demo.slack.refusal import SlackRefusal
from bot.demo.slack.workspace import Json, Message, Workspace, checked_blocks

LIFE_SECONDS = 306
CHUNK_LIMIT = 12_000
TASK_STATES = {"pending", "in_progress", "complete", "error"}


def start(workspace: Workspace, given: Arguments) -> Json:
    channel = joined_channel(workspace, given)
    thread_ts = given.text("thread_ts")
    if not channel.is_im:
        for needed in ("recipient_user_id", "recipient_team_id"):
            if not given.text(needed):
                raise SlackRefusal(f"missing_{needed}")
    if thread_ts:
        workspace.message(channel.id, thread_ts)
    message = Message(channel.id, workspace.new_ts(), workspace.bot.id, "", thread_ts=thread_ts)
    message.stream = "open"
    message.stream_until = workspace.now() + LIFE_SECONDS
    _append(message, given)
    workspace.add(message)
    return {"channel": channel.id, "ts": message.ts}


def append(workspace: Workspace, given: Arguments) -> Json:
    message = _open_stream(workspace, given)
    _append(message, given)
    workspace.note_change()
    return {"channel": message.channel, "ts": message.ts}


def stop(workspace: Workspace, given: Arguments) -> Json:
    message = _open_stream(workspace, given)
    extra = checked_blocks(given.json("blocks", "invalid_blocks_format")) if given.has("blocks") else []
    _append(message, given)
    message.blocks = [*message.blocks, *extra]
    metadata = given.json("metadata", "invalid_metadata_format")
    message.metadata = metadata or message.metadata
    message.stream = "closed"
    workspace.note_change()
    tell_of_message(workspace, message)
    return {"channel": message.channel, "ts": message.ts, "message": shown_json(workspace, message)}


def stop_by_person(workspace: Workspace, message: Message, user: str) -> Json:
    """What Slack's own Stop button does; returns the event that the app gets."""
    if message.stream != "open":
        raise SlackRefusal("message_not_in_streaming_state")
    message.stream = "stopped"
    workspace.note_change()
    return {
        "type": "agent_session_stopped",
        "channel": message.channel,
        "thread_ts": message.thread_ts or message.ts,
        "user": user,
        "streaming_message_ts": [message.ts],
        "event_ts": workspace.new_ts(),
    }


def _open_stream(workspace: Workspace, given: Arguments) -> Message:
    channel = joined_channel(workspace, given)
    message = workspace.message(channel.id, given.required("ts"))
    if message.stream == "stopped":
        raise SlackRefusal("stopped_by_user")
    if message.stream != "open" or workspace.now() >= message.stream_until:
        raise SlackRefusal("message_not_in_streaming_state")
    return message


def _append(message: Message, given: Arguments) -> None:
    chunks = given.json("chunks", "invalid_chunks")
    if chunks is None and given.has("markdown_text"):
        chunks = [{"type": "markdown_text", "text": given.text("markdown_text")}]
    if not isinstance(chunks or [], list):
        raise SlackRefusal("invalid_chunks")
    text, blocks = message.text, [*message.blocks]
    for chunk in chunks or []:
        match chunk:
            case {"type": "markdown_text", "text": str(more)}:
                if len(more) > CHUNK_LIMIT:
                    raise SlackRefusal("msg_too_long")
                text += more
            case {"type": "plan_update", "title": str(title)}:
                _plan(blocks)["title"] = title
            case {"type": "task_update", "id": str(), "title": str()}:
                _update_task(_plan(blocks), chunk)
            case {"type": "blocks", "blocks": list(more_blocks)}:
                blocks.extend(checked_blocks(more_blocks))
            case _:
                raise SlackRefusal("invalid_chunks", f"not a chunk: {chunk!r:.120}")
    message.text, message.blocks = text, blocks


def _plan(blocks: list[Json]) -> Json:
    for block in blocks:
        if block["type"] == "plan":
            return block
    plan: Json = {"type": "plan", "block_id": "plan", "title": "Plan", "tasks": []}
    blocks.append(plan)
    return plan


def _update_task(plan: Json, chunk: Json) -> None:
    """Title and status replace, details are added to, as in Slack."""
    status = chunk.get("status", "pending")
    if status not in TASK_STATES:
        raise SlackRefusal("invalid_chunks", f"not a task status: {status!r}")
    for task in plan["tasks"]:
        if task["task_id"] == chunk["id"]:
            break
    else:
        task = {"type": "task_card", "task_id": chunk["id"]}
        plan["tasks"].append(task)
    task |= {"title": chunk["title"], "status": status}
    if chunk.get("details"):
        before = task.get("details", {"elements": [{"elements": [{"text": ""}]}]})["elements"][0]["elements"][0]["text"]
        text = {"type": "text", "text": before + str(chunk["details"])}
        task["details"] = {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [text]}]}
