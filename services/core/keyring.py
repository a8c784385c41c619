"""From the file of keys and the database that knows their fingerprint to the vault of a process."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.exc import ProgrammingError

from services.core import key_file
from services.core.crossing import Reason, crossing
from services.core.crypto import Vault
from services.core.database import Database
from services.core.errors import Unavailable
from services.core.key_file import Keys
from services.core.key_providers import KeyRing, KeysUnavailable, lookup_of
from services.core.key_service import IN_THE_FILE, KeptBy
from services.core.logs import get_logger
from services.core.refusal import Refused

log = get_logger(__name__)

_READ = "select fingerprint from key_fingerprint where purpose = :purpose"
_NOTE = (
    "insert into key_fingerprint (purpose, fingerprint, created_at) values (:purpose, :fingerprint, :now)"
    " on conflict (purpose) do nothing"
)


async def open_vault(on: Database, data_dir: Path, kept: KeptBy = IN_THE_FILE) -> Vault:
    """The vault of this installation. Keys are made when its database has never known any, as `kept` says.

    While the database is away, keys that are there are used as they are: calls are taken, and readiness
    compares them later. Raises Refused for keys that are lost, damaged or not those of this database, and
    KeysUnavailable while what keeps them does not answer.
    """
    path = key_file.path_in(data_dir)
    try:
        with _a_database_set_up():
            keys = await _known(on, path, kept)
        return await _vault(keys, path, kept)
    except KeysUnavailable:
        raise
    except Unavailable as error:
        keys = key_file.read(path)
        if keys is None:
            raise Refused(
                "The database does not answer, and no keys are made without it: is MATRIX_DATABASE_URL right, and is "
                "it running?"
            ) from error
        log.warning("keys_not_compared", error=error.message)
        return await _vault(keys, path, kept)


async def require_same(on: Database, data_dir: Path) -> None:
    """See that the file's keys are those of this database, without opening or making any. Raises Refused and
    Unavailable."""
    path = key_file.path_in(data_dir)
    with _a_database_set_up():
        async with crossing(Reason.HEALTH, on=on) as uow:
            found = (await uow.execute(_READ, purpose=key_file.LOOKUP)).scalar_one_or_none()
    if found is None:
        raise Refused("This database knows no keys yet: they are made when Matrix starts.")
    key_file.require_same(key_file.read(path), found, path)


@contextmanager
def _a_database_set_up() -> Generator[None]:
    try:
        yield
    except ProgrammingError as error:
        if not isinstance(error.orig, psycopg.errors.UndefinedTable):
            raise
        raise Refused("The database is not set up: run `matrix migrate`.") from error


async def _vault(keys: Keys, path: Path, kept: KeptBy) -> Vault:
    return Vault(KeyRing(keys, await lookup_of(keys, kept.reach), kept.reach, path))


async def _known(on: Database, path: Path, kept: KeptBy) -> Keys:
    keys = key_file.read(path)
    async with crossing(Reason.HEALTH, on=on) as uow:
        found = (await uow.execute(_READ, purpose=key_file.LOOKUP)).scalar_one_or_none()
    if found is None:
        # The file first: killed in between, the next start finds it and goes on.
        keys = keys or key_file.make(path, await kept.made())
        found = await _note(on, keys.fingerprint)
    return key_file.require_same(keys, found, path)


async def _note(on: Database, fingerprint: bytes) -> bytes:
    """Keep `fingerprint` if there is none yet; returns the one that is kept, perhaps another process's."""
    async with crossing(Reason.HEALTH, on=on) as uow:
        await uow.execute(_NOTE, purpose=key_file.LOOKUP, fingerprint=fingerprint, now=uow.wall_now)
        return (await uow.execute(_READ, purpose=key_file.LOOKUP)).scalar_one()
