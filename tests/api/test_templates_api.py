"""Templates over HTTP: drafted, looked at, published, and kept by the documents that they made."""

from __future__ import annotations

from typing import Any

from httpx import AsyncClient

from models.identity import Organization
from models.types import Role
from tests.api.conftest import Api, problem
from tests.api.test_invoices_api import issued
from tests.api.test_papers_api import printer, staff
from tests.integration.papers.printing import Printer
from tests.unit.documents.test_document_files import text_of

__all__ = ["printer", "staff"]
MEGABYTE = 1024 * 1024
MARKUP = "#set page(fill: red) <script>alert(1)</script> $x^2$ *strong*"
SAID: dict[str, Any] = {
    "accent": "#aa0000", "font": "serif", "paper": "us-letter", "fields": ["notes", "payment", "headline"],
    "registration_number": "HRB 7", "account": "DE89 3704 0044 0532 0130 00", "account_name": "Matrix GmbH",
    "wording": {
        "en": {"notes": ["Thank you.", MARKUP], "legal_text": "Registered in Berlin"},
        "de": {"notes": [MARKUP], "extras": [{"label": "Kostenstelle", "value": "K-7"}], "payment_text": "Ohne Abzug."},
        "ar": {"notes": ["شكرًا لكم"]},
    },
}  # fmt: skip
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "a5f645400000000049454e44ae426082"
)
SVG_WITH_SCRIPT = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


async def begun(staff: AsyncClient) -> dict[str, Any]:
    (entity,) = (await staff.get("staff/legal-entities")).json()["data"]
    answer = await staff.post("staff/templates", json={"legal_entity_id": entity["id"]})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_version_goes_from_draft_to_the_documents_it_makes(
    api: Api, acme: Organization, staff: AsyncClient, printer: Printer
) -> None:
    before: Any = await issued(staff, acme, "1")
    assert await printer.run() == 1
    draft = await begun(staff)
    path = f"staff/templates/{draft['id']}"
    assert await begun(staff) == draft  # a second one is the same
    changed = (await staff.put(path, json=SAID | {"version": draft["version"]})).json()
    assert (changed["design"]["accent"], changed["contrast"], changed["version"]) == ("#aa0000", 7.75, 2)
    stale = problem(await staff.put(path, json=SAID | {"version": 1}), 412, "stale_version")
    assert stale["details"]["current"]["design"]["accent"] == "#aa0000"
    with_logo = await staff.post(f"{path}/logo", files={"file": ("logo.png", PNG)})
    assert with_logo.json()["logo_sha256"]

    view = (await staff.get(f"{path}/preview", params={"language": "de"})).text
    assert "data:image/png" in view
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in view
    assert "<script" not in view
    assert 'dir="rtl"' in (await staff.get(f"{path}/preview", params={"language": "ar"})).text
    assert (await staff.get(f"{path}/preview/pdf")).content.startswith(b"%PDF")

    published = await staff.post(f"{path}/publish")
    assert (published.json()["state"], published.json()["published_at"] is not None) == ("published", True)
    for refused in (staff.put(path, json=SAID), staff.delete(f"{path}/logo"), staff.delete(path)):
        problem(await refused, 409, "template_published")
    made: Any = await issued(staff, acme, "2")
    assert await printer.run() == 1
    client = await api.browser(acme, Role.BILLING)
    for document, version in ((before, None), (made, draft["id"])):
        paper = (await client.get(f"invoices/{document['id']}/paper")).json()
        assert (paper["state"], paper["template_version_id"]) == ("made", version)
    said = (await client.get(f"invoices/{made['id']}/html")).text
    for words in (
        "#aa0000",
        "Kostenstelle",
        "Ohne Abzug.",
        "DE89 3704",
        made["number"],
        "#set page(fill: red)",
    ):
        assert words in said, words
    assert "".join(MARKUP.split()) in text_of((await client.get(f"invoices/{made['id']}/pdf")).content)
    assert "Registered in Berlin" not in said  # of another language

    following = await begun(staff)
    assert (following["number"], following["design"], following["logo_sha256"]) == (
        2,
        published.json()["design"],
        published.json()["logo_sha256"],
    )
    assert (await staff.delete(f"staff/templates/{following['id']}")).status_code == 200
    rows = (await staff.get("staff/templates")).json()["data"]
    assert [(row["number"], row["state"], row["is_in_force"], row["has_logo"]) for row in rows] == [
        (1, "published", True, True)
    ]


async def test_what_no_document_can_show_is_refused_with_the_part_at_fault(
    api: Api, acme: Organization, staff: AsyncClient
) -> None:
    path = f"staff/templates/{(await begun(staff))['id']}"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"accent": "red"}, "accent"),
        ({"account": "x" * 301}, "account"),
        ({"account": "DE02 1005 0000 0054 5404 03"}, "account"),  # a slip in an IBAN
        ({"email": "a\u202eb"}, "email"),
        ({"wording": {"xx": {}}}, "wording"),
        ({"wording": {"en": {"notes": ["x" * 5_001]}}}, "notes"),
        ({"wording": {"en": {"notes": ["x"] * 9}}}, "notes"),
        ({"wording": {"en": {"extras": [{"label": "", "value": "x"}]}}}, "label"),
    ]
    for given, field in cases:
        refused = problem(await staff.put(path, json=given), 422, "document_refused")
        assert refused["errors"][0]["pointer"] == f"#/{field}", given
    nobody = problem(await staff.put(path, json={"email": "not mail"}), 422, "invalid_input")
    assert nobody["errors"][0]["pointer"] == "#/email"
    large = problem(
        await staff.post(f"{path}/logo", files={"file": ("logo.png", b"\x89PNG" + b"x" * 10 * MEGABYTE)}),
        413,
        "logo_too_large",
    )
    assert ("1,024 KB" in large["detail"], "smaller" in large["next_step"]) == (True, True)
    for content in (SVG_WITH_SCRIPT, b"%PDF-1.7 %%EOF", b"plain text", PNG[:-20]):
        problem(await staff.post(f"{path}/logo", files={"file": ("logo.png", content)}), 422, "file_refused")
    assert (await staff.get(path)).json()["version"] == 1
    problem(await staff.post("staff/templates", json={"legal_entity_id": "ent_x"}), 404, "not_found")
    client = await api.browser(acme)
    for refused in (
        client.get("staff/templates"),
        client.put(path, json=SAID),
        client.get(f"{path}/preview"),
    ):
        problem(await refused, 403, "not_allowed")
