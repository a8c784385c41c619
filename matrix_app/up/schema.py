"""Whether the database has every migration, found out without loading the libraries that migrate."""

import re

import psycopg

from matrix_app.up.reflex_environment import ROOT
from services.core.postgres import EmbeddedPostgres
from services.core.refusal import Refused
from services.core.settings import Settings

_VERSIONS = ROOT / "alembic" / "versions"
_REVISION = re.compile(r"^revision\b[^=]*= *[\"']([^\"']+)", re.MULTILINE)
_PARENT = re.compile(r"^down_revision\b[^=]*= *[\"']([^\"']+)", re.MULTILINE)


def is_newest(settings: Settings) -> bool:
    """True when the database's revision is the last in the chain of files; migrating would change nothing."""
    with _connect(settings) as connection:
        try:
            found = connection.execute("select version_num from alembic_version").fetchall()
        except psycopg.errors.UndefinedTable:
            return False
    return [row[0] for row in found] == heads()


def _connect(settings: Settings) -> psycopg.Connection:
    given = settings.database_url
    url = given.get_secret_value() if given else EmbeddedPostgres(settings.data_dir).owner_url()
    try:
        return psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        raise Refused(
            f"The database does not answer ({reason}): is MATRIX_DATABASE_URL right, and is it running?"
        ) from error


def heads() -> list[str]:
    """The revisions that no other follows, read from the migrations' files."""
    texts = [path.read_text() for path in _VERSIONS.glob("*.py")]
    revisions = {found for text in texts for found in _REVISION.findall(text)}
    parents = {found for text in texts for found in _PARENT.findall(text)}
    return sorted(revisions - parents)
