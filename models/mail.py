"""Mail that was or will be sent."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, id_field, instant, personal
from models.types import ID, TEXT


class Mail(Table, table=True):
    """One message. `dedupe_key` makes sending it again impossible; demo mode shows it instead of sending."""

    __tablename__ = "mail"
    __table_args__ = (sa.Index("ix_mail_created_at", sa.text("created_at desc"), "id"),)

    id: str = id_field()
    dedupe_key: str = Field(unique=True, sa_type=ID)
    recipient: str = personal()
    subject: str
    body: str = personal(sa_type=TEXT)
    html: str = personal(default="", sa_type=TEXT)  # the same in HTML; empty where plain text is all there is
    unsubscribe: str = ""  # the address that List-Unsubscribe names
    created_at: datetime = instant()
    sent_at: datetime | None = instant(nullable=True)
    error: str = ""
