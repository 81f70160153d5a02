import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from shipcrowd.documents.logo import MAX_BYTES, BadLogo, Logo
from shipcrowd.documents.papers import LabelData
from shipcrowd.documents.render import checked_logo, labels_pdf

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 40"><rect width="100" height="40"/></svg>'


JPEG = bytes.fromhex(
    f"ffd8 ffe000104a46494600010101004800480000 ffdb004300{'10' * 64} ffc0000b080001000101011100"
    f"ffc4001400{'01' + '00' * 16} ffc4001410{'01' + '00' * 16} ffda0008010100003f00 3f ffd9"
)
"""One grey dot."""


def png(width: int, height: int, *, broken: bool = False) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(b"".join(b"\0" + b"\x20" * width for _ in range(min(height, 64))))
    if broken:
        pixels = b"\xff" * len(pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("data", "kind"), [(png(60, 30), "png"), (SVG, "svg")], ids=["png", "svg"])
def test_a_logo_is_printed_beside_the_sellers_name(label: Callable[..., LabelData], pdf, data: bytes, kind: str):
    logo = checked_logo(data)
    assert logo.kind == kind
    without, with_logo = pdf(labels_pdf([label()])), pdf(labels_pdf([label(logo=logo)]))
    assert len(with_logo) == 1
    assert "Meera Handlooms" in with_logo.text()

    def dark(page) -> int:
        """Dots in the left 24 mm of the head, where the logo goes."""
        pixels = page.pixels()
        return sum(pixels[y, x] < 128 for y in range(24, 100) for x in range(24, 190))

    assert dark(with_logo) > 2 * dark(without)


def test_one_logo_is_embedded_once_for_a_whole_batch(label: Callable[..., LabelData]):
    logo = checked_logo(png(200, 60))
    one = len(labels_pdf([label(logo=logo)]))
    many = len(labels_pdf([label(logo=logo, awb=f"1432555{i:07d}") for i in range(40)]))
    assert many - one < 40 * 4_000


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "must be a PNG"),
        (b"GIF89a", "must be a PNG"),
        (b"%PDF-1.7", "must be a PNG"),
        (b"<html></html>", "must be a PNG"),
        (SVG + b" " * MAX_BYTES, "larger than 256 KiB"),
        (png(20_000, 10), "20000 × 10 pixels"),
        (png(0, 10), "0 × 10 pixels"),
        (b"\xff\xd8\xff\xe0\x00\x04ab", "no picture"),
    ],
)
def test_what_is_not_a_small_picture_is_refused(data: bytes, why: str):
    with pytest.raises(BadLogo, match=why) as refused:
        Logo(data)
    assert refused.value.field == "logo"


@pytest.mark.parametrize(
    "inside",
    [
        b"<script>alert(1)</script>",
        b'<image href="file:///etc/passwd"/>',
        b'<image xlink:href="http://example.com/x.png"/>',
        b"<foreignObject></foreignObject>",
        b'<style>@import "http://example.com/x.css";</style>',
        b'<rect fill="url(http://example.com/#a)"/>',
        b'<use href="#a"/>',
        b'<svg:script xmlns:svg="http://www.w3.org/2000/svg"/>',
    ],
)
def test_an_svg_that_fetches_or_runs_is_refused(inside: bytes):
    with pytest.raises(BadLogo, match="shapes and text only"):
        Logo(SVG.replace(b"</svg>", inside + b"</svg>"))


def test_an_svg_with_entities_is_refused():
    with pytest.raises(BadLogo):
        Logo(b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaa">]><svg xmlns="http://www.w3.org/2000/svg"/>')


def test_a_gradient_inside_the_svg_is_fine():
    Logo(SVG.replace(b"<rect ", b'<rect fill="url(#shade)" '))


@pytest.mark.parametrize("data", [png(60, 30, broken=True), SVG.replace(b"</svg>", b"")], ids=["png", "svg"])
def test_a_broken_picture_is_refused_when_it_is_uploaded(data: bytes):
    with pytest.raises(BadLogo, match="cannot be drawn"):
        checked_logo(data)


@pytest.mark.parametrize("data", [png(60, 30, broken=True), SVG.replace(b"</svg>", b"")], ids=["png", "svg"])
def test_a_broken_picture_that_got_in_anyway_does_not_stop_the_labels(
    label: Callable[..., LabelData], pdf, data: bytes
):
    page = pdf(labels_pdf([replace(label(), logo=Logo(data))]))
    assert page.barcodes()[0].text == "14325551234567"


def test_a_jpeg_is_taken_and_its_size_is_read():
    logo = checked_logo(JPEG)
    assert (logo.kind, logo.size) == ("jpeg", (1, 1))


def test_a_jpeg_too_large_to_unpack_is_refused():
    with pytest.raises(BadLogo, match="4096 × 8192 pixels"):
        Logo(JPEG.replace(bytes.fromhex("080001000101"), bytes.fromhex("082000100001")))
