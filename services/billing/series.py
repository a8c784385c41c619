"""Counters of document numbers: the proof that none is missing, and the numbers that come next."""

from __future__ import annotations

from dataclasses import dataclass

from services.billing.entities import EntityFields
from services.billing.numbering import NumberPattern, Series, label_date, parse_pattern
from services.core.errors import Invalid
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork

GAPS_SHOWN_MAX = 20  # of one series
_EXACTLY = (Operator.EQ, Operator.IN)


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One counter: `last` was drawn, `issued` documents have a number of it. Without a gap both are the same, and
    `missing` is empty; at most GAPS_SHOWN_MAX are named, as texts. `period` is empty where it never begins again."""

    id: str
    legal_entity_id: str
    legal_entity: str
    series: str
    brand: str
    period: str
    first: int
    last: int
    issued: int
    missing: list[str]
    has_no_gap: bool
    is_test: bool


# A counter always begins at 1, so that a first document after that is a gap, too.
_SERIES = f"""(
with issued as (
  select legal_entity_id, 'invoice' as series, series_brand as brand, series_period as period, sequence
  from invoice where sequence is not null
  union all
  select legal_entity_id, 'credit_note', series_brand, series_period, sequence from credit_note
), counted as (
  select legal_entity_id, series, brand, period, count(*) as issued from issued group by 1, 2, 3, 4
), holes as (
  select legal_entity_id, series, brand, period, before + 1 as start, sequence - 1 as finish from (
    select *, lag(sequence, 1, cast(0 as bigint)) over (
      partition by legal_entity_id, series, brand, period order by sequence) as before from issued
  ) s where sequence > before + 1
  union all
  select n.legal_entity_id, n.series, n.brand, n.period, coalesce(max(i.sequence), 0) + 1, n.last
  from number_series n left join issued i
    on (i.legal_entity_id, i.series, i.brand, i.period) = (n.legal_entity_id, n.series, n.brand, n.period)
  group by n.legal_entity_id, n.series, n.brand, n.period, n.last having coalesce(max(i.sequence), 0) < n.last
), reported as (
  select n.legal_entity_id, e.code, e.is_test, n.series, n.brand, n.period, n.last, coalesce(c.issued, 0) as issued,
    array(
      select cast(m.number as text) from (
        select generate_series(h.start, least(h.finish, h.start + {GAPS_SHOWN_MAX - 1})) as number from holes h
        where (h.legal_entity_id, h.series, h.brand, h.period) = (n.legal_entity_id, n.series, n.brand, n.period)
        order by 1 limit {GAPS_SHOWN_MAX}
      ) m order by m.number
    ) as missing
  from number_series n join legal_entity e on e.id = n.legal_entity_id
  left join counted c
    on (c.legal_entity_id, c.series, c.brand, c.period) = (n.legal_entity_id, n.series, n.brand, n.period)
)
select concat_ws('/', code, series, brand, period) as id, *,
  last = issued and cardinality(missing) = 0 as has_no_gap from reported
) n"""

SERIES: Listing[SeriesRow] = Listing(
    "staff.invoice_series",
    row=SeriesRow,
    needs=Capability.STAFF_INVOICES_READ,
    source=_SERIES,
    columns=(
        Column("id", "n.id", sortable=True, unchanging=True),
        Column("legal_entity_id", "n.legal_entity_id", Kind.ID, operators=_EXACTLY),
        Column("legal_entity", "n.code", text="Code of who issues the documents"),
        Column("series", "n.series", Kind.ENUM, values=tuple(Series), operators=_EXACTLY),
        Column("brand", "n.brand", text="Empty where all brands count together"),
        Column("period", "n.period", text="Empty where the counter never begins again"),
        Column("first", "1", Kind.INTEGER, text="Each counter begins at 1"),
        Column("last", "n.last", Kind.INTEGER, text="The last number that was drawn"),
        Column("issued", "n.issued", Kind.INTEGER, text="How many documents have a number of it"),
        Column("missing", "n.missing", Kind.LIST, text="Some of the numbers that no document has"),
        Column("has_no_gap", "n.has_no_gap", Kind.FLAG, operators=(Operator.EQ,)),
        Column(
            "is_test",
            "n.is_test",
            Kind.FLAG,
            operators=(Operator.EQ,),
            text="Of a legal entity for test clocks: no document of it is real",
        ),
    ),
    sort="id",
)


@dataclass(frozen=True, slots=True)
class NextNumbers:
    """What a document that were finalised now would be called."""

    invoice: str
    note: str


async def next_numbers(
    uow: UnitOfWork, given: EntityFields, *, brand: str, entity_id: str = ""
) -> NextNumbers:
    """By what is typed for a legal entity that is there as `entity_id`, or for a new one, under the brand with that
    code. Draws nothing.

    Raises Forbidden, and Invalid with the name of the field in EntityFields that says no number.
    """
    uow.actor.require(Capability.STAFF_INVOICES_READ)
    made: dict[str, str] = {}
    for series, name, text, reset in (
        (Series.INVOICE, "invoice", given.invoice_pattern, given.invoice_reset),
        (Series.CREDIT_NOTE, "note", given.note_pattern, given.note_reset),
    ):
        try:
            pattern = parse_pattern(text, reset)
            made[name] = await _next(uow, given, brand, entity_id, series, pattern)
        except Invalid as refused:
            field_of = {"pattern": f"{name}_pattern", "reset": f"{name}_reset", "entity": "code"}
            raise Invalid(
                refused.message, field=field_of.get(refused.field, refused.field), next_step=refused.next_step
            ) from refused
    return NextNumbers(**made)


async def _next(
    uow: UnitOfWork,
    given: EntityFields,
    brand: str,
    entity_id: str,
    series: Series,
    pattern: NumberPattern,
) -> str:
    on = label_date(uow.wall_now, given.timezone)
    key = pattern.counter_key(entity=given.code, brand=brand, series=series, on=on)
    found = await uow.execute(
        "select last from number_series where legal_entity_id = :id and series = :series and brand = :brand"
        " and period = :period",
        id=entity_id,
        series=series.value,
        brand=key.brand,
        period=key.period,
    )
    last: int = found.scalar_one_or_none() or 0
    return pattern.format(entity=given.code, brand=brand, on=on, seq=last + 1)
