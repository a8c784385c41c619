"""Files that are not what they say, or would harm whoever opens them, each beside a harmless one of its kind."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

import pytest

from services.files.content import checked
from services.files.rules import PURPOSES, FileRefused, Kind, disposition, shown_name

ATTACHMENT, PICTURE = PURPOSES["attachment"], PURPOSES["picture"]


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(wide: int = 2, high: int = 2, more: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 0, 0, 0, 0))
    drawn = chunk(b"IDAT", zlib.compress(b"\x00\x01\x02" * 2))
    return b"\x89PNG\r\n\x1a\n" + head + more + drawn + chunk(b"IEND", b"")


def jpeg(wide: int = 2, high: int = 2, comment: bytes = b"made by hand") -> bytes:
    note = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, high, wide, 1) + b"\x01\x11\x00"
    scan = b"\xff\xda" + struct.pack(">H", 8) + b"\x01\x01\x00\x00\x3f\x00" + b"\x12\xff\x00\x34\xff\xd0\x56"
    return b"\xff\xd8" + note + frame + scan + b"\xff\xd9"


def gif(wide: int = 2, high: int = 2, frames: int = 1) -> bytes:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, wide, high, 0) + b"\x02\x02\x4c\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", wide, high, 0, 0, 0) + frame * frames + b"\x3b"


def webp(wide: int = 2, high: int = 2) -> bytes:
    body = b"\x2f" + struct.pack("<I", (wide - 1) | (high - 1) << 14) + b"\x00"
    parts = b"WEBP" + b"VP8L" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(parts)) + parts


def archive(*files: tuple[str, bytes], comment: bytes = b"", links: bool = False) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFLNK | 0o777 if links else stat.S_IFREG | 0o644) << 16
            target.writestr(entry, content)
        target.comment = comment
    return made.getvalue()


def lying(content: bytes, says: int) -> bytes:
    """The same archive, saying that its one file unpacks to `says` bytes."""
    changed = bytearray(content)
    struct.pack_into("<I", changed, 22, says)
    struct.pack_into("<I", changed, content.index(b"PK\x01\x02") + 24, says)
    return bytes(changed)


def doubled(content: bytes) -> bytes:
    """The archive with its one file listed twice: both names read the same packed bytes."""
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry = content[start:end]
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 2, 2, 2 * len(entry), start, 0)
    return content[:start] + entry * 2 + tail


def encrypted(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[6] |= 1
    changed[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def svg(inside: str = '<rect width="2" height="2"/>', attributes: str = "", before: str = "") -> bytes:
    return f'{before}<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{inside}</svg>'.encode()


PDF = b"%%PDF-1.7\n1 0 obj <</Type /Catalog %s>> endobj\nstartxref\n0\n%%%%EOF\n"
BOMB = archive(("bomb", bytes(20_000_000)))
NOTES = archive(("notes/a.txt", b"hello"), ("b.csv", b"a,b\n"))

HARMLESS = [
    ("a.png", png(), Kind.PNG),
    ("a.jpg", jpeg(), Kind.JPEG),
    ("a.gif", gif(frames=3), Kind.GIF),
    ("a.webp", webp(), Kind.WEBP),
    ("a.pdf", PDF % b"", Kind.PDF),
    ("a.zip", NOTES, Kind.ZIP),
    ("a.csv", b"\xef\xbb\xbfname,sum\n=1,2\n", Kind.CSV),
    ("a.json", b'{"a": [1]}', Kind.JSON),
    ("a.exe", b"only text, whatever its name says", Kind.TEXT),
    ("a.svg", svg('<defs><path id="p" d="M0 0"/></defs><use href="#p" fill="url( #p)"/>'), Kind.SVG),
]


@pytest.mark.parametrize(("name", "content", "kind"), HARMLESS, ids=[name for name, _, _ in HARMLESS])
def test_a_harmless_file_is_known_by_its_content(name: str, content: bytes, kind: Kind) -> None:
    purpose = PICTURE if kind is Kind.SVG else ATTACHMENT
    assert checked(content, name, purpose) is kind
    assert checked(content, f"{name}.bin", purpose) in (kind, Kind.TEXT)  # its name makes it nothing else


HOSTILE = {
    "empty": b"",
    "program": b"\x7fELF\x02\x01\x01\x00" + bytes(50),
    "page": b"<!doctype html><script>alert(1)</script>",
    "page behind blanks": b"\n\n  <html><body onload=x>",
    "text with controls": b"hello\x00there\x1b[2J",
    "text in another encoding": "h\u00e9llo".encode("utf-16"),
    "image bomb": png(40_000, 40_000),
    "image bomb by area": jpeg(19_000, 19_000),
    "animation bomb": gif(20_000, 2_000, frames=20),
    "endless animation": gif(frames=501),
    "webp bomb": webp(16_000, 16_000),
    "note bomb in an image": png(more=chunk(b"zTXt", b"n\x00\x00" + zlib.compress(bytes(5_000_000)))),
    "cut off image": png()[:-6],
    "image with a wrong sum": png().replace(b"IDAT", b"IDAX"),
    "script behind an image": png() + b"<script>alert(1)</script>",
    "script within an image": jpeg(comment=b"<script>alert(1)</script>"),
    "program behind a photo": jpeg() + b"MZ" + bytes(20),
    "archive behind an image": gif() + NOTES,
    "document within an image": jpeg(comment=b"%PDF-1.7 1 0 obj"),
    "archive behind a document": PDF % b"" + NOTES,
    "document with a script": PDF % b"/OpenAction <</S /JavaScript /JS (app.alert(1))>>",
    "document with a hidden script": PDF % b"/OpenAction <</S /J#61vaScript>>",
    "document that starts a program": PDF % b"/OpenAction <</S /Launch /F (cmd.exe)>>",
    "cut off document": (PDF % b"")[:-8],
    "zip bomb": BOMB,
    "zip bomb that lies": lying(BOMB, 1_000),
    "zip bomb of many": archive(*((f"{n}", bytes(900_000)) for n in range(120))),
    "zip bomb that overlaps": doubled(archive(("bomb", bytes(900_000)))),
    "zip in a zip": archive(("inner.txt", NOTES)),
    "packed file in a zip": archive(("inner.txt", b"\x1f\x8b\x08\x00" + bytes(20))),
    "too many files": archive(*((f"{n}", b"") for n in range(1_001))),
    "way out of an archive": archive(("../../etc/cron.d/x", b"")),
    "way out by backslashes": archive(("..\\..\\x", b"")),
    "root of an archive": archive(("/etc/passwd", b"")),
    "drive of an archive": archive(("C:x", b"")),
    "link in an archive": archive(("x", b"/etc/passwd"), links=True),
    "encrypted archive": encrypted(archive(("x", b"secret"))),
    "script before an archive": b"#!/bin/sh\nexit\n" + NOTES,
    "page in an archive's comment": archive(("x", b""), comment=b"<script>"),
    "broken archive": NOTES[:-30],
    "empty archive": archive(),
    "script in a picture": svg("<script>alert(1)</script>"),
    "handler in a picture": svg('<rect onclick="alert(1)"/>'),
    "handler of the picture": svg(attributes='onload="alert(1)"'),
    "page in a picture": svg('<foreignObject><p xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>'),
    "link in a picture": svg('<a href="javascript:alert(1)"><rect/></a>'),
    "image from elsewhere": svg('<image href="https://evil.example/x"/>'),
    "part from elsewhere": svg('<use href="https://evil.example/x#a"/>'),
    "style from elsewhere": svg('<rect style="fill:url(https://evil.example/x)"/>'),
    "style from behind a million blanks": svg(f'<rect style="fill:url({" " * 1_000_000}x)"/>'),
    "escaped style from elsewhere": svg(r'<rect style="fill:u\72l(https://evil.example/x)"/>'),
    "animated link": svg('<animate attributeName="href" to="javascript:alert(1)"/>'),
    "entity bomb": svg("&b;", before='<!DOCTYPE svg [<!ENTITY a "x"><!ENTITY b "&a;&a;">]>'),
    "file by entity": svg("&x;", before='<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
    "style sheet instruction": svg(before='<?xml-stylesheet href="https://evil.example/x"?>'),
    "bomb of uses": svg('<g id="a"><use href="#b"/><use href="#b"/></g><g id="b"><rect/></g>'),
    "nested too deeply": svg("<g>" * 60 + "</g>" * 60),
    "broken picture": svg("<g>"),
    "broken json": b'{"a": NaN}',
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused_whatever_its_name(what: str) -> None:
    for name in ("a.png", "a.svg", "a.zip", "a.pdf", "a.json"):
        for purpose in (ATTACHMENT, PICTURE):
            if what == "broken json" and name != "a.json":
                continue
            with pytest.raises(FileRefused) as refused:
                checked(HOSTILE[what], name, purpose)
            assert refused.value.next_step


def test_each_purpose_takes_its_kinds_only() -> None:
    for name, content, kind in HARMLESS:
        for purpose in PURPOSES.values():
            if kind in purpose.kinds:
                assert checked(content, name, purpose) is kind
            else:
                with pytest.raises(FileRefused):
                    checked(content, name, purpose)


NAMES = {
    "../../etc/passwd": "passwd.png",
    "..\\..\\boot.ini": "boot.ini.png",
    "photo.PNG": "photo.PNG",
    "invoice.pdf.exe": "invoice.pdf.exe.png",
    "\u202egnp.exe": "gnp.exe.png",
    "a\x00b\r\nc.png": "abc.png",
    "  .. . ": "file.png",
    "": "file.png",
    "/": "file.png",
    "<img src=x onerror=alert(1)>.png": "<img src=x onerror=alert(1)>.png",  # text, for the page to escape
    "x" * 500: "x" * 150 + ".png",
}


@pytest.mark.parametrize("given", NAMES)
def test_a_name_leads_nowhere_and_says_what_the_file_is(given: str) -> None:
    assert shown_name(given, Kind.PNG) == NAMES[given]


def test_no_name_breaks_out_of_its_header() -> None:
    for name in ('a"; filename=b.exe', "a\\b", "\u00fc%41;x", *NAMES.values()):
        header = disposition(name)
        quoted = header.removeprefix('attachment; filename="').partition("\"; filename*=UTF-8''")
        assert header.isascii()
        assert header.isprintable()
        assert not set('"\\;') & set(quoted[0])
        assert not set('";, ') & set(quoted[2])
