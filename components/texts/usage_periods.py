"""English texts of months of usage that are billed by the price list."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "usage_periods.to": "Usage by the price list, month by month",
    "usage_periods.title": "Usage by month",
    "usage_periods.text": "Is what is used billed? Here is what no plan meters and no wallet pays: a month at a time, by the price list.",
    "usage_periods.none": "No month yet",
    "usage_periods.none_text": "The next billing run begins one for each organisation.",
    "usage_periods.back": "Billing runs",
    "usage_periods.organization": "Organisation",
    "usage_periods.organization_id": "Organisation id",
    "usage_periods.state": "State",
    "usage_periods.state.open": "Running",
    "usage_periods.state.collecting": "Waits for late usage",
    "usage_periods.state.closed": "Billed",
    "usage_periods.state.parked": "Parked",
    "usage_periods.starts_at": "From",
    "usage_periods.ends_at": "Until",
    "usage_periods.parked_reason": "Why it is parked",
    "usage_periods.retry_at": "Tried again",
    "usage_periods.id": "Month",
    "usage_periods.try_again_of": "Try {id} again",
}
