"""Lines as they are added to a draft: each with its amount and what gives that amount again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from models.billing import LineOrigin
from models.money import Money
from models.values import value
from services.billing import usage_rules
from services.billing.lines import Line
from services.billing.lines import facts_of as facts_of_item
from services.billing.periods import Span
from services.billing.usage_rules import Part
from services.catalog import charge_json
from services.catalog.charges import Charge, OneOff
from services.catalog.rating import EventTally, rate


@value
class NewLine:
    """A line as it is added to a draft. `facts` give `amount` again; make one with a function below.

    `key` says which act it is: added again, it is the line that is there. A `tax` that was decided before comes with
    how it was treated then.
    """

    origin: LineOrigin
    description: str
    quantity: Decimal
    amount: Money
    facts: dict[str, Any]
    key: str = ""
    period: tuple[datetime, datetime] | None = None
    billed_before: Money | None = None
    inclusive: bool = False
    discountable: bool = True
    metric: str | None = None
    plan: str | None = None
    tax_code: str = ""
    tax: Money | None = None
    treatment: dict[str, Any] | None = None


def charged_line(
    origin: LineOrigin,
    description: str,
    charge: Charge,
    quantity: Decimal,
    currency: str,
    *,
    events: EventTally | None = None,
    **more: Any,
) -> NewLine:
    """What a quantity costs by a charge, rounded once to the currency. Raises Invalid for what no charge rates."""
    exact = rate(charge, quantity, events=events).amount
    facts = {"made_by": "charge", "currency": currency, **charge_json.facts_of(charge, quantity, events)}
    return NewLine(origin, description, quantity, Money.of(exact, currency), facts, **more)


def manual_line(
    description: str, quantity: Decimal, unit_amount: Decimal, currency: str, **more: Any
) -> NewLine:
    """`quantity` of something at `unit_amount` in major units, charged once. Neither is below zero: what is taken
    back is taken back by a credit note. Raises Invalid."""
    charge = Charge(OneOff(unit_amount))
    return charged_line(LineOrigin.MANUAL, description, charge, quantity, currency, **more)


def priced_line(
    description: str,
    model: str,
    parts: Sequence[Part],
    currency: str,
    *,
    spans: Mapping[str, Sequence[Span]],
    **more: Any,
) -> NewLine:
    """What a model was used for at prices of the list, in these times of each meter."""
    return NewLine(
        LineOrigin.USAGE,
        description,
        usage_rules.quantity_of(parts),
        usage_rules.amount_of(parts, currency),
        usage_rules.facts_of(model, parts, currency, spans),
        **more,
    )


def item_line(
    description: str,
    line: Line,
    *,
    rated: Mapping[str, Any] | None = None,
    treatment: dict[str, Any] | None = None,
    **more: Any,
) -> NewLine:
    """A line of a subscription's item. What credits an earlier line brings its tax, and how that was taxed: its
    `tax` as it stands on the document. A debit keeps what its price for a whole period was `rated` from."""
    facts = {"made_by": "item", **facts_of_item(line)}
    if rated is not None:
        facts["rated"] = rated
    return NewLine(
        LineOrigin.SUBSCRIPTION,
        description,
        line.terms.quantity,
        line.amount,
        facts,
        period=(line.span.start, line.span.end),
        inclusive=line.terms.inclusive and treatment is None,  # a tax that was decided is beside its net
        discountable=treatment is None,
        tax=line.tax if treatment is not None else None,
        treatment=treatment,
        **more,
    )
