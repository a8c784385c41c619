"""What makes a PDF with an XML in it a Factur-X document: its name, profile and their schema in the metadata."""

from __future__ import annotations

FILE_NAME = "factur-x.xml"  # whatever the document is, readers look for this one
_URI = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
_VALUES = {
    "DocumentFileName": (FILE_NAME, "The name of the embedded XML document"),
    "DocumentType": ("INVOICE", "The type of the hybrid document in capital letters"),
    "Version": ("1.0", "The version of the standard applying to the embedded XML document"),
    "ConformanceLevel": ("EN 16931", "The conformance level of the embedded XML document"),
}
# Where the typesetter ends its list of schemas, and its metadata.
_SCHEMAS_END = b"</rdf:Bag></pdfaExtension:schemas>"
_END = b"</rdf:RDF>"


def extended(packet: bytes) -> bytes:
    """The packet with a description of the file and, beside the others, the schema of that description."""
    for end in (_SCHEMAS_END, _END):
        if packet.count(end) != 1:
            raise ValueError(f"The metadata has no {end.decode()} to write before.")
    packet = packet.replace(_SCHEMAS_END, _schema().encode() + _SCHEMAS_END)
    said = "".join(f"<fx:{name}>{value}</fx:{name}>" for name, (value, _) in _VALUES.items())
    description = f'<rdf:Description rdf:about="" xmlns:fx="{_URI}">{said}</rdf:Description>'
    return packet.replace(_END, description.encode() + _END)


def _schema() -> str:
    properties = "".join(
        '<rdf:li rdf:parseType="Resource">'
        f"<pdfaProperty:name>{name}</pdfaProperty:name>"
        "<pdfaProperty:valueType>Text</pdfaProperty:valueType>"
        "<pdfaProperty:category>external</pdfaProperty:category>"
        f"<pdfaProperty:description>{about}</pdfaProperty:description></rdf:li>"
        for name, (_, about) in _VALUES.items()
    )
    return (
        '<rdf:li rdf:parseType="Resource">'
        "<pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>"
        f"<pdfaSchema:namespaceURI>{_URI}</pdfaSchema:namespaceURI>"
        "<pdfaSchema:prefix>fx</pdfaSchema:prefix>"
        f"<pdfaSchema:property><rdf:Seq>{properties}</rdf:Seq></pdfaSchema:property></rdf:li>"
    )
