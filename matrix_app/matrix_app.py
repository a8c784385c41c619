"""The assembled product: pages, API and their lifespan on one ASGI app."""

import reflex as rx
from fastapi import FastAPI

api = FastAPI(title="Matrix")


@api.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether this process is alive; says nothing about the database."""
    return {"status": "ok"}


@api.get("/readyz")
async def readyz() -> dict[str, str]:
    """Whether this process can serve."""
    return {"status": "ready"}


def index() -> rx.Component:
    """The front page."""
    return rx.el.main(rx.el.h1("Matrix"))


app = rx.App(api_transformer=api, theme=None)
app.add_page(index, route="/", title="Matrix")
