"""Colour maps of images, and PNG from them."""

from __future__ import annotations

import base64
import struct
import zlib
from functools import cache

import numpy as np

from unmix.effects.plotdata import Image

# from "the answer is quieter" over "the same" to "the answer is louder", on a dark middle that
# dazzles in neither colour scheme; told apart with any common kind of colour blindness
DIVERGING = ("#8fd0ff", "#2b7bc0", "#173a5c", "#101114", "#5c3412", "#c47416", "#ffc47a")


@cache
def colour_map(diverging: bool):
    """matplotlib's colour map of 256 colours."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    if not diverging:
        return colormaps["magma"]
    return LinearSegmentedColormap.from_list("difference", DIVERGING)


def palette(diverging: bool) -> np.ndarray:
    """(256, 3) uint8."""
    return np.round(255 * colour_map(diverging)(np.arange(256))[:, :3]).astype(np.uint8)


def gradient(diverging: bool) -> str:
    """The colour map as a CSS gradient, its low end at the bottom."""
    stops = palette(diverging)[np.linspace(0, 255, 17).round().astype(int)]
    colours = ", ".join(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in stops)
    return f"linear-gradient(to top, {colours})"


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(image: Image) -> bytes:
    """PNG of 8-bit palette colours (PNG specification, sections 11.2.2–11.2.5), row 0 at the
    bottom: a third of the size that full colours would take."""
    place = np.clip(image.scale.place(image.values), 0, 1)
    numbers = np.round(255 * place).astype(np.uint8)[::-1]
    rows, columns = numbers.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    lines = np.pad(numbers, ((0, 0), (1, 0))).tobytes()  # each row starts with filter 0: none
    chunks = (
        _chunk(b"IHDR", header),
        _chunk(b"PLTE", palette(image.diverging).tobytes()),
        _chunk(b"IDAT", zlib.compress(lines, 9)),
        _chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def data_uri(image: Image) -> str:
    """The PNG, for an ``img`` of a page that needs no other file."""
    return "data:image/png;base64," + base64.b64encode(png(image)).decode()
