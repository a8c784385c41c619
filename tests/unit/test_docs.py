"""What the documents promise is there, and what is there is in the documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.core.settings import Settings
from services.demo.stories import STORIES
from services.gateway.refusals import STATUS_AND_TYPE
from services.metering.service import PLATFORM_METERS
from services.notify.topics import TOPICS

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "tests/README.md"]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
PICTURES = {"docs/images/overview-light.png"}


def text(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]

    assert set(missing) <= PICTURES


def test_every_setting_is_explained_and_none_that_is_not_there() -> None:
    table = text("docs/operations.md").partition("## Settings")[2].partition("\n## ")[0]

    assert set(re.findall(r"^\| `(MATRIX_\w+)`", table, re.M)) == {
        f"MATRIX_{name.upper()}" for name in Settings.model_fields
    }
    named = {name for page in PAGES for name in re.findall(r"\bMATRIX_\w+", page.read_text())}
    assert named <= {f"MATRIX_{name.upper()}" for name in Settings.model_fields} | {"MATRIX_API_KEY"}


def test_every_code_of_the_gateway_is_listed() -> None:
    listed = text("docs/gateway.md").partition("## Errors")[2].partition("\n## ")[0]

    assert {code.value for code in STATUS_AND_TYPE} <= set(re.findall(r"`(\w+)`", listed))


def test_every_topic_of_notifications_is_listed_with_what_holds_at_first() -> None:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| (\w+) \| (\w+)", text("docs/notifications.md"), re.M)

    said = {True: "yes", False: "no"}
    assert {name: (here, mail) for name, here, mail in rows} == {
        topic.name: ("always", "always") if topic.locked else (said[topic.in_app], said[topic.mail])
        for topic in TOPICS.values()
    }


def test_platform_meters_and_demo_people_are_introduced() -> None:
    assert all(f"`{meter.slug}`" in text("docs/usage.md") for meter in PLATFORM_METERS)
    guide = text("docs/getting-started.md")
    for story in STORIES:
        assert story.name in guide
        assert f"`{story.domain}`" in guide
        assert all(f"{person.name.split()[0]} ({person.role.value})" in guide for person in story.people)


def test_the_glossary_has_each_word_once_in_order() -> None:
    words = re.findall(r"^\| ([^|]+?) \|", text("docs/glossary.md"), re.M)[1:]

    assert words == sorted(set(words), key=str.casefold)
