"""Moving all who have a version of a plan to the one on sale: preview, confirmation, progress and report."""

from __future__ import annotations

import reflex as rx

from components.feedback.badges import Status
from components.feedback.figures import facts
from components.feedback.progress import progress_bar
from components.feedback.states import empty_state, skeleton
from components.format.values import when
from components.forms.fields import Option, number_field, select, text_field
from components.forms.form import action_button, form, form_foot, rest_form, submit_button
from components.kit.overlays import dialog, dialog_close, dialog_foot
from components.links import link
from components.live.figures import live_refresh
from components.props import Drawn as Part
from components.shell.page import card, page_header, section
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column, Paging, Table, data_table
from components.texts import plural, t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from models.types import BillingInterval, ProrationBehaviour
from services.core.permissions import Capability
from services.plan_migrations.moves import WaitingChanges
from services.plan_migrations.queries import NOTICE_DAYS_MAX
from services.plan_migrations.records import MOVE_ROWS
from state.governance.plan_migrations import PlanMigrationState, PlanMoveState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_SUBSCRIPTIONS_WRITE.value)
_S = PlanMoveState
_M = PlanMigrationState.migration

STATES = {
    "waiting": Status("plan_migration.state_of.waiting", "neutral", "clock"),
    "running": Status("plan_migration.state_of.running", "info", "refresh-cw"),
    "done": Status("plan_migration.state_of.done", "ok"),
    "failed": Status("plan_migration.state_of.failed", "danger"),
    "cancelled": Status("plan_migration.state_of.cancelled", "warn", "ban"),
}
WAYS = {
    "rises": Status("plan_move.rises", "warn"),
    "falls": Status("plan_move.falls", "ok"),
    "stays": Status("plan_move.stays", "neutral"),
    "": Status("plan_move.refusals", "danger", "ban"),
}
MOVES = {
    "moved": Status("plan_migration.move_of.moved", "ok"),
    "scheduled": Status("plan_migration.move_of.scheduled", "info", "clock"),
    "refused": Status("plan_migration.move_of.refused", "warn", "ban"),
    "failed": Status("plan_migration.move_of.failed", "danger"),
}
_BEFORE = Column("before", "plan_move.a_year_before", kind="money", currency="currency")
_AFTER = Column("after", "plan_move.a_year_after", kind="money", currency="currency")
CURRENCIES = Table(
    "currencies",
    "plan_move.by_currency",
    columns=(
        Column("currency", "plan_move.in_currency", row_header=True),
        Column("subscriptions", "plan_move.subscriptions", kind="number"),
        _BEFORE,
        _AFTER,
        Column("rises", "plan_move.rises", kind="number"),
        Column("falls", "plan_move.falls", kind="number"),
        Column("stays", "plan_move.stays", kind="number"),
    ),
)
REFUSALS = Table(
    "refusals",
    "plan_move.refusals",
    columns=(
        Column("reason", "plan_move.reason", row_header=True),
        Column("subscriptions", "plan_move.subscriptions", kind="number"),
    ),
)
EACH = Table(
    "outlooks",
    "plan_move.each",
    columns=(
        Column("organization", "plan_move.organization", kind="link", href="href", row_header=True),
        Column("way", "plan_move.way", kind="badge", statuses=WAYS, brief=True),
        _BEFORE,
        _AFTER,
        Column("reason", "plan_move.reason"),
    ),
)
EARLIER = Table(
    "earlier",
    "plan_move.before",
    columns=(
        Column("versions", "plan_move.versions", kind="link", href="href", row_header=True),
        Column("state", "plan_migration.state", kind="badge", statuses=STATES),
        Column("moved", "plan_migration.moved", kind="number"),
        Column("scheduled", "plan_migration.scheduled", kind="number"),
        Column("refused", "plan_migration.refused", kind="number"),
        Column("created_at", "plan_migration.created_at", kind="datetime"),
    ),
)
REPORT = table_of(
    MOVE_ROWS,
    "moves",
    Column("organization_name", "plan_move.organization", kind="link", href="href", row_header=True),
    Column("state", "plan_migration.state", kind="badge", statuses=MOVES, brief=True),
    _BEFORE,
    _AFTER,
    Column("effective_at", "plan_migration.effective_at", kind="datetime"),
    Column("reason", "plan_move.reason"),
    texts="plan_migration",
)


