"""Courier PDFs and ours put together: in order, every page as it came.

`merged` never scales or redraws: a page's content, size and annotations stay what they were. `four_up` is for sheet
printers, is asked for by name, and shrinks as little as A4 demands. Neither turns a page into a picture.
"""

import asyncio
import io
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field

from pypdf import PageObject, PdfReader, PdfWriter, Transformation
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    NullObject,
    PdfObject,
    RectangleObject,
    StreamObject,
)

from shipcrowd.documents.labels import MM
from shipcrowd.kernel.errors import Invalid, TooLarge

MAX_DOCUMENT_BYTES = 20 * 1024 * 1024
MAX_TOTAL_BYTES = 200 * 1024 * 1024
MAX_PAGES = 2_000

A4 = (210 * MM, 297 * MM)
CELL = (A4[0] / 2, A4[1] / 2)
SMALLEST = 0.9
"""A page that would have to shrink further keeps a sheet of its own: its barcode might no longer be readable.
A 4 × 6 in label shrinks to 0.974 for four of them to stand on an A4."""

# Where the corners of a page shown turned clockwise by so much come to lie: a turn, and which sides to move back by.
TURNS = {0: (0, 0, 0), 90: (-90, 0, 1), 180: (-180, 1, 1), 270: (-270, 1, 0)}


class BrokenPdf(Invalid):
    """A document is not a PDF that can be read."""


@dataclass(frozen=True, slots=True)
class NamedPdf:
    """A PDF and what to call it when it is broken: an AWB, a file name."""

    name: str
    data: bytes = field(repr=False)


def merged(documents: Iterable[NamedPdf]) -> bytes:
    """All pages of all documents, in order, untouched.

    `documents` may be a generator: each is read, taken in and let go before the next is asked for. Raises BrokenPdf
    for one that cannot be read (its name is in the words and in `extra["name"]`), TooLarge past the limits above,
    and Invalid when there is nothing to put together.
    """
    writer = PdfWriter()

    def take(page: PageObject) -> None:
        writer.add_page(page)

    _each_page(documents, writer, take)
    return _written(writer)


def four_up(documents: Iterable[NamedPdf]) -> bytes:
    """All pages, in order, four on an A4 sheet: left to right, then down. What was drawn in lines stays lines.

    A page larger than a quarter of A4 is shrunk, but never below `SMALLEST`: then it stays as it is, on a sheet of
    its own. Links and form fields are left behind. Raises as `merged` does.
    """
    writer = PdfWriter()
    waiting: list[tuple[PdfObject, Transformation]] = []

    def finish_sheet() -> None:
        if waiting:
            _sheet(writer, waiting)
            waiting.clear()

    def take(page: PageObject) -> None:
        turned = page.rotation % 180 != 0
        width, height = float(page.cropbox.width), float(page.cropbox.height)
        seen = (height, width) if turned else (width, height)
        scale = min(1.0, CELL[0] / seen[0], CELL[1] / seen[1])
        if scale < SMALLEST:
            finish_sheet()
            writer.add_page(page)
            return
        waiting.append((_form(writer, page), _placing(page, len(waiting), seen, scale)))
        if len(waiting) == 4:
            finish_sheet()

    _each_page(documents, writer, take)
    finish_sheet()
    return _written(writer)


async def merged_async(documents: Iterable[NamedPdf]) -> bytes:
    """`merged` in a thread."""
    return await asyncio.to_thread(merged, documents)


async def four_up_async(documents: Iterable[NamedPdf]) -> bytes:
    """`four_up` in a thread."""
    return await asyncio.to_thread(four_up, documents)


def _each_page(documents: Iterable[NamedPdf], writer: PdfWriter, take: Callable[[PageObject], None]) -> None:
    size = pages = 0
    for document in documents:
        size += len(document.data)
        if len(document.data) > MAX_DOCUMENT_BYTES or size > MAX_TOTAL_BYTES:
            raise TooLarge(f"{document.name}: too many megabytes of PDF to put together at once")
        with _blaming(document.name):
            reader = _opened(document)
            pages += len(reader.pages)
            if pages > MAX_PAGES:
                raise TooLarge(f"{document.name}: more than {MAX_PAGES} pages to put together at once")
            for page in reader.pages:
                take(page)
            writer.reset_translation(reader)  # or the writer holds on to the whole file


