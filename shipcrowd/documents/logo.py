"""A seller's logo as it may stand on a document: a small PNG, JPEG or SVG that draws nothing from elsewhere."""

import re
import struct
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256

from shipcrowd.kernel.errors import Invalid

MAX_BYTES = 256 * 1024
MAX_SIDE = 2000
"""Pixels: a small file can unpack into a huge picture."""


class BadLogo(Invalid):
    """This picture cannot be used as a logo."""


# An SVG is a program of sorts: what can fetch, script, repeat without end or define entities has no place in a logo.
UNSAFE_SVG = re.compile(
    r"<!DOCTYPE|<!ENTITY|<\?xml-stylesheet|<(?:\w+:)?(?:script|foreignObject|image|feImage|use|style|a|iframe)[\s/>]"
    r"|@import|url\(\s*[\"']?\s*[^#\s\"']|(?:href|src)\s*=",
    re.IGNORECASE,
)
SVG_START = re.compile(r"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<svg[\s>]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Logo:
    """Picture bytes that passed the cheap checks; `render.checked_logo` also proves that they can be drawn.

    Raises BadLogo for another type, more than `MAX_BYTES`, or more than `MAX_SIDE` pixels a side.
    """

    data: bytes = field(repr=False)
    kind: str = field(init=False)  # "png", "jpeg" or "svg"
    size: tuple[int, int] | None = field(init=False)  # pixels; None for an SVG
    file: str = field(init=False)  # its name among a document's files; the same picture is embedded once

    def __post_init__(self) -> None:
        if len(self.data) > MAX_BYTES:
            raise BadLogo(f"the logo is larger than {MAX_BYTES // 1024} KiB", field="logo")
        kind, size = _read(self.data)
        if size and not (0 < size[0] <= MAX_SIDE and 0 < size[1] <= MAX_SIDE):
            raise BadLogo(
                f"the logo is {size[0]} × {size[1]} pixels; at most {MAX_SIDE} a side can be used", field="logo"
            )
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "file", f"logo-{sha256(self.data).hexdigest()[:32]}.svg")

    def svg(self) -> bytes:
        """The picture as an SVG, which is text: typst's virtual files must be."""
        if self.size is None:
            return self.data
        width, height = self.size
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"><image width="{width}" '
            f'height="{height}" href="data:image/{self.kind};base64,{b64encode(self.data).decode()}"/></svg>'
        ).encode()


def _read(data: bytes) -> tuple[str, tuple[int, int] | None]:
    """The kind of picture by its first bytes, and its size where it has one."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR" and len(data) > 33:
        width, height = struct.unpack_from(">II", data, 16)
        return "png", (width, height)
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg", _jpeg_size(data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = ""
    if not SVG_START.match(text):
        raise BadLogo("a logo must be a PNG, JPEG or SVG picture", field="logo")
    if unsafe := UNSAFE_SVG.search(text):
        raise BadLogo(f"an SVG logo may hold shapes and text only; this one has {unsafe[0]!r}", field="logo")
    return "svg", None


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height from the start-of-frame segment (ITU T.81 B.2.2)."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise BadLogo("the JPEG logo has no picture in it", field="logo")
