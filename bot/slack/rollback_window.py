"""The window that shows what an undo would do before it is done, for the button and for the slash command."""

from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import modals
from bot.slack.buttons import Signer
from core.errors import ResolverError
from core.intake import Intake
from core.resolution import SnapshotId


@dataclass(frozen=True, slots=True)
class RollbackWindow:
    """Opened at once and filled later: a trigger lives three seconds, a dry run may take longer."""

    intake: Intake
    client: AsyncWebClient
    signer: Signer

    async def open(self, trigger_id: str) -> str:
        """The id of the view; SlackApiError where Slack does not open it."""
        opened = await self.client.views_open(trigger_id=trigger_id, view=modals.looking_modal())
        return str(opened["view"]["id"])

    async def fill(self, view_id: str, snapshot_id: SnapshotId, *, place: tuple[str, str]) -> None:
        """`place` is where it was asked from: (channel, ts of the card or "")."""
        try:
            report = await self.intake.preview_rollback(snapshot_id)
            view = modals.rollback_modal(report, signer=self.signer, snapshot_id=snapshot_id, place=place)
        except ResolverError as error:
            view = modals.notice(str(error), title="Roll back")
        await self.client.views_update(view_id=view_id, view=view)
