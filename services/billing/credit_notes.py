"""What a credit note takes back of an invoice: all of it, by line, or an amount; never more than is left.

Pure, no I/O. A part of a line is divided over its net and its taxes in proportion to what earlier notes left of
them, by largest remainder: tax follows the invoice's own lines and rates, no table of rates is asked, and the notes
add up to the invoice to the last minor unit. Source: MONEY.md's row "credit note",
docs/decisions/0022-charges-discounts-tax.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.money import Money
from services.core.errors import Invalid
from services.tax.rules import TaxedLine


@dataclass(frozen=True, slots=True)
class Piece:
    """Of an invoice line, or what a note takes of it: net, and tax by rate in the order of the line's rates."""

    key: str
    net: Money
    taxes: tuple[Money, ...]

    @property
    def tax(self) -> Money:
        return sum(self.taxes, Money(0, self.net.currency))

    @property
    def gross(self) -> Money:
        return self.net + self.tax


def pieces_of(lines: Sequence[TaxedLine]) -> tuple[Piece, ...]:
    return tuple(Piece(line.key, line.net, tuple(part.tax for part in line.parts)) for line in lines)


def left_of(invoice: Sequence[Piece], notes: Sequence[Sequence[Piece]]) -> tuple[Piece, ...]:
    """What the notes so far left of each line of the invoice. Raises Invalid for a note of another invoice."""
    left = {piece.key: piece for piece in invoice}
    for piece in (piece for note in notes for piece in note):
        have = left.get(piece.key)
        if have is None or len(have.taxes) != len(piece.taxes):
            raise Invalid(f"The invoice has no such line: {piece.key}.", field=f"lines.{piece.key}")
        taxes = tuple(ours - theirs for ours, theirs in zip(have.taxes, piece.taxes, strict=True))
        left[piece.key] = Piece(piece.key, have.net - piece.net, taxes)
    return tuple(left.values())


def credit_all(left: Sequence[Piece]) -> tuple[Piece, ...]:
    """Everything that is left. Raises Invalid when that is nothing."""
    return _note(left, [piece for piece in left if piece.net.minor or any(tax.minor for tax in piece.taxes)])


def credit_lines(left: Sequence[Piece], asked: Mapping[str, Money | None]) -> tuple[Piece, ...]:
    """Of each line named, the gross amount asked, or all that is left of it (None).

    A line below zero is credited whole only. Raises Invalid for a line that is not there, and for more than is left
    of a line or of the invoice.
    """
    by_key = {piece.key: piece for piece in left}
    taken: list[Piece] = []
    for key, amount in asked.items():
        piece = by_key.get(key)
        if piece is None:
            raise Invalid(f"The invoice has no such line: {key}.", field=f"lines.{key}")
        taken.append(piece if amount is None else _part(piece, amount))
    return _note(left, taken)


def credit_amount(left: Sequence[Piece], amount: Money) -> tuple[Piece, ...]:
    """The gross `amount`, over the lines in proportion to what is left of each. Raises Invalid for more than that."""
    _check_asked(amount, _gross(left), "amount")
    # Lines below zero are left alone: what is above zero covers the amount, for it is more than is left in all.
    lines = [piece for piece in left if piece.gross.minor > 0]
    shares = amount.split([piece.gross.minor for piece in lines])
    return _note(
        left, [_part(piece, share) for piece, share in zip(lines, shares, strict=True) if share.minor]
    )


def _part(piece: Piece, amount: Money) -> Piece:
    _check_asked(amount, piece.gross, f"lines.{piece.key}")
    net, *taxes = amount.split([piece.net.minor, *(tax.minor for tax in piece.taxes)])
    return Piece(piece.key, net, tuple(taxes))


def _note(left: Sequence[Piece], taken: Sequence[Piece]) -> tuple[Piece, ...]:
    available = _gross(left)
    if not taken or available.minor <= 0:
        raise Invalid("Nothing of this invoice is left to be credited.", field="amount")
    _check_asked(_gross(taken), available, "amount")
    return tuple(taken)


def _check_asked(asked: Money, available: Money, field: str) -> None:
    if asked.currency != available.currency:
        raise Invalid(f"{asked.said()} is not in {available.currency}, as the invoice is.", field=field)
    if asked.minor <= 0:
        raise Invalid(f"A credit note is above zero, and {asked.said()} is not.", field=field)
    if asked > available:
        raise Invalid(
            f"{asked.said()} is more than the {available.said()} that earlier credit notes left.",
            field=field,
            code="credit_exceeds_invoice",
        )


def _gross(pieces: Sequence[Piece]) -> Money:
    if not pieces:
        raise Invalid("There are no lines to be credited.", field="lines")
    return sum((piece.gross for piece in pieces[1:]), pieces[0].gross)
