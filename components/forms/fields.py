"""Form fields. Each has a visible label, a hint before the control, and its error after it, joined for screen readers.

Inside `form` a field finds its own error by name. Values travel when the form is submitted, not on each key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import reflex as rx

from components.js import AriaComponent, ClientComponent, library
from components.props import Text
from components.texts import t, texts_under

FieldKind = Literal[
    "text", "email", "password", "number", "search", "url", "date", "datetime-local",
    "textarea", "select", "checkbox", "switch", "checkboxes", "radios",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Option:
    """One choice; `id` is its value in the form."""

    id: str
    label: str
    detail: str = ""


Options = Sequence[Option] | list[dict[str, str]] | rx.Var[list[dict[str, str]]]


def _value_spec(value: rx.Var[Any]) -> tuple[rx.Var[Any]]:
    return (value,)


class _Field(ClientComponent):
    library = library("forms")
    tag = "Field"

    kind: rx.Var[str]
    name: rx.Var[str]
    label: rx.Var[str]
    hint: rx.Var[str]
    suffix: rx.Var[str]
    optional: rx.Var[str]
    value: rx.Var[Any]
    options: rx.Var[list[dict[str, Any]]]
    required: rx.Var[bool]
    read_only: rx.Var[bool]
    auto_complete: rx.Var[str]
    input_mode: rx.Var[str]
    pattern: rx.Var[str]
    min: rx.Var[Any]
    max: rx.Var[Any]
    step: rx.Var[Any]
    min_length: rx.Var[int]
    max_length: rx.Var[int]
    rows: rx.Var[int]
    spell_check: rx.Var[bool]
    texts: rx.Var[dict[str, str]]
    on_change: rx.EventHandler[_value_spec]


class _MoneyField(ClientComponent):
    library = library("money_field")
    tag = "MoneyField"

    name: rx.Var[str]
    label: rx.Var[str]
    hint: rx.Var[str]
    optional: rx.Var[str]
    currency: rx.Var[str]
    value: rx.Var[str]
    required: rx.Var[bool]
    texts: rx.Var[dict[str, str]]
    on_change: rx.EventHandler[_value_spec]


class _ComboBox(AriaComponent):
    library = library("picker")
    tag = "ComboBox"

    name: rx.Var[str]
    label: rx.Var[str]
    hint: rx.Var[str]
    value: rx.Var[str]
    options: rx.Var[list[dict[str, Any]]]
    names: rx.Var[str]
    required: rx.Var[bool]
    search_url: rx.Var[str]
    texts: rx.Var[dict[str, str]]
    on_change: rx.EventHandler[_value_spec]


def _as_prop(options: Options) -> Any:
    return (
        options
        if isinstance(options, rx.Var)
        else [asdict(one) if isinstance(one, Option) else one for one in options]
    )


def _field(
    kind: FieldKind, name: str, label: Text, *, required: bool, mark_optional: bool = True, **props: Any
) -> rx.Component:
    given = {key: prop for key, prop in props.items() if prop is not None}
    if mark_optional and not required:
        given["optional"] = t("form.optional")
    return _Field.create(kind=kind, name=name, label=label, required=required, **given)


def text_field(
    name: str,
    label: Text,
    *,
    kind: Literal["text", "email", "search", "url", "date", "datetime-local"] = "text",
    hint: Text | None = None,
    value: Any = None,
    required: bool = True,
    autocomplete: str | None = None,
    max_length: int | None = None,
    min_length: int | None = None,
    pattern: str | None = None,
    suffix: Text | None = None,
    read_only: bool = False,
    on_change: Any = None,
) -> rx.Component:
    """One line of text. Personal data needs its `autocomplete` token ("name", "organization", "street-address")."""
    return _field(
        kind, name, label, required=required, hint=hint, value=value, auto_complete=autocomplete, max_length=max_length,
        min_length=min_length, pattern=pattern, suffix=suffix, read_only=read_only or None, on_change=on_change,
    )  # fmt: skip


def email_field(
    name: str = "email",
    label: Text | None = None,
    *,
    hint: Text | None = None,
    value: Any = None,
    autocomplete: str = "email",
) -> rx.Component:
    """An e-mail address; `autocomplete` is "username" on the sign-in page."""
    label = label if label is not None else t("form.label.email")
    return text_field(
        name, label, kind="email", hint=hint, value=value, autocomplete=autocomplete, max_length=254
    )


def password_field(
    name: str = "password",
    label: Text | None = None,
    *,
    new: bool = False,
    required: bool = True,
    hint: Text | None = None,
    min_length: int | None = None,
    strength: bool = False,
) -> rx.Component:
    """A password that can be shown; `new` asks the password manager for a fresh one. Pasting works.

    With `strength` it says while somebody types how hard the password is to guess; the server decides.
    """
    label = label if label is not None else t("form.label.password")
    said = texts_under("password") if strength else {}
    return _field(
        "password", name, label, required=required, hint=hint, min_length=min_length,
        auto_complete="new-password" if new else "current-password", texts=texts_under("form") | said,
    )  # fmt: skip


def number_field(
    name: str,
    label: Text,
    *,
    hint: Text | None = None,
    value: Any = None,
    required: bool = True,
    min: float | None = None,
    max: float | None = None,
    step: float | Literal["any"] | None = None,
    suffix: Text | None = None,
    on_change: Any = None,
) -> rx.Component:
    """A number with its unit as `suffix`; an empty one travels as null. Money is a text_field: floats are not money."""
    return _field(
        "number", name, label, required=required, hint=hint, value=value, min=min, max=max, step=step, suffix=suffix,
        input_mode="decimal", on_change=on_change,
    )  # fmt: skip


def money_field(
    name: str,
    label: Text,
    *,
    currency: Text,
    hint: Text | None = None,
    value: Any = None,
    required: bool = True,
    on_change: Any = None,
) -> rx.Component:
    """An amount, its currency fixed beside it. It travels as a decimal string, never as a float.

    "1.234,56", "1234.56" and "EUR 1 234,56" are read and said back; what could be two amounts is refused with an
    example, as are more decimals than the currency has.
    """
    given = {"hint": hint, "value": value, "on_change": on_change}
    if not required:
        given["optional"] = t("form.optional")
    props = {key: prop for key, prop in given.items() if prop is not None}
    return _MoneyField.create(
        name=name, label=label, currency=currency, required=required, texts=texts_under("money"), **props
    )


def text_area(
    name: str,
    label: Text,
    *,
    hint: Text | None = None,
    value: Any = None,
    required: bool = True,
    rows: int = 4,
    max_length: int | None = None,
) -> rx.Component:
    """Several lines of text."""
    return _field(
        "textarea", name, label, required=required, hint=hint, value=value, rows=rows, max_length=max_length
    )


def select(
    name: str,
    label: Text,
    options: Options,
    *,
    hint: Text | None = None,
    value: Any = None,
    required: bool = True,
    on_change: Any = None,
) -> rx.Component:
    """One of a few choices, by the browser's own list. For more than about twelve use `combobox`."""
    return _field(
        "select",
        name,
        label,
        required=required,
        options=_as_prop(options),
        hint=hint,
        value=value,
        on_change=on_change,
    )


