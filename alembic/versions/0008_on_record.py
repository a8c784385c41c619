"""Held jobs are seen by staff.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def run(statement: str) -> None:
    """Plain SQL, as it is: colons and percent signs mean nothing to the driver."""
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def upgrade() -> None:
    create_held_jobs()


def downgrade() -> None:
    drop_held_jobs()


# -- held jobs: staff reads them as it reads everything else, in work that crosses tenants


def create_held_jobs() -> None:
    run("grant select on pgqueuer, pgqueuer_log to matrix_crossing")


def drop_held_jobs() -> None:
    run("revoke select on pgqueuer, pgqueuer_log from matrix_crossing")
