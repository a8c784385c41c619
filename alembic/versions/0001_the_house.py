"""The house: identity, gateway, metering, price book, event log, and row-level security on all of it.

Needs PostgreSQL 17 or newer (identity columns on partitioned tables).
"""

from __future__ import annotations

import sqlalchemy as sa
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


PARTITIONS = 8
PARTITIONED = ("request", "usage_event", "usage_delta", "usage_minute", "usage_hour", "usage_day")

# What the application role may do with each table, besides what row-level security lets it see. Tables not
# named here are reached only by the crossing role. Log-like tables cannot be changed by anybody.
APPLICATION_RIGHTS = {
    "account": "select",
    "organization": "select, update",
    "membership": "select, insert, update, delete",
    "api_key": "select, insert, update",
    "meter": "select, insert, update",
    "request": "select, insert",
    "usage_event": "select, insert",
    "usage_delta": "select, insert",
    "usage_minute": "select",
    "usage_hour": "select",
    "usage_day": "select",
    "event": "select, insert",
    "idempotency_record": "select, insert, update, delete",
    "model": "select",
    "price": "select",
    "test_clock": "select",
}
CROSSING_ONLY = (
    "session",
    "mail_token",
    "throttle",
    "upstream",
    "rate_lease",
    "subscriber_cursor",
    "mail",
    "key_fingerprint",
    "heartbeat",
)
WRITTEN_ONCE = ("key_fingerprint",)
APPEND_ONLY = {"event": "position", "usage_event": "properties"}  # and the one column that may change
TENANT_COLUMN = {
    "organization": "id",
    "membership": "organization_id",
    "api_key": "organization_id",
    "meter": "organization_id",
    "request": "organization_id",
    "usage_event": "organization_id",
    "usage_delta": "organization_id",
    "usage_minute": "organization_id",
    "usage_hour": "organization_id",
    "usage_day": "organization_id",
    "event": "organization_id",
    "idempotency_record": "organization_id",
}
# The sub-select makes PostgreSQL read the setting once per statement, not once per row.
IN_SCOPE = "{column} = any ((select matrix_scope())::text[])"


def run(statement: str) -> None:
    """Plain SQL, as it is: colons and percent signs mean nothing to the driver."""
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def upgrade() -> None:
    create_roles()
    run("create extension if not exists btree_gist")
    create_tables()
    create_partitions()
    run(
        "alter table price add constraint ex_price_validity exclude using gist"
        " (model with =, meter with =, currency with =, tstzrange(valid_from, valid_to) with &&)"
    )
    run(QueryBuilderEnvironment().build_install_query(create_schema=False))
    secure_rows()
    grant_rights()


def create_roles() -> None:
    """On a database of one's own the roles may be missing; the embedded one has them already."""
    run(
        """
        do $$ begin
          if not exists (select from pg_roles where rolname = 'matrix_app') then
            create role matrix_app nologin nobypassrls;
            execute format('grant matrix_app to %I', current_user);
          end if;
          if not exists (select from pg_roles where rolname = 'matrix_crossing') then
            create role matrix_crossing nologin nobypassrls;
            grant matrix_crossing to matrix_app with inherit false, set true;
            execute format('grant matrix_crossing to %I', current_user);
          end if;
        end $$
        """
    )


def create_partitions() -> None:
    for table in PARTITIONED:
        for number in range(PARTITIONS):
            run(
                f"create table {table}_p{number} partition of {table}"
                f" for values with (modulus {PARTITIONS}, remainder {number})"
            )


def secure_rows() -> None:
    run(
        "create function matrix_scope() returns text[] language sql stable parallel safe as"
        " $$ select string_to_array(nullif(current_setting('matrix.scope', true), ''), ',') $$"
    )
    for table, column in TENANT_COLUMN.items():
        in_scope = IN_SCOPE.format(column=column)
        secure(table, visible=in_scope, writable=in_scope)
    # The installation's own meters are seen by all, and by a policy for reading alone: one that lets them be
    # seen for an update would let a tenant take them over.
    run("create policy platform on meter for select to matrix_app using (organization_id is null)")
    # People are seen by those who share an organisation with them; the inner read is under its own policy.
    secure(
        "account",
        visible="exists (select from membership m where m.account_id = account.id)",
        writable="false",
    )


