"""Every word on every page comes from the catalogue: in the pseudo-locale nothing reads as plain English."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import available_timezones

import pytest
import reflex as rx

from components import icons
from components.pseudo import pseudo
from components.shell.runtime import runtime
from components.texts import speaking, t
from matrix_app import pages
from matrix_app.pages.registry import PAGES

pages.load_all()

SPOKEN_ATTRIBUTES = {"aria-label", "alt", "title", "placeholder", "data-label"}
# What our own components take besides words: ids, addresses, names of icons and looks, code, rows of data.
UNSPOKEN = re.compile(
    "on[A-Z].*|act|goOn|aria-.*|.*(?:Id|Path|Url|Kind)|to|announceText|autoComplete|className|console|currency|current|destination|"
    "example|extra|field|form|href|icon|id|initial|inputMode|kind|look|max|method|min|names?|path|pattern|placement|"
    "presets|product|rel|remember|role|rows|size|status|target|tone|topic|type|url|value|zone|key|accept"
)
UNSPOKEN_KEYS = {"id", "icon", "look", "href", "key", "kind", "name", "product"}
# Names, not words: what is typed, read and sent exactly so.
NAMES = icons.names() | {zone.replace("_", " ") for zone in available_timezones()} | available_timezones() | {
    "$MATRIX_API_KEY", "Matrix", "chat", "completions", "embeddings", "ok", "failed",
    "inference", "usage:read", "usage:write", "keys:read", "keys:write",
}  # fmt: skip

# Data and code of the gallery's examples.
EXAMPLES = re.compile(
    r"curl[ .].*|curl|client = OpenAI\(\)|new OpenAI\(\)|JavaScript|Python|https://matrix\.example/v1|ana@acme\.example|Ana|"
    r"req_01k9\w*|org_acme|keys:write|Acme Robotics|Birch & Sons Typesetting|SmolLM2 135M|Llama 4 Scout|Qwen 3 8B|"
    r"Production|Night batch|Nightly translation|same"
)

LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"')
# A literal that is compared with, or a key that is looked up, is not drawn.
BEFORE_UNSPOKEN = re.compile(
    r"(?:JSON\.stringify\(|[!=]==? ?|\?\.\[|\w\[|includes\(|\.join\(|\.split\(|JSON\.parse\()\s*$"
)
FORMS_ASKED = re.compile(r', \[(?:"(?:=\d+|zero|one|two|few|many)"(?:, )?)+\]\)')
KEY = re.compile(r'\[("(?:[^"\\]|\\.)*")\] : $')
# Characters before a literal in which it is looked for what makes it unspoken. From the beginning it would take long.
BACK = 200
SYNTAX = re.compile(r"\{\w+(?:, plural,)?\}?|(?:=\d+|zero|one|two|few|many|other) \{")
PLAIN = "".join(
    letter
    for letter in "abcdefghijklmnopqrstuvwxyz"
    if pseudo(letter) != letter and letter not in pseudo(letter)
)


def spoken(expression: str) -> Iterator[str]:
    """The literals of a JavaScript expression that may end up being read."""
    calls = FORMS_ASKED.sub(")", expression)
    for literal in LITERAL.finditer(calls):
        before = calls[max(0, literal.start() - BACK) : literal.start()]
        if calls.startswith("] : ", literal.end()) or BEFORE_UNSPOKEN.search(before):
            continue
        key = KEY.search(before)
        if key is None or json.loads(key[1]) not in UNSPOKEN_KEYS:
            yield json.loads(literal[0])


def expressions(drawn: Any) -> Iterator[tuple[str, str]]:
    """Where words may stand in a rendered component, each with its expression."""
    if isinstance(drawn, list | tuple):
        for one in drawn:
            yield from expressions(one)
        return
    if not isinstance(drawn, dict):
        return
    if "contents" in drawn:
        yield "text", str(drawn["contents"])
    name = str(drawn.get("name", ""))
    for prop in drawn.get("props", ()):
        key, _, value = str(prop).partition(":")
        key = key.strip('"')
        if key in SPOKEN_ATTRIBUTES or not (name.startswith('"') or UNSPOKEN.fullmatch(key)):
            yield f"{name}.{key}", value
    for part in ("children", "match_cases", "default", "true_value", "false_value"):
        yield from expressions(drawn.get(part))


def is_plain(text: str) -> bool:
    """Whether somebody could read it as English."""
    words = SYNTAX.sub("", EXAMPLES.sub("", text)).replace("}", "")
    return text not in NAMES and re.search(f"[{PLAIN}]", words, re.IGNORECASE) is not None


def raw(component: rx.Component) -> set[str]:
    """What is drawn and is not in the pseudo-locale."""
    return {
        f"{where}: {text}"
        for where, expression in expressions(component.render())
        for text in spoken(expression)
        if is_plain(text)
    }


@pytest.mark.parametrize("route", sorted(PAGES))
def test_a_page_says_nothing_that_is_not_in_the_catalogue(route: str) -> None:
    with speaking("pseudo"):
        assert raw(PAGES[route].component()) == set()


def test_what_surrounds_every_page_says_nothing_else() -> None:
    with speaking("pseudo"):
        assert raw(runtime()) == set()


def test_raw_words_are_found_wherever_they_stand() -> None:
    flag: rx.Var[bool] = rx.Var("state.flag", _var_type=bool)
    with speaking("pseudo"):
        drawn = rx.el.div(
            rx.cond(flag, rx.el.p("Raw one"), rx.el.p(t("dialog.close"))),
            rx.el.button(
                rx.cond(flag, "Raw two", t("dialog.cancel")), aria_label="Raw three", class_name="button"
            ),
            rx.match(rx.Var("state.kind"), ("kind", rx.el.p("Raw four")), rx.el.p("12 %")),
        )
    assert {one.rpartition(": ")[2] for one in raw(drawn)} == {"Raw one", "Raw two", "Raw three", "Raw four"}
