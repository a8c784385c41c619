"""Messages: the same words from Python, when a page is built, and from the browser, when a count is known later."""

from __future__ import annotations

from typing import Any

import pytest
import reflex as rx

from components import messages
from components.messages import BadMessage
from components.pseudo import pseudo
from tests.unit.components.browser_modules import called

KEYS = "{count, plural, one {# key} other {# keys}}"
NONE = "{name} has {count, plural, =0 {no keys} one {# key} other {# keys}}."
NESTED = "{count, plural, one {{name} is alone} other {{name} and # others}}"

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("Nothing to fill", {}, "Nothing to fill"),
    ("Hello {name}", {"name": "Ana"}, "Hello Ana"),
    ("#1 of {name}", {"name": "Ana"}, "#1 of Ana"),
    (KEYS, {"count": 0}, "0 keys"),
    (KEYS, {"count": 1}, "1 key"),
    (KEYS, {"count": 2}, "2 keys"),
    (KEYS, {"count": 1204}, "1,204 keys"),
    (KEYS, {"count": -1}, "-1 key"),
    (NONE, {"name": "Ana", "count": 0}, "Ana has no keys."),
    (NONE, {"name": "Ana", "count": 1}, "Ana has 1 key."),
    (NONE, {"name": "{count}", "count": 3}, "{count} has 3 keys."),
    (NESTED, {"name": "Ana", "count": 1}, "Ana is alone"),
    (NESTED, {"name": "Ana", "count": 7}, "Ana and 7 others"),
]
# What the catalogue may say one day; each form by CLDR's rules for the language.
POLISH = "{n, plural, one {# klucz} few {# klucze} many {# kluczy} other {# klucza}}"
ARABIC = "{n, plural, zero {z} one {o} two {t} few {f} many {m} other {x}}"


@pytest.mark.parametrize(("text", "values", "written"), CASES)
def test_a_message_is_written_when_the_page_is_built(text: str, values: dict[str, Any], written: str) -> None:
    assert messages.write(messages.parse(text), values) == written


def test_the_browser_writes_the_same() -> None:
    written = called("messages.js", "it.fillMessage(...one)", [case[:2] for case in CASES])

    assert written == [case[2].replace("-", "\u2212") for case in CASES]  # its figures have a true minus sign


@pytest.mark.parametrize(
    ("language", "text", "counts", "written"),
    [
        ("pl", POLISH, [1, 2, 5, 22, 112], ["1 klucz", "2 klucze", "5 kluczy", "22 klucze", "112 kluczy"]),
        ("ar", ARABIC, [0, 1, 2, 3, 11, 100], ["z", "o", "t", "f", "m", "x"]),
    ],
)
def test_the_browser_knows_the_forms_of_other_languages(
    language: str, text: str, counts: list[int], written: list[str]
) -> None:
    asked = [[text, {"n": count}] for count in counts]

    assert called("messages.js", "it.fillMessage(...one)", asked, language=language) == written


def test_a_language_without_rules_is_refused_when_a_page_is_built() -> None:
    with pytest.raises(KeyError):
        messages.write(messages.parse(KEYS), {"count": 2}, language="pl")


def test_a_var_is_counted_where_the_page_is_shown() -> None:
    count: rx.Var[int] = rx.Var("state.keys", _var_type=int)

    written = rx.Var.create(messages.write(messages.parse(f"You have {KEYS} left"), {"count": count}))

    expression = str(written)
    assert 'pluralForm(state.keys, ["one"])' in expression
    assert "formatNumber(state.keys)" in expression
    assert '"You have "' in expression
    data = written._get_all_var_data()
    assert data is not None
    assert {"pluralForm", "formatNumber"} <= {one.tag for _, tags in data.imports for one in tags}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        "{a b}",
        "{n, plural, one {# key}}",
        "{n, plural, one {# key} other {# keys}",
        "{n, plural, several {# keys} other {# keys}}",
        "{n, plural, one {a} one {b} other {c}}",
        "{n, select, one {a} other {c}}",
    ],
)
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        messages.parse(text)


def test_a_plural_is_not_chosen_by_what_is_no_whole_number() -> None:
    with pytest.raises(TypeError):
        messages.write(messages.parse(KEYS), {"count": 1.5})


def test_the_pseudo_locale_is_longer_accented_and_in_brackets() -> None:
    said = pseudo("Revoke key")

    assert said.startswith("[Řéṽ".replace("ṽ", "v"))
    assert said.endswith("]")
    assert len(said) >= 1.4 * len("Revoke key")
    assert pseudo("\u2013 12 %") == "\u2013 12 %"


def test_the_pseudo_locale_keeps_placeholders_and_plural_forms() -> None:
    said = messages.parse(pseudo(NONE))

    assert "Ana" in messages.write(said, {"name": "Ana", "count": 5})
    one, many = (messages.write(said, {"name": "Ana", "count": count}) for count in (1, 5))
    assert "1 " in one
    assert one != many.replace("5", "1")
