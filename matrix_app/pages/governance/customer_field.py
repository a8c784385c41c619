"""Whose it is to be, in a form of staff: found by name or id."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.forms.fields import combobox
from components.texts import t
from matrix_app.pages import endpoints

_FOUND_MAX = 20
_SEARCH = f"{endpoints.STAFF_ORGANIZATIONS}?fields=id,name&limit={_FOUND_MAX}&search="


def customer_field(value: Any = "") -> rx.Component:
    """An organisation's id travels as `organization_id`. With `value` that one is chosen, and called by its id."""
    chosen = rx.cond(value, [{"id": value, "label": value}], []) if isinstance(value, rx.Var) else []
    return combobox(
        "organization_id",
        t("customer.name"),
        chosen,
        hint=t("customer.hint"),
        value=value,
        search_url=_SEARCH,
    )
