"""What may be typed in, and how long is long enough. Pure: no clock, no database."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
import zoneinfo
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

import idna

from models.money import UnknownCurrency, currency
from models.types import OrganizationKind
from services.core import cards
from services.core.errors import Forbidden, Invalid, TooLarge
from services.identity import password_rules

NAME_CHARACTERS_MAX = 100
EMAIL_CHARACTERS_MAX = 254  # RFC 5321: what fits a forward path
EMAIL_LOCAL_CHARACTERS_MAX = 64
PASSWORD_BYTES_MAX = 1_024  # hashing costs time by length: a megabyte would be a cheap way to keep us busy

USER_AGENT_CHARACTERS_MAX = 300
ADDRESS_CHARACTERS_MAX = 64

SESSION_IDLE_MAX = timedelta(days=14)
SESSION_AGE_MAX = timedelta(days=90)
DEVICE_AGE_MAX = timedelta(days=365)  # since the last sign-in on it
SESSION_SEEN_EVERY = timedelta(minutes=1)  # `last_seen_at` is no finer than this
CONFIRMATION_VALID = timedelta(days=2)
RESET_VALID = timedelta(hours=1)
CHALLENGE_VALID = timedelta(minutes=10)  # from a right password to its code
INVITATION_VALID = timedelta(days=7)  # since its newest mail
PROOF_VALID = timedelta(minutes=10)  # how long nobody is asked again to show who they are
ORGANIZATIONS_PER_ACCOUNT_MAX = 20

# As the names of their characters begin. Han, kana and Hangul are mixed with Latin by whoever writes them.
_LOOK_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "GEORGIAN"})
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSEEN = frozenset({"Cf", "Zs"})  # blanks, and what only joins others: a name of these alone is none
_DOMAIN_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")
_LOCAL_PART = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*")


@dataclass(frozen=True, slots=True)
class Email:
    """An address as its owner writes it, and the folded key by which it is found again."""

    address: str
    key: str


def clean_text(text: str, *, field: str, what: str, characters_max: int = NAME_CHARACTERS_MAX) -> str:
    """One line of text in normal form (NFC), trimmed. Raises Invalid if empty, too long or not printable."""
    refuse_unprintable(text[: characters_max * 4], field=field, what=what)
    cleaned = text.strip()
    # No work for what is too long anyway: no normal form is four times shorter, and it costs time by the square.
    if len(cleaned) <= characters_max * 4:
        refuse_unprintable(cleaned, field=field, what=what)
        cleaned = unicodedata.normalize("NFC", cleaned).strip()
        _refuse_turned(cleaned, field=field, what=what)
    if all(unicodedata.category(character) in _UNSEEN for character in cleaned):
        raise Invalid(f"{what} is empty.", field=field, next_step=f"Enter {_lower(what)}.")
    if len(cleaned) > characters_max:
        raise Invalid(
            f"{what} has {len(cleaned)} characters; the most is {characters_max}.",
            field=field,
            next_step="Shorten it.",
        )
    if cards.card_numbers(cleaned):
        raise Invalid(
            f"{what} holds what looks like the number of a payment card, which is never kept here.",
            field=field,
            next_step="Remove it. Cards are entered on the pages of the payment provider alone.",
            code="card_number_refused",
        )
    return cleaned


def refuse_unprintable(text: str, *, field: str, what: str) -> None:
    """NUL, line breaks, other control characters and halves of surrogate pairs end here.

    They cannot be stored, or would start a new header line in a mail.
    """
    if text.isprintable():
        return  # none of them is
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") or character in "\u2028\u2029":
            raise Invalid(
                f"{what} contains the character U+{ord(character):04X}, which is not allowed.",
                field=field,
                next_step="Remove control characters and line breaks.",
                code="unprintable_character",
            )


def _refuse_turned(text: str, *, field: str, what: str) -> None:
    """Raises Invalid for what makes all text behind it read backwards: of a list, a mail or the log of an audit."""
    for character in text:
        if character in _TURNING:
            raise Invalid(
                f"{what} contains U+{ord(character):04X}, which turns the direction of the text behind it.",
                field=field,
                next_step="Remove it. Arabic and Hebrew letters are read from right to left without it.",
                code="unprintable_character",
            )


def parse_email(text: str) -> Email:
    """Raises Invalid for what cannot be an address we can write to, or is made to look like another.

    A domain with other letters than a to z is kept in its ASCII form (punycode), so that it cannot pass for the one
    it resembles.
    """
    fits = len(text) <= EMAIL_CHARACTERS_MAX * 2
    text = text[: EMAIL_CHARACTERS_MAX * 2]
    refuse_unprintable(text, field="email", what="The address")
    address = unicodedata.normalize("NFKC", text).strip()
    local, _, domain = address.rpartition("@")
    labels = domain.split(".")
    fits = fits and len(address) <= EMAIL_CHARACTERS_MAX and len(local) <= EMAIL_LOCAL_CHARACTERS_MAX
    if not fits or not _LOCAL_PART.fullmatch(local) or not all(map(_DOMAIN_LABEL.fullmatch, labels)):
        raise _no_address()
    for part in (local, *labels):
        _refuse_mixed_alphabets(part)
    domain = _ascii_domain(domain)
    return Email(f"{local}@{domain}", f"{local.casefold()}@{domain.casefold()}")


def parse_new_email(text: str) -> Email:
    """As `parse_email`, of somebody whom we do not know yet: the domain has to be one that mail can go to from here.

    Who is known still signs in by what they signed up with, and whoever runs the machine may name `root@localhost`.
    """
    email = parse_email(text)
    _, dot, top = email.key.rpartition("@")[2].rpartition(".")
    if not dot or top.isdecimal() or len(top) == 1:
        raise _no_address()
    return email


def _no_address() -> Invalid:
    return Invalid(
        "This is not an e-mail address.", field="email", next_step="Write it like name@example.com."
    )


def _ascii_domain(domain: str) -> str:
    """The domain as mail servers ask for it; left as it was written when it is ASCII already."""
    try:
        encoded = idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        raise _no_address() from None
    return domain if domain.isascii() else encoded


def _refuse_mixed_alphabets(part: str) -> None:
    """Raises Invalid for letters of several alphabets that look alike: nobody's name is written like that."""
    first_words = {unicodedata.name(letter, "").partition(" ")[0] for letter in part if letter.isalpha()}
    mixed = sorted(first_words & _LOOK_ALIKE)
    if len(mixed) > 1:
        raise Invalid(
            f"The address mixes {' and '.join(name.capitalize() for name in mixed)} letters, which look alike.",
            field="email",
            next_step="Type it anew instead of copying it.",
            code="mixed_alphabets",
        )


