"""Words have one home, and a missing one is found when the page is built, not by a reader."""

from __future__ import annotations

from types import ModuleType

import pytest
import reflex as rx

from components import texts


def module(name: str, **declared: str) -> ModuleType:
    made = ModuleType(name)
    vars(made)["TEXTS"] = {key.replace("__", "."): text for key, text in declared.items()}
    return made


def test_unknown_key_is_refused() -> None:
    with pytest.raises(texts.UnknownText, match=r"keys\.nothing"):
        texts.t("keys.nothing")


def test_key_with_two_homes_is_refused() -> None:
    with pytest.raises(texts.DuplicateText, match="again in b"):
        texts.merge([module("a", keys__title="Keys"), module("b", keys__title="API keys")])


def test_placeholder_takes_plain_values_and_vars() -> None:
    count: rx.Var[int] = rx.Var("state.count", _var_type=int)

    assert texts.t("form.enter", label="name") == "Enter name"
    assert "state.count" in str(rx.Var.create(texts.t("form.enter", label=count)))


def test_missing_placeholder_is_refused() -> None:
    with pytest.raises(KeyError):
        texts.t("form.short", label="Name")


def test_texts_of_a_client_component_come_without_their_prefix() -> None:
    assert texts.texts_under("shell.theme") == {
        "label": "Theme",
        "system": "System",
        "light": "Light",
        "dark": "Dark",
    }


def test_nothing_is_an_apology_or_a_plea() -> None:
    for key, text in texts.catalogue().items():
        for word in ("please", "oops", "successfully", "sorry"):
            assert word not in text.lower(), key