@contextmanager
def _blaming(name: str) -> Generator[None]:
    """What goes wrong inside is the named document's fault."""
    try:
        yield
    except (Invalid, TooLarge, MemoryError):
        raise
    except Exception as error:
        # pypdf meets broken files with exceptions of many kinds, from its own to KeyError and RecursionError.
        raise BrokenPdf(f"{name}: this PDF cannot be read ({error})", name=name) from error


def _opened(document: NamedPdf) -> PdfReader:
    if b"%PDF-" not in document.data[:1024]:
        raise BrokenPdf(f"{document.name}: this is not a PDF", name=document.name)
    reader = PdfReader(io.BytesIO(document.data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise BrokenPdf(f"{document.name}: this PDF is locked with a password", name=document.name)
    if not len(reader.pages):
        raise BrokenPdf(f"{document.name}: this PDF has no pages", name=document.name)
    for number, page in enumerate(reader.pages, start=1):
        # A file cut short still opens, with its lost objects null: better said than printed as an empty page.
        if "/Contents" in page and not _streams(page):
            raise BrokenPdf(f"{document.name}: page {number} of this PDF is lost", name=document.name)
    return reader


def _streams(page: PageObject) -> list[StreamObject]:
    """What the page draws, as the file has it: one stream, or several to be read as one."""
    contents = page.get("/Contents", NullObject()).get_object()
    found = [part.get_object() for part in contents] if isinstance(contents, ArrayObject) else [contents]
    return [part for part in found if isinstance(part, StreamObject)]


def _form(writer: PdfWriter, page: PageObject) -> PdfObject:
    """The page's drawing as a form, to be set down anywhere. A single stream is kept byte for byte."""
    streams = _streams(page)
    if len(streams) == 1:
        # A copy of its own: pages may share a stream and differ in their resources.
        form = streams[0].clone(writer, force_duplicate=True)
    else:
        joined = DecodedStreamObject()
        joined.set_data(b"\n".join(stream.get_data() for stream in streams))
        form = joined.flate_encode()
    form[NameObject("/Type")] = NameObject("/XObject")
    form[NameObject("/Subtype")] = NameObject("/Form")
    form[NameObject("/BBox")] = RectangleObject(page.cropbox)
    for key in ("/Resources", "/Group"):
        if key in page:
            form[NameObject(key)] = page[key].clone(writer)
    # A copy has its place in the file already; a joined stream is given one with the sheet that holds it.
    return getattr(form, "indirect_reference", None) or form


def _placing(page: PageObject, quarter: int, seen: tuple[float, float], scale: float) -> Transformation:
    """From the page's own coordinates to the middle of its quarter of the sheet, turned as the page is shown."""
    turn, right, up = TURNS[page.rotation % 360]
    left = (quarter % 2) * CELL[0] + (CELL[0] - seen[0] * scale) / 2
    bottom = (1 - quarter // 2) * CELL[1] + (CELL[1] - seen[1] * scale) / 2
    return (
        Transformation()
        .translate(-float(page.cropbox.left), -float(page.cropbox.bottom))
        .rotate(turn)
        .translate(right * seen[0], up * seen[1])
        .scale(scale)
        .translate(left, bottom)
    )


def _sheet(writer: PdfWriter, placed: list[tuple[PdfObject, Transformation]]) -> None:
    forms = DictionaryObject()
    commands: list[str] = []
    for i, (form, placing) in enumerate(placed):
        forms[NameObject(f"/Label{i}")] = form
        commands.append(f"q {' '.join(f'{number:.6f}' for number in placing.ctm)} cm /Label{i} Do Q")
    drawing = DecodedStreamObject()
    drawing.set_data("\n".join(commands).encode())
    sheet = PageObject.create_blank_page(width=A4[0], height=A4[1])
    sheet[NameObject("/Resources")] = DictionaryObject({NameObject("/XObject"): forms})
    sheet[NameObject("/Contents")] = drawing
    writer.add_page(sheet)


def _written(writer: PdfWriter) -> bytes:
    if not writer.pages:
        raise Invalid("there is no document to put together")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
