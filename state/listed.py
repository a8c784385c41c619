"""Pages over a declared list: what is asked for lives in the address, in the grammar that the API has too.

So Back, reload and a sent link show the same rows, and the file to download is exactly what is on screen.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from services.core import listing_sql
from services.core.listing import Kind, Listing, Operator
from services.core.listing_grammar import SORT, VALUE_CHARACTERS_MAX, Condition, Query, understood
from services.core.listing_position import Position, position_of
from services.core.work import UnitOfWork
from state import addresses
from state.base import SIGNED_IN, PageState, page_event
from state.days import midnight, midnight_after

R = TypeVar("R")

ROWS_PER_PAGE = 50
PLACE = "at"  # in the address: where the page begins
_DAY_CHARACTERS = len("2026-01-31")


class ListedState(PageState, mixin=True):
    """One page of a declared list. A page class names the list and reads its rows with `_read`.

    Changing filters, sorting or the page only changes the address; the page then reads as after any navigation. What
    the list does not know is passed over. `_preset` holds for columns that the address says nothing about, and `_sort`
    where it names no order, instead of the list's own.
    """

    _listing: ClassVar[Listing[Any]]
    _file_url: ClassVar[str] = ""
    _filter_keys: ClassVar[tuple[str, ...]] = ()  # those with a control on the page
    _preset: ClassVar[dict[str, str]] = {}
    _sort: ClassVar[str] = ""

    rows: list[dict[str, Any]] = []
    filters: dict[str, str] = {}
    filtered: bool = False
    chips: list[dict[str, str]] = []
    sort: str = ""
    next_place: str = ""
    previous_place: str = ""
    first_row: int = 0  # its number among all, from 1; 0 when that is not known
    last_row: int = 0
    total: int = 0
    total_is_exact: bool = True
    csv_href: str = ""

    @page_event(SIGNED_IN)
    async def narrow(self, key: str, value: str) -> Any:
        """Set one filter, or take it away by an empty value. Typing on makes no second entry in the history."""
        if key not in self._listing.filters:
            return None
        chosen = self._chosen(self._query_ahead)
        goes_on = key in chosen and bool(value)
        return self._send_to(
            chosen | {key: self._instant(key, str(value)[:VALUE_CHARACTERS_MAX])}, replace=goes_on
        )

    @page_event(SIGNED_IN)
    async def widen(self) -> Any:
        """Take all filters away."""
        kept = self._chosen(self._query_ahead)
        return self._send_to({SORT: kept.get(SORT, "")})

    @page_event(SIGNED_IN)
    async def order(self, key: str) -> Any:
        """Sort by a column; by one that rows are sorted by already, the other way round."""
        if key not in self._listing.sorts:
            return None
        chosen = self._chosen(self._query_ahead)
        now = chosen.get(SORT, self._usual_sort)
        wanted = f"-{key}" if now == key else key
        return self._send_to(chosen | {SORT: "" if wanted == self._usual_sort else wanted})

    @page_event(SIGNED_IN)
    async def next_page(self) -> Any:
        return self._send_to(self._chosen(self._query_ahead) | {PLACE: self.next_place})

    @page_event(SIGNED_IN)
    async def previous_page(self) -> Any:
        return self._send_to(self._chosen(self._query_ahead) | {PLACE: self.previous_place})

    def _chosen(self, parameters: dict[str, str]) -> dict[str, str]:
        """The filters and the sorting that parameters of an address name and the list knows."""
        query = understood(self._listing, parameters.items())
        is_named = SORT in parameters and query.sorted_by != self._usual_sort
        return query.chosen | ({SORT: query.sorted_by} if is_named else {})

    @property
    def _usual_sort(self) -> str:
        return self._sort or self._listing.sort

    def _asked(self) -> Query[Any]:
        chosen = self._chosen(self._query)
        spoken_of = {self._listing.filters[name][0].name for name in chosen if name != SORT}
        usual = {
            name: value
            for name, value in self._preset.items()
            if self._listing.filters[name][0].name not in spoken_of
        }
        return understood(self._listing, ({SORT: self._usual_sort} | usual | chosen).items())

    async def _read(self, uow: UnitOfWork, listing: Listing[R]) -> tuple[R, ...]:
        """The rows that the address asks of the page's list, and everything said about them. Raises Invalid for a
        place that does not exist, Forbidden for what the caller may not see."""
        query: Query[R] = self._asked()
        text = self._query.get(PLACE, "")
        at = position_of(query, text, field=PLACE) if text else None
        found = await listing_sql.page(uow, query, limit=ROWS_PER_PAGE, at=at)
        if at is not None and (not found.rows or (at.before and found.previous is None)):
            # Rows have come or gone at the beginning: it is shown whole.
            found = await listing_sql.page(uow, query, limit=ROWS_PER_PAGE)
        self.next_place, self.previous_place = _text(found.next), _text(found.previous)
        await self._count(uow, query, found.first, len(found.rows))
        self._show(query)
        return found.rows

    async def _count(self, uow: UnitOfWork, query: Query[Any], first: Position | None, rows: int) -> None:
        before = listing_sql.Count(0, exact=True)
        if first is not None and self.previous_place:
            before = await listing_sql.count_before(uow, query, first)
        all_rows = listing_sql.Count(before.rows + rows, exact=before.exact)
        if self.next_place or not before.exact:
            all_rows = await listing_sql.count(uow, query)
        self.first_row = before.rows + 1 if before.exact and rows else 0
        self.last_row = before.rows + rows if before.exact else rows
        self.total, self.total_is_exact = all_rows.rows, all_rows.exact

    def _show(self, query: Query[Any]) -> None:
        chosen = self._chosen(self._query)
        self.sort = query.sorted_by
        shown = {name: value for name, value in chosen.items() if name != SORT}
        self.filters = {name: self._day(name, shown.get(name, "")) for name in self._filter_keys}
        self.filtered = bool(shown)
        self.chips = [_chip(one) for one in query.conditions if one.parameter in shown]
        parameters = dict(query.parameters) | {"format": "csv"}
        self.csv_href = addresses.with_query(self._file_url, parameters) if self._file_url else ""

    def _instant(self, key: str, value: str) -> str:
        """A day of the organisation as the instant it begins at, or ends at for what must lie before."""
        column, operator = self._listing.filters[key]
        if column.kind is not Kind.INSTANT or len(value) != _DAY_CHARACTERS:
            return value
        at = (midnight_after if operator is Operator.LT else midnight)(value, self._zone)
        return at.isoformat().replace("+00:00", "Z") if at is not None else value

    def _day(self, key: str, value: str) -> str:
        """The day that a control for days shows for an instant."""
        column, operator = self._listing.filters[key]
        if column.kind is not Kind.INSTANT or operator is Operator.IS_NULL or not value:
            return value
        at = understood(self._listing, [(key, value)]).conditions[0].value.astimezone(self._zone)
        return (at - timedelta(microseconds=1) if operator is Operator.LT else at).date().isoformat()


def _text(place: Position | None) -> str:
    return place.text if place is not None else ""


def _chip(one: Condition) -> dict[str, str]:
    return {
        "key": one.parameter,
        "column": one.column.name,
        "operator": one.operator.value,
        "value": one.text,
        "words": f"{one.column.name}:{one.text}",
        "kind": one.column.kind.value if one.operator is not Operator.IS_NULL else Kind.FLAG.value,
    }
