"""A shipping label laid out: which words, at which size, cut where. Pure; `templates/label.typ` puts them on paper.

Lengths are points, 1/72 in.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from shipcrowd.documents import code128, wording
from shipcrowd.documents.fitting import Run, cut, fitted
from shipcrowd.documents.papers import LABEL_BARCODE_MM, LabelData, LabelLine, Layout, Party
from shipcrowd.documents.wording import printable

MM = 72 / 25.4


class Place(NamedTuple):
    """The measures of one layout. A sheet printer cannot print the outer 4 mm of A4; a label printer needs 2 mm."""

    page_width: float
    page_height: float
    cell_width: float
    cell_height: float
    inset: float
    lines: int  # of contents
    inner: float  # what is inside the inset
    inner_height: float
    payment: float = 104.0  # the COD or PREPAID box
    logo: float = 64.0
    side: float = 84.0  # pincode and town
    consignee: float = 108.0  # height of name and address
    sku: float = 76.0
    quantity: float = 26.0
    name: float = 38.0  # "Weight", "Invoice"
    sender: float = 40.0  # height of the return address

    @property
    def half(self) -> float:
        return self.inner / 2 - 3

    @property
    def value(self) -> float:
        return self.half - self.name

    @property
    def words(self) -> float:
        return self.inner - self.side - 6

    @property
    def item(self) -> float:
        return self.inner - self.sku - self.quantity - 8

    def points(self) -> dict[str, float]:
        """What the template reads."""
        extra = {"half": self.half, "value": self.value, "words": self.words, "item": self.item}
        return {name.replace("_", "-"): value for name, value in {**self._asdict(), **extra}.items()}


def _place(page: tuple[float, float], cell: tuple[float, float], inset: float, lines: int) -> Place:
    return Place(*page, *cell, inset, lines, cell[0] - 2 * inset, cell[1] - 2 * inset)


PLACES = {
    Layout.thermal_4x6: _place((288, 432), (288, 432), 2.5 * MM, lines=9),
    Layout.a4_4up: _place((210 * MM, 297 * MM), (105 * MM, 148.5 * MM), 5 * MM, lines=6),
}
PER_PAGE = {Layout.thermal_4x6: 1, Layout.a4_4up: 4}


def label(data: LabelData, place: Place) -> dict[str, Any]:
    """One label as the template's values: strings that fit, sizes in points, the barcode as steps."""
    shown, more = listed(data.lines, place.lines)
    seller_width = place.inner - place.payment - 6 - (place.logo + 5 if data.logo else 0)
    gstin = printable(data.seller_gstin, 15)
    back = ", ".join(part for part in (printable(data.return_to.name, 90), *address(data.return_to)) if part)
    return {
        "awb": data.awb,
        "code": barcode(data.awb, LABEL_BARCODE_MM, place.cell_width / MM, place.inset / MM),
        "courier": words(printable(data.courier, 60), place.half, 17, (11, 9, 7.5, 6.5, 5.5), bold=True),
        "routing": words(printable(data.routing_code, 40), place.half, 19.5, (15, 12, 9.5, 7.5, 6, 5), bold=True),
        "collect": data.to_collect
        and words(str(data.to_collect), place.payment - 6, 20, (15, 12, 10, 8, 6), bold=True),
        "seller": {
            **words(
                printable(data.seller_name, 90), seller_width, 22 if gstin else 31, (12, 10, 8, 7, 6, 5), bold=True
            ),
            "width": seller_width,
        },
        "gstin": f"GSTIN {gstin}" if gstin else None,
        "logo": data.logo and data.logo.file,
        "to": _consignee(data.ship_to, place),
        "left": _column(
            [
                printable(data.order_number, 40),
                wording.day(data.ordered_on),
                printable(data.invoice_number, 40),
                wording.day(data.invoice_date) if data.invoice_date else "",
            ],
            place.value,
        ),
        "right": _column(
            [
                wording.weight(data.weight_grams),
                wording.dimensions(data.length_mm, data.breadth_mm, data.height_mm),
                str(data.value),
                str(sum(line.quantity for line in data.lines)),
            ],
            place.value,
        ),
        "skus": "\n".join(cut(printable(line.sku, 60), place.sku, 7) for line in shown),
        "items": "\n".join([*(cut(printable(line.name, 120), place.item, 7) for line in shown), *more]),
        "quantities": "\n".join(str(line.quantity) for line in shown),
        "back": words(back, place.inner, place.sender - 8, (8, 7, 6, 5.5, 5, 4.5)),
    }


