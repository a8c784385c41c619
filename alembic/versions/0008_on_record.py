"""Versions of what staff edit.

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


def downgrade() -> None:
    drop_versions()


# -- versions: of products and plans, so that nobody's change of a name or an offer is lost to another's

_EDITED = ("product", "plan")


def create_versions() -> None:
    for table in _EDITED:
        op.add_column(table, sa.Column("version", sa.Integer(), server_default="1", nullable=False))


def drop_versions() -> None:
    for table in reversed(_EDITED):
        op.drop_column(table, "version")
