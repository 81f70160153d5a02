"""A manifest laid out over as many pages as it needs. Pure; `templates/manifest.typ` puts it on paper.

Lengths are points. Rows are one line each, so that a column is one paragraph and thousands of rows stay quick.
"""

from typing import Any

from shipcrowd.documents import wording
from shipcrowd.documents.fitting import Run, cut, fitted
from shipcrowd.documents.labels import MM, address, barcode
from shipcrowd.documents.papers import MANIFEST_BARCODE_MM, ManifestData, ManifestRow
from shipcrowd.documents.wording import printable
from shipcrowd.kernel.money import Money

FIRST_ROWS, NEXT_ROWS = 38, 46
"""Rows a page holds: the first carries who, what and where above them."""
CLOSING_ROWS = 11
"""Rows' worth of room the totals and signatures take on the last page."""

LAST_ROWS = 5

TEXT = 8.5
COLUMNS: tuple[tuple[str, float], ...] = (
    ("#", 26),
    ("AWB", 112),
    ("Courier", 88),
    ("Order", 102),
    ("Pincode", 46),
    ("Pkgs", 30),
    ("Weight", 51),
    ("COD", 74),
)
"""Heads and widths; the last three are set to the right."""


def manifest(data: ManifestData) -> dict[str, Any]:
    """The manifest as the template's values."""
    counts = paginate(len(data.rows))
    pages: list[list[str]] = []
    at = 0
    for count in counts:
        pages.append(_columns(data.rows[at : at + count], at))
        at += count
    pickup = fitted(
        [Run(printable(data.pickup.name, 90), True), *(Run(part) for part in address(data.pickup))],
        252,
        62,
        (9, 8, 7, 6, 5),
    )
    return {
        "number": data.number,
        "code": barcode(data.number, MANIFEST_BARCODE_MM, MANIFEST_BARCODE_MM, 0),
        "carrier": cut(printable(data.carrier, 80), 252, 12, bold=True),
        "seller": cut(printable(data.seller_name, 90), 252, 9, bold=True),
        "on": wording.day(data.on),
        "pickup": {"name": pickup.texts[0], "address": "\n".join(pickup.texts[1:]), "size": pickup.size},
        "columns": [{"head": head, "width": width} for head, width in COLUMNS],
        "counts": counts,
        "pages": pages,
        "totals": _totals(data.rows),
        "width-mm": MANIFEST_BARCODE_MM,
        "margin-mm": 36 / MM,
    }


def paginate(rows: int) -> list[int]:
    """How many rows stand on each page, with room for the totals on the last, which holds a few rows: a
    page of signatures alone could belong to any manifest."""
    counts: list[int] = []
    while True:
        room = NEXT_ROWS if counts else FIRST_ROWS
        if rows <= room - CLOSING_ROWS:
            return [*counts, rows]
        counts.append(min(rows - LAST_ROWS, room))
        rows -= counts[-1]


def _columns(rows: tuple[ManifestRow, ...], before: int) -> list[str]:
    cells = [
        (
            str(before + i),
            printable(row.awb, 60),
            printable(row.carrier, 60),
            printable(row.order_number, 60),
            printable(row.pincode, 10),
            str(row.packages),
            wording.weight(row.weight_grams),
            "Prepaid" if row.to_collect is None else str(row.to_collect),
        )
        for i, row in enumerate(rows, start=1)
    ]
    return [
        "\n".join(cut(row[column], width - 6, TEXT) or "—" for row in cells)
        for column, (_, width) in enumerate(COLUMNS)
    ]


def _totals(rows: tuple[ManifestRow, ...]) -> list[list[str]]:
    owed = [row.to_collect for row in rows if row.to_collect is not None]
    return [
        ["Shipments", str(len(rows))],
        ["Packages", str(sum(row.packages for row in rows))],
        ["Weight", wording.weight(sum(row.weight_grams for row in rows))],
        ["Prepaid", str(len(rows) - len(owed))],
        ["COD", str(len(owed))],
        ["COD to collect", str(Money.total(owed))],
    ]
