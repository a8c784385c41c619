"""The last touches to a PDF that the typesetter has made."""

from __future__ import annotations

import io

import pikepdf

from services.documents import facturx


def finished(pdf: bytes, *, is_electronic: bool) -> bytes:
    """The same document; with the metadata of Factur-X, if the XML is attached to it."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        if is_electronic:
            metadata = pikepdf.Stream(document, facturx.extended(document.Root.Metadata.read_bytes()))
            metadata.Type, metadata.Subtype = pikepdf.Name.Metadata, pikepdf.Name.XML
            document.Root.Metadata = document.make_indirect(metadata)
        _end_plainly(document)
        saved = io.BytesIO()
        document.save(saved, deterministic_id=True, compress_streams=False)
    return saved.getvalue()


def _end_plainly(document: pikepdf.Pdf) -> None:
    """Unpacks the streams whose last byte is a carriage return.

    With the line feed that follows it looks like one end of line, and a judge of PDF/A who counts from there finds the
    stream one byte short. That is one stream in 256.
    """
    for part in document.objects:
        if isinstance(part, pikepdf.Stream) and part.read_raw_bytes().endswith(b"\r"):
            part.write(part.read_bytes())
