"""Whether anything of a victim's changes: number and hash of its rows, table by table."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import SQLModel

from models.base import Table
from services.core.crossing import Reason, crossing
from tests.integration.walk.victim import Victim

_NOTED = ("last_seen_at", "last_used_at")
# Tables without an owner that nobody but staff may change.
_HOUSE = (
    "model", "upstream", "price", "test_clock", "key_fingerprint", "product", "plan", "plan_version", "plan_charge",
    "plan_entitlement", "coupon", "billing_run", "legal_entity", "brand", "number_series", "tax_rate",
    "template_version", "template_logo", "plan_migration", "plan_migration_move", "provider_account", "provider_event",
    "crypto_key", "crypto_rate", "crypto_watch", "crypto_block", "terms_version",
    "provider_pull", "provider_movement", "provider_payout", "bank_statement", "bank_line", "dunning_campaign",
)  # fmt: skip
# Books of the house itself, and what is written down about those who knock.
_LEFT_OUT = (
    "throttle", "sign_in", "mail", "mail_token", "subscriber_cursor", "heartbeat", "rate_lease", "invariant_result",
    "secret_opening",
)  # fmt: skip


def _tables(base: type[Table] = Table) -> Iterator[type[Table]]:
    for kind in base.__subclasses__():
        if hasattr(kind, "__table__"):
            yield kind
        yield from _tables(kind)


def tenant_tables() -> set[str]:
    return {kind.__tablename__ for kind in _tables() if kind.tenant_column}


def _condition(kind: type[Table]) -> str | None:
    """Which rows are the victim's. Raises LookupError for a table of which nobody has said whose it is."""
    name = kind.__tablename__
    columns = SQLModel.metadata.tables[name].columns
    if name in _LEFT_OUT:
        return None
    if name in _HOUSE:
        return "true"
    if kind.tenant_column:
        # What somebody did himself and may do is written down in the name of the organisation he works in.
        column = {"event": "actor_id", "task": "asked_by"}.get(name)
        mine = f" and {column} <> :actor" if column else ""
        return f"{kind.tenant_column} = :organization{mine}"
    if name == "account":
        return "id = :account"
    if "account_id" in columns:
        return "account_id = :account"
    raise LookupError(f"Say in {__file__} whose rows those of {name} are: _HOUSE, or _LEFT_OUT.")


async def state_of(victim: Victim, *, but_by: str = "") -> dict[str, tuple[int, str]]:
    """Number and hash of the victim's rows by table, without events that `but_by` caused."""
    parts: list[str] = []
    for kind in _tables():
        condition = _condition(kind)
        if condition is not None:
            row = "to_jsonb(t) " + " ".join(f"- '{column}'" for column in _NOTED)
            parts.append(
                f"select '{kind.__tablename__}' as name, count(*) as rows, md5(coalesce(string_agg(({row})::text, ''"
                f" order by ({row})::text), '')) as digest from {kind.__tablename__} t where {condition}"
            )
    async with crossing(Reason.INVARIANTS) as uow:
        found = await uow.execute(
            " union all ".join(parts),
            organization=victim.organization.id,
            account=victim.owner.id,
            actor=but_by,
        )
        return {row.name: (row.rows, row.digest) for row in found}


class Watch:
    """Whether anything of the victim's changes. To look at all there is costs more than an attempt does, so it is
    looked at after every few of them, and all those since are named."""

    LOOKED_AFTER = 40

    def __init__(self, victim: Victim, *, but_by: str) -> None:
        self._victim, self._but_by = victim, but_by
        self._before: dict[str, tuple[int, str]] = {}
        self._since: list[str] = []

    async def begin(self) -> Watch:
        self._before = await state_of(self._victim, but_by=self._but_by)
        return self

    async def after(self, attempt: str) -> list[str]:
        self._since.append(attempt)
        return await self.look() if len(self._since) >= self.LOOKED_AFTER else []

    async def look(self) -> list[str]:
        """What changed since the last look, by whom of those since."""
        now = await state_of(self._victim, but_by=self._but_by)
        changed = [name for name in now if now[name] != self._before[name]]
        suspects, self._since, self._before = self._since, [], now
        return [f"{name} was changed by one of {suspects}" for name in changed]
