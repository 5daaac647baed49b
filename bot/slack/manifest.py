"""What the app needs of Slack; `slack_manifest.yaml` says the same, and a test compares the two."""

from bot.slack.listeners import COMMAND

BOT_SCOPES = frozenset(
    {
        "app_mentions:read",
        "channels:history",
        "channels:read",
        "chat:write",
        "commands",
        "groups:history",
        "groups:read",
        "usergroups:read",
        "users:read",
    }
)
"""Scopes by the Web API methods that are called: conversations.info, .members and .history, users.info, chat.*, …"""

BOT_EVENTS = frozenset({"app_mention"})
COMMANDS = frozenset({COMMAND})
