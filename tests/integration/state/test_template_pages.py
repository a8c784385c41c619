"""Templates on pages: a draft with its preview beside the form, published, and the documents that wait."""

from __future__ import annotations

from typing import Any

import pytest

from models.types import OrganizationKind, Role
from services.core.crossing import Reason, crossing
from services.papers import templates
from state.governance.template_drafts import design_of, form_of
from state.governance.templates import HOME, PapersState, TemplatesState, TemplateState
from tests.integration.billing.shop import Shop, line, open_shop
from tests.integration.papers.printing import hand_on
from tests.integration.state.visitor import sent_to, sign_in
from tests.world import World

LOGO = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9v9z"/></svg>'


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


async def test_a_draft_is_looked_at_while_it_is_typed_and_published_as_it_was_saved(
    world: World, shop: Shop
) -> None:
    operators = await world.organization(OrganizationKind.OPERATOR)
    staff, _ = await sign_in(world, operators, Role.OPERATOR)
    async with crossing(Reason.STAFF, actor=world.actor(operators, Role.OPERATOR)) as uow:
        draft = await templates.begin(uow, legal_entity_id=shop.entity.id)
    _, answer = await staff.call(TemplatesState, "begun", {"id": draft.id})
    staff.at = sent_to(answer)
    seen, _ = await staff.call(TemplateState, "load")
    assert (seen.template["is_draft"], seen.form["accent"], seen.is_readable) == (True, "#635bff", True)
    assert "Matrix GmbH" in seen.preview

    typed: dict[str, Any] = seen.form | {
        "accent": "#ffee00", "de_notes": "<b>Eins</b>\nZeile\n\n#zwei", "de_extras": "Kostenstelle: K-7",
        "en_notes": "Thank you.", "fields": ["notes"],
    }  # fmt: skip
    seen, _ = await staff.call(TemplateState, "settle", typed)
    assert (seen.contrast, seen.is_readable) == ("1.2", False)
    assert "Kostenstelle" not in seen.preview  # the sample is in English
    seen, _ = await staff.call(TemplateState, "look_in", "de")
    for words in ("Kostenstelle", "&lt;b&gt;Eins&lt;/b&gt;<br>Zeile", "#zwei", "#ffee00"):
        assert words in seen.preview, words
    seen, _ = await staff.call(TemplateState, "settle", typed | {"accent": "#ff"})
    assert ("'#ff' is no colour." in seen.preview_error, "Kostenstelle" in seen.preview) == (True, True)

    async with crossing(Reason.STAFF, actor=world.actor(operators, Role.OPERATOR)) as uow:
        await templates.set_logo(uow, draft.id, LOGO)
    seen, _ = await staff.call(TemplateState, "settle", typed)
    seen, _ = await staff.call(TemplateState, "changed", {"id": draft.id})
    assert (seen.template["has_logo"], seen.template["version"]) == (True, 2)
    assert "Kostenstelle" in seen.preview  # what was typed and not saved yet is still there
    seen, _ = await staff.call(TemplateState, "remove_logo")
    assert (seen.template["has_logo"], seen.template["version"]) == (False, 3)

    for wrong, field in (
        ({"accent": "#ff"}, "accent"),
        ({"de_extras": "K-7"}, "de_extras"),
        ({"font": "comic"}, "font"),
    ):
        seen, _ = await staff.call(TemplateState, "save", typed | wrong)
        assert (list(seen.errors), seen.is_saved) == ([field], False)
    seen, _ = await staff.call(TemplateState, "save", typed)
    assert (seen.errors, seen.is_saved, seen.template["version"]) == ({}, True, 4)
    assert form_of(design_of(seen.form)) == seen.form
    await staff.call(TemplateState, "publish")
    seen, _ = await staff.call(TemplateState, "load")
    assert (seen.template["is_draft"], seen.form["de_notes"]) == (False, typed["de_notes"])
    staff.at = HOME
    seen, _ = await staff.call(TemplatesState, "load")
    assert [(row["name"], row["state"]) for row in seen.rows] == [("DE1 MX 1", "in_force")]

    support, _ = await sign_in(world, operators, Role.SUPPORT)
    support.at = f"{HOME}/{draft.id}"
    seen, _ = await support.call(TemplateState, "load")
    assert seen.form["accent"] == "#ffee00"
    _, refused = await support.call(TemplateState, "save", seen.form)
    assert "staff.invoices.write" in str(refused)


async def test_of_two_who_change_a_draft_the_second_sees_both_and_chooses(world: World, shop: Shop) -> None:
    operators = await world.organization(OrganizationKind.OPERATOR)
    async with crossing(Reason.STAFF, actor=world.actor(operators, Role.OPERATOR)) as uow:
        draft = await templates.begin(uow, legal_entity_id=shop.entity.id)
    (first, _), (second, _) = [await sign_in(world, operators, Role.OPERATOR) for _ in "ab"]
    for one in (first, second):
        one.at = f"{HOME}/{draft.id}"
        seen, _ = await one.call(TemplateState, "load")
    await first.call(TemplateState, "save", seen.form | {"accent": "#aa0000"})
    mine = seen.form | {"accent": "#00aa00"}

    seen, answer = await second.call(TemplateState, "save", mine)

    assert (answer, seen.is_saved, seen.met["form"]) == (None, False, "template")
    assert (seen.met["theirs"]["accent"], seen.met["version"]) == ("#aa0000", 2)
    seen, _ = await second.call(TemplateState, "save", mine | {"version": seen.met["version"]})
    assert (seen.is_saved, seen.template["version"]) == (True, 3)
    seen, _ = await first.call(TemplateState, "load")
    assert seen.form["accent"] == "#00aa00"


async def test_documents_that_wait_are_listed_and_tried_again(world: World, shop: Shop) -> None:
    made = await shop.invoice(line("1"))
    await hand_on(world.database)
    async with crossing(Reason.PAPERS) as uow:
        await uow.execute("update paper set state = 'parked', attempts = 8, error = 'No room.'")
    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    staff.at = "/governance/papers?state=parked"
    seen, _ = await staff.call(PapersState, "load")
    assert [(row["number"], row["error"]) for row in seen.rows] == [(made.number, "No room.")]
    await staff.call(PapersState, "retry", made.id)
    seen, _ = await staff.call(PapersState, "load")
    assert seen.rows == []
