"""What Slack would act upon in a text: everything between < and > that is not ours."""

import re
from collections.abc import Iterator

from bot.demo.slack.blocks import walk

_TOKEN = re.compile(r"<[^<>]*>|<")
_OURS = re.compile(r"<!date\^\d+\^\{date_short_pretty\} \{time_secs\}\|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC>")


def acted_upon(text: str) -> list[str]:
    """Mentions, links and loose angle brackets in mrkdwn; the tokens of times are ours."""
    return [one for one in _TOKEN.findall(text) if not _OURS.fullmatch(one)]


def mrkdwn_of(node: object) -> Iterator[str]:
    """Every text that Slack reads as mrkdwn."""
    for _, one in walk(node):
        if one.get("type") == "mrkdwn":
            yield one["text"]


def plain_of(node: object) -> Iterator[str]:
    for _, one in walk(node):
        if one.get("type") == "plain_text":
            yield one["text"]
