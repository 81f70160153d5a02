import io
from collections.abc import Callable

import pypdf
import pytest
from pypdf.generic import ArrayObject, DecodedStreamObject, NameObject, NullObject

from shipcrowd.documents import merge
from shipcrowd.documents.labels import MM
from shipcrowd.documents.merge import BrokenPdf, NamedPdf, four_up, four_up_async, merged, merged_async
from shipcrowd.documents.papers import LabelData, Layout
from shipcrowd.documents.render import labels_pdf
from shipcrowd.kernel.errors import Invalid, TooLarge

Label = Callable[..., LabelData]


def courier_pdf(
    label: Label, awb: str, *, edit: Callable[[pypdf.PageObject], None] | None = None, password: str | None = None
) -> bytes:
    """A label as a courier might send it: written by other software than ours."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(labels_pdf([label(awb=awb)])))
    writer.add_metadata({"/Producer": "Courier Co"})
    if edit:
        edit(writer.pages[0])
    if password is not None:
        writer.encrypt(user_password=password, owner_password="owner", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def content(data: bytes, page: int = 0) -> bytes:
    stream = pypdf.PdfReader(io.BytesIO(data)).pages[page]["/Contents"].get_object()
    return stream._data


@pytest.fixture
def label_of(label: Label) -> Callable[..., bytes]:
    return lambda awb, **how: courier_pdf(label, awb, **how)


def test_pages_are_joined_in_order_and_left_untouched(label: Label, label_of, pdf):
    first, second = label_of("DLV0000001"), label_of("XPB0000002")
    ours = labels_pdf([label(awb="OURS000003"), label(awb="OURS000004")])
    joined = merged([NamedPdf("a", first), NamedPdf("ours", ours), NamedPdf("b", second)])
    pages = pdf(joined)
    assert [pages.barcodes(i)[0].text for i in range(4)] == ["DLV0000001", "OURS000003", "OURS000004", "XPB0000002"]
    assert content(joined, 0) == content(first)
    assert content(joined, 1) == content(ours, 0)
    assert content(joined, 3) == content(second)


def test_every_page_keeps_its_own_size_box_and_turn(label: Label, label_of, pdf):
    def crop(page: pypdf.PageObject) -> None:
        page.cropbox = pypdf.generic.RectangleObject((10, 20, 270, 400))
        page.rotate(90)

    documents = [label_of("A1"), labels_pdf([label()], Layout.a4_4up), label_of("A3", edit=crop)]
    joined = pypdf.PdfReader(io.BytesIO(merged(NamedPdf(str(i), data) for i, data in enumerate(documents))))
    sizes = [(round(float(page.mediabox.width)), round(float(page.mediabox.height))) for page in joined.pages]
    assert sizes == [(288, 432), (595, 842), (288, 432)]
    assert [float(side) for side in joined.pages[2].cropbox] == [10, 20, 270, 400]
    assert joined.pages[2].rotation == 90


def test_the_same_documents_are_the_same_bytes(label_of):
    documents = [NamedPdf("a", label_of("A1")), NamedPdf("b", label_of("B2"))]
    assert merged(documents) == merged(documents)
    assert four_up(documents) == four_up(documents)


def test_documents_are_asked_for_one_at_a_time(label_of):
    asked: list[int] = []

    def one_by_one():
        for i in range(3):
            asked.append(i)
            if i == 1:
                yield NamedPdf("second", b"not a pdf")
            else:
                yield NamedPdf(str(i), label_of(f"A{i}"))

    with pytest.raises(BrokenPdf):
        merged(one_by_one())
    assert asked == [0, 1]


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def without_content(page: pypdf.PageObject) -> None:
    page[NameObject("/Contents")] = NullObject()


@pytest.mark.parametrize("put_together", [merged, four_up])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: b"<html>502 Bad Gateway</html>",
        lambda data: b"%PDF-1.7\n",
        lambda data: b"%PDF-1.7\n%%EOF",
        truncated,
        lambda data: data.replace(b"/Contents", b"/Content_"[:9]).replace(b"/Pages", b"/Pagez"),
    ],
    ids=["empty", "html", "head only", "head and tail", "truncated", "no page tree"],
)
def test_a_broken_pdf_is_refused_by_name(label_of, put_together, spoil):
    good = label_of("A1")
    with pytest.raises(BrokenPdf, match="AWB 77") as refused:
        put_together([NamedPdf("fine", good), NamedPdf("AWB 77", spoil(good)), NamedPdf("also fine", good)])
    assert refused.value.extra["name"] == "AWB 77"


def test_a_page_whose_drawing_is_lost_is_not_printed_empty(label_of):
    with pytest.raises(BrokenPdf, match="page 1"):
        merged([NamedPdf("AWB 9", label_of("A1", edit=without_content))])


def test_a_locked_pdf_is_refused_and_one_locked_with_nothing_is_opened(label_of, pdf):
    with pytest.raises(BrokenPdf, match="password"):
        merged([NamedPdf("a", label_of("A1", password="secret"))])
    opened = pdf(merged([NamedPdf("a", label_of("A1", password=""))]))
    assert opened.barcodes()[0].text == "A1"


@pytest.mark.parametrize("put_together", [merged, four_up])
def test_nothing_and_too_much_are_refused(label_of, put_together, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(Invalid, match="no document"):
        put_together([])
    document = NamedPdf("a", label_of("A1"))
    monkeypatch.setattr(merge, "MAX_PAGES", 2)
    with pytest.raises(TooLarge, match="more than 2 pages"):
        put_together([document] * 3)
    monkeypatch.setattr(merge, "MAX_DOCUMENT_BYTES", 100)
    with pytest.raises(TooLarge, match="megabytes"):
        put_together([document])


def test_courier_labels_stand_four_on_a_sheet_and_still_scan(label_of, pdf):
    awbs = [f"DLV000000{i}" for i in range(6)]
    made = four_up(NamedPdf(awb, label_of(awb)) for awb in awbs)
    sheets = pdf(made)
    assert len(sheets) == 2
    assert sheets.size() == (595.28, 841.89)
    found = {code.text: code for code in sheets.barcodes(0, dpi=300)}
    corners = [(found[awb].left // (105 * MM), found[awb].top // (148.5 * MM)) for awb in awbs[:4]]
    assert corners == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert {code.text for code in sheets.barcodes(1, dpi=300)} == set(awbs[4:])
    assert b"/Subtype /Image" not in made
    assert "Ananya Krishnan" in sheets.text(0)


def test_the_drawing_of_a_placed_label_is_kept_byte_for_byte(label_of):
    original = label_of("A1")
    sheet = pypdf.PdfReader(io.BytesIO(four_up([NamedPdf("a", original)]))).pages[0]
    form = sheet["/Resources"]["/XObject"]["/Label0"].get_object()
    assert form._data == content(original)
    assert [round(float(side)) for side in form["/BBox"]] == [0, 0, 288, 432]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turned_label_stands_as_it_is_seen(label_of, pdf, turn: int):
    """Drawn on a page of its own and on the sheet, the two look the same, however the page is turned."""

    def turn_it(page: pypdf.PageObject) -> None:
        # Small enough to stand in a quarter either way up.
        page.scale_by(0.65)
        page.rotate(turn)

    turned = label_of("A1", edit=turn_it)
    alone, sheet = pdf(turned), pdf(four_up([NamedPdf("a", turned)]))
    own, on_sheet = alone.pixels(dpi=72), sheet.pixels(dpi=72)
    height, width = own.shape
    left, top = round((105 * MM - width) / 2), round((148.5 * MM - height) / 2)

    def drawn_near(y: int, x: int) -> bool:
        return any(on_sheet[top + y + j, left + x + i] < 160 for j in (-1, 0, 1) for i in (-1, 0, 1))

    dark = [(y, x) for y in range(height) for x in range(width) if own[y, x] < 100]
    assert len(dark) > 1000
    assert sum(not drawn_near(y, x) for y, x in dark) < len(dark) * 0.02


def test_a_page_away_from_the_origin_is_placed_by_what_it_shows(label_of, pdf):
    def move(page: pypdf.PageObject) -> None:
        page.add_transformation(pypdf.Transformation().translate(500, 300))
        page.mediabox = pypdf.generic.RectangleObject((400, 200, 900, 900))
        page.cropbox = pypdf.generic.RectangleObject((500, 300, 788, 732))

    (code,) = pdf(four_up([NamedPdf("a", label_of("A1", edit=move))])).barcodes(dpi=300)
    assert code.text == "A1"
    assert 0 < code.left < 105 * MM
    assert 0 < code.top < 148.5 * MM


def test_a_page_in_several_pieces_is_placed_whole(label_of, pdf):
    def split(page: pypdf.PageObject) -> None:
        drawing = page.get_contents().get_data()
        halves = []
        at = drawing.index(b"\nQ") + 1
        for part in (drawing[:at], drawing[at:]):
            stream = DecodedStreamObject()
            stream.set_data(part)
            halves.append(stream)
        page[NameObject("/Contents")] = ArrayObject(halves)

    data = label_of("A1", edit=split)
    assert len(pypdf.PdfReader(io.BytesIO(data)).pages[0]["/Contents"]) == 2
    assert pdf(four_up([NamedPdf("a", data)])).barcodes(dpi=300)[0].text == "A1"


def test_pages_that_share_a_drawing_keep_their_own_letters(label: Label, pdf):
    pages = labels_pdf([label(awb="SAME1"), label(awb="SAME2")])
    sheet = pdf(four_up([NamedPdf("a", pages), NamedPdf("again", pages)]))
    assert sorted(code.text for code in sheet.barcodes(dpi=300)) == ["SAME1", "SAME1", "SAME2", "SAME2"]


def test_a_page_too_large_for_a_quarter_keeps_its_own_sheet(label: Label, label_of, pdf):
    a4 = labels_pdf([label(awb="BIG1")], Layout.a4_4up)
    small = [label_of(f"S{i}") for i in range(3)]
    made = pdf(four_up([NamedPdf("1", small[0]), NamedPdf("a4", a4), NamedPdf("2", small[1]), NamedPdf("3", small[2])]))
    assert [[code.text for code in made.barcodes(i, dpi=300)] for i in range(3)][1] == ["BIG1"]
    assert {code.text for code in made.barcodes(2, dpi=300)} == {"S1", "S2"}


async def test_the_async_forms_do_the_same(label_of):
    documents = [NamedPdf("a", label_of("A1"))]
    assert await merged_async(documents) == merged(documents)
    assert await four_up_async(documents) == four_up(documents)
