"""Roles as people read and choose them."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.props import Drawn
from components.texts import t
from models.types import Role
from services.core.permissions import STAFF_ROLES
from services.identity.service_accounts import ROLES as PROGRAM_ROLES

STAFF = tuple(role for role in Role if role in STAFF_ROLES)


def role_word(role: rx.Var[Any]) -> Drawn:
    """The role's name; one that nobody knows is shown as it is."""
    return rx.match(role, *((one.value, t(f"role.{one}")) for one in Role), role.to(str))


def role_words(roles: tuple[Role, ...] = tuple(Role)) -> list[tuple[str, str]]:
    """Roles by their names, for filters and chips."""
    return [(role.value, t(f"role.{role}")) for role in roles]


def held_roles(*, operates: rx.Var[bool]) -> rx.Var[list[dict[str, str]]]:
    """What members may have to be looked for by; staff roles where the organisation operates."""
    everyone = [{"id": name, "label": words} for name, words in role_words()]
    usual = [one for one in everyone if one["id"] not in STAFF_ROLES]
    return rx.cond(operates, rx.Var.create(everyone), rx.Var.create(usual)).to(list[dict[str, str]])


def _options(roles: tuple[Role, ...]) -> list[dict[str, str]]:
    """With what each may do, where there are words for it: staff know their roles."""
    return [
        {"id": role.value, "label": t(f"role.{role}")}
        if role in STAFF_ROLES
        else {"id": role.value, "label": f"{t(f'role.{role}')}: {t(f'role.{role}_text')}"}
        for role in roles
    ]


def member_roles(*, leads: rx.Var[bool], operates: rx.Var[bool]) -> rx.Var[list[dict[str, str]]]:
    """What somebody who `leads` or not may choose for a member; staff roles where the organisation operates."""
    usual = _options(PROGRAM_ROLES)
    owner, staff = _options((Role.OWNER,)), _options(STAFF)
    chosen = rx.cond(
        leads,
        rx.cond(operates, rx.Var.create([*owner, *usual, *staff]), rx.Var.create([*owner, *usual])),
        rx.cond(operates, rx.Var.create([*usual, *_options((Role.SUPPORT,))]), rx.Var.create(usual)),
    )
    return chosen.to(list[dict[str, str]])


def program_roles() -> list[dict[str, str]]:
    return _options(PROGRAM_ROLES)
