"""The drill: a new key, every sealed value re-wrapped while the product runs, and an old key that opens nothing."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from models.events import IdempotencyRecord
from models.gateway import Upstream
from services.core import crypto, key_file, key_rotation, sealed_columns
from services.core.crossing import Reason, crossing
from services.core.crypto import CannotOpen, Place, Vault, file_vault
from services.core.database import Database, libpq_url
from services.core.ids import new_id
from services.core.key_providers import KeyRing
from services.core.key_service import IN_THE_FILE
from services.core.refusal import Refused
from tests.integration.walk.victim import Victim, furnish
from tests.world import LONG_AGO, World


async def opened(by: Vault) -> dict[tuple[str, str], bytes]:
    """Every sealed value there is, by column and row."""
    found: dict[tuple[str, str], bytes] = {}
    async with crossing(Reason.KEYS) as uow:
        for where in sealed_columns.sealed_columns():
            for row in await sealed_columns.after(uow, where, None, but=b"-", most=100):
                place = where.place(row)
                found[str(where), place.row] = await by.open(row[where.column.name], place)
    return found


async def holding(owner_url: str, what: bytes) -> list[str]:
    """Columns of bytes anywhere in the database, declared as sealed or not, with `what` in them."""
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url)) as connection:
        listed = await connection.execute(
            "select table_name, column_name from information_schema.columns"
            " where table_schema = 'public' and data_type = 'bytea'"
        )
        found: list[str] = []
        for table, column in await listed.fetchall():
            statement = sql.SQL("select count(*) from {} where position(%s in {}) > 0").format(
                sql.Identifier(table), sql.Identifier(column)
            )
            row = await (await connection.execute(statement, (what,))).fetchone()
            found += [f"{table}.{column}"] if row and row[0] else []
    return sorted(found)


async def rotated(on: Database, path: Path) -> list[str]:
    return [said async for said in key_rotation.rotate(on, path, IN_THE_FILE)]


async def test_a_rotation_cut_off_anywhere_goes_on_until_the_old_key_opens_nothing(
    database: Database, world: World, owner_url: str, tmp_path: Path
) -> None:
    victim = await furnish(world, "Ours", folder=tmp_path)
    await _more_of(victim)
    path, product = key_file.path_in(tmp_path), crypto.vault()
    old = key_file.read(path)
    assert old is not None
    before = await opened(product)
    declared = {str(where) for where in sealed_columns.sealed_columns()}
    assert {column for column, _ in before} == declared
    assert await holding(owner_url, old.current.encode()) == sorted(declared)

    for most in itertools.count(1):
        steps = key_rotation.rotate(database, path, IN_THE_FILE, batch=1)
        said = [step async for step in _first(most, steps)]
        await steps.aclose()  # as if it were killed there
        assert await opened(product) == before, said
        if "only key" in said[-1]:
            break

    new = key_file.read(path)
    assert new is not None
    assert (len(new.wrapping), new.lookup) == (1, old.lookup)
    assert new.current != old.current
    assert await holding(owner_url, old.current.encode()) == []
    assert await holding(owner_url, new.current.encode()) == sorted(declared)
    assert await opened(file_vault(tmp_path)) == before
    with pytest.raises(CannotOpen):
        await opened(Vault(KeyRing.of_file(old, tmp_path / "elsewhere")))
    assert key_file.retired(path) == old.wrapping
    assert product.current_header() == crypto.header(new.current)


async def _first(most: int, steps: AsyncGenerator[str]) -> AsyncGenerator[str]:
    while most and (step := await anext(steps, None)) is not None:
        most -= 1
        yield step


async def _more_of(victim: Victim) -> None:
    """Rows for batches to end between: three answers that were given besides."""
    async with crossing(Reason.KEYS) as uow:
        for key in ("a", "b", "c"):
            place = Place(victim.organization.id, "idempotency_record", "body", key)
            body = await crypto.vault().seal(key.encode(), place)
            row = IdempotencyRecord(
                organization_id=victim.organization.id, key=key, fingerprint=b"f", status=201, body=body,
                created_at=LONG_AGO, expires_at=LONG_AGO,
            )  # fmt: skip
            uow.add(row)


async def test_the_old_key_stays_while_anything_refers_to_it_or_still_may(
    database: Database, tmp_path: Path
) -> None:
    path, upstream = key_file.path_in(tmp_path), new_id("ups")
    old = key_file.read(path)
    assert old is not None
    late = Vault(KeyRing.of_file(old, tmp_path / "elsewhere"))  # a process that does not see the new file
    place = Place("platform", "upstream", "api_key_sealed", upstream)
    sealed = await late.seal(b"late", place)
    write = sa.text("update upstream set api_key_sealed = :sealed where id = :id")

    async with crossing(Reason.CATALOG) as uow:
        uow.add(Upstream(id=upstream, name="Late", api_key_sealed=sealed, created_at=LONG_AGO))
        await uow.session.flush()
        with pytest.raises(Refused, match="stays for now"):
            _ = [said async for said in key_rotation.rotate(database, path, IN_THE_FILE, settle_s=0)]
    assert any("only key" in said for said in await rotated(database, path))
    assert await crypto.vault().open(await _sealed(upstream), place) == b"late"

    # A backup from before was restored: what was retired is needed again, and no other key is.
    async with crossing(Reason.CATALOG) as uow:
        await uow.execute(write, sealed=sealed, id=upstream)
    standing = await key_rotation.standing(database, path, IN_THE_FILE)
    assert {(one.values, one.fault) for one in standing if one.key_id == old.current} == {(1, "")}
    again = await rotated(database, path)
    assert not any("is made" in said for said in again)
    assert await crypto.vault().open(await _sealed(upstream), place) == b"late"

    # What is damaged is named, and keeps its key.
    current = crypto.vault().current_header()
    async with crossing(Reason.CATALOG) as uow:
        await uow.execute(write, sealed=current + b"damaged", id=upstream)
    with pytest.raises(Refused, match="1 values still are under it"):
        await rotated(database, path)
    assert len(await key_rotation.standing(database, path, IN_THE_FILE)) == 3


async def _sealed(upstream: str) -> bytes:
    async with crossing(Reason.CATALOG) as uow:
        found = await uow.execute("select api_key_sealed from upstream where id = :id", id=upstream)
        return found.scalar_one()


async def test_a_key_is_made_first_where_other_machines_need_a_copy_of_the_file(
    database: Database, world: World, tmp_path: Path
) -> None:
    await furnish(world, "Ours", folder=tmp_path)
    path, before = key_file.path_in(tmp_path), await opened(crypto.vault())

    for _ in range(2):
        _ = [said async for said in key_rotation.prepare(database, path, IN_THE_FILE)]
        prepared = key_file.read(path)
        assert prepared is not None
        assert len(prepared.wrapping) == 2
    assert crypto.vault().current_header() == crypto.header(prepared.current)
    key_file.make(key_file.path_in(tmp_path / "other"), prepared)
    other = file_vault(tmp_path / "other")
    await rotated(database, path)

    assert await opened(other) == before
    assert await opened(crypto.vault()) == before
