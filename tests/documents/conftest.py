import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pypdf
import pypdfium2
import pytest
import zxingcpp

from shipcrowd.documents.papers import LabelData, LabelLine, Party
from shipcrowd.documents.typefaces import FontsMissing, fonts
from shipcrowd.kernel.money import Money

ANANYA = Party(
    name="Ananya Krishnan",
    street="Flat 12B, Lotus Residency, 4th Cross, Near Ganesha Temple, Indiranagar",
    city="Bengaluru",
    state="Karnataka",
    pincode="560038",
    phone="9000000001",
)
WAREHOUSE = Party(
    name="Meera Handlooms Warehouse",
    street="Plot 7, Phase 2, Industrial Area, Okhla",
    city="New Delhi",
    state="Delhi",
    pincode="110020",
    phone="9000000002",
)


@pytest.fixture(scope="session", autouse=True)
def _fonts_in_place() -> None:
    try:
        fonts()
    except FontsMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def party() -> Party:
    return ANANYA


@pytest.fixture
def warehouse() -> Party:
    return WAREHOUSE


@pytest.fixture
def label() -> Callable[..., LabelData]:
    def make(**changes: Any) -> LabelData:
        usual: dict[str, Any] = {
            "awb": "14325551234567",
            "courier": "Delhivery Surface",
            "order_number": "#SC-10042",
            "ordered_on": date(2026, 11, 20),
            "ship_to": ANANYA,
            "return_to": WAREHOUSE,
            "seller_name": "Meera Handlooms",
            "seller_gstin": "07AAPFU0939F1ZV",
            "weight_grams": 1250,
            "length_mm": 300,
            "breadth_mm": 200,
            "height_mm": 155,
            "value": Money.rupees("1499"),
            "lines": (LabelLine("SAREE-RED-01", "Banarasi silk saree, red with gold border", 1),),
            "routing_code": "BLR/IND-4",
            "invoice_number": "INV-2026-0042",
            "invoice_date": date(2026, 11, 21),
        }
        return LabelData(**{**usual, **changes})

    return make


@dataclass(frozen=True)
class Seen:
    """A barcode as a scanner finds it on the page; positions and sizes in points from the top left."""

    text: str
    kind: str
    left: float
    top: float
    width: float


class Pdf:
    """A PDF as a reader, a printer and a scanner meet it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reader = pypdf.PdfReader(io.BytesIO(data))
        self._drawn = pypdfium2.PdfDocument(data)

    def __len__(self) -> int:
        return len(self.reader.pages)

    def close(self) -> None:
        self._drawn.close()

    def size(self, page: int = 0) -> tuple[float, float]:
        box = self.reader.pages[page].mediabox
        return round(float(box.width), 2), round(float(box.height), 2)

    def text(self, page: int = 0) -> str:
        """What the page says, white space flattened."""
        said = self._drawn[page].get_textpage().get_text_bounded()
        return " ".join(said.replace("\u200b", "").replace("\ufffe", "").split())

    def pixels(self, page: int = 0, dpi: int = 203) -> memoryview:
        """The page in grey as a printer of so many dots an inch draws it: [row, column]."""
        bitmap = self._drawn[page].render(scale=dpi / 72, grayscale=True)
        flat = bytes(bitmap.buffer)
        rows = b"".join(flat[y * bitmap.stride : y * bitmap.stride + bitmap.width] for y in range(bitmap.height))
        return memoryview(rows).cast("B", (bitmap.height, bitmap.width))

    def barcodes(self, page: int = 0, dpi: int = 203) -> list[Seen]:
        return [
            Seen(
                code.text,
                str(code.format),
                code.position.top_left.x * 72 / dpi,
                code.position.top_left.y * 72 / dpi,
                (code.position.top_right.x - code.position.top_left.x) * 72 / dpi,
            )
            for code in zxingcpp.read_barcodes(self.pixels(page, dpi), formats=zxingcpp.BarcodeFormat.Code128)
        ]

    def glyphs(self, page: int = 0) -> list[int]:
        """The glyph numbers the page draws. 0 is .notdef, the box that stands for a missing letter."""
        content = self.reader.pages[page].get_contents()
        assert content is not None
        found: list[int] = []
        for operands, operator in content.operations:
            if operator in (b"Tj", b"TJ"):
                for part in operands[0] if operator == b"TJ" else operands:
                    if hasattr(part, "original_bytes"):
                        raw = part.original_bytes
                        found += [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]
        return found


@pytest.fixture
def pdf() -> Iterator[Callable[[bytes], Pdf]]:
    opened: list[Pdf] = []

    def open_pdf(data: bytes) -> Pdf:
        opened.append(Pdf(data))
        return opened[-1]

    yield open_pdf
    for one in opened:
        one.close()
