"""What the rest stands on: members and invitations, second factors, projects, service accounts, notifications,
files, tasks, invariants, and where an event came from.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# As in 0001: what the application role may do beside what row-level security lets it see.
APPLICATION_RIGHTS = {
    "invitation": "select, insert, update",
    "service_account": "select, insert, update",
    "project": "select, insert, update",
    "stored_file": "select, insert, update",
    "task": "select, insert, update",
}
CROSSING_ONLY = (
    "sign_in",
    "authenticator",
    "recovery_code",
    "sign_in_challenge",
    "notification",
    "notification_preference",
    "invariant_result",
)
# What the sweeps of the file store look for.
STORED_FILE_SWEEPS = (
    ("ix_stored_file_arriving", ("created_at",), "stored_at is null and deleted_at is null"),
    ("ix_stored_file_expiring", ("expires_at",), "deleted_at is null"),
    (
        "ix_stored_file_to_purge",
        (sa.text("purge_tried_at nulls first"), "deleted_at"),
        "deleted_at is not null and purged_at is null",
    ),
)
IN_SCOPE = "organization_id = any ((select matrix_scope())::text[])"


def run(statement: str) -> None:
    """Plain SQL, as it is: colons and percent signs mean nothing to the driver."""
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def upgrade() -> None:
    create_tables()
    for table, rights in APPLICATION_RIGHTS.items():
        secure(table)
        run(f"grant {rights} on {table} to matrix_app")
    for table in (*APPLICATION_RIGHTS, *CROSSING_ONLY):
        run(f"grant select, insert, update, delete on {table} to matrix_crossing")
    show_members()


def show_members() -> None:
    """Whoever looks after members sees when each was last here and whether a second step is on, and may end a
    session that works here: nothing else of what is a person's own."""
    secure("session")
    run("grant select (id, account_id, organization_id, last_seen_at, ended_at) on session to matrix_app")
    run("grant update (ended_at) on session to matrix_app")
    secure(
        "authenticator",
        visible="exists (select from membership m where m.account_id = authenticator.account_id)",
    )
    run("grant select (account_id, confirmed_at) on authenticator to matrix_app")


def secure(table: str, *, visible: str = IN_SCOPE) -> None:
    run(f"alter table {table} enable row level security")
    run(f"alter table {table} force row level security")
    run(f"create policy tenant on {table} to matrix_app using ({visible}) with check ({visible})")
    run(f"create policy crossing on {table} to matrix_crossing using (true) with check (true)")
    run(f"create policy migration on {table} to current_user using (true) with check (true)")


