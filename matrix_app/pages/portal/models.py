"""Models that may be called, with prices and a call to paste, and the playground."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import badge
from components.feedback.figures import code_block, copyable
from components.feedback.states import empty_state, skeleton
from components.format.values import price
from components.links import button_link
from components.playground.chat import playground as chat
from components.shell.page import page_header
from components.texts import t
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.portal.models import ModelsState, PlaygroundState
from state.session import SessionState


def _price(amount: rx.Var[Any], currency: rx.Var[Any]) -> rx.Component:
    return rx.cond(amount, price(amount, currency.to(str)), t("models.unpriced"))


def _card(model: rx.Var[dict[str, Any]]) -> rx.Component:
    endpoints = rx.foreach(model["endpoints"].to(list[str]), lambda name: badge(name, icon_name="code-xml"))
    try_it = button_link(
        t("models.try"), href=f"/portal/playground?model={model['slug'].to(str)}", icon_name="message-square"
    )
    output = rx.fragment(rx.el.dt(t("models.output")), rx.el.dd(_price(model["output"], model["currency"])))
    return rx.el.article(
        rx.el.header(
            rx.el.h2(model["name"].to(str)),
            copyable(model["slug"].to(str), label=t("models.slug")),
        ),
        rx.el.p(model["description"].to(str), class_name="muted"),
        rx.el.dl(
            rx.el.dt(t("models.endpoints")),
            rx.el.dd(rx.el.span(endpoints, class_name="row")),
            rx.el.dt(t("models.context")),
            rx.el.dd(t("models.tokens", n=model["context_tokens"]), class_name="num"),
            rx.el.dt(t("models.input")),
            rx.el.dd(_price(model["input"], model["currency"])),
            rx.cond(model["answers"], output, rx.fragment()),
            class_name="facts",
        ),
        code_block(model["snippet"].to(str), title=t("models.snippet", name=model["name"].to(str))),
        rx.cond(model["chat"], rx.el.div(try_it, class_name="row"), rx.fragment()),
        class_name="card model-card",
        key=model["id"].to(str),
    )


@page(
    "/portal/models",
    console=Console.PORTAL,
    title="models.title",
    needs=Capability.MODELS_READ,
    on_load=ModelsState.load,
)
def models() -> Drawn:
    """A card a model."""
    none = empty_state(t("models.none"), t("models.none_text"), icon_name="boxes")
    content = rx.cond(
        ModelsState.rows.length() > 0,
        rx.el.div(rx.foreach(ModelsState.rows, _card), class_name="grid-halves"),
        none,
    )
    return [
        page_header(
            t("models.title"),
            button_link(t("api_docs.link"), href="/docs/api", icon_name="code-xml"),
            text=t("models.text"),
        ),
        in_its_state(
            ModelsState, content, loading=skeleton(lines=8, label=t("models.loading")), retry=ModelsState.load
        ),
    ]


@page(
    "/portal/playground",
    console=Console.PORTAL,
    title="play.title",
    needs=Capability.INFERENCE,
    on_load=PlaygroundState.load,
)
def playground() -> Drawn:
    """A conversation with a model, metered like any call."""
    talk = chat(
        PlaygroundState.models, organization_id=SessionState.organization_id, model=PlaygroundState.model
    )
    return [
        page_header(t("play.title"), text=t("play.text")),
        in_its_state(
            PlaygroundState,
            talk,
            loading=skeleton(lines=8, label=t("models.loading")),
            retry=PlaygroundState.load,
        ),
    ]
