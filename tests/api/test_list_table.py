"""docs/all-lists.md names every list that services declare, with what each takes."""

from __future__ import annotations

from matrix_app.api.error_table import ROOT
from matrix_app.api.list_table import table
from tests.listings import every_listing


def test_the_table_of_lists_is_up_to_date() -> None:
    written = (ROOT / "docs" / "all-lists.md").read_text()
    missing = set(table().splitlines()) - set(written.splitlines())
    assert written == table(), (
        "Write it again with `.venv/bin/python -m matrix_app.api.list_table > docs/all-lists.md`. "
        f"New lines: {sorted(missing)}"
    )


def test_no_declared_list_is_left_out() -> None:
    rows = [line.split(" | ") for line in table().splitlines() if line.startswith("| `/")]
    shown = sorted((row[2].split(", ")[0].strip("`"), row[3].rstrip(" |")) for row in rows)
    declared = [
        (one.sort, ", ".join(dict.fromkeys(f"`{column.name}`" for column, _ in one.filters.values())))
        for one in every_listing().values()
    ]

    assert shown == sorted(declared)
