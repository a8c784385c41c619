"""Brands of a legal entity, and what is chosen for one subscription.

Each field has a function that makes what it needs and one that takes it away again.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def run(statement: str) -> None:
    """Plain SQL, as it is: colons and percent signs mean nothing to the driver."""
    op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def secure(table: str, *, application: str, crossing: str) -> None:
    """Row-level security on a tenant's table, and what the two roles may do with the rows they see."""
    visible = "organization_id = any ((select matrix_scope())::text[])"
    run(f"alter table {table} enable row level security")
    run(f"alter table {table} force row level security")
    run(f"create policy tenant on {table} to matrix_app using ({visible}) with check ({visible})")
    run(f"create policy crossing on {table} to matrix_crossing using (true) with check (true)")
    run(f"create policy migration on {table} to current_user using (true) with check (true)")
    run(f"grant {application} on {table} to matrix_app")
    run(f"grant {crossing} on {table} to matrix_crossing")


def upgrade() -> None:
    create_brands()


def downgrade() -> None:
    drop_brands()


# -- brands: names under which a legal entity issues documents, each with templates and perhaps numbers of its own


def create_brands() -> None:
    create_brand_table()
    run("grant select on brand to matrix_app")
    run("grant select, insert, update on brand to matrix_crossing")
    # The one by which each entity numbered until now bills whom nobody gave another.
    run(
        "insert into brand (id, legal_entity_id, code, name, is_default, created_at, version)"
        " select 'brnd_' || split_part(id, '_', 2), id, brand, name, true, created_at, 1 from legal_entity"
    )
    # Templates stayed with the brand that an entity had before its first number, and documents with those that an
    # earlier upgrade, which was taken back, let it have.
    run(
        "insert into brand (id, legal_entity_id, code, name, is_default, archived_at, created_at, version)"
        " select 'brnd_' || split_part(min(t.id), '_', 2), e.id, t.code, t.code, false, now(), min(t.created_at), 1"
        " from (select id, legal_entity_id, brand as code, created_at from template_version union all"
        "   select id, legal_entity_id, series_brand, created_at from invoice where series_brand <> '') t"
        " join legal_entity e on e.id = t.legal_entity_id where t.code <> e.brand group by e.id, t.code"
    )
    op.add_column("billing_profile", sa.Column("brand_id", sa.Text(collation="C"), nullable=True))
    op.create_check_constraint(
        op.f("ck_billing_profile_brand_id"),
        "billing_profile",
        "brand_id is null or legal_entity_id is not null",
    )
    of_its_number = "case when t.series_brand <> '' then b.code = t.series_brand else b.is_default end"
    add_brand("invoice", "is_fixed", of=of_its_number)
    add_brand("template_version", "is_kept", of="b.code = t.brand")
    for table in BRANDED:
        op.create_foreign_key(
            op.f(f"fk_{table}_legal_entity_id_brand_id"),
            table,
            "brand",
            ["legal_entity_id", "brand_id"],
            ["legal_entity_id", "id"],
        )
    number_templates("brand_id")
    op.drop_column("template_version", "brand")
    op.drop_column("legal_entity", "brand")


BRANDED = ("billing_profile", "invoice", "template_version")


def create_brand_table() -> None:
    op.create_table(
        "brand",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("legal_entity_id", sa.Text(collation="C"), nullable=False),
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("code ~ '^[A-Z0-9]{1,10}$'", name=op.f("ck_brand_code")),
        sa.CheckConstraint("archived_at is null or not is_default", name=op.f("ck_brand_archived_at")),
        sa.ForeignKeyConstraint(
            ["legal_entity_id"], ["legal_entity.id"], name=op.f("fk_brand_legal_entity_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_brand")),
        sa.UniqueConstraint("legal_entity_id", "code", name=op.f("uq_brand_legal_entity_id_code")),
        sa.UniqueConstraint("legal_entity_id", "id", name=op.f("uq_brand_legal_entity_id_id")),
    )
    op.create_index(
        "uq_brand_default",
        "brand",
        ["legal_entity_id"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )


def add_brand(table: str, keeps: str, *, of: str) -> None:
    """Say the brand of rows that are there, final ones too, which the trigger `keeps` as they are otherwise."""
    op.add_column(table, sa.Column("brand_id", sa.Text(collation="C"), nullable=True))
    run(f"alter table {table} disable trigger {keeps}")
    run(
        f"update {table} t set brand_id = b.id from brand b"
        f" where b.legal_entity_id = t.legal_entity_id and {of}"
    )
    run(f"alter table {table} enable trigger {keeps}")
    op.alter_column(table, "brand_id", nullable=False)


def number_templates(by: str) -> None:
    """Versions of a template count by the column that says of which brand they are."""
    op.drop_index("uq_template_version_draft", "template_version")
    whose = ["legal_entity_id", "brand"] if by == "brand" else ["brand_id"]
    other = ["brand_id"] if by == "brand" else ["legal_entity_id", "brand"]
    op.drop_constraint(
        op.f(f"uq_template_version_{'_'.join(other)}_number"), "template_version", type_="unique"
    )
    op.create_unique_constraint(
        op.f(f"uq_template_version_{'_'.join(whose)}_number"), "template_version", [*whose, "number"]
    )
    op.create_index(
        "uq_template_version_draft",
        "template_version",
        whose,
        unique=True,
        postgresql_where=sa.text("state = 'draft'"),
    )


def drop_brands() -> None:
    op.add_column("legal_entity", sa.Column("brand", sa.String(), nullable=True))
    run(
        "update legal_entity e set brand = b.code from brand b where b.legal_entity_id = e.id and b.is_default"
    )
    op.alter_column("legal_entity", "brand", nullable=False)
    op.add_column("template_version", sa.Column("brand", sa.Text(collation="C"), nullable=True))
    run("alter table template_version disable trigger is_kept")
    run("update template_version t set brand = b.code from brand b where b.id = t.brand_id")
    run("alter table template_version enable trigger is_kept")
    op.alter_column("template_version", "brand", nullable=False)
    number_templates("brand")
    for table in BRANDED:
        op.drop_constraint(op.f(f"fk_{table}_legal_entity_id_brand_id"), table, type_="foreignkey")
    op.drop_constraint(op.f("ck_billing_profile_brand_id"), "billing_profile", type_="check")
    for table in BRANDED:
        op.drop_column(table, "brand_id")
    op.drop_table("brand")
