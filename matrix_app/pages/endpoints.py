"""The REST addresses that pages use for what sets cookies or answers with secrets. A test finds each in the API."""

from __future__ import annotations

SIGN_UP = "/api/v1/sign-up"
RESEND_CONFIRMATION = "/api/v1/sign-up/resend"
CONFIRM = "/api/v1/sign-up/confirm"
SIGN_IN = "/api/v1/session"
SIGN_OUT = "/api/v1/session/sign-out"
SWITCH_ORGANIZATION = "/api/v1/session/organization"
ORGANIZATIONS = "/api/v1/organizations"
KEYS = "/api/v1/keys"
STAFF_ORGANIZATIONS = "/api/v1/staff/organizations"
STAFF_UPSTREAMS = "/api/v1/staff/upstreams"
STAFF_MODELS = "/api/v1/staff/models"
STAFF_PRICES = "/api/v1/staff/prices"