def create_tables() -> None:
    op.create_table(
        "invariant_result",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("broken_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_invariant_result")),
    )
    op.create_table(
        "authenticator",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("seed_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_authenticator_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_authenticator")),
    )
    op.create_table(
        "notification_preference",
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("topic", sa.Text(collation="C"), nullable=False),
        sa.Column("channel", sa.Text(collation="C"), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_notification_preference_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "topic", "channel", name=op.f("pk_notification_preference")),
    )
    op.create_table(
        "recovery_code",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_recovery_code_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_recovery_code_code_hash")),
    )
    op.create_index(op.f("ix_recovery_code_account_id"), "recovery_code", ["account_id"], unique=False)
    op.create_table(
        "sign_in",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("session_id", sa.Text(collation="C"), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("user_agent", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_sign_in_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in")),
    )
    op.create_index("ix_sign_in_account_id", "sign_in", ["account_id", "at", "id"], unique=False)
    op.create_table(
        "sign_in_challenge",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("sign_in_id", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_sign_in_challenge_account_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sign_in_challenge")),
    )
    op.create_index(
        op.f("ix_sign_in_challenge_account_id"), "sign_in_challenge", ["account_id"], unique=False
    )
    op.create_table(
        "invitation",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("email_key", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("invited_by", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.Text(collation="C"), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["accepted_by"], ["account.id"], name=op.f("fk_invitation_accepted_by")),
        sa.ForeignKeyConstraint(["invited_by"], ["account.id"], name=op.f("fk_invitation_invited_by")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_invitation_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitation_token_hash")),
    )
    op.create_index("ix_invitation_organization_id", "invitation", ["organization_id", "id"], unique=False)
    op.create_index(
        "uq_invitation_open",
        "invitation",
        ["organization_id", "email_key"],
        unique=True,
        postgresql_where=sa.text("accepted_at is null and revoked_at is null"),
    )
    op.create_table(
        "notification",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.Text(collation="C"), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("href", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_notification_account_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_notification_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
        sa.UniqueConstraint(
            "account_id", "event_id", "topic", name=op.f("uq_notification_account_id_event_id_topic")
        ),
    )
    op.create_index(
        "ix_notification_account_id",
        "notification",
        ["account_id", sa.text("created_at desc"), "id"],
        unique=False,
    )
    op.create_index(
        "ix_notification_unread",
        "notification",
        ["account_id"],
        unique=False,
        postgresql_where=sa.text("read_at is null"),
    )
    op.create_table(
        "project",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_by", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_project_created_by")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_project_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("organization_id", "name_key", name=op.f("uq_project_organization_id_name_key")),
    )
    op.create_table(
        "service_account",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_by", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_service_account_created_by")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_service_account_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_account")),
        sa.UniqueConstraint(
            "organization_id", "name_key", name=op.f("uq_service_account_organization_id_name_key")
        ),
    )
    op.create_table(
        "stored_file",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("purpose", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("needs", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purge_tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_stored_file_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_file")),
    )
    op.create_index("ix_stored_file_organization_id", "stored_file", ["organization_id", "id"], unique=False)
    op.create_index(
        "ix_stored_file_held",
        "stored_file",
        ["organization_id", "size_bytes"],
        unique=False,
        postgresql_where=sa.text("purged_at is null"),
    )
    for name, columns, condition in STORED_FILE_SWEEPS:
        op.create_index(name, "stored_file", list(columns), unique=False, postgresql_where=sa.text(condition))
    op.create_table(
        "task",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("asked_by", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("dedupe_key", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("checkpoint", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("file_id", sa.Text(collation="C"), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("holder", sa.Text(collation="C"), nullable=False),
        sa.Column("cancel_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('waiting','running','done','failed','cancelled')", name=op.f("ck_task_state")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_task_file_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_task_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task")),
    )
    op.create_index(
        "uq_task_under_way",
        "task",
        ["organization_id", "dedupe_key"],
        unique=True,
        postgresql_where=sa.text("state in ('waiting','running')"),
    )
    op.create_index(
        "ix_task_due",
        "task",
        ["due_at", "id"],
        unique=False,
        postgresql_where=sa.text("state in ('waiting','running')"),
    )
    op.create_index(
        "ix_task_organization_id", "task", ["organization_id", sa.text("created_at desc"), "id"], unique=False
    )
    op.add_column("mail", sa.Column("html", sa.Text(), server_default="", nullable=False))
    op.add_column("mail", sa.Column("unsubscribe", sa.String(), server_default="", nullable=False))
    op.add_column("account", sa.Column("password_changed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_key", sa.Column("project_id", sa.Text(collation="C"), nullable=True))
    op.add_column("api_key", sa.Column("service_account_id", sa.Text(collation="C"), nullable=True))
    op.create_index(op.f("ix_api_key_project_id"), "api_key", ["project_id"], unique=False)
    op.create_index(op.f("ix_api_key_service_account_id"), "api_key", ["service_account_id"], unique=False)
    op.create_foreign_key(
        op.f("fk_api_key_service_account_id"), "api_key", "service_account", ["service_account_id"], ["id"]
    )
    op.create_foreign_key(op.f("fk_api_key_project_id"), "api_key", "project", ["project_id"], ["id"])
    op.add_column("event", sa.Column("address", sa.String(), nullable=False, server_default=""))
    op.create_index("ix_event_actor_id", "event", ["actor_id", "id"], unique=False)
    op.create_index("ix_event_type", "event", ["type", "id"], unique=False)
    op.create_index("ix_event_recorded_at", "event", ["recorded_at"], unique=False, postgresql_using="brin")
    op.add_column("membership", sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "session",
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    run("update session set proved_at = created_at")
    op.add_column(
        "session", sa.Column("second_factor", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    for policy in ("tenant", "crossing", "migration"):
        run(f"drop policy {policy} on session")
    run("alter table session no force row level security")
    run("alter table session disable row level security")
    run("revoke select (id, account_id, organization_id, last_seen_at, ended_at) on session from matrix_app")
    run("revoke update (ended_at) on session from matrix_app")
    op.drop_column("session", "second_factor")
    op.drop_column("session", "proved_at")
    op.drop_column("membership", "suspended_at")
    op.drop_index("ix_event_recorded_at", table_name="event", postgresql_using="brin")
    op.drop_index("ix_event_type", table_name="event")
    op.drop_index("ix_event_actor_id", table_name="event")
    op.drop_column("event", "address")
    op.drop_constraint(op.f("fk_api_key_project_id"), "api_key", type_="foreignkey")
    op.drop_constraint(op.f("fk_api_key_service_account_id"), "api_key", type_="foreignkey")
    op.drop_index(op.f("ix_api_key_service_account_id"), table_name="api_key")
    op.drop_index(op.f("ix_api_key_project_id"), table_name="api_key")
    op.drop_column("api_key", "service_account_id")
    op.drop_column("api_key", "project_id")
    op.drop_column("account", "password_changed_at")
    op.drop_column("mail", "unsubscribe")
    op.drop_column("mail", "html")
    op.drop_index("ix_task_organization_id", table_name="task")
    op.drop_index(
        "ix_task_due", table_name="task", postgresql_where=sa.text("state in ('waiting','running')")
    )
    op.drop_table("task")
    op.drop_index("ix_stored_file_organization_id", table_name="stored_file")
    op.drop_table("stored_file")
    op.drop_table("service_account")
    op.drop_table("project")
    op.drop_index(
        "ix_notification_unread", table_name="notification", postgresql_where=sa.text("read_at is null")
    )
    op.drop_index("ix_notification_account_id", table_name="notification")
    op.drop_table("notification")
    op.drop_index(
        "uq_invitation_open",
        table_name="invitation",
        postgresql_where=sa.text("accepted_at is null and revoked_at is null"),
    )
    op.drop_index("ix_invitation_organization_id", table_name="invitation")
    op.drop_table("invitation")
    op.drop_index(op.f("ix_sign_in_challenge_account_id"), table_name="sign_in_challenge")
    op.drop_table("sign_in_challenge")
    op.drop_index("ix_sign_in_account_id", table_name="sign_in")
    op.drop_table("sign_in")
    op.drop_index(op.f("ix_recovery_code_account_id"), table_name="recovery_code")
    op.drop_table("recovery_code")
    op.drop_table("notification_preference")
    op.drop_table("authenticator")
    op.drop_table("invariant_result")
