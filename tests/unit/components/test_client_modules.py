"""Python names what JavaScript exports, styles use tokens only, icons exist."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from pathlib import Path

import pytest

import components
from components import icons
from components.js import ClientComponent
from components.links import button_link

ROOT = Path(components.__file__).parent
STYLES = ROOT.parent / "assets" / "styles"
PHYSICAL = re.compile(
    r"(?:margin|padding|border)-(?:left|right)|(?<![\w-])(?:left|right)\s*:|text-align:\s*(?:left|right)|float:"
)
COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b|\b(?:rgb|hsl|oklch)a?\(")


def wrappers() -> list[type[ClientComponent]]:
    for module in pkgutil.walk_packages(components.__path__, "components."):
        importlib.import_module(module.name)
    found: list[type[ClientComponent]] = []
    waiting = list(ClientComponent.__subclasses__())
    while waiting:
        one = waiting.pop()
        waiting.extend(one.__subclasses__())
        if one.get_fields()["tag"].default:
            found.append(one)
    return found


def source_of(wrapper: type[ClientComponent]) -> str:
    return (ROOT / "js" / Path(str(wrapper.get_fields()["library"].default)).name).read_text(encoding="utf-8")


def test_every_wrapper_names_an_export_of_its_module() -> None:
    for wrapper in wrappers():
        tag = wrapper.get_fields()["tag"].default
        assert re.search(rf"export function {tag}\b", source_of(wrapper)), wrapper.__name__


def test_props_that_python_sends_are_read_by_the_component() -> None:
    for wrapper in wrappers():
        source = source_of(wrapper)
        for prop in set(vars(wrapper).get("__annotations__", {})) - {"lib_dependencies"}:
            camel = re.sub(r"_(\w)", lambda match: match[1].upper(), prop)
            passed_on = "...format" in source or "...frame" in source
            assert passed_on or re.search(rf"\b{camel}\b", source), f"{wrapper.__name__}.{prop}"


@pytest.mark.parametrize("sheet", sorted(STYLES.glob("*.css")), ids=lambda sheet: sheet.name)
def test_colours_come_from_tokens(sheet: Path) -> None:
    if sheet.name != "tokens.css":
        assert COLOUR.findall(sheet.read_text(encoding="utf-8")) == []


def test_variables_that_styles_use_are_declared() -> None:
    text = "\n".join(sheet.read_text(encoding="utf-8") for sheet in STYLES.glob("*.css"))
    used = set(re.findall(r"var\(--([\w-]+)\)", text))

    # React Aria sets the width of a field's list itself.
    assert used - set(re.findall(r"--([\w-]+):", text)) == {"trigger-width"}


def test_a_class_by_itself_is_laid_out_by_one_sheet() -> None:
    """A second sheet that takes the name for something else changes every page that has the first."""
    sheets = [sheet.read_text(encoding="utf-8") for sheet in STYLES.glob("*.css")]
    declared = [name for text in sheets for name in set(re.findall(r"^\.([\w-]+) \{", text, re.MULTILINE))]

    assert [name for name in declared if declared.count(name) > 1] == []


@pytest.mark.parametrize("sheet", sorted(STYLES.glob("*.css")), ids=lambda sheet: sheet.name)
def test_nothing_is_laid_out_by_left_and_right(sheet: Path) -> None:
    """Start and end mirror where text runs from right to left."""
    assert PHYSICAL.findall(sheet.read_text(encoding="utf-8")) == []


def test_icons_that_point_along_the_line_are_the_same_in_both_languages() -> None:
    [named] = re.findall(r"ALONG_THE_LINE = new Set\((\[.*?\])\)", (ROOT / "js" / "icon.jsx").read_text())

    assert set(json.loads(named)) == icons.ALONG_THE_LINE <= icons.names()


def test_icons_that_scripts_draw_exist() -> None:
    for path in (ROOT / "js").glob("*.jsx"):
        for name in re.findall(r'(?:<Icon name|icon:)\s*=?\s*"([\w-]+)"', path.read_text(encoding="utf-8")):
            assert name in icons.names(), f"{path.name}: {name}"


def test_unknown_icon_is_refused() -> None:
    with pytest.raises(icons.UnknownIcon):
        icons.icon("no-such-shape")


def test_a_link_that_looks_like_a_button_is_a_link() -> None:
    assert "ReactRouterLink" in str(button_link("New key", href="/portal/keys"))
