"""The first tables."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).parent


def upgrade() -> None:
    _run("0001_up.sql")


def downgrade() -> None:
    _run("0001_down.sql")


def _run(name: str) -> None:
    """Statements are separated by a line that holds only `--;`: triggers hold semicolons of their own."""
    for statement in (_FOLDER / name).read_text(encoding="utf-8").split("\n--;\n"):
        if statement.strip():
            op.execute(statement.replace(":", "\\:"))
