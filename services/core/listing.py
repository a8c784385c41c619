"""Lists by declaration: one `Listing` is a page's table, a resource of the API and a file to download.

    KEYS = Listing(
        "keys",
        row=KeyRow,                               # a dataclass whose fields are the shown columns
        needs=Capability.KEYS_READ,
        source="api_key k left join account a on a.id = k.created_by",
        where="k.organization_id = :organization_id",
        columns=(
            Column("id", "k.id", Kind.ID, filterable=True),
            Column("name", "k.name", filterable=True, sortable=True),
            Column("status", "case ... end", Kind.ENUM, values=("active", "expired"), filterable=True),
            Column("last_used_at", "k.last_used_at", Kind.INSTANT, nullable=True, sortable=True),
            Column("created_at", "k.created_at", Kind.INSTANT, sortable=True, filterable=True),
        ),
        sort="-created_at",
    )

    query = read(KEYS, [("status", "active"), ("name[contains]", "lap"), ("sort", "-name")])   # or InvalidFilter
    found = await listing_sql.page(uow, query, limit=50)         # rows, and the positions of the pages beside
    following = await listing_sql.page(uow, query, limit=50, at=found.next)
    total = await listing_sql.count(uow, query)
    async for rows in listing_sql.batches(lambda: unit_of_work(actor), query): ...   # all rows, a batch at a time

SQL is written in declarations only; what callers send is a name of the declaration or a bound parameter. In `source`,
`where` and the columns `:organization_id` is the actor's organisation, `:actor_id` the actor, `:session_id` the session
that asks, `:now` the clock on the wall and `:business_now` the organisation's. Tenancy is what it is everywhere: a
tenant's list says `organization_id = :organization_id` and row-level security holds it.

Rows are sorted by one column and, where that is equal, by `key`, in the same direction; empty values come last either
way. So an index on (organization_id, column, key) serves both directions, and a page costs the same wherever it is.
A column that `joins` gives is read for the rows of a page only, and so can be neither sorted nor filtered by.

The API offers a list with matrix_app/api/v1/lists.py, a page with state/listed.py and components/tables/listed.py.
docs/lists.md has the grammar of filters as callers see it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from services.core.permissions import Capability

R = TypeVar("R")


class Kind(StrEnum):
    """What a column holds. LIST (of texts) and OBJECT are shown and exported, never sorted or filtered by."""

    TEXT = "text"
    ID = "id"
    INSTANT = "instant"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLAG = "flag"
    ENUM = "enum"
    LIST = "list"
    OBJECT = "object"


class Operator(StrEnum):
    EQ = "eq"
    NE = "ne"
    IN = "in"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    IS_NULL = "is_null"


_EQUAL = (Operator.EQ, Operator.NE, Operator.IN)
_RANGE = (Operator.GT, Operator.GTE, Operator.LT, Operator.LTE)
USUAL: Mapping[Kind, tuple[Operator, ...]] = {
    Kind.TEXT: (*_EQUAL, Operator.CONTAINS),
    Kind.ID: _EQUAL,
    Kind.INSTANT: _RANGE,
    Kind.INTEGER: (*_EQUAL, *_RANGE),
    Kind.DECIMAL: (*_EQUAL, *_RANGE),
    Kind.FLAG: (Operator.EQ,),
    Kind.ENUM: _EQUAL,
    Kind.LIST: (),
    Kind.OBJECT: (),
}


class BadListing(ValueError):
    """A declaration that contradicts itself; found when the module that declares it is imported."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `filterable` gives it the operators usual for its kind, `operators` exactly those.

    `values` are all of an ENUM. An amount of money names in `currency` the column that holds its currency; it is an
    INTEGER of minor units or an exact DECIMAL. `folded` is the stored form of a text that sorting and `contains` use,
    made by `fold` from what is looked for; without it texts are compared as they are and searched without regard to
    case. STARTS_WITH is for texts with the collation "C".

    `ordered_by` is a stored integer with the order of a DECIMAL, which no index can begin in the middle of (see
    models/gateway.py).

    `conditions` say in SQL what an operator means where it is not the usual thing: `{value}` is what was given,
    `{folded}` the same through `fold`, `{like}` that with the wildcards of LIKE escaped.

    What is `unchanging` stays in a row for good. Files, which are read in many steps, are sorted by such a column or by
    the key: by any other a row might move meanwhile, and be missing or there twice.

    Callers without the capability `needs` get null, and may neither sort nor filter by it. What is not `shown` is there
    to be filtered or sorted by; what is not `exported` is in no file.
    """

    name: str
    sql: str = "null"
    kind: Kind = Kind.TEXT
    sortable: bool = False
    unchanging: bool = False
    filterable: bool = False
    operators: tuple[Operator, ...] = ()
    values: tuple[str, ...] = ()
    nullable: bool = False
    currency: str = ""
    folded: str = ""
    fold: Callable[[str], str] = str
    ordered_by: str = ""
    conditions: Mapping[Operator, str] = field(default_factory=dict[Operator, str])
    needs: Capability | None = None
    shown: bool = True
    exported: bool = True
    joined: bool = False
    text: str = ""  # said of it in the API's document

    @property
    def filters(self) -> tuple[Operator, ...]:
        """The operators that callers may use."""
        usual = self.operators or (USUAL[self.kind] if self.filterable else ())
        return (*usual, Operator.IS_NULL) if usual and self.nullable else usual

    @property
    def sorted_by(self) -> str:
        """The SQL whose order is the column's."""
        return self.ordered_by or self.folded or self.sql

    @property
    def sorted_kind(self) -> Kind:
        """What `sorted_by` holds."""
        return Kind.INTEGER if self.ordered_by else self.kind


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """A declared list; `row` makes a row of the shown columns by their names. Raises BadListing.

    `key` names the column that tells rows apart: unique, never null and never changed. `alias` is how `source` calls
    the table that `joins` are joined to.
    """

    name: str
    row: Callable[..., R]
    needs: Capability | None
    source: str
    columns: tuple[Column, ...]
    sort: str
    where: str = "true"
    key: str = "id"
    joins: str = ""
    alias: str = ""
    # Made of the columns, once; asked for with every parameter of every address.
    sorts: tuple[str, ...] = field(init=False, repr=False, compare=False)
    filters: Mapping[str, tuple[Column, Operator]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sorts", self._sorts())
        object.__setattr__(self, "filters", self._filters())
        names = [column.name for column in self.columns]
        if len(names) != len(set(names)):
            raise BadListing(f"The list {self.name!r} has two columns of one name.")
        if self.key not in names or self.column(self.key).nullable:
            raise BadListing(
                f"The list {self.name!r} needs its key {self.key!r} as a column that is never null."
            )
        if not self.column(self.sort.removeprefix("-")).sortable:
            raise BadListing(f"The list {self.name!r} must be sortable by {self.sort!r}, its usual order.")
        for column in self.columns:
            self._require_sound(column)

    def _require_sound(self, column: Column) -> None:
        where = f"The column {column.name!r} of the list {self.name!r}"
        if column.joined and (column.sortable or column.filters):
            raise BadListing(f"{where} comes from `joins`, so nothing can be sorted or filtered by it.")
        if column.sortable and column.kind in {Kind.LIST, Kind.OBJECT}:
            raise BadListing(f"{where} has no order.")
        if (column.kind is Kind.ENUM) != bool(column.values):
            raise BadListing(f"{where} must name its values exactly if it is an enum.")
        if column.currency and column.currency not in {
            other.name for other in self.columns if other.exported
        }:
            raise BadListing(f"{where} needs its currency {column.currency!r} as an exported column.")

    def column(self, name: str) -> Column:
        """Raises BadListing for a name that is not declared."""
        for column in self.columns:
            if column.name == name:
                return column
        raise BadListing(f"The list {self.name!r} has no column {name!r}.")

    @property
    def shown(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.shown)

    @property
    def exported(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.shown and column.exported)

    def _sorts(self) -> tuple[str, ...]:
        """Everything that `sort` may say."""
        return tuple(sign + column.name for column in self.columns if column.sortable for sign in ("", "-"))

    def _filters(self) -> dict[str, tuple[Column, Operator]]:
        """Every filter by the name it has in an address: `status`, `status[in]`."""
        return {
            parameter(column.name, operator): (column, operator)
            for column in self.columns
            for operator in column.filters
        }


def parameter(name: str, operator: Operator) -> str:
    """How a filter is called in an address."""
    return name if operator is Operator.EQ else f"{name}[{operator.value}]"
