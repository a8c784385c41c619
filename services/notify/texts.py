"""What our mails say. Plain text; a subject never holds anything that a person typed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Text:
    subject: str
    body: str


def confirm_address(*, name: str, public_url: str, token: str, hours: int) -> Text:
    return Text(
        "Confirm your address for Matrix",
        f"""Hello {name},

somebody, we hope you, signed up for Matrix with this address. Follow this link to confirm it:

{public_url}/confirm?token={quote(token)}

The link works for {hours} hours and asks for the password that was chosen. If you did not sign up, do
nothing: without the link nobody can sign in with your address. If you did, but do not know the password,
sign up again.
""",
    )


def already_signed_up(*, name: str, public_url: str) -> Text:
    return Text(
        "You already have an account at Matrix",
        f"""Hello {name},

somebody, perhaps you, signed up for Matrix with this address, which has an account already. Nothing
was changed. You can sign in here:

{public_url}/sign-in

If it was not you, there is nothing to do: whoever it was has not learned that this account exists.
""",
    )


def invitation(
    *, invited_by: str, organization: str, role: str, public_url: str, token: str, expires_at: datetime
) -> Text:
    return Text(
        "You are invited to an organisation at Matrix",
        f"""Hello,

{invited_by} invites you to join \u201c{organization}\u201d at Matrix as {role}. Follow this link to accept:

{public_url}/invitation?token={quote(token)}

It works once, for this address, until {expires_at:%d %B %Y, %H:%M} UTC. If you have no account yet, you make one
on that page. If you do not know {invited_by}, do nothing.
""",
    )