def _pair(*fields: Part) -> rx.Component:
    return rx.el.div(*fields, class_name="field-pair")


def _ask() -> rx.Component:
    whens = [Option(one.value, t(f"plan_move.behaviour_of.{one.value}")) for one in ProrationBehaviour]
    waits = [Option(one.value, t(f"plan_move.waiting_of.{one.value}")) for one in WaitingChanges]
    lengths = [Option(one.value, t(f"plan.interval.{one.value}")) for one in BillingInterval]
    return card(
        form(
            "plan-move",
            rx.el.p(t("plan_move.to", number=_S.to["number"].to(str))),
            _pair(
                select("from_version_id", t("plan_move.from"), rx.Var.create(_S.versions)),
                select("behaviour", t("plan_move.behaviour"), whens, value=ProrationBehaviour.NEXT_PERIOD.value),
            ),
            _pair(
                select("waiting_changes", t("plan_move.waiting"), waits, value=WaitingChanges.KEEP.value),
                text_field(
                    "currency", t("plan_move.currency"), hint=t("plan_move.currency_hint"), required=False,
                    max_length=3, pattern="[A-Za-z]{3}", autocomplete="off",
                ),
                select(
                    "interval", t("plan_move.interval"), [Option("", t("plan_move.interval_any")), *lengths],
                    value="", required=False,
                ),
            ),
            number_field(
                "notice_days", t("plan_move.notice_days"), hint=t("plan_move.notice_hint"), value=0, min=0,
                max=NOTICE_DAYS_MAX, step=1, required=False,
            ),
            form_foot(submit_button(t("plan_move.look"))),
            on_submit=_S.look,
            seen=_S.asked,
            errors=_S.errors,
        )
    )  # fmt: skip


def _confirm() -> rx.Component:
    count = _S.outlook["movable"].to(int)
    return rx.fragment(
        action_button(
            plural("plan_move.confirm", count), on_press=_S.confirm(True), look="primary", agrees=True
        ),
        dialog(
            rest_form(
                "start-migration",
                dialog_foot(dialog_close(), submit_button(t("plan_move.confirm_verb"))),
                url=endpoints.STAFF_PLAN_MIGRATIONS,
                extra={name: _S.asked[name].to(str) for name in ("from_version_id", "to_version_id")}
                | {name: _S.asked[name].to(str) for name in ("behaviour", "waiting_changes")}
                | {name: rx.cond(_S.asked[name], _S.asked[name], None) for name in ("currency", "interval")}
                | {"notice_days": rx.cond(_S.asked["notice_days"], _S.asked["notice_days"].to(int), 0)},
                done_text=t("plan_move.begun"),
                on_done=_S.started,
            ),
            title=t("plan_move.confirm_title", number=_S.to["number"].to(str)),
            description=t("plan_move.confirm_text"),
            open=_S.confirming,
            on_open_change=_S.confirm,
        ),
    )


def _outlook() -> rx.Component:
    """What it would come to: sums, who is left out, and each."""
    counted = t(
        "plan_move.counted",
        count=_S.outlook["movable"].to(int),
        all=_S.outlook["subscriptions"].to(str),
    )
    nobody = empty_state(t("plan_move.nobody"), t("plan_move.nobody_text"), icon_name="ban", level=3)
    none = empty_state(t("plan_move.none_there"), t("plan_move.none_there_text"), icon_name="users", level=3)
    confirm = rx.cond(MAY_WRITE & (_S.outlook["movable"].to(int) > 0), _confirm(), rx.fragment())
    return rx.fragment(
        section(
            t("plan_move.preview"),
            rx.el.p(counted),
            data_table(CURRENCIES, _S.currencies, empty=nobody),
            actions=[confirm],
        ),
        rx.cond(
            _S.refused.length() > 0,
            section(t("plan_move.refusals"), data_table(REFUSALS, _S.refused)),
            rx.fragment(),
        ),
        section(
            t("plan_move.each"),
            data_table(
                EACH,
                _S.rows,
                empty=none,
                paging=Paging(_S.after != "", _S.next_after != "", _S.from_the_first, _S.further),
            ),
        ),
    )


