"""Posting to the ledger: the only way in, and the only way to correct.

These verbs ask for no capability of their own: what is booked follows from an act that somebody was allowed to do,
and no door calls them. They write to the book that the unit of work may reach and to no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson

from models.ledger import JournalKind, Purpose
from models.values import value
from services.core.errors import Conflict
from services.core.ids import new_id
from services.core.work import UnitOfWork
from services.ledger import policies, rules
from services.ledger.events import JournalPosted
from services.ledger.rules import Draft, Entry

DRAFTS_MAX = 1_000  # of one call


class JournalDiffers(Conflict):
    """The key of a journal that is there already came with something else to book."""

    code = "journal_differs"
    title = "Something else is booked under this key"


class JournalNotReversible(Conflict):
    code = "journal_not_reversible"
    title = "A reversal cannot be reversed"


@value
class Posted:
    """A journal that is in the ledger; `is_new` says whether this call brought it there."""

    id: str
    key: str
    happened_at: datetime
    is_new: bool


_Account = tuple[str | None, str, str]  # organisation, currency, purpose
_Book = tuple[str | None, str]  # organisation, key

# The platform's own rows belong to no organisation, and no index finds null by `is not distinct from`.
_ACCOUNTS = """
with wanted as (
  select * from jsonb_to_recordset(cast(:rows as jsonb)) as w(organization_id text, currency text, purpose text)
)
select a.id, a.organization_id, a.currency, a.purpose from wanted w join ledger_account a
  on a.organization_id = w.organization_id and a.currency = w.currency and a.purpose = w.purpose
union all
select a.id, a.organization_id, a.currency, a.purpose from wanted w join ledger_account a
  on w.organization_id is null and a.organization_id is null and a.currency = w.currency and a.purpose = w.purpose
"""
_OPEN_ACCOUNTS = """
insert into ledger_account (id, organization_id, currency, purpose, kind, created_at)
select w.id, w.organization_id, w.currency, w.purpose, w.kind, :now
from jsonb_populate_recordset(cast(null as ledger_account), cast(:rows as jsonb)) w
on conflict (organization_id, currency, purpose) do nothing
"""
_JOURNALS = """
insert into ledger_journal
  (id, organization_id, key, content_hash, kind, cause_id, reverses, entries, note, happened_at, recorded_at)
select w.id, w.organization_id, w.key, w.content_hash, w.kind, w.cause_id, w.reverses, w.entries, w.note,
  w.happened_at, :now
from jsonb_populate_recordset(cast(null as ledger_journal), cast(:rows as jsonb)) w
on conflict (organization_id, key) do nothing
returning id
"""
_KNOWN = """
with wanted as (
  select * from unnest(cast(:organizations as text[]), cast(:keys as text[])) as w(organization_id, key)
)
select j.id, j.organization_id, j.key, j.content_hash, j.happened_at from wanted w join ledger_journal j
  on j.organization_id = w.organization_id and j.key = w.key
union all
select j.id, j.organization_id, j.key, j.content_hash, j.happened_at from wanted w join ledger_journal j
  on w.organization_id is null and j.organization_id is null and j.key = w.key
