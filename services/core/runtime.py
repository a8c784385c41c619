"""What every process of ours sets up before it works and takes down after."""

from __future__ import annotations

import importlib
import pkgutil

import models
from services.core import crypto, database, keyring, logs, tracing
from services.core.database import Database
from services.core.key_service import kept_by
from services.core.settings import Settings


def urls(settings: Settings) -> tuple[str, str]:
    """(owner's URL, application's URL): of the database named in settings, else of the embedded one."""
    from services.core.postgres import EmbeddedPostgres

    if settings.database_url is not None:
        owner = settings.database_url.get_secret_value()
        app = settings.database_app_url.get_secret_value() if settings.database_app_url else None
        return owner, app or database.application_url(owner)
    embedded = EmbeddedPostgres(settings.data_dir)
    return embedded.owner_url(), embedded.app_url()


async def start(settings: Settings, process: str) -> Database:
    """Logs, traces, vault and database of this process. Call after any fork, in the loop that will be used.

    Raises Refused for a database that is not set up, and for keys that are not those of this database.
    """
    on = without_vault(settings, process)
    try:
        crypto.install(await keyring.open_vault(on, settings.data_dir, kept_by(settings)))
    except BaseException:
        await stop()
        raise
    return on


def without_vault(settings: Settings, process: str) -> Database:
    """All that `start` sets up but the vault, for what has to work while the keys cannot be opened."""
    know_all_tables()
    logs.configure(settings.log_level, settings.log_format, process)
    tracing.start(process, str(settings.otel_endpoint) if settings.otel_endpoint else None)
    on = database.connect(urls(settings)[1], pool_size=settings.pool_size)
    database.install(on)
    return on


async def stop() -> None:
    on = database.database()
    database.install(None)
    await on.close()
    tracing.stop()


def know_all_tables() -> None:
    """Import every module of models: a table resolves its foreign keys, and logs their marks, only by then."""
    for module in pkgutil.iter_modules(models.__path__):
        importlib.import_module(f"models.{module.name}")
