"""How Slack says no."""


class SlackRefusal(Exception):  # noqa: N818 - Slack answers these; they are no failures of the stand-in
    """A business error as Slack names it: told with HTTP 200 and `ok: false`."""

    def __init__(self, code: str, *messages: str) -> None:
        super().__init__(": ".join([code, "; ".join(messages)]) if messages else code)
        self.code = code
        self.messages = messages
