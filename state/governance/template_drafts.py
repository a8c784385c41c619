"""A template between its form and its design: text in, text out. Pure.

Every language has its own fields, `de_notes` and so on. Notes are parted by an empty line; extra fields are lines of
"Label: value".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from services.core.errors import Invalid
from services.documents.content import Labelled
from services.documents.style import Field, Font, Paper
from services.documents.text import DocumentRefused
from services.documents.words import LANGUAGES
from services.papers.designs import Design, Wording

PLAIN = ("accent", "email", "phone", "registration_number", "account", "account_name", "bank_code")
WORDS = ("notes", "legal_text", "payment_text", "extras")
_APART = re.compile(r"\n[ \t]*\n+")


def form_of(design: Design) -> dict[str, Any]:
    """What the form shows of a design."""
    form: dict[str, Any] = {name: getattr(design, name) for name in PLAIN}
    form |= {"font": design.font.value, "paper": design.paper.value}
    form["fields"] = sorted(field.value for field in design.fields)
    for language in LANGUAGES:
        words = design.wording.get(language, Wording())
        form |= {
            f"{language}_notes": "\n\n".join(words.notes),
            f"{language}_legal_text": words.legal_text,
            f"{language}_payment_text": words.payment_text,
            f"{language}_extras": "\n".join(f"{one.label}: {one.value}" for one in words.extras),
        }
    return form


def design_of(form: Mapping[str, Any]) -> Design:
    """Raises Invalid, naming the field of the form."""

    def said(name: str) -> str:
        return str(form.get(name) or "").replace("\r\n", "\n").strip()

    wording: dict[str, Wording] = {}
    shown: list[Any] = list(form.get("fields") or [])
    for language in LANGUAGES:
        try:
            words = Wording(
                notes=tuple(one.strip() for one in _APART.split(said(f"{language}_notes")) if one.strip()),
                legal_text=said(f"{language}_legal_text"),
                payment_text=said(f"{language}_payment_text"),
                extras=_extras(said(f"{language}_extras"), f"{language}_extras"),
            )
        except DocumentRefused as refused:
            field = refused.field if refused.field in WORDS else "extras"
            raise Invalid(
                refused.message, field=f"{language}_{field}", next_step=refused.next_step
            ) from refused
        if words != Wording():
            wording[language] = words
    return Design(
        **{name: said(name) for name in PLAIN},
        font=_choice(Font, said("font"), "font"),
        paper=_choice(Paper, said("paper"), "paper"),
        fields=frozenset(_choice(Field, one, "fields") for one in shown),
        wording=wording,
    )


def _extras(text: str, field: str) -> tuple[Labelled, ...]:
    found: list[Labelled] = []
    for line in filter(None, map(str.strip, text.split("\n"))):
        label, colon, value = line.partition(":")
        if not colon or not label.strip() or not value.strip():
            raise Invalid(
                f"{line[:40]!r} is no label with a value.",
                field=field,
                next_step="Write a field a line, such as Cost centre: K-7.",
            )
        found.append(Labelled(label.strip(), value.strip()))
    return tuple(found)


def _choice(kind: Any, text: Any, field: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise Invalid(f"{str(text)[:40]!r} is not among the choices.", field=field) from None