def secure(table: str, *, visible: str, writable: str) -> None:
    run(f"alter table {table} enable row level security")
    run(f"alter table {table} force row level security")
    run(f"create policy tenant on {table} to matrix_app using ({visible}) with check ({writable})")
    run(f"create policy crossing on {table} to matrix_crossing using (true) with check (true)")
    run(f"create policy migration on {table} to current_user using (true) with check (true)")


def grant_rights() -> None:
    run("grant usage on schema public to matrix_app, matrix_crossing")
    for table, rights in APPLICATION_RIGHTS.items():
        run(f"grant {rights} on {table} to matrix_app")
    # Which models can be called depends on it; addresses and keys of upstreams stay out of reach.
    run("grant select (id, enabled) on upstream to matrix_app")
    for table in (*APPLICATION_RIGHTS, *CROSSING_ONLY):
        run(f"grant select, insert, update, delete on {table} to matrix_crossing")
    for table in WRITTEN_ONCE:
        run(f"revoke update, delete on {table} from matrix_crossing")
    for table, column in APPEND_ONLY.items():
        run(f"revoke update, delete on {table} from matrix_crossing")
        run(f"grant update ({column}) on {table} to matrix_crossing")
    jobs = "pgqueuer, pgqueuer_log, pgqueuer_schedules, pgqueuer_statistics"
    run(f"grant select, insert, update, delete, truncate on {jobs} to matrix_app")
    run(
        "grant select on alembic_version to matrix_app, matrix_crossing"
    )  # readiness compares it with the code
    run("grant usage on all sequences in schema public to matrix_app")


