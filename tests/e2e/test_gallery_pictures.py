"""The gallery looks as it did when somebody last looked at it: both themes, on a desk and on a phone."""

from __future__ import annotations

import re

import pytest
from PIL import Image, ImageDraw
from playwright.async_api import Page

from tests.e2e import pictures
from tests.e2e.browsing import DESK, MARKS, PHONE, Visitors, drawn
from tests.e2e.test_gallery import gallery

pytestmark = MARKS

# What floats over the page would stand in whichever part is below it.
WITHOUT_FRAME = ".mode-bar, .top-bar, .side, .connection { visibility: hidden !important; }"
# Charts are laid out again a moment after the room for them has changed.
CHARTS_FIT = """() => [...document.querySelectorAll(".js-plotly-plot")].every((plot) => {
  const drawn = plot.querySelector(".main-svg");
  return drawn && Math.abs(drawn.width.baseVal.value - plot.clientWidth) < 1;
})"""
BOXES = """() => [...document.querySelectorAll("main .section-head h2")].map((title) => {
  const box = title.closest("section").getBoundingClientRect();
  return [title.innerText, [box.left, box.top + scrollY, box.right, box.bottom + scrollY].map(Math.round)];
})"""


async def parts(page: Page) -> list[tuple[str, Image.Image]]:
    """A picture of each part of the gallery, by its title."""
    await drawn(page)
    await page.evaluate("document.fonts.ready")
    await page.wait_for_function(CHARTS_FIT)
    whole = pictures.opened(
        await page.screenshot(full_page=True, animations="disabled", caret="hide", style=WITHOUT_FRAME)
    )
    return [
        (re.sub("[^a-z]+", "-", title.lower()), whole.crop(box)) for title, box in await page.evaluate(BOXES)
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_gallery_looks_as_it_did(theme: str, visitors: Visitors) -> None:
    page = await gallery(visitors, theme=theme)
    wrong: list[str] = []
    for size in (DESK, PHONE):
        await page.set_viewport_size(size)  # pyright: ignore[reportArgumentType]
        found = await parts(page)
        assert len(found) > 8
        wrong += [pictures.looks_otherwise(f"{name}-{theme}-{size['width']}", taken) for name, taken in found]

    assert list(filter(None, wrong)) == []


def test_a_changed_letter_is_seen_and_a_paler_edge_is_not(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "FOLDER", tmp_path)
    monkeypatch.setattr(pictures, "FAILED", tmp_path)
    before = Image.new("RGB", (200, 60), "white")
    ImageDraw.Draw(before).rectangle((20, 20, 60, 40), fill="#1F5FA8")
    monkeypatch.setattr(pictures, "IS_RENEWING", True)
    assert pictures.looks_otherwise("box", before) == ""
    monkeypatch.setattr(pictures, "IS_RENEWING", False)

    assert pictures.looks_otherwise("box", before) == ""
    paler = before.copy()
    ImageDraw.Draw(paler).rectangle((20, 20, 60, 40), outline="#3F7FC8")
    assert pictures.looks_otherwise("box", paler) == ""
    moved = Image.new("RGB", (200, 60), "white")
    ImageDraw.Draw(moved).rectangle((21, 20, 61, 40), fill="#1F5FA8")
    assert "42 px" in pictures.looks_otherwise("box", moved)
    assert "200x61 px, was 200x60" in pictures.looks_otherwise("box", before.resize((200, 61)))
    assert "has no picture" in pictures.looks_otherwise("other", before)


def test_the_pictures_are_few_and_small() -> None:
    kept = list(pictures.FOLDER.glob("*.png"))

    assert kept
    assert sum(path.stat().st_size for path in kept) < pictures.FOLDER_BYTES_MAX
