"""English texts of who opened what is sealed. `openings.purpose_of.*` says why, `openings.place_of.*` what lies in a
column."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "openings.to": "Who opened what is sealed",
    "openings.back": "Audit log",
    "openings.title": "Opened secrets",
    "openings.text": "What that is kept sealed was opened in the last 400 days, by whom and why?",
    "openings.own_text": "What of yours that is kept sealed was opened in the last 400 days, by whom and why?",
    "openings.none": "Nothing was opened yet",
    "openings.none_text": "Each use of a key of an upstream, a payment method or an authenticator that is kept sealed appears here.",
    "openings.opened_at": "Time",
    "openings.place": "What",
    "openings.purpose": "Why",
    "openings.actor": "Who",
    "openings.tenant": "Whose",
    "openings.row_id": "Row",
    "openings.platform": "The installation",
    "openings.whole_column": "All of them",
    "openings.filter.actor": "Who: id or email",
    "openings.filter.tenant": "Whose: id",
    "openings.purpose_of.answered_again": "To answer a request that was sent twice",
    "openings.purpose_of.calls_routed": "To call the upstream",
    "openings.purpose_of.code_checked": "To check a code",
    "openings.purpose_of.customer_named": "To tell the provider who pays",
    "openings.purpose_of.keys_rotated": "To wrap it under a new key",
    "openings.purpose_of.method_charged": "To charge it",
    "openings.purpose_of.method_forgotten": "To have the provider forget it",
    "openings.purpose_of.provider_changed": "To change the account",
    "openings.purpose_of.provider_connected": "To talk to the provider",
    "openings.place_of.authenticator.seed_sealed": "Seed of an authenticator app",
    "openings.place_of.idempotency_record.body": "Answer to a request",
    "openings.place_of.payment_method.token": "Payment method",
    "openings.place_of.provider_account.secrets": "Secrets of a provider account",
    "openings.place_of.provider_customer.reference": "Name of a customer at a provider",
    "openings.place_of.upstream.api_key_sealed": "Key of an upstream",
}
