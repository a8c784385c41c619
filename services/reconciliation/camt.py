"""CAMT.053, the statement of ISO 20022 in XML, any version. Pure.

A file with a document type is refused before anything it declares is read: no entity of it can be expanded, and none
loaded from elsewhere.
"""

from __future__ import annotations

from datetime import date
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from models.money import Money
from services.reconciliation.bank_lines import (
    LINES_MAX,
    BadLine,
    ParsedLine,
    StatementRefused,
    amount,
    shortened,
)

DEPTH_MAX = 40
ELEMENTS_MAX = 1_000_000
_BOOKED = ("BOOK", "")
_NO_REFERENCE = frozenset({"", "NONREF", "NOTPROVIDED"})


def read(content: bytes) -> list[ParsedLine]:
    """Booked entries of all statements in the file, those of several payments by payment. Raises StatementRefused."""
    root = _parsed(content)
    statements = root.findall("./BkToCstmrStmt/Stmt")
    if root.tag != "Document" or not statements:
        raise StatementRefused("This XML holds no CAMT.053 statement.")
    lines, number = list[ParsedLine](), 0
    for statement in statements:
        account = _text(statement, "Acct/Id/IBAN") or _text(statement, "Acct/Id/Othr/Id")
        if not account:
            raise StatementRefused("A statement in this file does not say of which account it is.")
        for entry in statement.findall("Ntry"):
            number += 1
            try:
                lines += _entry(entry, account[:40])
            except BadLine as error:
                raise StatementRefused(f"Entry {number:,} cannot be read: {error}.") from error
            if len(lines) > LINES_MAX:
                raise StatementRefused(
                    f"A file has at most {LINES_MAX:,} entries.", next_step="Send a shorter time."
                )
    return lines


def _entry(entry: Element, account: str) -> list[ParsedLine]:
    if (_text(entry, "Sts/Cd") or _text(entry, "Sts")) not in _BOOKED:
        return []
    money, booked_on = _money(entry.find("Amt"), entry), _day(entry)
    parts = entry.findall("NtryDtls/TxDtls")
    reference = _reference(entry)
    amounts = [_part(part, entry) for part in parts]
    if len(parts) < 2 or None in amounts or sum(one.minor for one in amounts if one) != money.minor:
        about = parts[0] if len(parts) == 1 else entry
        counterparty, remittance = _said(about, entry)
        return _line(account, reference or _reference(about), booked_on, money, counterparty, remittance)
    lines: list[ParsedLine] = []
    for number, (part, part_money) in enumerate(zip(parts, amounts, strict=True), start=1):
        if part_money is None:
            continue
        name = _reference(part) or (f"{reference}.{number}" if reference else "")
        lines += _line(account, name, booked_on, part_money, *_said(part, entry))
    return lines


def _line(
    account: str, reference: str, booked_on: date, money: Money, counterparty: str, remittance: str
) -> list[ParsedLine]:
    if not money.minor:
        return []
    return [ParsedLine(account, reference, booked_on, money, counterparty, remittance)]


def _part(part: Element, entry: Element) -> Money | None:
    found = part.find("Amt")
    found = part.find("AmtDtls/TxAmt/Amt") if found is None else found
    if found is None or found.get("Ccy") != _currency(entry.find("Amt")):
        return None
    return _money(found, part if part.find("CdtDbtInd") is not None else entry)


def _money(said: Element | None, about: Element) -> Money:
    if said is None:
        raise BadLine("it has no amount")
    money = amount((said.text or "").strip(), _currency(said))
    way = _text(about, "CdtDbtInd")
    if way not in ("CRDT", "DBIT"):
        raise BadLine("it does not say whether money came or went")
    # A reversal is written in the sense that it has itself: only its mark says what it undoes.
    return money if way == "CRDT" else -money


def _currency(said: Element | None) -> str:
    return (said.get("Ccy") if said is not None else "") or ""


def _day(entry: Element) -> date:
    text = _text(entry, "BookgDt/Dt") or _text(entry, "BookgDt/DtTm")[:10] or _text(entry, "ValDt/Dt")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadLine(f"{text[:40]!r} is no day") from None


def _reference(about: Element) -> str:
    for path in ("AcctSvcrRef", "Refs/AcctSvcrRef"):
        if (found := _text(about, path)) not in _NO_REFERENCE:
            return found
    return ""


def _said(about: Element, entry: Element) -> tuple[str, str]:
    """Who is on the other side, and what they wrote."""
    side = "Dbtr" if _text(entry, "CdtDbtInd") == "CRDT" else "Cdtr"
    paths = tuple(
        f"{root}/{side}/{name}"
        for root in ("RltdPties", "NtryDtls/TxDtls/RltdPties")
        for name in ("Nm", "Pty/Nm")
    )
    who = next((found for path in paths if (found := _text(about, path))), "")
    wrote = [one.text or "" for one in about.iter("Ustrd")] + [
        one.text or "" for one in about.iter("Ref") if one.text
    ]
    end_to_end = next((one.text or "" for one in about.iter("EndToEndId")), "")
    if end_to_end not in _NO_REFERENCE:
        wrote.append(end_to_end)
    return shortened(who), shortened(" ".join(wrote) or _text(entry, "AddtlNtryInf"))


def _text(about: Element, path: str) -> str:
    return (about.findtext(path) or "").strip()


def _parsed(content: bytes) -> Element:
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.builder.data
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.EntityDeclHandler = reader.doctype
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise StatementRefused(f"This XML cannot be read: {expat.ErrorString(error.code)}.") from None
    return reader.builder.close()


class _Reader:
    """Builds a tree of local names, since each version of the format has a namespace of its own."""

    def __init__(self) -> None:
        self.builder = TreeBuilder()
        self._depth = self._elements = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > DEPTH_MAX or self._elements > ELEMENTS_MAX:
            raise StatementRefused("The XML is nested too deeply or has too many elements.")
        self.builder.start(name.rpartition(" ")[2], attributes)

    def end(self, name: str) -> None:
        self._depth -= 1
        self.builder.end(name.rpartition(" ")[2])

    def doctype(self, *_: object) -> None:
        raise StatementRefused("The XML declares a document type or entities, which no bank sends.")
