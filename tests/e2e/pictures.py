"""Reference pictures: what was looked at and found good, and whether it still looks so.

`make pictures` takes them anew. Fonts are the product's own and the browser is one fixed build, so that the same page
makes the same picture everywhere; what is tolerated are the edges of letters.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageChops

FOLDER = Path(__file__).parent / "pictures"
FAILED = Path("build/pictures")
FOLDER_BYTES_MAX = 3_000_000
CHANNEL_TOLERATED = 32  # of 255
PIXELS_TOLERATED = 40  # fewer than a changed icon or letter has
IS_RENEWING = os.environ.get("MATRIX_PICTURES") == "renew"

Box = tuple[float, float, float, float]


def opened(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png)).convert("RGB")


def differing(one: Image.Image, other: Image.Image) -> Image.Image:
    """White where two pictures of one size differ to the eye, black elsewhere."""
    channels = ImageChops.difference(one, other).split()
    most = ImageChops.lighter(ImageChops.lighter(channels[0], channels[1]), channels[2])
    return most.point([255 if level > CHANNEL_TOLERATED else 0 for level in range(256)])


def looks_otherwise(name: str, taken: Image.Image) -> str:
    """What is wrong with `taken`, and where to see it; empty when it looks like the reference. Renews it if asked."""
    path = FOLDER / f"{name}.png"
    if IS_RENEWING:
        FOLDER.mkdir(exist_ok=True)
        if not path.exists() or _pixels(Image.open(path).convert("RGB"), taken):
            taken.save(path, optimize=True)
        return ""
    if not path.exists():
        return f"{name} has no picture: look at it, then run `make pictures`."
    reference = Image.open(path).convert("RGB")
    count = _pixels(reference, taken)
    if not count:
        return ""
    FAILED.mkdir(parents=True, exist_ok=True)
    taken.save(FAILED / f"{name}.png")
    if reference.size == taken.size:
        differing(reference, taken).save(FAILED / f"{name}-differs.png")
    return (
        f"{name} looks otherwise ({count}): compare {FAILED / name}.png and -differs.png with {path}."
        " If it is meant, run `make pictures`."
    )


def _pixels(reference: Image.Image, taken: Image.Image) -> str:
    """How much differs, in words; empty when it is tolerated."""
    if reference.size != taken.size:
        return "{}x{} px, was {}x{}".format(*taken.size, *reference.size)
    count = differing(reference, taken).histogram()[255]
    return f"{count} px" if count > PIXELS_TOLERATED else ""
