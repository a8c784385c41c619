"""From the file of keys and the database that knows their fingerprint to the vault of a process."""

from __future__ import annotations

from pathlib import Path

import psycopg
from sqlalchemy.exc import ProgrammingError

from services.core import key_file
from services.core.crossing import Reason, crossing
from services.core.crypto import FileKeyProvider, Vault
from services.core.database import Database
from services.core.errors import Unavailable
from services.core.key_file import Keys
from services.core.logs import get_logger
from services.core.refusal import Refused

log = get_logger(__name__)

_READ = "select fingerprint from key_fingerprint where purpose = :purpose"
_NOTE = (
    "insert into key_fingerprint (purpose, fingerprint, created_at) values (:purpose, :fingerprint, :now)"
    " on conflict (purpose) do nothing"
)


async def open_vault(on: Database, data_dir: Path) -> Vault:
    """The vault of this installation. Keys are made when its database has never known any.

    While the database is away, keys that are there are used as they are: calls are taken, and readiness
    compares them later. Raises Refused for keys that are lost, damaged or not those of this database.
    """
    path = key_file.path_in(data_dir)
    try:
        return Vault(FileKeyProvider(await _known(on, path)))
    except Unavailable as error:
        keys = key_file.read(path)
        if keys is None:
            raise Refused(
                "The database does not answer, and no keys are made without it: is MATRIX_DATABASE_URL right, and is "
                "it running?"
            ) from error
        log.warning("keys_not_compared", error=error.message)
        return Vault(FileKeyProvider(keys))
    except ProgrammingError as error:
        if not isinstance(error.orig, psycopg.errors.UndefinedTable):
            raise
        raise Refused("The database is not set up: run `matrix migrate`.") from error


async def _known(on: Database, path: Path) -> Keys:
    keys = key_file.read(path)
    async with crossing(Reason.HEALTH, on=on) as uow:
        found = (await uow.execute(_READ, purpose=key_file.LOOKUP)).scalar_one_or_none()
    if found is None:
        # The file first: killed in between, the next start finds it and goes on.
        keys = keys or key_file.make(path)
        found = await _note(on, keys.fingerprint)
    return key_file.require_same(keys, found, path)


async def _note(on: Database, fingerprint: bytes) -> bytes:
    """Keep `fingerprint` if there is none yet; returns the one that is kept, perhaps another process's."""
    async with crossing(Reason.HEALTH, on=on) as uow:
        await uow.execute(_NOTE, purpose=key_file.LOOKUP, fingerprint=fingerprint, now=uow.wall_now)
        return (await uow.execute(_READ, purpose=key_file.LOOKUP)).scalar_one()