def combobox(
    name: str,
    label: Text,
    options: Options,
    *,
    names: Literal["region", "language"] | None = None,
    hint: Text | None = None,
    value: Any = None,
    required: bool = True,
    on_change: Any = None,
    search_url: Text | None = None,
) -> rx.Component:
    """One of many choices, found by typing. With `names` their ids are codes of that, which the browser names and sorts
    in the page's language.

    Too many to send at once are looked up at `search_url`, at whose end the settled text is put, and which answers
    `{"data": [{id, label or name, detail?}]}`.
    """
    given = {
        "names": names,
        "hint": hint,
        "value": value,
        "on_change": on_change,
        "search_url": search_url,
    }
    props = {key: prop for key, prop in given.items() if prop is not None}
    return _ComboBox.create(
        name=name,
        label=label,
        options=_as_prop(options),
        required=required,
        texts=texts_under("combobox"),
        **props,
    )


def checkbox(
    name: str,
    label: Text,
    *,
    hint: Text | None = None,
    value: Any = None,
    required: bool = False,
    on_change: Any = None,
) -> rx.Component:
    """Yes or no, sent with the form; `required` means it has to be ticked."""
    return _field(
        "checkbox",
        name,
        label,
        required=required,
        mark_optional=False,
        hint=hint,
        value=value,
        on_change=on_change,
    )


def switch(
    name: str, label: Text, *, hint: Text | None = None, value: Any = None, on_change: Any = None
) -> rx.Component:
    """On or off, taking effect at once: give it `on_change`."""
    return _field(
        "switch",
        name,
        label,
        required=False,
        mark_optional=False,
        hint=hint,
        value=value,
        on_change=on_change,
    )


def checkboxes(
    name: str, label: Text, options: Options, *, hint: Text | None = None, value: Any = None
) -> rx.Component:
    """Any number of choices; they travel as a list of ids."""
    return _field(
        "checkboxes",
        name,
        label,
        required=False,
        mark_optional=False,
        options=_as_prop(options),
        hint=hint,
        value=value,
    )


def radios(
    name: str,
    label: Text,
    options: Options,
    *,
    hint: Text | None = None,
    value: Any = None,
    required: bool = True,
    on_change: Any = None,
) -> rx.Component:
    """One of two to five choices that are worth reading side by side."""
    return _field(
        "radios",
        name,
        label,
        required=required,
        mark_optional=False,
        options=_as_prop(options),
        hint=hint,
        value=value,
        on_change=on_change,
    )
