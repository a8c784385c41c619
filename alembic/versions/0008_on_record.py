"""What a trial gave free.

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


def downgrade() -> None:
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
