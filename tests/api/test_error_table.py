"""docs/errors.md names every code that the API can answer with."""

from __future__ import annotations

from matrix_app.api.error_table import ROOT, table


def test_the_table_of_errors_is_up_to_date() -> None:
    written = (ROOT / "docs" / "errors.md").read_text()
    missing = set(table().splitlines()) - set(written.splitlines())
    assert written == table(), (
        "Write it again with `.venv/bin/python -m matrix_app.api.error_table > docs/errors.md`. "
        f"New lines: {sorted(missing)}"
    )
