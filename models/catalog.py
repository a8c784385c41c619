"""The price book."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, id_field, instant, reference
from models.types import AMOUNT, ID


class Price(Table, table=True):
    """What `per_units` of a meter cost for a model in [valid_from, valid_to).

    Rows are never edited, so that a cost can be explained for ever: a new price closes the one before it.
    Two prices of one model, meter and currency never overlap (an exclusion constraint holds it).
    """

    __tablename__ = "price"
    __table_args__ = (
        sa.CheckConstraint("unit_amount >= 0", name="unit_amount"),
        sa.CheckConstraint("per_units > 0", name="per_units"),
        sa.CheckConstraint("valid_to is null or valid_to > valid_from", name="validity"),
        sa.Index("ix_price_model_meter_currency", "model", "meter", "currency", "valid_from"),
    )

    id: str = id_field()
    model: str = Field(sa_type=ID, foreign_key="model.slug")
    meter: str = Field(sa_type=ID)  # slug of a platform meter
    currency: str
    unit_amount: Decimal = Field(sa_type=AMOUNT)
    per_units: int = 1_000_000
    valid_from: datetime = instant()
    valid_to: datetime | None = instant(nullable=True)
    created_by: str | None = reference("account.id", nullable=True)
    created_at: datetime = instant()
