"""What a person would look at first when something is wrong: each check with an id that stays the same."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import aiohttp
from sqlalchemy.exc import SQLAlchemyError

from services.core import heartbeat, kept_log, key_file, migrations
from services.core.actor import Actor
from services.core.clock import SystemClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import MatrixError, Unavailable
from services.core.key_providers import KeysUnavailable, lookup_of
from services.core.key_service import kept_by
from services.core.outgoing import inside_session
from services.core.permissions import Capability
from services.core.postgres_programs import OLDEST_MAJOR
from services.core.refusal import Refused
from services.core.settings import Settings
from services.invariants.check import CHECK_EVERY_S, results
from services.operations import queues
from services.operations.folder import BackupFolder, Manifest, newest
from services.operations.refusal import BackupRefused
from services.operations.sealing import BackupKey

CHECK_TIMEOUT_S = 10.0
DISK_FREE_MB_MIN = 300  # below it `matrix up` refuses to start
DISK_FREE_MB_LOW = 2_000
SKEW_MAX = timedelta(seconds=5)  # a code of an authenticator is good for thirty
QUEUE_AGE_MAX = timedelta(minutes=1)
BACKUP_AGE_MAX = timedelta(days=2)  # one is made every day
LOG_AGE_MAX = timedelta(minutes=10)  # it is taken every half minute, unless a base backup is being made

_SEE_OUR_DATABASE = (
    "It runs while `matrix up` does: start that, or look into postgres.log in the data folder."
)
_SEE_YOUR_DATABASE = "Is it running, and is MATRIX_DATABASE_URL right?"
_SEE_WHAT_KEEPS_THE_KEYS = (
    "See that it is up and lets this machine in, by the MATRIX_KMS_ or MATRIX_PKCS11_ settings: until then nothing "
    "starts, and payments and second factors wait."
)


class Health(StrEnum):
    OK = "ok"
    WARNING = "warning"  # works, but somebody should look
    FAILED = "failed"
    SKIPPED = "skipped"  # cannot be told from here


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `id` is for alerts and scripts and never means anything else."""

    id: str
    name: str
    health: Health
    detail: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What a check says; its id and name are the table's."""

    health: Health
    detail: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What is looked at."""

    settings: Settings
    on: Database


async def examine(actor: Actor, settings: Settings, on: Database) -> list[Finding]:
    """Every check, in the order of ids. Never raises for what it finds. Needs staff.health.read."""
    actor.require(Capability.STAFF_HEALTH_READ)
    place = Place(settings, on)
    reachable = await _look(_database, place)
    found: list[Finding] = []
    for identifier, check in CHECKS.items():
        if check.look is _database:
            look = reachable
        elif check.needs_database and reachable.health is Health.FAILED:
            look = Look(Health.SKIPPED, "Cannot be told without the database.")
        else:
            look = await _look(check.look, place)
        found.append(Finding(identifier, check.name, look.health, look.detail, look.next_step))
    return found


async def _look(look: Callable[[Place], Awaitable[Look]], place: Place) -> Look:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await look(place)
    except TimeoutError:
        return Look(Health.FAILED, f"No answer within {CHECK_TIMEOUT_S:.0f} seconds.")
    except MatrixError as error:
        return Look(Health.FAILED, error.message, error.next_step)
    except (SQLAlchemyError, OSError) as error:
        return Look(Health.FAILED, f"{type(error).__name__}: the log has more.")


async def _database(place: Place) -> Look:
    try:
        async with crossing(Reason.INVARIANTS, on=place.on) as uow:
            number = int((await uow.execute("select current_setting('server_version_num')")).scalar_one())
    except Unavailable as error:
        own = place.settings.database_url is not None
        return Look(Health.FAILED, error.message, _SEE_YOUR_DATABASE if own else _SEE_OUR_DATABASE)
    major = number // 10_000
    if major < OLDEST_MAJOR:
        return Look(Health.FAILED, f"PostgreSQL {major} answers.", f"Matrix needs {OLDEST_MAJOR} or newer.")
    return Look(Health.OK, f"PostgreSQL {major} answers.")


async def _migrations(place: Place) -> Look:
    async with crossing(Reason.INVARIANTS, on=place.on) as uow:
        found = (await uow.execute("select version_num from alembic_version")).scalar_one_or_none()
    wanted = migrations.known()[0]
    if found != wanted:
        return Look(
            Health.FAILED, f"The tables are at {found}, this code needs {wanted}.", "Run `matrix migrate`."
        )
    return Look(Health.OK, f"The tables are at {found}, as this code needs them.")


async def _disk(place: Place) -> Look:
    folder = next(
        path for path in (place.settings.data_dir, *place.settings.data_dir.parents) if path.exists()
    )
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    said = f"{free_mb:,} MB are free on the disk of {place.settings.data_dir}."
    if free_mb < DISK_FREE_MB_LOW:
        health = Health.FAILED if free_mb < DISK_FREE_MB_MIN else Health.WARNING
        return Look(health, said, "Make room: a database that cannot write stops everything.")
    return Look(Health.OK, said)


async def _clock(place: Place) -> Look:
    async with crossing(Reason.INVARIANTS, on=place.on) as uow:
        before = SystemClock().now()
        theirs: datetime = (await uow.execute("select clock_timestamp()")).scalar_one()
        after = SystemClock().now()
    skew = max(before - theirs, theirs - after, timedelta())
    said = f"This machine's clock and the database's differ by {skew.total_seconds():.1f} s."
    if skew > SKEW_MAX:
        return Look(
            Health.FAILED,
            said,
            "Have both synchronised: sessions, limits and second factors go by the clock.",
        )
    return Look(Health.OK, said)


async def _worker(place: Place) -> Look:
    age = await heartbeat.age(place.on)
    if age is None:
        return Look(Health.FAILED, "No worker has ever worked here.", "Start `matrix up` or `matrix worker`.")
    said = f"A worker was last seen {max(age.total_seconds(), 0):.0f} s ago."
    if age.total_seconds() > heartbeat.LATE_S:
        return Look(Health.FAILED, said, "Start `matrix worker`, or look into logs/worker.log.")
    return Look(Health.OK, said)


async def _held_jobs(place: Place) -> Look:
    held = {queue.name: queue.held for queue in await queues.job_queues(place.on) if queue.held}
    if held:
        named = ", ".join(f"{count} of {name}" for name, count in held.items())
        return Look(
            Health.FAILED,
            f"Jobs failed for good and wait for a person: {named}.",
            "`matrix jobs` says why each failed, and sends it again with --retry.",
        )
    return Look(Health.OK, "No job waits for a person.")


async def _lag(place: Place) -> Look:
    late = [
        f"{queue.name} ({queue.waiting:,} since {queue.age.total_seconds():.0f} s)"
        for queue in await queues.event_queues(place.on)
        if queue.age is not None and queue.age > QUEUE_AGE_MAX
    ]
    if late:
        return Look(
            Health.FAILED,
            f"Events wait for {', '.join(late)}.",
            "A failing event holds back those behind it: look for subscriber_failed in the log.",
        )
    return Look(Health.OK, "Events reach everybody who follows them.")


async def _invariants(place: Place) -> Look:
    async with crossing(Reason.INVARIANTS, on=place.on) as uow:
        found = await results(uow)
        stale = uow.wall_now - timedelta(seconds=3 * CHECK_EVERY_S)
    broken = [result for result in found if result.broken_since is not None]
    if broken:
        said = " ".join(f"{result.name}: {result.means}" for result in broken)
        return Look(Health.FAILED, said, "The health page names the rows.")
    unchecked = [result.name for result in found if result.checked_at is None or result.checked_at < stale]
    if unchecked:
        return Look(Health.WARNING, f"Not checked lately: {', '.join(unchecked)}.", "The worker checks them.")
    return Look(Health.OK, f"All {len(found)} hold.")


async def _model(place: Place) -> Look:
    url = place.settings.model_url
    if not url:
        return Look(Health.SKIPPED, "No MATRIX_MODEL_URL here; `matrix up` gives it to its processes.")
    timeout = aiohttp.ClientTimeout(total=CHECK_TIMEOUT_S / 2)
    try:
        async with (
            inside_session() as session,
            session.get(f"{url.rstrip('/')}/health", timeout=timeout, allow_redirects=False) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError):
        return Look(Health.FAILED, "The built-in model does not answer.", "Look into logs/model.log.")
    if status != 200:
        return Look(Health.FAILED, f"The built-in model answers {status}.", "Look into logs/model.log.")
    return Look(Health.OK, "The built-in model answers.")


async def _secrets(place: Place) -> Look:
    keys = key_file.path_in(place.settings.data_dir)
    if not keys.exists():
        return Look(
            Health.FAILED,
            f"There is no {keys}.",
            "Put it back from the backup: without it no API key works. A new installation makes it when it starts.",
        )
    open_to_others = [path for path in (keys, keys.parent) if _others_may(path)]
    if open_to_others:
        named = " and ".join(map(str, open_to_others))
        return Look(Health.FAILED, f"Other users of this machine may read {named}.", f"chmod go-rwx {named}")
    try:
        found = key_file.read(keys)
        if found is not None:
            await lookup_of(found, kept_by(place.settings).reach)
    except Refused as error:
        return Look(Health.FAILED, str(error), "Until then no process starts.")
    except KeysUnavailable as error:
        return Look(Health.FAILED, error.message, _SEE_WHAT_KEEPS_THE_KEYS)
    return Look(Health.OK, f"Only its owner may read {keys}.")


def _others_may(path: Path) -> bool:
    """Whether anybody but the owner may read or change it; a folder may be looked through, not written."""
    refused = stat.S_IWGRP | stat.S_IWOTH
    if not path.is_dir():
        refused |= stat.S_IRGRP | stat.S_IROTH
    return bool(path.stat().st_mode & refused)


async def _mail(place: Place) -> Look:
    if place.settings.mode != "production":
        return Look(Health.OK, "Demo mode keeps mail in its own mailbox.")
    if place.settings.smtp_url is None:
        return Look(Health.FAILED, "Mail cannot be sent.", "Set MATRIX_SMTP_URL.")
    return Look(Health.OK, "An SMTP server is configured.")


async def _backups(place: Place) -> Look:
    chosen = place.settings
    if chosen.database_url is not None:
        return Look(Health.SKIPPED, "Your own PostgreSQL is backed up by its own tools.")
    if chosen.backup_dir is None or chosen.backup_key_file is None:
        if chosen.mode != "production":
            return Look(Health.OK, "Nobody asked for backups of this demo.")
        return Look(Health.WARNING, "No backups are kept.", "Set MATRIX_BACKUP_DIR, on another disk.")
    try:
        made = await asyncio.to_thread(_base_backups, chosen.backup_dir, chosen.backup_key_file)
        waits = await asyncio.to_thread(kept_log.oldest, chosen.data_dir)
    except BackupRefused as error:
        return Look(Health.FAILED, str(error), "Until then nothing is backed up.")
    if not made:
        return Look(
            Health.WARNING, f"There is no backup in {chosen.backup_dir} yet.", "The worker's log says why."
        )
    said = f"The newest base backup is of {made[-1].started_at:%Y-%m-%d %H:%M} UTC."
    if (reaches := newest(chosen.backup_dir).log) is not None:
        said += f" The log reaches to {reaches:%Y-%m-%d %H:%M} UTC."
    if made[-1].started_at + BACKUP_AGE_MAX < SystemClock().now():
        return Look(Health.FAILED, said, "Run `matrix backup`; the worker's log says why it made none.")
    if waits is not None and waits + LOG_AGE_MAX < SystemClock().now():
        return Look(
            Health.FAILED,
            f"{said} Log is not taken: what changed since {waits:%Y-%m-%d %H:%M} UTC is in no backup.",
            "The worker's log says why, under schedule_failed: is there room in the backup folder?",
        )
    return Look(Health.OK, said)


def _base_backups(folder: Path, key_file: Path) -> list[Manifest]:
    return BackupFolder(folder, BackupKey.read(key_file)).manifests() if folder.exists() else []


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    look: Callable[[Place], Awaitable[Look]]
    needs_database: bool = True


# An id is never given to another check: alerts and notes of people refer to it.
CHECKS: dict[str, Check] = {
    "D001": Check("Database", _database),
    "D002": Check("Migrations", _migrations),
    "D003": Check("Disk", _disk, needs_database=False),
    "D004": Check("Clock", _clock),
    "D005": Check("Worker", _worker),
    "D006": Check("Jobs", _held_jobs),
    "D007": Check("Event log", _lag),
    "D008": Check("Invariants", _invariants),
    "D009": Check("Built-in model", _model, needs_database=False),
    "D010": Check("Secrets", _secrets, needs_database=False),
    "D011": Check("Mail", _mail, needs_database=False),
    "D012": Check("Backups", _backups, needs_database=False),
}