def listed(lines: Sequence[LabelLine], room: int) -> tuple[Sequence[LabelLine], list[str]]:
    """The lines there is room for, and what to say of the rest, if any are left over."""
    if len(lines) <= room:
        return lines, []
    shown, rest = lines[: room - 1], lines[room - 1 :]
    units = sum(line.quantity for line in rest)
    return shown, [f"+ {len(rest)} more ({units} unit{'s' if units > 1 else ''})"]


def address(party: Party, street: int = 300) -> list[str]:
    """What follows the name on one or more lines: street, place and pincode, telephone; the empty ones left out."""
    where = ", ".join(part for part in (printable(party.city, 60), printable(party.state, 40)) if part)
    town = " – ".join(part for part in (where, printable(party.pincode, 10)) if part)
    phone = printable(party.phone, 20)
    return [part for part in (printable(party.street, street), town, phone and f"Ph: {phone}") if part]


def barcode(text: str, available_mm: float, paper_mm: float, inset_mm: float) -> dict[str, Any]:
    """`text` for the template: one module in mm, where the first bar begins, and the bars as steps 0..15.

    The bars stand in the middle of the paper, on whole printer dots. Raises code128.Unprintable.
    """
    widths = code128.widths(text)
    module = code128.module_mm(sum(widths), available_mm)
    start = round((paper_mm - sum(widths) * module) / 2 / code128.DOT_MM) * code128.DOT_MM
    pairs = zip(widths[::2], (*widths[1::2], 1), strict=True)
    return {"mm": module, "x": (start - inset_mm) * MM, "steps": [4 * (bar - 1) + white - 1 for bar, white in pairs]}


def words(text: str, width: float, height: float, sizes: tuple[float, ...], *, bold: bool = False) -> dict[str, Any]:
    """`text` made to fit, and its size, as the template reads it."""
    size, fitting = _sized(text, width, height, sizes, bold)
    return {"words": fitting, "size": size}


@lru_cache(maxsize=512)  # a batch has one seller, few couriers and return addresses
def _sized(text: str, width: float, height: float, sizes: tuple[float, ...], bold: bool) -> tuple[float, str]:
    size, (fitting,) = fitted([Run(text, bold)], width, height, sizes)
    return size, fitting


def _consignee(party: Party, place: Place) -> dict[str, Any]:
    runs = [Run(printable(party.name, 120), True, 1.0), *(Run(part) for part in address(party, street=420))]
    sizes = (12, 11, 10, 9.5, 9, 8.5, 8, 7.5, 7, 6.5, 6, 5.5, 5, 4.5)
    size, (name, *rest) = fitted(runs, place.words, place.consignee - 2, sizes)
    town = [Run(part) for part in (printable(party.city, 60), printable(party.state, 40)) if part]
    town_size, towns = fitted(town, place.side, place.consignee - 35, (10, 9, 8, 7, 6, 5))
    return {
        "name": name,
        "address": "\n".join(rest),
        "size": size,
        "pincode": words(printable("".join(party.pincode.split()), 10), place.side - 4, 28, (21, 16, 12, 9), bold=True),
        "town": {"words": "\n".join(towns), "size": town_size},
    }


def _column(values: Sequence[str], width: float) -> str:
    return "\n".join(cut(value or "—", width, 7.5, bold=True) for value in values)
