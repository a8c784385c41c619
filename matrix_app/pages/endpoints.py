"""The REST addresses that pages use for what sets cookies or answers with secrets. A test finds each in the API."""

from __future__ import annotations

SIGN_UP = "/api/v1/sign-up"
RESEND_CONFIRMATION = "/api/v1/sign-up/resend"
CONFIRM = "/api/v1/sign-up/confirm"
SIGN_IN = "/api/v1/session"
SIGN_IN_CODE = "/api/v1/session/code"
REQUEST_RESET = "/api/v1/password/reset"
RESET_PASSWORD = "/api/v1/password/reset/confirm"  # noqa: S105 - an address
ACCOUNT = "/api/v1/account"
OWN_PASSWORD = "/api/v1/account/password"  # noqa: S105 - an address
AUTHENTICATOR = "/api/v1/account/authenticator"
CONFIRM_AUTHENTICATOR = "/api/v1/account/authenticator/confirm"
RECOVERY_CODES = "/api/v1/account/recovery-codes"
END_OTHER_SESSIONS = "/api/v1/account/sessions/end-others"
SIGN_OUT = "/api/v1/session/sign-out"
SWITCH_ORGANIZATION = "/api/v1/session/organization"
ORGANIZATIONS = "/api/v1/organizations"
KEYS = "/api/v1/keys"
STAFF_ORGANIZATIONS = "/api/v1/staff/organizations"
STAFF_UPSTREAMS = "/api/v1/staff/upstreams"
STAFF_MODELS = "/api/v1/staff/models"
STAFF_PRICES = "/api/v1/staff/prices"