def create_tables() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("email_key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("email_key", name=op.f("uq_account_email_key")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("type", sa.Text(collation="C"), nullable=False),
        sa.Column("aggregate_id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=True),
        sa.Column("actor_id", sa.Text(collation="C"), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trace_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index("ix_event_aggregate_id", "event", ["aggregate_id", "id"], unique=False)
    op.create_index("ix_event_organization_id", "event", ["organization_id", "id"], unique=False)
    op.create_index(
        "ix_event_unpositioned", "event", ["id"], unique=False, postgresql_where=sa.text("position is null")
    )
    op.create_index("uq_event_position", "event", ["position"], unique=True)
    op.create_table(
        "idempotency_record",
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "key", name=op.f("pk_idempotency_record")),
    )
    op.create_table(
        "heartbeat",
        sa.Column("part", sa.Text(collation="C"), nullable=False),
        sa.Column("beaten_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("part", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "key_fingerprint",
        sa.Column("purpose", sa.Text(collation="C"), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("purpose", name=op.f("pk_key_fingerprint")),
    )
    op.create_table(
        "mail",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("dedupe_key", sa.Text(collation="C"), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_mail_dedupe_key")),
    )
    op.create_index("ix_mail_created_at", "mail", [sa.text("created_at desc"), "id"], unique=False)
    op.create_table(
        "rate_lease",
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("process", sa.Text(collation="C"), nullable=False),
        sa.Column("share_per_minute", sa.Integer(), nullable=False),
        sa.Column("demand_per_minute", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", "process", name=op.f("pk_rate_lease")),
    )
    op.create_table(
        "request",
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("key_id", sa.Text(collation="C"), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("model", sa.Text(collation="C"), nullable=False),
        sa.Column("upstream_id", sa.Text(collation="C"), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("streamed", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("tokens_source", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("first_token_ms", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Numeric(precision=30, scale=12), nullable=True),
        sa.Column(
            "cost_order",
            sa.BigInteger(),
            sa.Computed("least(trunc(cost * 1000000000000), 9223372036854775807)::bigint", persisted=True),
            nullable=True,
        ),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_request")),
        postgresql_partition_by="HASH (organization_id)",
    )
    op.create_index(
        "ix_request_organization_id_key_id",
        "request",
        ["organization_id", "key_id", "started_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_request_organization_id_latency_ms",
        "request",
        ["organization_id", "latency_ms", "id"],
        unique=False,
    )
    op.create_index(
        "ix_request_organization_id_cost_order",
        "request",
        ["organization_id", "cost_order", "id"],
        unique=False,
    )
    op.create_index(
        "ix_request_organization_id_started_at",
        "request",
        ["organization_id", "started_at", "id"],
        unique=False,
    )
    op.create_table(
        "subscriber_cursor",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_subscriber_cursor")),
    )
    op.create_table(
        "test_clock",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("now_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("follows_wall", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_test_clock")),
    )
    op.create_table(
        "throttle",
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_throttle")),
    )
    op.create_table(
        "upstream",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("base_url", sa.String(), nullable=False),
        sa.Column("api_key_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("connect_timeout_s", sa.Integer(), nullable=False),
        sa.Column("read_timeout_s", sa.Integer(), nullable=False),
        sa.Column("on_hangup", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind in ('builtin','openai')", name=op.f("ck_upstream_kind")),
        sa.CheckConstraint("on_hangup in ('cancel','drain')", name=op.f("ck_upstream_on_hangup")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upstream")),
        sa.UniqueConstraint("name", name=op.f("uq_upstream_name")),
    )
    op.create_table(
        "usage_day",
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("meter_id", sa.Text(collation="C"), nullable=False),
        sa.Column("bucket", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.Text(collation="C"), nullable=False),
        sa.Column("key_id", sa.Text(collation="C"), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=38, scale=12), nullable=False),
        sa.Column("smallest", sa.Numeric(precision=38, scale=12), nullable=True),
        sa.Column("largest", sa.Numeric(precision=38, scale=12), nullable=True),
        sa.Column("cost", sa.Numeric(precision=30, scale=12), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "meter_id", "bucket", "model", "key_id", name=op.f("pk_usage_day")
        ),
        postgresql_partition_by="HASH (organization_id)",
    )
    op.create_table(
        "usage_delta",
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("meter_id", sa.Text(collation="C"), nullable=False),
        sa.Column("bucket", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.Text(collation="C"), nullable=False),
        sa.Column("key_id", sa.Text(collation="C"), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=38, scale=12), nullable=False),
        sa.Column("smallest", sa.Numeric(precision=38, scale=12), nullable=True),
        sa.Column("largest", sa.Numeric(precision=38, scale=12), nullable=True),
        sa.Column("cost", sa.Numeric(precision=30, scale=12), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_usage_delta")),
        postgresql_partition_by="HASH (organization_id)",
    )
    op.create_index(
        "ix_usage_delta_organization_id_bucket", "usage_delta", ["organization_id", "bucket"], unique=False
    )
    op.create_table(
        "usage_event",
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("event_id", sa.Text(collation="C"), nullable=False),
        sa.Column("type", sa.Text(collation="C"), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.Text(collation="C"), nullable=False),
        sa.Column("key_id", sa.Text(collation="C"), nullable=False),
        sa.Column("properties", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("cost", sa.Numeric(precision=30, scale=12), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("price_ids", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "source", "event_id", name=op.f("pk_usage_event")),
        postgresql_partition_by="HASH (organization_id)",
    )
    op.create_index(
        "ix_usage_event_type_organization_id_time",
        "usage_event",
        ["type", "organization_id", "time"],
        unique=False,
    )
    op.create_table(
        "usage_hour",
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("meter_id", sa.Text(collation="C"), nullable=False),
        sa.Column("bucket", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.Text(collation="C"), nullable=False),
        sa.Column("key_id", sa.Text(collation="C"), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=38, scale=12), nullable=False),
        sa.Column("smallest", sa.Numeric(precision=38, scale=12), nullable=True),
        sa.Column("largest", sa.Numeric(precision=38, scale=12), nullable=True),
        sa.Column("cost", sa.Numeric(precision=30, scale=12), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "meter_id", "bucket", "model", "key_id", name=op.f("pk_usage_hour")
        ),
        postgresql_partition_by="HASH (organization_id)",
    )
    op.create_table(
        "usage_minute",
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("meter_id", sa.Text(collation="C"), nullable=False),
        sa.Column("bucket", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model", sa.Text(collation="C"), nullable=False),
        sa.Column("key_id", sa.Text(collation="C"), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=38, scale=12), nullable=False),
        sa.Column("smallest", sa.Numeric(precision=38, scale=12), nullable=True),
        sa.Column("largest", sa.Numeric(precision=38, scale=12), nullable=True),
        sa.Column("cost", sa.Numeric(precision=30, scale=12), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization_id", "meter_id", "bucket", "model", "key_id", name=op.f("pk_usage_minute")
        ),
        postgresql_partition_by="HASH (organization_id)",
    )
    op.create_table(
        "mail_token",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_mail_token_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_mail_token_token_hash")),
    )
    op.create_index(op.f("ix_mail_token_account_id"), "mail_token", ["account_id"], unique=False)
    op.create_table(
        "model",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("slug", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("upstream_id", sa.Text(collation="C"), nullable=False),
        sa.Column("upstream_model", sa.String(), nullable=False),
        sa.Column("endpoints", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("context_tokens", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["upstream_id"], ["upstream.id"], name=op.f("fk_model_upstream_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
        sa.UniqueConstraint("slug", name=op.f("uq_model_slug")),
    )
    op.create_index(op.f("ix_model_upstream_id"), "model", ["upstream_id"], unique=False)
    op.create_table(
        "organization",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("billing_mode", sa.String(), nullable=False),
        sa.Column("test_clock_id", sa.Text(collation="C"), nullable=True),
        sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "billing_mode in ('postpaid','prepaid')", name=op.f("ck_organization_billing_mode")
        ),
        sa.CheckConstraint(
            "kind in ('client','partner','developer','operator')", name=op.f("ck_organization_kind")
        ),
        sa.ForeignKeyConstraint(
            ["test_clock_id"], ["test_clock.id"], name=op.f("fk_organization_test_clock_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organization")),
    )
    op.create_index("ix_organization_created_at", "organization", ["created_at", "id"], unique=False)
    op.create_index("ix_organization_name_key", "organization", ["name_key", "id"], unique=False)
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("models", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("requests_per_minute", sa.Integer(), nullable=True),
        sa.Column("tokens_per_minute", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replaces_id", sa.Text(collation="C"), nullable=True),
        sa.Column("created_by", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_api_key_created_by")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_api_key_organization_id")
        ),
        sa.ForeignKeyConstraint(["replaces_id"], ["api_key.id"], name=op.f("fk_api_key_replaces_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_key_secret_hash")),
    )
    op.create_index("ix_api_key_organization_id", "api_key", ["organization_id", "id"], unique=False)
    op.create_index("ix_api_key_created_at", "api_key", ["organization_id", "created_at", "id"], unique=False)
    op.create_table(
        "membership",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_membership_account_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_membership_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_membership")),
        sa.UniqueConstraint(
            "organization_id", "account_id", name=op.f("uq_membership_organization_id_account_id")
        ),
    )
    op.create_index(op.f("ix_membership_account_id"), "membership", ["account_id"], unique=False)
    op.create_table(
        "meter",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=True),
        sa.Column("slug", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("event_type", sa.Text(collation="C"), nullable=False),
        sa.Column("aggregation", sa.String(), nullable=False),
        sa.Column("value_property", sa.String(), nullable=True),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_meter_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter")),
    )
    op.create_index("uq_meter_slug", "meter", [sa.text("coalesce(organization_id, '')"), "slug"], unique=True)
    op.create_table(
        "price",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("model", sa.Text(collation="C"), nullable=False),
        sa.Column("meter", sa.Text(collation="C"), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("unit_amount", sa.Numeric(precision=30, scale=12), nullable=False),
        sa.Column("per_units", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("per_units > 0", name=op.f("ck_price_per_units")),
        sa.CheckConstraint("unit_amount >= 0", name=op.f("ck_price_unit_amount")),
        sa.CheckConstraint("valid_to is null or valid_to > valid_from", name=op.f("ck_price_validity")),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_price_created_by")),
        sa.ForeignKeyConstraint(["model"], ["model.slug"], name=op.f("fk_price_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price")),
    )
    op.create_index(
        "ix_price_model_meter_currency", "price", ["model", "meter", "currency", "valid_from"], unique=False
    )
    op.create_table(
        "session",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Text(collation="C"), nullable=False),
        sa.Column("organization_id", sa.Text(collation="C"), nullable=True),
        sa.Column("user_agent", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_session_account_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_session_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_session_token_hash")),
    )
    op.create_index(op.f("ix_session_account_id"), "session", ["account_id"], unique=False)


def downgrade() -> None:
    run(QueryBuilderEnvironment().build_uninstall_query())
    run("drop policy tenant on account")  # it reads membership, which goes first
    drop_tables()
    run("drop function matrix_scope()")


def drop_tables() -> None:
    op.drop_index(op.f("ix_session_account_id"), table_name="session")
    op.drop_table("session")
    op.drop_index("ix_price_model_meter_currency", table_name="price")
    op.drop_table("price")
    op.drop_index("uq_meter_slug", table_name="meter")
    op.drop_table("meter")
    op.drop_index(op.f("ix_membership_account_id"), table_name="membership")
    op.drop_table("membership")
    op.drop_index("ix_api_key_created_at", table_name="api_key")
    op.drop_index("ix_api_key_organization_id", table_name="api_key")
    op.drop_table("api_key")
    op.drop_index("ix_organization_name_key", table_name="organization")
    op.drop_index("ix_organization_created_at", table_name="organization")
    op.drop_table("organization")
    op.drop_index(op.f("ix_model_upstream_id"), table_name="model")
    op.drop_table("model")
    op.drop_index(op.f("ix_mail_token_account_id"), table_name="mail_token")
    op.drop_table("mail_token")
    op.drop_table("usage_minute")
    op.drop_table("usage_hour")
    op.drop_index("ix_usage_event_type_organization_id_time", table_name="usage_event")
    op.drop_table("usage_event")
    op.drop_index("ix_usage_delta_organization_id_bucket", table_name="usage_delta")
    op.drop_table("usage_delta")
    op.drop_table("usage_day")
    op.drop_table("upstream")
    op.drop_table("throttle")
    op.drop_table("test_clock")
    op.drop_table("subscriber_cursor")
    op.drop_index("ix_request_organization_id_started_at", table_name="request")
    op.drop_index("ix_request_organization_id_cost_order", table_name="request")
    op.drop_index("ix_request_organization_id_latency_ms", table_name="request")
    op.drop_index("ix_request_organization_id_key_id", table_name="request")
    op.drop_table("request")
    op.drop_table("rate_lease")
    op.drop_index("ix_mail_created_at", table_name="mail")
    op.drop_table("mail")
    op.drop_table("key_fingerprint")
    op.drop_table("heartbeat")
    op.drop_table("idempotency_record")
    op.drop_index("uq_event_position", table_name="event")
    op.drop_index("ix_event_unpositioned", table_name="event", postgresql_where=sa.text("position is null"))
    op.drop_index("ix_event_organization_id", table_name="event")
    op.drop_index("ix_event_aggregate_id", table_name="event")
    op.drop_table("event")
    op.drop_table("account")
