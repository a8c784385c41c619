"""What a decline means, what is told of a card that expires, and when a card was renewed.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def run(statement: str) -> None:
    """Plain SQL, as it is: colons and percent signs mean nothing to the driver."""
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def upgrade() -> None:
    create_collecting()


def downgrade() -> None:
    drop_collecting()


# -- collecting: what a decline means, by which method a payment was kept, and who was told that a card expires


def create_collecting() -> None:
    for column in ("decline_kind", "decline_advice"):
        op.add_column("payment", sa.Column(column, sa.Text(collation="C"), nullable=True))
    op.add_column("payment_method", sa.Column("expiry_told", sa.Date(), nullable=True))
    op.add_column("payment_method", sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=True))
    for role in ("matrix_app", "matrix_crossing"):
        run(f"grant update (method_id, decline_kind, decline_advice) on payment to {role}")
        run(f"grant update (expiry_told, renewed_at) on payment_method to {role}")


def drop_collecting() -> None:
    for role in ("matrix_app", "matrix_crossing"):
        run(f"revoke update (method_id) on payment from {role}")
    for column in ("renewed_at", "expiry_told"):
        op.drop_column("payment_method", column)
    for column in ("decline_advice", "decline_kind"):
        op.drop_column("payment", column)
