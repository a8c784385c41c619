"""An organisation's own pages in a browser: people who join by mail, and two who change one thing at once."""

from __future__ import annotations

from playwright.async_api import Route, expect

from tests.bench.product import Product
from tests.e2e import newcomer as steps
from tests.e2e.browsing import MARKS, OTHER_OWNER, STAFF, Visitors, settled

pytestmark = MARKS


async def test_somebody_new_joins_by_the_link_of_an_invitation(product: Product, visitors: Visitors) -> None:
    owner, who = await visitors.page(OTHER_OWNER), steps.newcomer()
    await owner.goto("/portal/members")
    await settled(owner)
    await owner.get_by_role("button", name="Invite").first.click()
    dialog = owner.get_by_role("dialog", name="Invite somebody")
    await dialog.get_by_label("Email").fill(who.email)
    await dialog.get_by_role("button", name="Invite").click()
    await expect(owner.get_by_text("Invitation sent")).to_be_visible()

    page = await visitors.page()
    await page.goto(steps.mailed_link(product, who))
    await settled(page)
    await page.get_by_label("Your name").fill(who.name)
    await page.get_by_label("Password", exact=True).fill(who.password)
    await page.get_by_role("button", name="Create account and join").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")

    await owner.goto("/portal/members")
    await expect(owner.get_by_role("row").filter(has_text=who.email)).to_be_visible()


async def test_two_who_change_one_thing_see_both_values(visitors: Visitors) -> None:
    first, second = await visitors.page(OTHER_OWNER), await visitors.page(OTHER_OWNER)
    for page in (first, second):
        await page.goto("/portal/settings")
        await settled(page)
    name = await first.get_by_label("Name").input_value()

    await first.get_by_label("Name").fill(f"{name} One")
    await first.get_by_role("button", name="Save settings").click()
    await expect(first.get_by_text("Settings saved")).to_be_visible()
    await second.get_by_label("Name").fill(f"{name} Two")
    await second.get_by_role("button", name="Save settings").click()

    conflict = second.get_by_role("alert")
    await expect(conflict.get_by_role("cell", name=f"{name} One", exact=True)).to_be_visible()
    await expect(conflict.get_by_role("cell", name=f"{name} Two", exact=True)).to_be_visible()
    await conflict.get_by_role("button", name="Save mine").click()
    await expect(second.get_by_text("Settings saved")).to_be_visible()
    await first.reload()
    await settled(first)
    await expect(first.get_by_label("Name")).to_have_value(f"{name} Two")

    await first.get_by_label("Name").fill(name)
    await first.get_by_role("button", name="Save settings").click()
    await expect(first.get_by_text("Settings saved")).to_be_visible()


async def test_an_export_is_followed_until_its_file_is_there(visitors: Visitors) -> None:
    page = await visitors.page(OTHER_OWNER)
    await page.goto("/portal/requests")
    await settled(page)

    await page.get_by_role("button", name="Export").click()
    await settled(page, heading="Tasks")  # which it leads to, once it is asked for
    row = page.get_by_role("row").filter(has_text="Requests").first
    await expect(row.get_by_text("Done")).to_be_visible()
    async with page.expect_download() as begun:
        await row.get_by_role("button", name="Download").click()
    download = await begun.value
    assert download.suggested_filename.endswith(".csv")


async def test_a_list_that_no_task_exports_is_saved_by_the_browser(visitors: Visitors) -> None:
    page = await visitors.page(STAFF)
    await page.goto("/governance/ledger?happened_at.gte=2026-01-01T00:00:00Z")
    await settled(page)

    async with page.expect_download() as begun:
        await page.get_by_role("link", name="Export CSV").click()
    assert (await begun.value).suggested_filename.endswith(".csv")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Ledger")  # nobody was led away


async def test_what_is_sent_again_because_its_answer_was_lost_happens_once(
    product: Product, visitors: Visitors
) -> None:
    who = steps.newcomer()
    steps.register(product, who)
    page = await visitors.page(timezone_id="Asia/Tokyo")
    await page.goto("/sign-in")
    await steps.sign_in(page, who)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Name your organisation")
    drawn_first = await (await page.request.get("/welcome")).text()
    assert "Name your organisation" in drawn_first
    assert "Create organisation" not in drawn_first  # before it is known what there is to choose from
    zone = page.get_by_role("combobox", name="Timezone")
    await expect(zone).to_have_value("Asia/Tokyo")  # as the browser says

    to_lose = iter(["the first answer"])

    async def lose(route: Route) -> None:
        if next(to_lose, None) is None:
            await route.continue_()
            return
        answer = await route.fetch()
        assert answer.status == 201
        await route.abort()

    # Not `times=1`: to stop listening is no affair of a moment, and the second request comes at once.
    await page.route("**/api/v1/organizations", lose)
    await settled(page)
    await page.get_by_label("Organisation name").fill(who.organization)
    await page.get_by_role("button", name="Create organisation").click()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("The server was not reached")
    await expect(alert).to_be_focused()  # until then the page may move under the pointer
    await page.get_by_role("button", name="Create organisation").click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    mine = await page.request.get("/api/v1/organizations")
    assert [one["name"] for one in (await mine.json())["data"]] == [who.organization]