"""
_ENTRIES = """
insert into ledger_entry (journal_id, line, organization_id, account_id, currency, minor, happened_at)
select journal_id, line, organization_id, account_id, currency, minor, happened_at
from jsonb_populate_recordset(cast(null as ledger_entry), cast(:rows as jsonb))
"""
_ENTRIES_OF = """
select a.purpose, e.minor, e.currency from ledger_entry e join ledger_account a on a.id = e.account_id
where e.journal_id = :id order by e.line
"""


async def post(uow: UnitOfWork, draft: Draft) -> Posted:
    """Book a journal. Tried again with the same key it is the journal that is there.

    Raises JournalDiffers when the key came with other content, and BadJournal.
    """
    (posted,) = await post_all(uow, [draft])
    return posted


async def post_all(uow: UnitOfWork, drafts: Sequence[Draft]) -> list[Posted]:
    """Book at most DRAFTS_MAX journals in a handful of statements, in any number of books. As `post` otherwise."""
    if len(drafts) > DRAFTS_MAX:
        raise rules.BadJournal(f"At most {DRAFTS_MAX:,} journals are posted at once.")
    sound = [rules.sound(draft) for draft in drafts]
    if not sound:
        return []
    for draft in sound:
        policies.require_own(uow, draft.organization_id)
    accounts = await _accounts(uow, sound)
    ids = await _insert_journals(uow, sound)
    new = [(ids[number], draft) for number, draft in enumerate(sound) if number in ids]
    await _insert_entries(uow, new, accounts)
    for journal_id, draft in new:
        uow.owned.add(journal_id)
        uow.record(
            JournalPosted(
                aggregate_id=journal_id,
                organization_id=draft.organization_id,
                key=draft.key,
                kind=draft.kind.value,
                cause_id=draft.cause_id,
                reverses=draft.reverses,
            )
        )
    known = await _known(uow, [draft for number, draft in enumerate(sound) if number not in ids])
    return [
        Posted(ids[number], draft.key, draft.at or uow.now, is_new=True)
        if number in ids
        else known[_book(draft)]
        for number, draft in enumerate(sound)
    ]


async def reverse(uow: UnitOfWork, journal_id: str, *, at: datetime | None = None, note: str = "") -> Posted:
    """Undo a journal by one that books the opposite. Asked again it is the reversal that is there.

    Raises NotFound also for a journal of another book, and JournalNotReversible for what is a reversal itself: post
    what was right once more instead.
    """
    journal = await policies.journal_for(uow, journal_id)
    if journal.reverses is not None:
        raise JournalNotReversible(
            f"The journal {journal_id} is the reversal of {journal.reverses}.",
            next_step="Post what was right once more.",
        )
    entries = await uow.execute(_ENTRIES_OF, id=journal_id)
    draft = Draft(
        journal.organization_id,
        key=rules.reversal_key(journal_id),
        kind=JournalKind.REVERSAL,
        cause_id=journal.cause_id,
        entries=tuple(Entry(Purpose(row.purpose), -row.minor, row.currency) for row in entries),
        at=at,
        note=note,
        reverses=journal_id,
    )
    return await post(uow, draft)


async def _accounts(uow: UnitOfWork, drafts: list[Draft]) -> dict[_Account, str]:
    """The accounts of all entries. Those that nobody has used yet are opened.

    Two who open the same one at once wait for each other, in one order, and the second finds what the first has made.
    """
    wanted = {
        (draft.organization_id, entry.currency, entry.purpose.value)
        for draft in drafts
        for entry in draft.entries
    }
    found = await _find_accounts(uow, wanted)
    missing = sorted(wanted - found.keys(), key=lambda account: (account[0] or "", *account[1:]))
    if not missing:
        return found
    opened = [
        {"id": new_id("lacc"), **_named(account), "kind": rules.KIND_OF[Purpose(account[2])].value}
        for account in missing
    ]
    await uow.execute(_OPEN_ACCOUNTS, rows=orjson.dumps(opened).decode(), now=uow.wall_now)
    return await _find_accounts(uow, wanted)


async def _find_accounts(uow: UnitOfWork, wanted: set[_Account]) -> dict[_Account, str]:
    found = await uow.execute(_ACCOUNTS, rows=orjson.dumps([_named(one) for one in wanted]).decode())
    return {(row.organization_id, row.currency, row.purpose): row.id for row in found}


async def _insert_journals(uow: UnitOfWork, drafts: list[Draft]) -> dict[int, str]:
    """The ids of those that are new, by the draft's number. In the order of keys, so that two callers do not block
    each other; who comes second waits until the first is done."""
    order = sorted(range(len(drafts)), key=lambda n: (drafts[n].organization_id or "", drafts[n].key))
    ids = [new_id("jrnl") for _ in order]
    rows = [
        {
            "id": journal_id,
            "organization_id": draft.organization_id,
            "key": draft.key,
            "content_hash": f"\\x{rules.content_hash(draft).hex()}",
            "kind": draft.kind.value,
            "cause_id": draft.cause_id,
            "reverses": draft.reverses,
            "entries": len(draft.entries),
            "note": draft.note,
            "happened_at": draft.at or uow.now,
        }
        for journal_id, draft in zip(ids, (drafts[number] for number in order), strict=True)
    ]
    inserted = await uow.execute(_JOURNALS, rows=orjson.dumps(rows).decode(), now=uow.wall_now)
    new = set(inserted.scalars())
    return {number: journal_id for number, journal_id in zip(order, ids, strict=True) if journal_id in new}


async def _insert_entries(
    uow: UnitOfWork, journals: list[tuple[str, Draft]], accounts: dict[_Account, str]
) -> None:
    rows = [
        {
            "journal_id": journal_id,
            "line": line,
            "organization_id": draft.organization_id,
            "account_id": accounts[draft.organization_id, entry.currency, entry.purpose.value],
            "currency": entry.currency,
            "minor": entry.minor,
            "happened_at": draft.at or uow.now,
        }
        for journal_id, draft in journals
        for line, entry in enumerate(draft.entries, start=1)
    ]
    if rows:
        await uow.execute(_ENTRIES, rows=orjson.dumps(rows).decode())


async def _known(uow: UnitOfWork, drafts: list[Draft]) -> dict[_Book, Posted]:
    """The journals that are there under the drafts' keys. Raises JournalDiffers."""
    if not drafts:
        return {}
    rows = await uow.execute(
        _KNOWN,
        organizations=[draft.organization_id for draft in drafts],
        keys=[draft.key for draft in drafts],
    )
    found = {(row.organization_id, row.key): row for row in rows}
    for draft in drafts:
        if bytes(found[_book(draft)].content_hash) != rules.content_hash(draft):
            raise JournalDiffers(
                f"{draft.key!r} is the key of a journal that books something else.",
                next_step="Give another act another key; correct a journal by reversing it.",
                journal_id=found[_book(draft)].id,
            )
    return {book: Posted(row.id, row.key, row.happened_at, is_new=False) for book, row in found.items()}


def _named(account: _Account) -> dict[str, str | None]:
    return {"organization_id": account[0], "currency": account[1], "purpose": account[2]}


def _book(draft: Draft) -> _Book:
    return draft.organization_id, draft.key
