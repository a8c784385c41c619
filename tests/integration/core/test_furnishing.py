"""A production installation: furnished by migrating, and run by people made on its machine."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from models.types import Role
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.permissions import Capability
from services.identity.clients import Client
from services.identity.queries import actor_for_token
from services.identity.sessions import OpenedSession, sign_in
from services.metering.service import PLATFORM_METERS

ROOT = Path(__file__).parents[3]
PASSWORD = "correct battery horse"


class Command:
    def __init__(self, owner_url: str, app_url: str, data_dir: Path) -> None:
        self._environment = {
            **os.environ,
            "MATRIX_MODE": "production",
            "MATRIX_PUBLIC_URL": "https://ai.example",
            "MATRIX_SMTP_URL": "smtp://127.0.0.1:25",
            "MATRIX_DATABASE_URL": owner_url,
            "MATRIX_DATABASE_APP_URL": app_url,
            "MATRIX_DATA_DIR": str(data_dir),
        }

    async def __call__(self, *arguments: str, typed: str = "") -> tuple[int | None, str]:
        """Exit status and what was said on standard error."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "matrix_app.cli", *arguments, cwd=ROOT, env=self._environment,
            stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, said = await process.communicate(typed.encode())
        return process.returncode, said.decode()


@pytest.fixture
def matrix(owner_url: str, database: Database, tmp_path: Path) -> Command:
    return Command(owner_url, database.url, tmp_path)


async def counts(statement: str) -> int:
    async with crossing(Reason.INVARIANTS) as uow:
        return (await uow.execute(statement)).scalar_one()


async def test_migrating_brings_meters_and_models_and_nobody(matrix: Command) -> None:
    for _ in range(2):
        assert (await matrix("migrate"))[0] == 0

        assert await counts("select count(*) from meter where organization_id is null") == len(
            PLATFORM_METERS
        )
        assert await counts("select count(*) from model") == 2
        assert await counts("select count(*) from account") == 0


async def test_operators_are_made_on_the_machine(matrix: Command) -> None:
    assert await matrix("operator", "sam@example.com", "--name", "Sam", typed=f"{PASSWORD}\n") == (0, "")
    assert await matrix("operator", "kim@example.com", typed=f"{PASSWORD}\n") == (0, "")

    for email in ("sam@example.com", "kim@example.com"):
        session = await sign_in(email=email, password=PASSWORD, client=Client("192.0.2.1"))
        assert isinstance(session, OpenedSession)
        signed_in = await actor_for_token(session.token)
        assert signed_in is not None
        assert signed_in.actor.role is Role.OPERATOR
        assert signed_in.actor.may(Capability.STAFF_PRICES_WRITE)
    assert await counts("select count(*) from organization") == 1


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [("sam@example.com", "short", "10 are needed"), ("nonsense", PASSWORD, "not an e-mail address")],
)
async def test_what_cannot_be_an_operator_is_refused_in_a_sentence(
    matrix: Command, email: str, password: str, said: str
) -> None:
    status, text = await matrix("operator", email, typed=f"{password}\n")

    assert (status, text.count("\n")) == (1, 1)
    assert said in text
    assert await counts("select count(*) from account") == 0


async def test_an_address_that_has_an_account_is_not_made_an_operator(matrix: Command) -> None:
    assert (await matrix("operator", "sam@example.com", typed=f"{PASSWORD}\n"))[0] == 0

    status, text = await matrix("operator", "Sam@Example.com", typed="another long one\n")

    assert status == 1
    assert "has an account already" in text
