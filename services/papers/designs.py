"""What a seller's template says, as data: how its documents look, and its own words in each language. Pure.

Words are shown as they were typed; nothing of a template is ever read as markup, a script or a typesetter's command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from stdnum import iban

from services.documents.content import (
    CODE_CHARACTERS_MAX,
    NOTES_MAX,
    Labelled,
    Payment,
    PaymentMeans,
)
from services.documents.electronic import is_iban
from services.documents.style import Field, Font, Paper, Style
from services.documents.text import (
    NAME_CHARACTERS_MAX,
    PARAGRAPH_CHARACTERS_MAX,
    DocumentRefused,
    require_plain,
)
from services.documents.words import LANGUAGES
from services.identity.rules import parse_new_email

FALLBACK = "en"  # for readers of a language that nobody wrote words in
NOTES_OF_TEMPLATE_MAX = NOTES_MAX - 2  # the document's own have room beside them
EXTRAS_MAX = 10


@dataclass(frozen=True, slots=True)
class Wording:
    """A seller's own words in one language. `extras` are fields beside number and date, each a label and a value."""

    notes: tuple[str, ...] = ()
    legal_text: str = ""
    payment_text: str = ""
    extras: tuple[Labelled, ...] = ()

    def __post_init__(self) -> None:
        for name, parts, most in (
            ("notes", self.notes, NOTES_OF_TEMPLATE_MAX),
            ("extras", self.extras, EXTRAS_MAX),
        ):
            if len(parts) > most:
                raise DocumentRefused(f"{len(parts)} are too many; {most} is the most.", field=name)
        for name, texts in (
            ("notes", self.notes),
            ("legal_text", (self.legal_text,)),
            ("payment_text", (self.payment_text,)),
        ):
            for text in texts:
                require_plain(text, field=name, characters_max=PARAGRAPH_CHARACTERS_MAX, breaks=True)


NO_WORDS = Wording()


@dataclass(frozen=True, slots=True)
class Design:
    """All of a version but its logo. Raises DocumentRefused for what no document can show."""

    accent: str = Style().accent
    font: Font = Font.SANS
    paper: Paper = Paper.A4
    fields: frozenset[Field] = frozenset(Field)
    email: str = ""
    phone: str = ""
    registration_number: str = ""
    account: str = ""
    account_name: str = ""
    bank_code: str = ""
    wording: Mapping[str, Wording] = field(default_factory=dict[str, Wording])

    def __post_init__(self) -> None:
        self.style()
        for name in ("email", "phone", "registration_number", "account", "account_name", "bank_code"):
            limit = CODE_CHARACTERS_MAX if name == "registration_number" else NAME_CHARACTERS_MAX
            require_plain(getattr(self, name), field=name, characters_max=limit)
        for language in self.wording:
            if language not in LANGUAGES:
                raise DocumentRefused(
                    f"{language[:20]!r} is no language of documents.",
                    field="wording",
                    next_step=f"There are {', '.join(LANGUAGES)}.",
                )

    def style(self, logo: bytes | None = None) -> Style:
        """Raises DocumentRefused and FileRefused."""
        return Style(accent=self.accent, font=self.font, paper=self.paper, logo=logo, fields=self.fields)

    def words(self, language: str) -> Wording:
        """In that language, else in the fallback, else in whichever there is."""
        found = self.wording.get(language) or self.wording.get(FALLBACK)
        return found or next((self.wording[one] for one in LANGUAGES if one in self.wording), NO_WORDS)

    def payment(self, language: str, reference: str) -> tuple[Payment, ...]:
        """How to pay a document of that number; empty where the template does not say."""
        text = self.words(language).payment_text
        if not self.account and not text:
            return ()
        means = PaymentMeans.TRANSFER if self.account else PaymentMeans.OTHER
        return (
            Payment(
                means,
                account=self.account,
                account_name=self.account_name if self.account else "",
                bank_code=self.bank_code if self.account else "",
                reference=reference if self.account else "",
                text=text,
            ),
        )


def require_reachable(design: Design) -> None:
    """Raises Invalid for an address or an IBAN that nobody has: customers would write and pay to it. Asked when a
    design is written, not when it is read: what documents were made by stays as it is."""
    if design.email:
        parse_new_email(design.email)
    if is_iban(design.account) and not iban.is_valid(design.account):
        raise DocumentRefused(
            f"{design.account!r} is no IBAN: its check digits do not fit.",
            field="account",
            next_step="Copy it from your bank.",
        )


@cache
def _designs() -> TypeAdapter[Design]:
    return TypeAdapter(Design)


def design_to_json(design: Design) -> dict[str, Any]:
    """Plain JSON, in an order that does not change from one writing to the next."""
    written: dict[str, Any] = _designs().dump_python(design, mode="json")
    return written | {"fields": sorted(written["fields"])}


def design_from_json(stored: Mapping[str, Any]) -> Design:
    """Raises DocumentRefused for what is no design."""
    try:
        return _designs().validate_python(dict(stored))
    except ValidationError as error:
        first: Any = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DocumentRefused(f"This is no template: {first['msg']}.", field=where) from None
