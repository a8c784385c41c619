"""What a trial gave free, what a decline means, when a card was renewed, versions of what staff edit, and looking into
the log by the address somebody came from.

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
    create_versions()
    create_reads()


def downgrade() -> None:
    drop_reads()
    drop_versions()
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
