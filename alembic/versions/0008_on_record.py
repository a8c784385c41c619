"""What a trial gave free, what a decline means, and when a card was renewed.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def run(statement: str) -> None:
    """Plain SQL, as it is: colons and percent signs mean nothing to the driver."""
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def upgrade() -> None:
    create_trials()
    create_collecting()


def downgrade() -> None:
    drop_collecting()
    drop_trials()


# -- trials: which meters were free in them, and when


def create_trials() -> None:
    op.add_column(
        "subscription", sa.Column("tried", JSONB(), nullable=False, server_default=sa.text("'[]'::jsonb"))
    )
    op.alter_column("subscription", "tried", server_default=None)
    # As it was billed until now: all that a subscription has metered was free from its start to the end of its trial.
    run(
        "update subscription s set tried = w.tried from ("
        "  select t.subscription_id, jsonb_agg(distinct jsonb_build_object("
        "    'meter', c.meter, 'since', b.started_at, 'until', null)) as tried"
        "  from subscription b join subscription_item t on t.subscription_id = b.id"
        "  join plan_charge c on c.id = t.price_id"
        "  where b.trial_end is not null and c.meter is not null group by 1"
        ") w where w.subscription_id = s.id"
    )


def drop_trials() -> None:
    op.drop_column("subscription", "tried")


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
