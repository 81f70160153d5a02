"""Pages of labels, packing slips and manifests, as PDF bytes.

Text from the outside travels to typst as a JSON file and is shown as it is; no source is ever put together from it.
The same input gives the same bytes. The work is CPU-bound: in a request or a job use the `…_async` forms, which run
in a thread.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, cast

import structlog
import typst

from shipcrowd.documents import labels as label_layout
from shipcrowd.documents import slips as slip_layout
from shipcrowd.documents.logo import BadLogo, Logo
from shipcrowd.documents.manifests import manifest
from shipcrowd.documents.papers import LabelData, Layout, ManifestData, PackingSlipData, SlipLayout
from shipcrowd.documents.typefaces import fonts
from shipcrowd.kernel.errors import Invalid, TooLarge

log = structlog.get_logger(__name__)

TEMPLATES = Path(__file__).parent / "templates"

MAX_SHEETS = 2_000
"""Labels or slips in one batch."""
MAX_ROWS = 5_000
"""Rows of a manifest, or lines of one packing slip."""

REMEMBERED = 500
"""Sheets typst may remember (about 0.15 MB each) before it is made to forget them."""
COMPILATIONS_REMEMBERED = 10  # as typst-py 0.15 does it

BLANK = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'

UNDATED = datetime(2000, 1, 1, tzinfo=UTC)
"""Stands as a PDF's time of creation when none is given."""


def labels_pdf(
    labels: Sequence[LabelData], layout: Layout = Layout.thermal_4x6, *, made_at: datetime = UNDATED
) -> bytes:
    """Shipping labels in the order given, in one PDF: one a page, or four.

    Raises Invalid for no labels, TooLarge for more than `MAX_SHEETS`.
    """
    _bounded(labels, "label", MAX_SHEETS)
    place, each = label_layout.PLACES[layout], label_layout.PER_PAGE[layout]
    drawn = [label_layout.label(data, place) for data in labels]
    sheets = [drawn[i : i + each] for i in range(0, len(drawn), each)]
    return _compile("label.typ", {"place": place.points(), "sheets": sheets}, _logos(labels), made_at, len(labels))


def packing_slips_pdf(
    slips: Sequence[PackingSlipData], layout: SlipLayout = SlipLayout.a4, *, made_at: datetime = UNDATED
) -> bytes:
    """Packing slips in the order given, in one PDF. Each begins a page and takes as many as it needs.

    Raises Invalid for no slips, TooLarge for more than `MAX_SHEETS` or more than `MAX_ROWS` lines together.
    """
    _bounded(slips, "packing slip", MAX_SHEETS)
    if sum(len(slip.lines) for slip in slips) > MAX_ROWS:
        raise TooLarge(f"packing slips printed at once can have at most {MAX_ROWS} lines together")
    place = slip_layout.PLACES[layout]
    drawn = [slip_layout.slip(data, place) for data in slips]
    return _compile("slip.typ", {"place": place.points(), "slips": drawn}, _logos(slips), made_at, len(slips))


def manifest_pdf(data: ManifestData, *, made_at: datetime = UNDATED) -> bytes:
    """A manifest on A4. Raises Invalid when it has no rows, TooLarge for more than `MAX_ROWS`."""
    _bounded(data.rows, "shipment", MAX_ROWS)
    return _compile("manifest.typ", {"manifest": manifest(data)}, {}, made_at, len(data.rows) // 10)


async def labels_pdf_async(
    labels: Sequence[LabelData], layout: Layout = Layout.thermal_4x6, *, made_at: datetime = UNDATED
) -> bytes:
    """`labels_pdf` in a thread."""
    return await asyncio.to_thread(labels_pdf, labels, layout, made_at=made_at)


async def packing_slips_pdf_async(
    slips: Sequence[PackingSlipData], layout: SlipLayout = SlipLayout.a4, *, made_at: datetime = UNDATED
) -> bytes:
    """`packing_slips_pdf` in a thread."""
    return await asyncio.to_thread(packing_slips_pdf, slips, layout, made_at=made_at)


async def manifest_pdf_async(data: ManifestData, *, made_at: datetime = UNDATED) -> bytes:
    """`manifest_pdf` in a thread."""
    return await asyncio.to_thread(manifest_pdf, data, made_at=made_at)


def checked_logo(data: bytes) -> Logo:
    """`data` as a logo that can really be drawn; for the moment it is uploaded. Raises BadLogo."""
    logo = Logo(data)
    source = b'#set page(width: 60pt, height: 30pt)\n#image(bytes(json("data.json")), width: 40pt)'
    try:
        _typst({"main.typ": source, "data.json": json.dumps(list(data)).encode()}, UNDATED)
    except typst.TypstError as error:
        raise BadLogo("the logo cannot be drawn; save it again as PNG or JPEG", field="logo") from error
    return logo


def _bounded(things: Sequence[object], what: str, most: int) -> None:
    if not things:
        raise Invalid(f"there is no {what} to print")
    if len(things) > most:
        raise TooLarge(f"at most {most} {what}s can be printed at once, not {len(things)}")


def _logos(sheets: Iterable[LabelData | PackingSlipData]) -> dict[str, bytes]:
    """The pictures of a batch, each once."""
    logos = {sheet.logo.file: sheet.logo for sheet in sheets if sheet.logo}
    return {file: logo.svg() for file, logo in logos.items()}


def _compile(
    template: str, data: Mapping[str, Any], logos: Mapping[str, bytes], made_at: datetime, sheets: int
) -> bytes:
    files = {
        "main.typ": _template(template),
        "common.typ": _template("common.typ"),
        "data.json": json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(),
    }
    try:
        made = _typst({**files, **logos}, made_at)
    except typst.TypstError as error:
        if not logos:
            raise
        # Parcels do not wait for a picture: one that was never proved by `checked_logo` is left blank.
        log.warning("logo_not_drawn", template=template, logos=sorted(logos), error=str(error)[:200])
        made = _typst({**files, **dict.fromkeys(logos, BLANK)}, made_at)
    _forget_after(sheets)
    return made


def _typst(files: Mapping[str, bytes], made_at: datetime) -> bytes:
    # typst takes a whole project as a mapping of file names to bytes; its type stub does not say so yet. A fresh
    # compiler a call is what makes calls from many threads safe; opening the fonts is the slow part, done once.
    project = cast("Path", dict(files))
    return typst.compile(
        project,
        font_paths=fonts(),
        ignore_system_fonts=True,
        root=TEMPLATES,
        timestamp=made_at.replace(microsecond=0),
        pdf_tags=False,
    )


class _Remembered:
    """Sheets typst has laid out since it last forgot."""

    sheets = 0
    lock = Lock()


def _forget_after(sheets: int) -> None:
    """Keep memory bounded: typst remembers what it laid out in its last ten or so compilations, which for big
    batches comes to a gigabyte of no use. A run of empty ones makes it forget."""
    with _Remembered.lock:
        _Remembered.sheets += sheets
        if _Remembered.sheets < REMEMBERED:
            return
        _Remembered.sheets = 0
    for _ in range(COMPILATIONS_REMEMBERED + 1):
        _typst({"main.typ": b""}, UNDATED)


@lru_cache(maxsize=8)
def _template(name: str) -> bytes:
    return (TEMPLATES / name).read_bytes()
