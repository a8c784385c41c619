"""Versions of what staff edit, and looking into the log by the address somebody came from.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_versions()
    create_reads()


def downgrade() -> None:
    drop_reads()
    drop_versions()


# -- versions: of products and plans, so that nobody's change of a name or an offer is lost to another's

_EDITED = ("product", "plan")


def create_versions() -> None:
    for table in _EDITED:
        op.add_column(table, sa.Column("version", sa.Integer(), server_default="1", nullable=False))


def drop_versions() -> None:
    for table in reversed(_EDITED):
        op.drop_column(table, "version")


# -- reads: the log by where somebody came from; what nobody at a door caused has no address


def create_reads() -> None:
    op.create_index("ix_event_address", "event", ["address", "id"], postgresql_where=sa.text("address <> ''"))


def drop_reads() -> None:
    op.drop_index("ix_event_address", table_name="event", postgresql_where=sa.text("address <> ''"))
