"""One overdue invoice in a campaign: how it stands, what each step brought in, and when calls were refused."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import status_badge
from components.feedback.figures import fact, facts
from components.feedback.states import banner, skeleton
from components.format.values import money, when
from components.links import link
from components.shell.page import card, page_header, section
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.governance.dunning import STATES, action_words
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.governance.dunning_case import DunningCaseState
from state.session import SessionState

STEPS = Table(
    "dunning-steps",
    "dunning.steps",
    columns=(
        Column("number", "dunning.step", kind="number", row_header=True),
        Column("action", "dunning.action", draw=lambda row: action_words(row["action"])),
        Column("after_days", "dunning.after_days", kind="number"),
        Column("done_at", "dunning.done_at", kind="datetime"),
        Column("recovered", "dunning.recovered", kind="money", currency="currency"),
    ),
)

BLOCKS = Table(
    "dunning-blocks",
    "dunning.blocks",
    columns=(
        Column("started_at", "dunning.block_started", kind="datetime", row_header=True),
        Column("ended_at", "dunning.block_ended", kind="datetime"),
    ),
)


def _facts(row: Any) -> rx.Component:
    currency = row["currency"].to(str)

    def at(name: str) -> rx.Component:
        return rx.cond(
            row[name], fact(t(f"dunning.{name}"), when(row[name], zone=SessionState.zone)), rx.fragment()
        )

    return card(
        facts(
            (t("dunning.state"), rx.fragment(status_badge(row["state"], STATES))),
            (t("dunning.invoice"), link(row["number"].to(str), href=row["invoice_href"].to(str))),
            (t("dunning.campaign"), row["campaign"].to(str)),
            (t("dunning.due"), money(row["due"], currency)),
            (t("dunning.recovered"), money(row["recovered"], currency)),
            (t("dunning.lost"), money(row["lost"], currency)),
            *(at(name) for name in ("created_at", "next_at", "ended_at", "reopened_at")),
        )
    )


@page(
    "/governance/dunning/cases/[dunning_case_id]",
    console=Console.GOVERNANCE,
    title="dunning.one",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=DunningCaseState.load,
)
def dunning_case() -> Drawn:
    """One of them."""
    row = DunningCaseState.case
    content = rx.fragment(
        rx.cond(row["lifted"].to(bool), banner("info", t("dunning.lifted")), rx.fragment()),
        rx.cond(row["reopened_at"], banner("warn", t("dunning.reopened")), rx.fragment()),
        _facts(row),
        section(
            t("dunning.steps"),
            data_table(STEPS, DunningCaseState.steps, status=DunningCaseState.status, zone=SessionState.zone),
        ),
        rx.cond(
            DunningCaseState.blocks.length() > 0,
            section(
                t("dunning.blocks"),
                rx.el.p(t("dunning.blocks_text"), class_name="muted"),
                data_table(
                    BLOCKS, DunningCaseState.blocks, status=DunningCaseState.status, zone=SessionState.zone
                ),
            ),
            rx.fragment(),
        ),
    )
    title = rx.cond(row["number"], t("dunning.of", number=row["number"].to(str)), t("dunning.one"))
    return [
        rx.el.p(link(t("campaigns.back"), href="/governance/dunning"), class_name="back-link"),
        page_header(title, text=row["organization"].to(str)),
        in_its_state(
            DunningCaseState,
            content,
            loading=skeleton(lines=8, label=t("dunning.loading")),
            retry=DunningCaseState.load,
        ),
    ]
