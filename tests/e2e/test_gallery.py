"""The gallery in every look: sound for all, narrow enough, and each piece that acts by keyboard alone."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.async_api import Dialog, Locator, Page, Route, expect

from tests.e2e.browsing import (
    DESK,
    DRAWING,
    MARKS,
    OWNER,
    PHONE,
    REFLOW,
    Faults,
    Visitors,
    drawn,
    holds_focus,
    settled,
    sideways,
    violations,
)
from tests.e2e.pictures import differing, opened

pytestmark = MARKS

GALLERY = "/developer/gallery"
STOPS = 60  # of the Tab key: past figures, charts, buttons, tables and into the forms


async def gallery(
    visitors: Visitors, *, size: dict[str, int] = DESK, theme: str = "light", **look: str
) -> Page:
    page = await visitors.tab(OWNER, viewport=size, color_scheme=theme)
    await page.goto(f"{GALLERY}?{urlencode(look)}")
    await settled(page, loading=DRAWING)
    await expect(page.locator("html")).to_have_attribute("dir", look.get("dir", "ltr"))
    # Parts that are fetched when they are drawn are there.
    await expect(page.locator(".date-segments")).to_have_count(2)
    await expect(page.get_by_role("tab")).to_have_count(3)
    await expect(page.locator("input[role=combobox]")).to_have_count(2)
    await expect(page.locator(".button.square:disabled, .info-tip:disabled")).to_have_count(0)
    return page


@pytest.mark.parametrize(("theme", "direction"), [("light", "ltr"), ("dark", "rtl")])
async def test_the_gallery_is_sound(theme: str, direction: str, visitors: Visitors) -> None:
    page = await gallery(visitors, theme=theme, dir=direction)
    faults = Faults()
    faults.listen(page)
    found: list[str] = []
    for size in (DESK, PHONE):
        await page.set_viewport_size(size)  # pyright: ignore[reportArgumentType]
        assert await sideways(page) <= 0
        found += await violations(page, f"{theme}, {direction}, {size['width']} px")
    assert found == []
    assert faults.found == []


@pytest.mark.parametrize("density", ["compact", "touch"])
async def test_density_changes_rows_and_controls_and_nothing_breaks(density: str, visitors: Visitors) -> None:
    page = await gallery(visitors, density=density)
    row = page.get_by_role("table", name="API keys").first.locator("tbody tr").first
    heights = {"compact": 32, "touch": 52}

    await drawn(page)
    box = await row.bounding_box()
    assert box is not None
    assert heights[density] <= box["height"] <= heights[density] + 2
    assert await sideways(page) <= 0
    assert await violations(page, density, contrast=False) == []  # sizes change there, and no colours


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize("size", [DESK, PHONE, REFLOW], ids=lambda size: str(size["width"]))
async def test_longer_words_fit(size: dict[str, int], direction: str, visitors: Visitors) -> None:
    page = await gallery(visitors, size=size, locale="pseudo", dir=direction)

    assert await sideways(page) <= 0
    assert await page.evaluate(CLIPPED) == []


# Controls whose words are cut off, or that stick out of the window.
CLIPPED = """() => [...document.querySelectorAll(".button, .badge, .tab, .label, .side-link span, th button")]
  .filter((one) => one.checkVisibility() && !one.closest(".visually-hidden, [aria-hidden=true]"))
  .filter((one) => {
    const box = one.getBoundingClientRect();
    const hidden = one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline";
    const outside = box.width > 0 && (box.left < -1 || box.right > innerWidth + 1);
    return (hidden && !one.closest(".switcher, .side")) || (outside && !one.closest(".table-scroll, .tab-list"));
  })
  .map((one) => one.outerHTML.slice(0, 160))"""


async def test_right_to_left_mirrors_the_shell_and_keeps_figures(visitors: Visitors) -> None:
    page = await gallery(visitors, dir="rtl")

    side = await page.get_by_role("navigation", name="Portal").bounding_box()
    main = await page.get_by_role("main").bounding_box()
    assert side is not None
    assert main is not None
    assert side["x"] > main["x"]
    assert (
        await page.locator(".chart-canvas").first.evaluate("one => getComputedStyle(one).direction") == "ltr"
    )
    figures = page.locator("data.num")
    assert await figures.evaluate_all("all => all.every((one) => getComputedStyle(one).direction === 'ltr')")
    arrows = page.get_by_role("tab")
    await arrows.first.focus()
    await page.keyboard.press("ArrowLeft")  # the next one, where text runs to the left
    await expect(arrows.nth(1)).to_be_focused()


async def test_money_is_read_back_or_refused_with_an_example(visitors: Visitors) -> None:
    page = await gallery(visitors)
    field = page.get_by_label("Monthly budget")
    read = page.locator("output")

    await field.fill("EUR 5")
    await field.press("Tab")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(
        page.get_by_text(re.compile(r"Monthly budget is in USD: enter an amount such as 1,234\.56"))
    ).to_be_visible()

    await field.fill("1.234,56")
    await expect(read).to_have_text("= 1,234.56\u00a0USD")
    await expect(field).not_to_have_attribute("aria-invalid", "true")
    await expect(page.locator("input[name=budget]")).to_have_value("1234.56")


async def test_days_are_chosen_by_keyboard_and_by_name(visitors: Visitors) -> None:
    page = await gallery(visitors)
    first, last = (page.locator(f"input[name=period_{end}]") for end in ("from", "to"))
    opener = page.get_by_role("button", name=re.compile("Show calendar"))

    await opener.focus()
    await page.keyboard.press("Enter")
    calendar = page.get_by_role("dialog", name="Billing period")
    await expect(calendar.locator(".calendar-day[data-focused]")).to_have_count(1)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")  # which goes on to the day after
    await page.keyboard.press("Enter")
    await expect(calendar).to_have_count(0)
    await expect(first).to_have_value("2026-11-08")
    await expect(last).to_have_value("2026-11-09")
    await expect(opener).to_be_focused()

    await page.keyboard.press("Enter")
    await holds_focus(calendar)
    await calendar.get_by_role("button", name="Last month").press("Enter")
    await expect(calendar).to_have_count(0)
    await expect(first).to_have_value(re.compile("-01$"))
    assert await last.input_value() >= await first.input_value()
    await expect(opener).to_be_focused()

    await opener.press("Enter")
    await holds_focus(calendar)
    await page.keyboard.press("Escape")
    await expect(calendar).to_have_count(0)
    await expect(opener).to_be_focused()


SCROLLED = """() => new Promise((done) => {
  addEventListener("scroll", () => requestAnimationFrame(() => requestAnimationFrame(done)), { once: true });
  scrollBy(0, 20);
})"""


async def test_options_are_looked_up_and_the_latest_answer_wins(visitors: Visitors) -> None:
    page = await gallery(visitors)
    asked: list[str] = []

    async def answer(route: object, request: object) -> None:
        text = request.url.partition("q=")[2]  # pyright: ignore[reportAttributeAccessIssue]
        asked.append(text)
        rows = [{"id": f"usr_{text}", "name": f"Found {text}", "email": "found@acme.example"}]
        await route.fulfill(json={"data": rows})  # pyright: ignore[reportAttributeAccessIssue]

    await page.route("**/api/v1/gallery?*", answer)
    field = page.get_by_role("combobox", name=re.compile("Member"))
    await field.press_sequentially("a")
    await page.evaluate(
        SCROLLED
    )  # as the page does by itself when a field comes into view that has the focus
    await field.press_sequentially("n")
    await expect(page.get_by_role("option", name="Found an")).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")

    await expect(field).to_have_value("Found an")
    await expect(page.locator("input[name=member]")).to_have_value("usr_an")
    assert asked[-1] == "an"


async def test_a_tooltip_opens_on_focus_and_leaves_with_escape(visitors: Visitors) -> None:
    page = await gallery(visitors)
    await page.get_by_role("button", name="Quiet").focus()
    await drawn(page)

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("tooltip", name="Copy invoice number")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("tooltip")).to_have_count(0)
    await expect(page.get_by_role("button", name="Copy invoice number")).to_be_focused()


async def test_a_menu_is_searched_by_its_first_letters(visitors: Visitors) -> None:
    page = await gallery(visitors)
    opener = page.get_by_role("button", name="Row actions")
    await opener.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Open")).to_be_focused()

    await page.keyboard.type("del")
    await expect(page.get_by_role("menuitem", name="Delete")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(opener).to_be_focused()


async def test_danger_wants_the_name_typed(visitors: Visitors) -> None:
    page = await gallery(visitors)
    opener = page.get_by_role("button", name="Revoke key")
    await opener.focus()
    await page.keyboard.press("Enter")
    asking = page.get_by_role("alertdialog")
    verb = asking.get_by_role("button", name="Revoke key")

    await expect(verb).to_have_attribute("aria-disabled", "true")
    await asking.get_by_label("Type Production to go on").fill("Production")
    await expect(verb).not_to_have_attribute("aria-disabled", "true")
    await verb.press("Enter")
    await expect(asking).to_have_count(0)
    await expect(page.get_by_role("status").filter(has_text="Key revoked").first).to_be_visible()
    await expect(opener).to_be_focused()


async def test_a_dialog_that_waits_says_why_the_act_failed(visitors: Visitors) -> None:
    page = await gallery(visitors)
    await page.get_by_role("button", name="Delete and wait").press("Enter")
    asking = page.get_by_role("alertdialog")
    await holds_focus(asking)

    await asking.get_by_role("button", name="Delete", exact=True).press("Enter")

    await expect(asking.get_by_role("alert")).to_have_text("Somebody else deleted it a minute ago.")
    await page.keyboard.press("Escape")
    await expect(asking).to_have_count(0)


async def test_an_empty_form_says_what_is_missing_and_leads_there(visitors: Visitors) -> None:
    page = await gallery(visitors)
    form = page.locator("#gallery-form")
    await form.get_by_role("button", name="Save organisation").press("Enter")
    summary = form.locator(".error-summary")

    await expect(summary).to_be_focused()
    await expect(page).to_have_title(re.compile("^Error: "))
    for link, field in (("Enter organisation", "Organisation"), ("Choose model", "Model")):
        await summary.get_by_role("link", name=link).press("Enter")
        await expect(form.get_by_label(field, exact=True).first).to_be_focused()


async def test_what_was_typed_is_not_left_behind_unasked(visitors: Visitors) -> None:
    page = await gallery(visitors)
    answers = iter((False, True))
    asked: list[str] = []

    async def decide(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await (dialog.accept() if next(answers) else dialog.dismiss())

    page.on("dialog", decide)
    away = page.get_by_role("navigation", name="Portal").get_by_role("link", name="Settings")
    field = page.locator("#gallery-failed-slug")
    await field.fill("my-model")

    async with page.expect_event("dialog"):  # it comes in its time, and until then a link does nothing more
        await away.click()
    await expect(field).to_have_value("my-model")
    await away.click()
    await expect(page).to_have_url(re.compile("/settings$"))
    assert asked == ["Leave without saving? What you typed is lost."] * 2


async def test_a_password_is_judged_while_it_is_typed_and_can_be_pasted(visitors: Visitors) -> None:
    page = await gallery(visitors)
    field = page.locator("#gallery-form-password")
    said = page.locator(".strength")
    for password, words in (
        ("short", "Too short"),
        ("aaaaaaaaaaaaa", "Easy to guess"),
        ("kissa juoksi katolla yöllä", "Very hard to guess"),
    ):
        await field.fill(password)
        await expect(said).to_have_text(words)

    await paste(field, "from the manager")
    await expect(field).to_have_value("from the manager")
    await page.locator("#gallery-form").get_by_role("button", name="Show password").press("Enter")
    await expect(field).to_have_attribute("type", "text")


async def paste(field: Locator, text: str) -> None:
    await field.fill("")
    await field.focus()
    await field.evaluate("(one, text) => document.execCommand('insertText', false, text)", text)


async def test_files_are_dropped_checked_and_sent(visitors: Visitors) -> None:
    page = await gallery(visitors)
    await page.route("**/api/v1/gallery", lambda route: route.fulfill(status=201, json={"id": "file_1"}))
    chosen = page.locator("#gallery-form-contract")

    await chosen.set_input_files(
        [
            {"name": "contract.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-"},
            {"name": "program.exe", "mimeType": "application/x-msdownload", "buffer": b"MZ"},
        ]
    )

    rows = page.locator(".file-row")
    await expect(rows.filter(has_text="contract.pdf")).to_have_attribute("data-state", "done")
    await expect(rows.filter(has_text="program.exe")).to_contain_text("A file of this kind is not taken here")
    await expect(page.locator("input[name=contract]")).to_have_value("file_1")
    await page.get_by_role("button", name="Remove contract.pdf").press("Enter")
    await expect(rows).to_have_count(1)
    await expect(page.locator("input[name=contract]")).to_have_value("")


async def test_a_note_that_was_put_away_stays_away(visitors: Visitors) -> None:
    page = await gallery(visitors)
    note = page.get_by_text("Keys may now belong to a project.")

    await page.get_by_role("button", name="Put this note away").press("Enter")
    await expect(note).to_have_count(0)
    await expect(page.get_by_role("main")).to_be_focused()
    await page.reload()
    await settled(page, loading=DRAWING)
    await expect(note).to_have_count(0)
    await page.evaluate(
        "localStorage.removeItem('matrix_banner_gallery')"
    )  # others look at it in this browser


async def test_the_unfinished_bar_is_hatched_in_its_own_colour(visitors: Visitors) -> None:
    page = await gallery(visitors)
    strokes = page.locator(".chart pattern path")

    await expect(page.locator(".bars .partial path").first).to_be_visible()
    blue = await page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--series-1')")
    colours = await strokes.evaluate_all("all => all.map((one) => one.getAttribute('stroke'))")
    assert "rgb({}, {}, {})".format(*bytes.fromhex(blue.strip().removeprefix("#"))) in colours


async def test_acts_are_off_and_say_so_while_the_connection_is_gone(visitors: Visitors) -> None:
    page = await gallery(visitors, connection="lost")
    await expect(page.get_by_text("Reconnecting. You can read this page")).to_be_visible()
    row = page.get_by_role("button", name="Actions for Production").first

    for name in ("Refund 40.00 EUR", "Copy invoice number", "Set up an app"):
        await expect(page.get_by_role("button", name=name)).to_have_attribute("aria-disabled", "true")
    await expect(page.get_by_role("switch", name="Send alerts")).to_have_attribute("aria-disabled", "true")
    await page.get_by_role("button", name="Export").first.press("Enter")
    await row.press("Enter")
    await expect(page.get_by_role("menuitem", name="Rotate")).to_have_attribute("aria-disabled", "true")
    await holds_focus(page.get_by_role("menu"))
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Archive by proof").press("Enter")
    verb = page.get_by_role("alertdialog").get_by_role("button", name="Archive", exact=True)
    await expect(verb).to_have_attribute("aria-disabled", "true")
    await expect(page.get_by_text("Export started")).to_have_count(0)  # by now it would be there


async def test_an_act_that_is_sent_stays_until_it_is_done_and_says_why_it_was_not(visitors: Visitors) -> None:
    page = await gallery(visitors)
    answers = iter(
        [(409, {"detail": "It has a run under way.", "next_step": "Wait for it."}), (200, {"id": "x"})]
    )

    async def answer(route: Route) -> None:
        status, body = next(answers)
        await route.fulfill(status=status, json=body)

    await page.route("**/api/v1/gallery", answer)
    await page.get_by_role("button", name="Archive by proof").press("Enter")
    asking = page.get_by_role("alertdialog")
    await holds_focus(asking)
    await asking.get_by_role("button", name="Archive", exact=True).press("Enter")
    await expect(asking.get_by_text("It has a run under way. Wait for it.")).to_be_visible()

    await asking.get_by_role("button", name="Archive", exact=True).press("Enter")
    await expect(asking).to_have_count(0)
    await expect(page.get_by_role("status").filter(has_text="Archived").first).to_be_visible()


CHOSEN = (
    "main [aria-current]:not([aria-current=false]), .side [aria-current=page], [role=tab][aria-selected=true],"
    " [aria-pressed=true], input:checked"
)
NOT_CHOSEN = """one => {
  for (const name of ["aria-current", "aria-selected", "data-selected"]) one.removeAttribute(name);
  if (one.hasAttribute("aria-pressed")) one.setAttribute("aria-pressed", "false");
  one.checked = false;
}"""
RING = """() => {
  const one = document.activeElement, looks = [one, one.parentElement, one.closest("label")].filter(Boolean);
  const ringed = ({ outlineStyle, outlineWidth }) => outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  const seen = looks.some((it) => ringed(getComputedStyle(it))) || one.matches(".date-segment");
  return seen ? "" : one.outerHTML.slice(0, 160);
}"""


async def test_forced_colours_keep_what_is_chosen_and_where_the_focus_is(visitors: Visitors) -> None:
    page = await gallery(visitors)
    await page.emulate_media(forced_colors="active")
    await page.get_by_role("main").focus()
    ringless = set[str]()
    for _ in range(STOPS):
        await page.keyboard.press("Tab")
        ringless.add(await page.evaluate(RING))
    assert ringless == {""}

    chosen = await page.query_selector_all(CHOSEN)  # handles: what is not chosen any more is found no more
    assert len(chosen) > 8
    for one in chosen:
        before = await one.screenshot(animations="disabled")
        said = await one.evaluate("one => one.outerHTML.slice(0, 160)")
        await one.evaluate(NOT_CHOSEN)
        after = await one.screenshot(animations="disabled")
        assert differing(opened(before), opened(after)).getbbox(), said
