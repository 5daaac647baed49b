"""conversations.*, users.*, usergroups.* and auth.test: reading who and what there is."""

from bot.demo.slack.arguments import Arguments
from bot.demo.slack.refusal import SlackRefusal
from bot.demo.slack.workspace import Json, Message, Workspace

PAGE_LIMIT = 1000
PAGE_SIZE = 100


def auth_test(workspace: Workspace, _: Arguments) -> Json:
    return {
        "url": f"{workspace.url}/",
        "team": workspace.team_domain,
        "user": workspace.bot.name,
        "team_id": workspace.team_id,
        "user_id": workspace.bot.id,
        "bot_id": workspace.bot_id,
        "is_enterprise_install": False,
    }


def list_conversations(workspace: Workspace, given: Arguments) -> Json:
    kinds = given.text("types", "public_channel").split(",")
    channels = [
        one.as_json(seen_by=workspace.bot.id)
        for one in workspace.channels.values()
        if ("im" if one.is_im else "public_channel") in kinds
    ]
    return _page(channels, given, "channels")


def conversation_info(workspace: Workspace, given: Arguments) -> Json:
    return {"channel": workspace.channel(given.required("channel")).as_json(seen_by=workspace.bot.id)}


def conversation_members(workspace: Workspace, given: Arguments) -> Json:
    return _page(workspace.channel(given.required("channel")).members, given, "members")


def join_conversation(workspace: Workspace, given: Arguments) -> Json:
    channel = workspace.channel(given.required("channel"))
    if workspace.bot.id not in channel.members:
        channel.members.append(workspace.bot.id)
    return {"channel": channel.as_json(seen_by=workspace.bot.id)}


def open_conversation(workspace: Workspace, given: Arguments) -> Json:
    users = [one.strip() for one in given.required("users").split(",")]
    return {"channel": workspace.direct_channel(users).as_json(seen_by=workspace.bot.id)}


def history(workspace: Workspace, given: Arguments) -> Json:
    channel = workspace.channel(given.required("channel"))
    if workspace.bot.id not in channel.members:
        raise SlackRefusal("not_in_channel")
    found = [
        one
        for one in workspace.messages
        if one.channel == channel.id and not one.ephemeral_to and (not one.thread_ts or one.is_broadcast)
    ]
    newest_first = [_shown(workspace, one, given) for one in reversed(_between(found, given))]
    return _page(newest_first, given, "messages") | {"pin_count": 0}


def replies(workspace: Workspace, given: Arguments) -> Json:
    channel = workspace.channel(given.required("channel"))
    try:
        parent = workspace.message(channel.id, given.required("ts"))
    except SlackRefusal as error:
        raise SlackRefusal("thread_not_found") from error
    found = [one for one in workspace.replies(channel.id, parent.ts) if one is not parent]
    thread = [parent, *_between(found, given)]
    return _page([_shown(workspace, one, given) for one in thread], given, "messages")


def user_info(workspace: Workspace, given: Arguments) -> Json:
    return {"user": workspace.person(given.required("user")).as_json()}


def list_users(workspace: Workspace, given: Arguments) -> Json:
    return _page([one.as_json() for one in workspace.people.values()], given, "members")


def look_up_by_email(workspace: Workspace, given: Arguments) -> Json:
    email = given.required("email")
    for person in workspace.people.values():
        shown = person.as_json()
        if shown["profile"].get("email") == email:
            return {"user": shown}
    raise SlackRefusal("users_not_found")


def list_group_users(workspace: Workspace, given: Arguments) -> Json:
    group = given.required("usergroup")
    if group not in workspace.usergroups:
        raise SlackRefusal("no_such_subteam")
    return {"users": workspace.usergroups[group]}


def _shown(workspace: Workspace, message: Message, given: Arguments) -> Json:
    return workspace.message_json(message, with_metadata=given.flag("include_all_metadata"))


def _between(messages: list[Message], given: Arguments) -> list[Message]:
    oldest, latest = given.text("oldest", "0"), given.text("latest") or "9999999999.999999"
    if given.flag("inclusive"):
        return [one for one in messages if _order(oldest) <= _order(one.ts) <= _order(latest)]
    return [one for one in messages if _order(oldest) < _order(one.ts) < _order(latest)]


def _order(ts: str) -> tuple[int, str]:
    seconds, _, rest = ts.partition(".")
    if not seconds.isdecimal():
        raise SlackRefusal("invalid_ts_oldest", f"not a timestamp: {ts}")
    return int(seconds), rest.ljust(6, "0")


def _page(rows: list[Json] | list[str], given: Arguments, name: str) -> Json:
    cursor = given.text("cursor") or "0"
    if not cursor.isdecimal():
        raise SlackRefusal("invalid_cursor")
    first, limit = int(cursor), min(given.number("limit", PAGE_SIZE) or PAGE_SIZE, PAGE_LIMIT)
    has_more = len(rows) > first + limit
    following = str(first + limit) if has_more else ""
    page = {name: rows[first : first + limit], "response_metadata": {"next_cursor": following}}
    return page | ({"has_more": has_more} if name == "messages" else {})
