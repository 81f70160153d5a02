"""How many shipping labels a second one core prints, beside what typst alone does in the same run.

The baseline is a bare typst compilation of as many pages with one word each, in the same font. CPU seconds of the
whole process are counted, so that threads do not flatter the figure; the best of several runs is taken, each with
labels never seen before, since typst remembers what it has laid out.
"""

import time
from collections.abc import Callable
from datetime import date

import typst

from bench.ground import Ground
from bench.rows import Row
from shipcrowd.documents.papers import LabelData, LabelLine, Layout, Party
from shipcrowd.documents.render import labels_pdf
from shipcrowd.documents.typefaces import fonts
from shipcrowd.kernel.money import Money

BATCH = 500
RUNS = 5
TARGET = 500


def bench(_: Ground | None = None) -> list[Row]:
    """Labels a CPU second: in a batch on thermal paper, four on a sheet, in Hindi, and one at a time."""
    labels_pdf([label(10**9)])  # fonts and templates are read once a process
    bare = _rate(_bare)
    return [
        Row(f"{BATCH} thermal labels", _rate(lambda at: labels_pdf(_batch(at))), bare, "pages/s", TARGET),
        Row(f"{BATCH} labels four on A4", _rate(lambda at: labels_pdf(_batch(at), Layout.a4_4up)), bare, "labels/s"),
        Row(f"{BATCH} thermal labels in Hindi", _rate(lambda at: labels_pdf(_batch(at, hindi=True))), bare, "pages/s"),
        Row("thermal labels one at a time", _rate(_singly), bare, "pages/s"),
    ]


def label(number: int, *, hindi: bool = False) -> LabelData:
    """A usual label, like no other: every second one COD, one to three lines."""
    latin = Party(
        f"Ananya Krishnan {number}",
        f"Flat {number}, Lotus Residency, {number % 40}th Cross, Near Ganesha Temple, Indiranagar",
        "Bengaluru",
        "Karnataka",
        f"{560001 + number % 100}",
        f"9{number % 10**9:09d}",
    )
    devanagari = Party(
        f"श्रीमती अनन्या कृष्णमूर्ति {number}",
        f"मकान नं. {number}, गली नंबर {number % 40}, हनुमान मंदिर के पास, सिगरा",
        "वाराणसी",
        "उत्तर प्रदेश",
        f"{221001 + number % 100}",
        f"9{number % 10**9:09d}",
    )
    return LabelData(
        awb=f"1432{number:010d}",
        courier="Delhivery Surface",
        order_number=f"#SC-{number}",
        ordered_on=date(2026, 11, 20),
        ship_to=devanagari if hindi else latin,
        return_to=Party("Meera Handlooms", "Plot 7, Phase 2, Okhla", "New Delhi", "Delhi", "110020", "9000000002"),
        seller_name="Meera Handlooms",
        seller_gstin="07AAPFU0939F1ZV",
        weight_grams=500 + number % 2000,
        length_mm=300,
        breadth_mm=200,
        height_mm=155,
        value=Money(49_900 + number),
        to_collect=Money(49_900 + number) if number % 2 else None,
        lines=tuple(
            LabelLine(f"SKU-{number}-{i}", f"Cotton kurta, hand printed, size {i}", i + 1)
            for i in range(1 + number % 3)
        ),
        routing_code=f"BLR/IND-{number % 90}",
        invoice_number=f"INV-{number}",
        invoice_date=date(2026, 11, 21),
    )


def _batch(at: int, *, hindi: bool = False) -> list[LabelData]:
    return [label(at + i, hindi=hindi) for i in range(BATCH)]


def _singly(at: int) -> None:
    for i in range(BATCH):
        labels_pdf([label(at + i)])


def _bare(at: int) -> None:
    pages = "\n#pagebreak()\n".join(f"word{at + i}" for i in range(BATCH))
    source = f'#set page(width: 288pt, height: 432pt)\n#set text(font: "Noto Sans")\n{pages}'
    typst.compile(source.encode(), font_paths=fonts(), ignore_system_fonts=True, pdf_tags=False)


_numbers = iter(range(0, 10**9, BATCH))


def _rate(make: Callable[[int], object]) -> float:
    """The best of `RUNS`, in pages a CPU second; making the input is counted too."""
    best = float("inf")
    for _ in range(RUNS):
        start = time.process_time()
        make(next(_numbers))
        best = min(best, time.process_time() - start)
    return BATCH / best
