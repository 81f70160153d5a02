"""A seller's logo as it may stand on a document: a small PNG, JPEG or SVG that draws nothing from elsewhere."""

import re
import struct
from dataclasses import dataclass, field
from hashlib import sha256

from shipcrowd.kernel.errors import Invalid

MAX_BYTES = 256 * 1024
MAX_SIDE = 2000
"""Pixels: a small file can unpack into a huge picture."""


class BadLogo(Invalid):
    """This picture cannot be used as a logo."""


# An SVG is a program of sorts: what can fetch, script or define entities has no place in a logo.
UNSAFE_SVG = re.compile(
    rb"<!DOCTYPE|<!ENTITY|<\?xml-stylesheet|<(?:\w+:)?(?:script|foreignObject|image|feImage|use|style|a|iframe)[\s/>]"
    rb"|@import|url\(\s*[\"']?\s*(?!#)[^)\s]|(?:href|src)\s*=",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Logo:
    """Checked picture bytes. Raises BadLogo for another type, more than 256 KiB, or more than 2,000 pixels a side.

    These are the cheap checks; `render.checked_logo` also proves that the picture can be drawn.
    """

    data: bytes = field(repr=False)
    kind: str = field(init=False)  # "png", "jpg" or "svg"
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.data:
            raise BadLogo("the logo file is empty", field="logo")
        if len(self.data) > MAX_BYTES:
            raise BadLogo(f"the logo is larger than {MAX_BYTES // 1024} KiB", field="logo")
        object.__setattr__(self, "kind", _kind(self.data))
        object.__setattr__(self, "digest", sha256(self.data).hexdigest())

    @property
    def file(self) -> str:
        """Its name among a document's files: the same picture is embedded once."""
        return f"logo-{self.digest[:32]}.{self.kind}"


def _kind(data: bytes) -> str:
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR" and len(data) > 33:
        width, height = struct.unpack_from(">II", data, 16)
        _within(width, height)
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        _within(*_jpeg_size(data))
        return "jpg"
    try:
        text = data.decode("utf-8").lstrip("\ufeff \t\r\n")
    except UnicodeDecodeError:
        text = ""
    if re.match(r"(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<svg[\s>]", text, re.DOTALL):
        if unsafe := UNSAFE_SVG.search(data):
            raise BadLogo(
                f"an SVG logo may hold shapes and text only; this one has {unsafe[0].decode('ascii', 'replace')!r}",
                field="logo",
            )
        return "svg"
    raise BadLogo("a logo must be a PNG, JPEG or SVG picture", field="logo")


def _within(width: int, height: int) -> None:
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise BadLogo(
            f"the logo is {width} × {height} pixels; at most {MAX_SIDE} × {MAX_SIDE} can be used", field="logo"
        )


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height from the start-of-frame segment (ITU T.81 B.2.2)."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise BadLogo("the JPEG logo has no picture in it", field="logo")
