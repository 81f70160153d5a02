"""A packing slip laid out over as many pages as it needs. Pure; `templates/slip.typ` puts it on paper.

Lengths are points.
"""

from typing import Any, NamedTuple

from shipcrowd.documents import code128, wording
from shipcrowd.documents.fitting import Run, breakable, cut, fitted
from shipcrowd.documents.labels import MM, address, barcode, words
from shipcrowd.documents.papers import PackingSlipData, PackingSlipLine, SlipLayout
from shipcrowd.documents.wording import printable


class Place(NamedTuple):
    """The measures of one kind of paper. The item's column is what the others leave."""

    page_width: float
    page_height: float
    inset: float
    head: float  # height of everything above the first page's lines
    code_mm: float  # paper the order's barcode may take
    bin: float
    sku: float
    price: float  # 0: prices are not shown
    quantity: float
    tick: float
    size: float  # of the lines' text
    row: float = 25.0  # height of one line: two lines of text
    next_head: float = 20.0
    foot: float = 12.0

    @property
    def inner(self) -> float:
        return self.page_width - 2 * self.inset

    @property
    def item(self) -> float:
        return self.inner - self.bin - self.sku - self.price - self.quantity - self.tick - 16

    def room(self, first: bool) -> int:
        """How many lines a page holds, its column heads taken off."""
        above = self.head if first else self.next_head
        return int((self.page_height - 2 * self.inset - above - 14 - self.foot) // self.row)

    def points(self) -> dict[str, float]:
        """What the template reads."""
        extra = {"inner": self.inner, "item": self.item}
        return {name.replace("_", "-"): value for name, value in {**self._asdict(), **extra}.items()}


PLACES = {
    SlipLayout.a4: Place(
        210 * MM, 297 * MM, 14 * MM, head=176, code_mm=80, bin=64, sku=104, price=66, quantity=32, tick=18, size=9
    ),
    SlipLayout.thermal_4x6: Place(
        288, 432, 2.5 * MM, head=158, code_mm=46, bin=38, sku=62, price=0, quantity=24, tick=16, size=7.5
    ),
}


def slip(data: PackingSlipData, place: Place) -> dict[str, Any]:
    """One slip as the template's values."""
    wide = place.page_width > 400
    half = place.inner / 2 - 4
    title = f"Order {printable(data.order_number, 40)}"
    facts = [f"Ordered {wording.day(data.ordered_on)}"]
    facts += [part for part in (printable(data.courier, 60), printable(data.awb, 60)) if part]
    facts.append(f"COD · collect {data.to_collect}" if data.to_collect else "PREPAID")
    to_size, (name, *rest) = fitted(
        [Run(printable(data.ship_to.name, 120), True), *(Run(part) for part in address(data.ship_to))],
        half,
        78,
        (10, 9, 8, 7, 6, 5, 4.5) if wide else (8.5, 7.5, 6.5, 5.5, 4.5),
    )
    seller = [printable(data.seller_name, 90)]
    small = [f"GSTIN {printable(data.seller_gstin, 15)}"] if data.seller_gstin else []
    if data.seller_address:
        small = [", ".join(address(data.seller_address)), *small]
    logo_width = (66 if data.logo else 0) + (6 if data.logo else 0)
    seller_size, (seller_name, *seller_rest) = fitted(
        [Run(seller[0], True, 3.0), *(Run(part) for part in small)], half - logo_width, 54, (8.5, 7.5, 6.5, 5.5, 4.5)
    )
    units = sum(line.quantity for line in data.lines)
    kinds = len(data.lines)
    return {
        "title": cut(title, half, 11, bold=True),
        "code": _order_code(data.order_number, place, half),
        "facts": [cut(fact, half, 8.5, bold=True) for fact in facts],
        "to": {"name": name, "address": "\n".join(rest), "size": to_size},
        "seller": {"name": seller_name, "small": "\n".join(seller_rest), "size": seller_size, "x": logo_width},
        "logo": data.logo and data.logo.file,
        "note": words(f"Note: {printable(data.note, 300)}", place.inner, 22, (8.5, 7.5, 6.5, 5.5, 4.5))
        if data.note.strip()
        else None,
        "total": f"{kinds} line{'s' if kinds > 1 else ''}, {units} unit{'s' if units > 1 else ''}",
        "pages": _pages(data.lines, place),
    }


def _pages(lines: tuple[PackingSlipLine, ...], place: Place) -> list[list[list[str]]]:
    """Page → line → its cells: bin, SKU, item, price, quantity."""
    pages: list[list[list[str]]] = []
    left = [_cells(line, place) for line in lines]
    while left or not pages:
        room = place.room(first=not pages)
        pages.append(left[:room])
        left = left[room:]
    return pages


def _cells(line: PackingSlipLine, place: Place) -> list[str]:
    def two_lines(text: str, width: float) -> str:
        return fitted([Run(printable(text, 160))], width - 4, place.row - 1, (place.size,)).texts[0]

    price = str(line.unit_price) if line.unit_price is not None and place.price else ""
    return [
        two_lines(line.bin, place.bin),
        two_lines(line.sku, place.sku),
        two_lines(line.name, place.item),
        breakable(price, (place.price - 4) / place.size, bold=False),
        str(line.quantity),
    ]


def _order_code(number: str, place: Place, half: float) -> dict[str, Any] | None:
    """The order number as a barcode; None where a channel's number makes none (too long, or not plain letters)."""
    try:
        code = barcode(number, place.code_mm, half / MM, 0)
    except code128.Unprintable:
        return None
    if place.inset / MM >= code128.QUIET_MODULES * code128.MAX_MODULE_MM:  # the margin is quiet enough
        code["x"] *= 2
    return code
