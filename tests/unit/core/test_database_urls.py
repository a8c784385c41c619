"""One database URL, as SQLAlchemy, psycopg and libpq read it."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from services.core.database import application_url, libpq_url


@pytest.mark.parametrize(
    "owner",
    ["postgresql+psycopg://owner:se%2Bcret@db.example:5433/matrix", "postgresql+psycopg://owner@/matrix?host=%2Frun%2Fpg"],
)  # fmt: skip
def test_connections_outside_the_pool_work_as_the_application_role_too(owner: str) -> None:
    read = conninfo_to_dict(libpq_url(application_url(owner)))

    assert read["options"] == "-c role=matrix_app"
    assert read["user"] == "owner"
    assert read["dbname"] == "matrix"
    assert read.get("password") in (None, "se+cret")
