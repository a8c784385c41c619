"""What an organisation may do by what it has subscribed to. Other fields ask here, by the key of a feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from models.plans import EntitlementKind
from services.core.work import UnitOfWork
from services.subscriptions.states import GIVES


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What an organisation may do of one feature: `value` is text of its kind, as in a plan."""

    key: str
    name: str
    kind: EntitlementKind
    value: str

    @property
    def flag(self) -> bool:
        return self.value == "true"

    @property
    def number(self) -> Decimal:
        """Of a number; 0 for what is none."""
        return Decimal(self.value) if self.kind is EntitlementKind.NUMBER else Decimal(0)


_GIVEN = """
select e.key, e.name, e.kind, e.value from subscription s
join lateral (
  select s.plan_version_id as id
  union
  select c.plan_version_id from subscription_item i join plan_charge c on c.id = i.price_id
  where i.subscription_id = s.id and i.ended_at is null
) v on true
join plan_entitlement e on e.plan_version_id = v.id
where s.organization_id = :organization_id and s.state = any(:gives)
order by s.started_at, s.id, e.plan_version_id, e.position
"""


async def given(uow: UnitOfWork) -> dict[str, Entitlement]:
    """By key, what the running plans and add-ons give the organisation that the work is bound to.

    Whatever one of them allows is allowed; numbers add up; of texts the plan that was there first has its say. For
    verbs, which have asked who may; what is not in it was given by nobody.
    """
    found = await uow.execute(
        _GIVEN, organization_id=uow.organization_id, gives=[state.value for state in GIVES]
    )
    return _together([Entitlement(one.key, one.name, EntitlementKind(one.kind), one.value) for one in found])


def _together(given: Sequence[Entitlement]) -> dict[str, Entitlement]:
    made: dict[str, Entitlement] = {}
    for one in given:
        before = made.get(one.key)
        if before is None or before.kind is not one.kind:
            made.setdefault(one.key, one)
        else:
            made[one.key] = Entitlement(one.key, before.name, one.kind, _more(before, one))
    return made


def _more(first: Entitlement, second: Entitlement) -> str:
    match first.kind:
        case EntitlementKind.FLAG:
            return "true" if first.flag or second.flag else "false"
        case EntitlementKind.NUMBER:
            return f"{(first.number + second.number).normalize():f}"
        case EntitlementKind.TEXT:
            return first.value
