"""Words have one home, and a missing one is found when the page is built, not by a reader."""

from __future__ import annotations

import re
from types import ModuleType

import pytest
import reflex as rx

from components import messages, texts
from components.pseudo import pseudo


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


def test_every_text_is_a_message_and_stays_one_in_the_pseudo_locale() -> None:
    for text in texts.catalogue().values():
        messages.parse(text)
        messages.parse(pseudo(text))


def test_the_locale_lasts_for_what_is_drawn_in_it() -> None:
    with texts.speaking("pseudo"):
        inside = texts.t("dialog.close")
        under = texts.texts_under("shell.theme")["dark"]

    assert (inside, under) == (pseudo("Close"), pseudo("Dark"))
    assert texts.t("dialog.close") == "Close"


def test_a_count_takes_its_form() -> None:
    assert texts.t("keys.expiry", n=1) == "In 1 day"
    assert texts.t("keys.expiry", n=90) == "In 90 days"
    assert texts.plural("requests.newer", 2) == "2 new requests"


@pytest.mark.parametrize("form", [r"\(s\)", r"\{(?:n|count|total|number|left)\} (?!more\b|or\b)[a-z-]+s\b"])
def test_no_count_stands_before_a_plural_by_hand(form: str) -> None:
    made_by_hand = [key for key, text in texts.catalogue().items() if re.search(form, text)]
    assert made_by_hand == []


@pytest.mark.parametrize("act", ["retry", "cancel", "download"])
def test_a_button_is_called_by_what_stands_on_it(act: str) -> None:
    """Who speaks to the browser says what they see (WCAG 2.5.3); the name says more, for who hears it alone."""
    assert texts.t(f"tasks.{act}") in texts.t(f"tasks.{act}_of", task="Export of requests")


def test_nothing_is_an_apology_or_a_plea() -> None:
    for key, text in texts.catalogue().items():
        for word in ("please", "oops", "successfully", "sorry"):
            assert word not in text.lower(), key
