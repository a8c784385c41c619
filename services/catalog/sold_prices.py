"""Prices as bills need them. What is not a draft any more never changes, so each is read once by a process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.plans import VersionState
from services.catalog.plan_queries import ChargeRow, planned
from services.catalog.plan_rules import PlannedCharge
from services.core.work import UnitOfWork


@dataclass(frozen=True, slots=True)
class SoldPrice:
    """A price with what of its plan a bill needs to know."""

    id: str
    plan_id: str
    version_id: str
    tax_code: str
    charge: PlannedCharge

    def __hash__(self) -> int:
        """By what two prices rarely share. That of all that a charge is costs more than to bill it."""
        return hash(self.id)


SOLD_KNOWN_MAX = 10_000  # prices that one process keeps
_sold: dict[str, SoldPrice] = {}  # by their ids


async def prices(
    uow: UnitOfWork, *, version_ids: Sequence[str] = (), ids: Sequence[str] = ()
) -> list[SoldPrice]:
    """Those of the versions and those named, in the order of each version's list. For verbs, which have asked."""
    if not version_ids and all(one in _sold for one in ids):
        return [_sold[one] for one in dict.fromkeys(ids)]
    found = await uow.execute(
        "select c.plan_version_id, v.plan_id, v.tax_code, v.state, c.id, c.key, c.name, c.kind, c.meter, c.currency,"
        " c.interval, c.interval_count, c.timing, c.proration, c.definition, c.quantity_min, c.quantity_max,"
        " c.included_credits, c.tax_inclusive"
        " from plan_charge c join plan_version v on v.id = c.plan_version_id"
        " where c.plan_version_id = any(:versions) or c.id = any(:ids) order by c.plan_version_id, c.position",
        versions=list(version_ids),
        ids=list(ids),
    )
    if len(_sold) > SOLD_KNOWN_MAX:
        _sold.clear()
    made: list[SoldPrice] = []
    for one in found:
        charge = ChargeRow(**{name: getattr(one, name) for name in ChargeRow.__slots__})
        made.append(SoldPrice(one.id, one.plan_id, one.plan_version_id, one.tax_code, planned(charge)))
        if one.state != VersionState.DRAFT:
            _sold[one.id] = made[-1]
    return made
