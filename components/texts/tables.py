"""English texts of declared lists: which rows are shown, and how filters read as chips."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "table.rows": "{first, plural, other {#}}\u2013{last, plural, other {#}} of {total, plural, other {#}}",
    "table.rows_about": "{first, plural, other {#}}\u2013{last, plural, other {#}} of about {total, plural, other {#}}",
    "table.some_about": "{rows, plural, one {# row} other {# rows}} of about {total, plural, other {#}}",
    "table.export": "Export CSV",
    "filter.first_day": "First day",
    "filter.last_day": "Last day",
    "filter.active": "Filters in force",
    "filter.remove": "Remove filter:",
    "filter.operator.eq": "is",
    "filter.operator.ne": "is not",
    "filter.operator.in": "is any of",
    "filter.operator.gt": "more than",
    "filter.operator.gte": "at least",
    "filter.operator.lt": "less than",
    "filter.operator.lte": "at most",
    "filter.operator.contains": "contains",
    "filter.operator.starts_with": "begins with",
    "filter.operator_of_times.gt": "after",
    "filter.operator_of_times.gte": "from",
    "filter.operator_of_times.lt": "before",
    "filter.operator_of_times.lte": "up to",
    "filter.operator.is_null": "is empty:",
}
