"""Countries that profiles, legal entities and tax rates name."""

from __future__ import annotations

import pytest

from services.billing.entities import require_country, require_jurisdictions
from services.core.errors import Invalid


@pytest.mark.parametrize("code", ["XQ", "ZZ", "UK", "de", "D", "DEU", ""])
def test_a_country_that_is_none_is_refused(code: str) -> None:
    """A buyer in one would be taxed nowhere."""
    with pytest.raises(Invalid):
        require_country(code)
    with pytest.raises(Invalid):
        require_jurisdictions((code,), "registrations")


@pytest.mark.parametrize("code", ["XQ-1", "DE-", "DE-LONG", "CA-qc"])
def test_a_part_of_no_country_is_refused(code: str) -> None:
    with pytest.raises(Invalid):
        require_jurisdictions((code,), "registrations")


def test_countries_and_their_parts_are_taken() -> None:
    assert [require_country(code) for code in ("DE", "GB", "XK")] == ["DE", "GB", "XK"]
    require_jurisdictions(("DE", "CA-QC", "US-CA"), "registrations")
