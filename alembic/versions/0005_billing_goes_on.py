"""What billing needs to go on by itself: plans that move their subscribers, usage that is billed without a plan.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def run(statement: str) -> None:
    """Plain SQL, as it is: colons and percent signs mean nothing to the driver."""
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def upgrade() -> None:
    create_for_runs()
    create_for_plans()
    create_for_usage()
    create_for_pages()


def downgrade() -> None:
    drop_for_pages()
    drop_for_usage()
    drop_for_plans()
    drop_for_runs()


# -- billing in sets


def create_for_runs() -> None:
    """Nothing yet."""


def drop_for_runs() -> None:
    """Nothing yet."""


# -- plans and who is subscribed to them


def create_for_plans() -> None:
    """Nothing yet."""


def drop_for_plans() -> None:
    """Nothing yet."""


# -- usage, wallets and budgets


def create_for_usage() -> None:
    """Nothing yet."""


def drop_for_usage() -> None:
    """Nothing yet."""


# -- what staff pages need


def create_for_pages() -> None:
    """Nothing yet."""


def drop_for_pages() -> None:
    """Nothing yet."""
