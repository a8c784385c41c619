"""Pictures of a page of the running copy, as a person of the demo sees it: `make shot PAGE=/portal`.

Both themes, on a desk and on a phone, into screenshots/. The address may ask for more:
`PAGE='/developer/gallery?dir=rtl&locale=pseudo&density=touch'`. Signs in as the demo account of the page's console.
"""

import re
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from matrix_app.up.announcement import Demo, DemoAccount
from services.core.settings import Settings, settings
from tests.tools import chromium

SIZES = {"desk": (1440, 900), "phone": (360, 780)}
FOLDER = Path("screenshots")
SETTLED_MS = 600  # charts and fonts; a picture is for eyes, no test waits on it


def main(route: str) -> int:
    """0 when the pictures are made."""
    chosen = settings()
    demo = Demo.read(chosen.data_dir)
    if demo is None:
        print("There is no demo data: start it with `make run`, and leave it running.")
        return 1
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.path(), args=list(chromium.FLAGS))
        for theme in ("light", "dark"):
            for name, size in SIZES.items():
                picture = (
                    FOLDER
                    / f"{re.sub('[^a-z0-9]+', '-', route.lower()).strip('-') or 'home'}-{theme}-{name}.png"
                )
                _shoot(browser, chosen, _account(demo, route), route, theme, size, picture)
                print(picture)
        browser.close()
    return 0


def _account(demo: Demo, route: str) -> DemoAccount:
    console = route.strip("/").split("/")[0]
    return next((account for account in demo.accounts if account.console == console), demo.accounts[0])


def _shoot(
    browser: Browser,
    chosen: Settings,
    account: DemoAccount,
    route: str,
    theme: str,
    size: tuple[int, int],
    picture: Path,
) -> None:
    width, height = size
    context = browser.new_context(
        base_url=chosen.public_url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    _sign_in(context.new_page(), chosen, account)
    page = context.new_page()
    page.goto(route, wait_until="networkidle")
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=picture, full_page=True)
    context.close()


def _sign_in(page: Page, chosen: Settings, account: DemoAccount) -> None:
    answer = page.request.post(
        "/api/v1/session",
        data={"email": account.email, "password": account.password},
        headers={"Origin": chosen.public_url},
    )
    if answer.status != 201:
        raise SystemExit(f"Signing in as {account.email} was refused: {answer.text()}")
    page.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "/"))
