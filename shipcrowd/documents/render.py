"""Pages of labels, packing slips and manifests, as PDF bytes.

Text from the outside travels to typst as a JSON file and is shown as it is; no source is ever put together from it.
The same input gives the same bytes. Work is CPU-bound: in a request or a job use the `…_async` forms, which run
in a thread (typst releases the interpreter while it works).
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import structlog
import typst

from shipcrowd.documents import code128, wording
from shipcrowd.documents.logo import BadLogo, Logo
from shipcrowd.documents.papers import (
    LABEL_BARCODE_MM,
    MANIFEST_BARCODE_MM,
    LabelData,
    LabelLine,
    Layout,
    ManifestData,
    PackingSlipData,
    Party,
    SlipLayout,
)
from shipcrowd.documents.typefaces import fonts
from shipcrowd.documents.wording import breakable, printable
from shipcrowd.kernel.errors import Invalid, TooLarge
from shipcrowd.kernel.money import Money

log = structlog.get_logger(__name__)

TEMPLATES = Path(__file__).parent / "templates"
MAX_SHEETS = 2_000
"""Labels or slips in one batch: what is asked for in one go is made in one go, in bounded memory."""
MAX_ROWS = 5_000
"""Rows of one manifest."""
MAX_SLIP_LINES = 1_000

LABEL_LINES = {Layout.thermal_4x6: 6, Layout.a4_4up: 4}
"""Lines of contents a label has room for."""

UNDATED = datetime(2000, 1, 1, tzinfo=UTC)
"""Stands as a PDF's creation time when none is given, so that the same input is the same bytes."""


def labels_pdf(
    labels: Sequence[LabelData], layout: Layout = Layout.thermal_4x6, *, made_at: datetime = UNDATED
) -> bytes:
    """Shipping labels in the order given, in one PDF: one a page, or four.

    Raises Invalid for no labels and TooLarge for more than `MAX_SHEETS`.
    """
    _bounded(labels, "label")
    sheets = [_label(label, LABEL_LINES[layout]) for label in labels]
    return _compile("label.typ", {"layout": layout, "labels": sheets}, _logos(labels), made_at)


async def labels_pdf_async(
    labels: Sequence[LabelData], layout: Layout = Layout.thermal_4x6, *, made_at: datetime = UNDATED
) -> bytes:
    """`labels_pdf` in a thread."""
    return await asyncio.to_thread(labels_pdf, labels, layout, made_at=made_at)


def checked_logo(data: bytes) -> Logo:
    """`data` as a logo that can really be drawn. For the moment it is uploaded. Raises BadLogo."""
    logo = Logo(data)
    source = f'#set page(width: 60pt, height: 30pt, margin: 0pt)\n#image("{logo.file}", width: 60pt, height: 30pt)'
    try:
        _typst({"main.typ": source.encode(), logo.file: logo.data}, UNDATED)
    except typst.TypstError as error:
        raise BadLogo("the logo cannot be drawn; save it again as PNG or JPEG", field="logo") from error
    return logo


def _label(label: LabelData, room: int) -> dict[str, Any]:
    shown, more = _cut(label.lines, room)
    invoice = " · ".join(
        part for part in (printable(label.invoice_number, 30), label.invoice_date and wording.day(label.invoice_date)) if part
    )
    left = [
        ("Order", printable(label.order_number, 40)),
        ("Ordered", wording.day(label.ordered_on)),
        ("Invoice", invoice or "—"),
    ]
    right = [
        ("Weight", wording.weight(label.weight_grams)),
        ("L × B × H", wording.dimensions(label.length_mm, label.breadth_mm, label.height_mm)),
        ("Invoice value" if invoice else "Order value", rupees(label.value)),
    ]
    back = label.return_to
    return {
        "awb": label.awb,
        "code": _code(label.awb, LABEL_BARCODE_MM),
        "courier": breakable(printable(label.courier, 60)),
        "routing": breakable(printable(label.routing_code, 40)),
        "collect": None if label.to_collect is None else rupees(label.to_collect),
        "seller": breakable(printable(label.seller_name, 90)),
        "gstin": printable(label.seller_gstin, 15),
        "logo": label.logo and label.logo.file,
        "to": _party(label.ship_to),
        "back": {"name": breakable(printable(back.name, 90)), "address": breakable(_in_one_line(back))},
        "facts": {"left": left, "right": right},
        "lines": [
            {
                "sku": breakable(printable(line.sku, 40)),
                "name": breakable(printable(line.name, 80)),
                "quantity": str(line.quantity),
            }
            for line in shown
        ],
        "more": more,
    }


def _cut(lines: Sequence[LabelLine], room: int) -> tuple[Sequence[LabelLine], str]:
    """The lines there is room for, and what to say of the others ("" when all are shown)."""
    if len(lines) <= room:
        return lines, ""
    shown, rest = lines[: room - 1], lines[room - 1 :]
    units = sum(line.quantity for line in rest)
    return shown, f"+ {len(rest)} more ({units} unit{'s' if units > 1 else ''})"


def _party(party: Party) -> dict[str, str]:
    city, state, pincode = printable(party.city, 60), printable(party.state, 40), printable(party.pincode, 10)
    return {
        "name": breakable(printable(party.name, 120)),
        "street": breakable(printable(party.street, 420)),
        "city": breakable(", ".join(part for part in (city, state) if part) + (f" – {pincode}" if pincode else "")),
        "town": breakable(city),
        "state": breakable(state),
        "pincode": pincode,
        "phone": printable(party.phone, 20),
    }


def _in_one_line(party: Party) -> str:
    said = _party(party)
    parts = [printable(party.street, 300), said["city"], said["phone"] and f"Ph: {said['phone']}"]
    return ", ".join(part for part in parts if part)


def rupees(amount: Money) -> str:
    """`₹1,23,456.00`."""
    return str(amount)


def _code(text: str, available_mm: float) -> dict[str, Any]:
    code = code128.bars(text)
    module = code128.module_mm(code.modules, available_mm)
    return {"bars": code.bars, "mm": module, "wide": code.modules * module}


def _bounded(sheets: Sequence[object], what: str) -> None:
    if not sheets:
        raise Invalid(f"there is no {what} to print")
    if len(sheets) > MAX_SHEETS:
        raise TooLarge(f"at most {MAX_SHEETS} {what}s can be printed at once, not {len(sheets)}")


def _logos(sheets: Iterable[LabelData | PackingSlipData]) -> dict[str, bytes]:
    return {sheet.logo.file: sheet.logo.data for sheet in sheets if sheet.logo}


def _compile(template: str, data: Mapping[str, Any], logos: Mapping[str, bytes], made_at: datetime) -> bytes:
    files = {
        "main.typ": _template(template),
        "common.typ": _template("common.typ"),
        "data.json": json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(),
    }
    return _typst({**files, **logos}, made_at)


def _typst(files: Mapping[str, bytes], made_at: datetime) -> bytes:
    # typst takes its whole project as a mapping of file names to bytes; its type stub does not say so yet.
    project = cast("bytes", dict(files))
    return typst.compile(
        project, font_paths=fonts(), ignore_system_fonts=True, root=TEMPLATES, timestamp=made_at, pdf_tags=False
    )


@lru_cache(maxsize=8)
def _template(name: str) -> bytes:
    return (TEMPLATES / name).read_bytes()
