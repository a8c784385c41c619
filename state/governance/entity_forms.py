"""A legal entity between its form and its rules: text in, text out. Pure.

Lists are written as people write them: a tax number a line, jurisdictions with commas. The rules of entities say what
is wrong with what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from models.billing import LegalEntity, ZeroDocuments
from services.billing.entities import FIRST_BRAND, EntityFields
from services.billing.numbering import Reset
from services.core.errors import Conflict, Invalid
from services.tax.rules import RoundingLevel

TEXTS = (
    "code", "name", "address", "country", "currency", "timezone", "invoice_pattern", "note_pattern"
)  # fmt: skip
LISTS = ("registrations", "reverse_charge_in")
NUMBERS = ("grace_hours", "payment_days")
FLAGS = ("trusts_unanswered", "is_test", "is_usual")
CHOICES: dict[str, type[Reset] | type[RoundingLevel] | type[ZeroDocuments]] = {
    "invoice_reset": Reset,
    "note_reset": Reset,
    "tax_rounding": RoundingLevel,
    "zero_documents": ZeroDocuments,
}
# What an entity's numbers are made by: fixed once documents have them, and then not on the form.
NUMBERED_BY = ("code", "invoice_pattern", "invoice_reset", "note_pattern", "note_reset", "is_test")
BRAND = "brand"  # the code of the first one, said with a new entity alone
FIELDS = frozenset((*TEXTS, *LISTS, *NUMBERS, *FLAGS, *CHOICES, "tax_ids", BRAND))
_DIGITS = re.compile(r"[0-9]{1,6}")


def form_of(row: LegalEntity | EntityFields) -> dict[str, Any]:
    """What the form shows of an entity, or of one with the usual values."""
    return {
        **{name: getattr(row, name) for name in (*TEXTS, *FLAGS)},
        **{name: str(getattr(row, name)) for name in (*CHOICES, *NUMBERS)},
        **{name: ", ".join(getattr(row, name)) for name in LISTS},
        "tax_ids": "\n".join(f"{one['kind']} {one['number']}" for one in row.tax_ids),
    }


BLANK = form_of(EntityFields(code="", name="", address="", country="", currency="", is_usual=False)) | {
    BRAND: FIRST_BRAND
}


def fields_of(values: Mapping[str, Any]) -> EntityFields:
    """What the form says, to be checked by the rules. Raises Invalid for what has not the shape of its field."""
    text = {name: _text(values, name) for name in FIELDS}
    given: dict[str, Any] = {name: text[name] for name in TEXTS}
    given |= {name: _chosen(name, text[name]) for name in CHOICES}
    given |= {name: tuple(_words(text[name])) for name in LISTS}
    given |= {name: _whole(name, text[name]) for name in NUMBERS}
    given |= {name: values.get(name) is True for name in FLAGS}
    tax_ids = tuple(_tax_id(line) for line in text["tax_ids"].splitlines() if line.strip())
    return EntityFields(**given, tax_ids=tax_ids)


def at_fields(refused: Invalid | Conflict) -> dict[str, str]:
    """The refusal beside its field; under an empty name where it is about the whole."""
    said = f"{refused.message} {refused.next_step}".strip()
    field = str(getattr(refused, "field", "") or refused.details.get("field", "")).partition(".")[0]
    return {field if field in FIELDS else "": said}


def _text(values: Mapping[str, Any], name: str) -> str:
    given = values.get(name)
    return "" if given is None else str(given).strip()


def _words(text: str) -> list[str]:
    return [word.upper() for word in re.split(r"[\s,;]+", text) if word]


def _chosen(name: str, text: str) -> Reset | RoundingLevel | ZeroDocuments:
    try:
        return CHOICES[name](text)
    except ValueError:
        raise Invalid("This is none of the choices.", field=name) from None


def _whole(name: str, text: str) -> int:
    # A browser sends a number; what was typed as text may have its decimals, too.
    digits = text.removesuffix(".0")
    if not _DIGITS.fullmatch(digits):
        raise Invalid(f"{text[:20]!r} is no whole number.", field=name, next_step="Write it like 24.")
    return int(digits)


def _tax_id(line: str) -> dict[str, str]:
    kind, _, number = line.strip().partition(" ")
    if not number.strip():
        raise Invalid(
            f"{line.strip()[:40]!r} is no kind and number.",
            field="tax_ids",
            next_step="Write VAT DE123456788.",
        )
    return {"kind": kind, "number": number.strip()}
