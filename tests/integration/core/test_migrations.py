"""The database's shape: reversible, and equal to the models."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import command
from services.core import migrations
from services.core.postgres import EmbeddedPostgres
from tests.conftest import TEMPLATE


def test_head_equals_the_models(postgres: EmbeddedPostgres) -> None:
    engine = sa.create_engine(postgres.owner_url(TEMPLATE), poolclass=sa.NullPool)
    with engine.connect() as connection:
        command.check(migrations.config(connection))


def test_migrations_go_down_and_up_again(owner_url: str) -> None:
    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)

    migrations.migrate(owner_url, "base")
    with engine.connect() as connection:
        left = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
    migrations.migrate(owner_url)

    assert left == set()
    with engine.connect() as connection:
        assert "usage_event_p7" in sa.inspect(connection).get_table_names()
