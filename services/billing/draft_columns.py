"""The columns of an invoice as a draft begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.billing import InvoiceState

# A draft of which nothing is known yet.
NOTHING_YET: Mapping[str, Any] = {
    "state": InvoiceState.DRAFT.value,
    "memo": "",
    "lines": 0,
    "next_position": 1,
    **dict.fromkeys(("charged_minor", "discount_minor", "net_minor", "tax_minor", "total_minor"), 0),
    **dict.fromkeys(("credited_minor", "offset_minor", "paid_minor", "written_off_minor", "due_minor"), 0),
    **dict.fromkeys(("number", "series_brand", "series_period", "sequence", "label_date", "due_date")),
    **dict.fromkeys(("seller", "buyer", "policy", "coupons", "taxes", "journal_id")),
    **dict.fromkeys(("finalized_at", "paid_at", "reopened_at", "voided_at", "uncollectible_at")),
}
