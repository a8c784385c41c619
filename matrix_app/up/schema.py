"""Whether the database is one we can work with, has every migration, and belongs to our keys.

Found out without loading the libraries that migrate.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager

import psycopg

from matrix_app.up.reflex_environment import ROOT
from services.core import key_file
from services.core.postgres import EmbeddedPostgres
from services.core.postgres_programs import OLDEST_MAJOR
from services.core.refusal import Refused
from services.core.settings import Settings

CONNECT_TIMEOUT_S = 10
_VERSIONS = ROOT / "alembic" / "versions"
_REVISION = re.compile(r"^revision\b[^=]*= *[\"']([^\"']+)", re.MULTILINE)
_PARENT = re.compile(r"^down_revision\b[^=]*= *[\"']([^\"']+)", re.MULTILINE)


def is_newest(settings: Settings) -> bool:
    """True when the database's revision is the last in the chain of files; migrating would change nothing.

    Raises Refused for a database that does not answer, is too old, or was migrated by newer code.
    """
    with _connected(settings) as connection:
        found = _revisions_in(connection)
    for revision in found:
        if revision not in _revisions():
            raise Refused(
                f"The database was brought to {revision} by a newer Matrix, which this one does not know: "
                "run that version, or restore the backup from before it."
            )
    return found == heads()


def is_furnished(settings: Settings) -> bool:
    """Whether a migrated database was begun with keys and has what every installation needs.

    Raises Refused when the data folder holds other keys, or none.
    """
    path = key_file.path_in(settings.data_dir)
    with _connected(settings) as connection:
        row = connection.execute(
            "select fingerprint, exists (select from meter where organization_id is null) from key_fingerprint"
            " where purpose = %s",
            (key_file.LOOKUP,),
        ).fetchone()
    if row is None:
        return False
    key_file.require_same(key_file.read(path), row[0], path)
    return bool(row[1])


def forget_keys(settings: Settings) -> None:
    """Let a migrated database begin anew with the keys that are there, or with new ones if none are."""
    with _connected(settings) as connection:
        connection.execute("delete from key_fingerprint")


def heads() -> list[str]:
    """The revisions that no other follows, read from the migrations' files."""
    parents = {found for text in _texts() for found in _PARENT.findall(text)}
    return sorted(_revisions() - parents)


@contextmanager
def _connected(settings: Settings) -> Generator[psycopg.Connection]:
    given = settings.database_url
    url = given.get_secret_value() if given else EmbeddedPostgres(settings.data_dir).owner_url()
    try:
        connection = psycopg.connect(
            url.replace("+psycopg", "", 1), autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
        )
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[-1]
        raise Refused(
            f"The database does not answer ({reason}): is MATRIX_DATABASE_URL right, and is it running?"
        ) from error
    with connection:
        major = connection.info.server_version // 10_000
        if major < OLDEST_MAJOR:
            raise Refused(
                f"The database is PostgreSQL {major} and {OLDEST_MAJOR} or newer is needed: upgrade it, or leave out "
                "MATRIX_DATABASE_URL for the one that comes along."
            )
        yield connection


def _revisions_in(connection: psycopg.Connection) -> list[str]:
    try:
        return [row[0] for row in connection.execute("select version_num from alembic_version").fetchall()]
    except psycopg.errors.UndefinedTable:
        return []


def _revisions() -> set[str]:
    return {found for text in _texts() for found in _REVISION.findall(text)}


def _texts() -> list[str]:
    return [path.read_text() for path in _VERSIONS.glob("*.py")]