def require_good_password(password: str, *, email: Email, name: str) -> None:
    """Raises Invalid or TooLarge. Any characters will do, emoji too; only how hard it is to guess is judged."""
    require_hashable(password)
    password_rules.require_unguessable(password, known=(email.address, email.key.partition("@")[0], name))


def require_hashable(password: str) -> None:
    """Raises for what no account can have as its password, before any time is spent on it."""
    if len(password) > PASSWORD_BYTES_MAX or len(password.encode("utf-8", "replace")) > PASSWORD_BYTES_MAX:
        raise TooLarge(
            f"The password is longer than {PASSWORD_BYTES_MAX} bytes.",
            next_step="Use a shorter one.",
            code="password_too_long",
        )
    refuse_unprintable(password, field="password", what="The password")


@cache
def timezones() -> frozenset[str]:
    """Names of all. To find them is to read through the system's folders of them, and they do not change meanwhile."""
    return frozenset(zoneinfo.available_timezones())


def require_timezone(name: str) -> str:
    if name not in timezones():
        raise Invalid(
            f"There is no timezone {name[:64]!r}.",
            field="timezone",
            next_step="Use a name like Europe/Berlin or UTC.",
        )
    return name


def require_currency(code: str, *, on: date) -> str:
    """A currency that is legal tender on that day. Raises Invalid."""
    try:
        usable = currency(code).valid_on(on)
    except UnknownCurrency:
        usable = False
    if not usable:
        raise Invalid(
            f"{code[:16]!r} is no currency that can be used.",
            field="currency",
            next_step="Use a code like USD or EUR.",
        )
    return code


def require_open_kind(kind: str) -> OrganizationKind:
    """The kinds a person may found. Operators are made on the machine itself, never from outside."""
    if kind == OrganizationKind.OPERATOR:
        raise Forbidden(
            "An operator organisation cannot be made here.",
            next_step="Whoever runs this installation makes it with `matrix` on the machine.",
        )
    if kind not in set(OrganizationKind):
        raise Invalid(
            f"There is no kind of organisation {kind[:64]!r}.",
            field="kind",
            next_step="Use client, partner or developer.",
        )
    return OrganizationKind(kind)


def sorting_key(name: str) -> str:
    """The form by which people's lists are sorted: without case and accents."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def session_is_over(*, now: datetime, last_seen_at: datetime, expires_at: datetime) -> bool:
    return now >= expires_at or now - last_seen_at >= SESSION_IDLE_MAX


def network_of(address: str) -> str:
    """Whom a client address stands for: itself for IPv4, its /64 for IPv6, where one person has them all."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


def shown_user_agent(user_agent: str) -> str:
    """What a browser says of itself, as it is kept: printable, bounded, and without numbers of cards."""
    return cards.masked("".join(c for c in user_agent if c.isprintable())[:USER_AGENT_CHARACTERS_MAX])


def shown_address(address: str) -> str:
    """A client's address, as it is kept: printable and bounded, since a forwarded header may hold anything."""
    return "".join(c for c in address if c.isprintable())[:ADDRESS_CHARACTERS_MAX]


def _lower(what: str) -> str:
    return what[:1].lower() + what[1:]
