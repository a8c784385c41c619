"""What our mails say about somebody's own account. Plain text; a subject never holds anything that a person typed."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from services.notify.texts import Text


def reset_password(*, name: str, public_url: str, token: str, minutes: int) -> Text:
    return Text(
        "Set a new password for Matrix",
        f"""Hello {name},

somebody, we hope you, asked for a new password for your account at Matrix. Follow this link to set one:

{public_url}/reset?token={quote(token)}

The link works once, for {minutes} minutes. Setting a password signs you out everywhere. If you did not ask, do
nothing: your password stays as it is.
""",
    )


_ELSE = """If it was not you, set a new password at once:

{public_url}/reset
"""
_NOTICES = {
    "account.password_changed": (
        "Your password for Matrix was changed",
        "the password of your account at Matrix was changed, and all other sessions were ended.",
    ),
    "authenticator.enabled": (
        "Two-step verification is on",
        "signing in to your account at Matrix now asks for a code of your authenticator app, too.",
    ),
    "authenticator.disabled": (
        "Two-step verification is off",
        "signing in to your account at Matrix no longer asks for a code: the password alone is enough.",
    ),
    "recovery_codes.replaced": (
        "Your recovery codes were replaced",
        "other recovery codes were made for your account at Matrix. Those you have kept work no more.",
    ),
    "recovery_codes.used": (
        "A recovery code was used",
        "a recovery code of your account at Matrix was used in place of your authenticator app. It works no more.",
    ),
}
NOTICES = frozenset(_NOTICES)


def notice(event_type: str, *, name: str, public_url: str) -> Text:
    """Of one of NOTICES, to the account's owner."""
    subject, happened = _NOTICES[event_type]
    return Text(subject, f"Hello {name},\n\n{happened}\n\n{_ELSE.format(public_url=public_url)}")


def new_device(*, name: str, public_url: str, device: str, address: str, at: datetime) -> Text:
    where = ", ".join(part for part in (device, address) if part)
    return Text(
        "A new browser signed in to your account",
        f"""Hello {name},

your account at Matrix was signed in to from a browser that it did not know before:

{where or "a browser that says nothing of itself"}
{at:%d %B %Y, %H:%M} UTC

If it was you, there is nothing to do. {_ELSE.format(public_url=public_url)}""",
    )