@page(
    "/governance/plans/[plan_id]/move",
    console=Console.GOVERNANCE,
    title="plan_move.title",
    needs=Capability.STAFF_SUBSCRIPTIONS_READ,
    on_load=PlanMoveState.load,
)
def plan_move() -> Drawn:
    """Who has an older version of a plan, and moving them to the one on sale."""
    nothing = empty_state(t("plan_move.nothing"), t("plan_move.nothing_text"), icon_name="layers")
    content = rx.fragment(
        rx.cond(_S.versions.length() > 0, _ask(), nothing),
        rx.cond(_S.outlook.contains("movable"), _outlook(), rx.fragment()),
        rx.cond(
            _S.migrations.length() > 0,
            section(t("plan_move.before"), data_table(EARLIER, _S.migrations, zone=SessionState.zone)),
            rx.fragment(),
        ),
    )
    return [
        rx.el.p(
            link(t("plan_move.back"), href=f"/governance/plans/{_S.plan['id'].to(str)}"),
            class_name="back-link",
        ),
        page_header(
            rx.cond(_S.plan["name"], _S.plan["name"].to(str), t("plan_move.title")), text=t("plan_move.text")
        ),
        in_its_state(_S, content, loading=skeleton(lines=6, label=t("plan_move.loading")), retry=_S.load),
    ]


def _acts() -> rx.Component:
    cancel = action_button(t("plan_migration.cancel"), on_press=PlanMigrationState.cancel, icon="ban")
    retry = action_button(t("plan_migration.retry"), on_press=PlanMigrationState.retry, icon="rotate-ccw")
    acts = rx.match(
        _M["state"],
        ("failed", "cancelled", retry),
        ("waiting", "running", rx.cond(_M["cancelling"].to(bool), rx.fragment(), cancel)),
        rx.fragment(),
    )
    return rx.cond(MAY_WRITE, acts, rx.fragment())


@page(
    "/governance/plan-migrations/[migration_id]",
    console=Console.GOVERNANCE,
    title="plan_migration.title",
    needs=Capability.STAFF_SUBSCRIPTIONS_READ,
    on_load=PlanMigrationState.load,
)
def plan_migration() -> Drawn:
    """How far a migration is, and what became of each subscription."""
    detail = rx.cond(_M["cancelling"].to(bool), t("plan_migration.cancelling"), _M["error"].to(str))
    states = [(name, t(look.text)) for name, look in MOVES.items()]
    content = rx.fragment(
        live_refresh("tasks", on_change=PlanMigrationState.load, path="rows"),
        card(
            progress_bar(
                t("plan_migration.progress"),
                done=_M["done"],
                total=_M["total"],
                status=_M["state"].to(str),
                detail=detail,
            ),
            facts(
                (t("plan_migration.moved"), _M["moved"].to(str)),
                (t("plan_migration.scheduled"), _M["scheduled"].to(str)),
                (t("plan_migration.refused"), _M["refused"].to(str)),
                (t("plan_migration.failed"), _M["failed"].to(str)),
                (t("plan_migration.created_at"), when(_M["created_at"], zone=SessionState.zone)),
            ),
        ),
        section(
            t("plan_migration.each"),
            lists.listing(
                PlanMigrationState,
                REPORT,
                [Filter("state", "plan_migration.state", options=states)],
                empty=empty_state(
                    t("plan_migration.none"), t("plan_migration.none_text"), icon_name="refresh-cw", level=3
                ),
                values={f"state:{name}": words for name, words in states},
            ),
            actions=[lists.export(PlanMigrationState)],
        ),
    )
    named = t(
        "plan_migration.title_of",
        plan=_M["name"].to(str),
        **{"from": _M["from_number"].to(str), "to": _M["to_number"].to(str)},
    )
    return [
        rx.el.p(
            link(t("plan_move.back"), href=f"/governance/plans/{_M['plan_id'].to(str)}"),
            class_name="back-link",
        ),
        page_header(rx.cond(_M["name"], named, t("plan_migration.title")), _acts()),
        in_its_state(
            PlanMigrationState,
            content,
            loading=skeleton(lines=8, label=t("plan_migration.loading")),
            retry=PlanMigrationState.load,
        ),
    ]
