from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipcrowd.documents import render
from shipcrowd.documents.code128 import Unprintable
from shipcrowd.documents.labels import MM, PLACES
from shipcrowd.documents.papers import LabelData, LabelLine, Layout, Party
from shipcrowd.documents.render import labels_pdf, labels_pdf_async
from shipcrowd.kernel.errors import Invalid, TooLarge
from shipcrowd.kernel.money import Money

Label = Callable[..., LabelData]
Pdf = Callable

INDIC = {
    "Hindi": "श्रीमती अनन्या कृष्णमूर्ति",
    "Bengali": "অনন্যা চট্টোপাধ্যায়",
    "Tamil": "தமிழ்ச்செல்வி முருகேசன்",
    "Telugu": "శ్రీనివాస్ రెడ్డి",
    "Kannada": "ಕೃಷ್ಣಮೂರ್ತಿ",
    "Malayalam": "ശ്രീകുമാർ നായർ",
    "Gujarati": "ક્ષિતિજ પટેલ",
    "Punjabi": "ਗੁਰਪ੍ਰੀਤ ਸਿੰਘ",
    "Odia": "ଶ୍ରୀ କ୍ଷେତ୍ର ମୋହନ",
}


def test_a_thermal_label_is_one_page_of_four_by_six_inches(label: Label, pdf: Pdf):
    page = pdf(labels_pdf([label()]))
    assert len(page) == 1
    assert page.size() == (288, 432)


def test_a_label_says_what_the_courier_and_the_law_ask_for(label: Label, pdf: Pdf):
    text = pdf(labels_pdf([label()])).text()
    for said in (
        "Meera Handlooms",
        "GSTIN 07AAPFU0939F1ZV",
        "PREPAID",
        "Delhivery Surface",
        "BLR/IND-4",
        "14325551234567",
        "DELIVER TO",
        "Ananya Krishnan",
        "Flat 12B, Lotus Residency",
        "560038",
        "Bengaluru",
        "Ph: 9000000001",
        "#SC-10042",
        "20 Nov 2026",
        "INV-2026-0042",
        "21 Nov 2026",
        "1.25 kg",
        "30 × 20 × 15.5 cm",
        "₹1,499.00",
        "SAREE-RED-01",
        "Banarasi silk saree",
        "RETURN TO",
        "Meera Handlooms Warehouse, Plot 7",
        "110020",
    ):
        assert said in text, said


@pytest.mark.parametrize(
    "awb", ["14325551234567", "SF123456789IN", "R-99/AB 12", "7", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCD"]
)
@pytest.mark.parametrize("layout", list(Layout))
def test_the_awb_can_be_scanned_off_a_thermal_print(label: Label, pdf: Pdf, awb: str, layout: Layout):
    (code,) = pdf(labels_pdf([label(awb=awb)], layout)).barcodes()
    assert (code.text, code.kind) == (awb, "Code 128")


def test_the_barcode_is_large_enough_and_has_its_quiet_zone(label: Label, pdf: Pdf):
    page = pdf(labels_pdf([label()]))
    pixels = page.pixels(dpi=203.2)  # eight dots a millimetre
    (code,) = page.barcodes(dpi=203.2)
    column_of_first_bar = round(code.left / 72 * 203.2)
    row = round((code.top + 10) / 72 * 203.2)
    dark = [pixels[row, x] < 128 for x in range(pixels.shape[1])]
    first, last = dark.index(True), len(dark) - 1 - dark[::-1].index(True)
    assert abs(first - column_of_first_bar) <= 2
    module = (last - first + 1) / 112  # START + 7 pairs + check + STOP
    assert module == 4  # dots: 0.5 mm
    assert first >= 10 * module
    assert len(dark) - 1 - last >= 10 * module
    tall = sum(pixels[y, first + 1] < 128 for y in range(row - 200, row + 200))
    assert tall >= 15 * 8


def test_only_a_cod_parcel_asks_for_cash(label: Label, pdf: Pdf):
    cod = pdf(labels_pdf([label(to_collect=Money.rupees("123456.50"))])).text()
    assert "COLLECT CASH" in cod
    assert "₹1,23,456.50" in cod
    assert "PREPAID" not in cod
    prepaid = pdf(labels_pdf([label()])).text()
    assert "PREPAID" in prepaid
    assert "COD ·" not in prepaid
    assert "COLLECT" not in prepaid


@pytest.mark.parametrize("amount", [0, -100])
def test_cash_of_nothing_is_refused(label: Label, amount: int):
    with pytest.raises(Invalid, match="cannot be collected"):
        label(to_collect=Money(amount))


@pytest.mark.parametrize("awb", ["", "AWB\n1", "अ१२३", "X" * 40])
def test_an_awb_no_scanner_could_read_is_refused_before_anything_is_printed(label: Label, awb: str):
    with pytest.raises(Unprintable):
        label(awb=awb)


@pytest.mark.parametrize("field", ["weight_grams", "length_mm", "breadth_mm", "height_mm"])
def test_no_weight_or_size_is_refused_rather_than_guessed(label: Label, field: str):
    with pytest.raises(Invalid) as refused:
        label(**{field: 0})
    assert refused.value.field == field


@pytest.mark.parametrize("name", INDIC.values(), ids=INDIC.keys())
def test_names_in_indian_scripts_are_drawn_with_real_letters(label: Label, pdf: Pdf, party: Party, name: str):
    page = pdf(labels_pdf([label(ship_to=replace(party, name=name, street=f"{name}, ₹ 12", city=name))]))
    assert 0 not in page.glyphs()
    assert set(name) & set(page.text())


def test_a_hindi_name_reads_back(label: Label, pdf: Pdf, party: Party):
    text = pdf(labels_pdf([label(ship_to=replace(party, name="रमा देवी", city="वाराणसी"))])).text()
    assert "रमा" in text


def test_the_missing_letter_box_would_be_noticed(pdf: Pdf):
    from shipcrowd.documents.render import UNDATED, _template, _typst

    source = b'#import "common.typ": paper\n#show: paper\n#"\xe6\xbc\xa2"'
    assert 0 in pdf(_typst({"main.typ": source, "common.typ": _template("common.typ")}, UNDATED)).glyphs()


def test_a_letter_no_font_has_is_marked_and_not_a_box(label: Label, pdf: Pdf, party: Party):
    page = pdf(labels_pdf([label(ship_to=replace(party, name="Asha 漢字 🎉"))]))
    assert 0 not in page.glyphs()
    assert "Asha \ufffd\ufffd" in page.text()


HOSTILE = [
    "#set page(width: 10pt)",
    "*bold* _it_ $x^2$ `raw` = Head",
    '#read("/etc/passwd")',
    "<label> @ref \\ // comment /* x */",
    '"]} #panic() [',
    '#import "x": *',
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_in_a_name_stays_what_was_typed(label: Label, pdf: Pdf, party: Party, text: str):
    to = Party(name=text, street=text, city=text, state="KA", pincode="560038")
    page = pdf(labels_pdf([label(ship_to=to, seller_name=text, lines=(LabelLine(text, text, 1),), order_number="1")]))
    assert page.size() == (288, 432)
    assert "".join(text.split()) in "".join(page.text().split())


EXTREMES = [
    "W" * 3000,
    "MMMM " * 600,
    "ക്ഷ്ത്ര്യ" * 300,
    "க்ஷ்ரீ " * 400,
    "i" * 3000,
    "a" * 60 + " " + "b" * 60,
    "₹" * 500,
    "१२३४५६७८९०" * 50,
]


@pytest.mark.parametrize("text", EXTREMES, ids=range(len(EXTREMES)))
@pytest.mark.parametrize("layout", list(Layout))
def test_nothing_typed_runs_out_of_the_label(label: Label, pdf: Pdf, text: str, layout: Layout):
    party = Party(name=text, street=text, city=text, state=text, pincode=text, phone=text)
    data = label(
        ship_to=party,
        return_to=party,
        seller_name=text,
        courier=text,
        routing_code=text,
        order_number=text,
        invoice_number=text,
        seller_gstin=text,
        lines=tuple(LabelLine(text, text, 10**9) for _ in range(60)),
        to_collect=Money(10**15),
        value=Money(10**15),
        weight_grams=10**9,
        length_mm=10**7,
    )
    page = pdf(labels_pdf([data], layout))
    assert len(page) == 1
    assert [code.text for code in page.barcodes(dpi=300)] == [data.awb]
    assert "…" in page.text()
    _margins_are_white(page, layout)


def _margins_are_white(page, layout: Layout) -> None:
    """Nothing is drawn in the outer 2 mm of the label's cell, nor on the other cells of its sheet."""
    place = PLACES[layout]
    dots = 203 / 72
    pixels = page.pixels()
    height, width = pixels.shape
    edge = int(2 * MM * dots)
    right, bottom = int(place.cell_width * dots), int(place.cell_height * dots)
    for y in range(0, height, 2):
        for x in range(0, width, 2):
            inside = edge <= x < right - edge and edge <= y < bottom - edge
            if not inside:
                assert pixels[y, x] > 200, (x, y)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=600), st.text(max_size=600), st.text(max_size=60))
def test_any_text_makes_exactly_one_label(label: Label, pdf: Pdf, name: str, street: str, code: str):
    party = Party(name=name, street=street, city=code, state=code, pincode=code, phone=code)
    made = pdf(labels_pdf([label(ship_to=party, return_to=party, seller_name=name, routing_code=code)]))
    assert len(made) == 1
    assert 0 not in made.glyphs()


def test_a_long_list_of_things_is_cut_and_counted(label: Label, pdf: Pdf):
    lines = tuple(LabelLine(f"SKU-{i:02d}", f"Thing {i}", i + 1) for i in range(30))
    text = pdf(labels_pdf([label(lines=lines)])).text()
    room = PLACES[Layout.thermal_4x6].lines
    assert f"SKU-{room - 2:02d}" in text
    assert f"SKU-{room - 1:02d}" not in text
    rest = sum(line.quantity for line in lines[room - 1 :])
    assert f"+ {30 - room + 1} more ({rest} units)" in text


def test_a_list_that_just_fits_is_shown_whole(label: Label, pdf: Pdf):
    for layout in Layout:
        room = PLACES[layout].lines
        text = pdf(labels_pdf([label(lines=tuple(LabelLine(f"S-{i}", "x", 1) for i in range(room)))], layout)).text()
        assert f"S-{room - 1}" in text
        assert "more" not in text


def test_four_labels_stand_on_an_a4_sheet_each_in_its_quarter(label: Label, pdf: Pdf):
    awbs = [f"1432555000{i:04d}" for i in range(5)]
    sheets = pdf(labels_pdf([label(awb=awb) for awb in awbs], Layout.a4_4up))
    assert len(sheets) == 2
    assert sheets.size(0) == (595.28, 841.89)
    first = {code.text: code for code in sheets.barcodes(0)}
    assert set(first) == set(awbs[:4])
    corners = {awb: (code.left // (105 * MM), code.top // (148.5 * MM)) for awb, code in first.items()}
    assert [corners[awb] for awb in awbs[:4]] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert [code.text for code in sheets.barcodes(1)] == [awbs[4]]
    # The same place in each quarter, to the dot.
    assert first[awbs[1]].left - first[awbs[0]].left == pytest.approx(105 * MM, abs=1)
    assert first[awbs[2]].top - first[awbs[0]].top == pytest.approx(148.5 * MM, abs=1)


def test_a_batch_keeps_its_order(label: Label, pdf: Pdf):
    awbs = [f"1432555111{i:04d}" for i in (3, 1, 2, 9, 0)]
    pages = pdf(labels_pdf([label(awb=awb) for awb in awbs]))
    assert [pages.barcodes(i)[0].text for i in range(5)] == awbs


def test_the_same_labels_are_the_same_bytes(label: Label):
    labels = [label(awb=f"1432555222{i:04d}") for i in range(30)]
    assert labels_pdf(labels) == labels_pdf(labels)


def test_the_time_of_making_is_the_one_given(label: Label, pdf: Pdf):
    made = pdf(labels_pdf([label()], made_at=datetime(2026, 11, 22, 9, 30, tzinfo=UTC)))
    assert made.reader.metadata.creation_date == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


async def test_the_async_form_makes_the_same_pdf(label: Label):
    assert await labels_pdf_async([label()]) == labels_pdf([label()])


def test_nothing_to_print_is_refused():
    with pytest.raises(Invalid, match="no label"):
        labels_pdf([])


def test_too_much_at_once_is_refused(label: Label, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(render, "MAX_SHEETS", 2)
    with pytest.raises(TooLarge, match="at most 2 labels"):
        labels_pdf([label()] * 3)


def test_the_typesetter_is_made_to_forget_after_many_labels(label: Label, monkeypatch: pytest.MonkeyPatch):
    compiled: list[int] = []
    typeset = render._typst

    def counted(files, made_at):
        compiled.append(len(files))
        return typeset(files, made_at)

    monkeypatch.setattr(render, "_typst", counted)
    monkeypatch.setattr(render, "REMEMBERED", 4)
    monkeypatch.setattr(render._Remembered, "sheets", 0)
    labels_pdf([label()] * 3)
    assert len(compiled) == 1
    labels_pdf([label()] * 3)
    assert len(compiled) == 2 + render.COMPILATIONS_REMEMBERED + 1
    assert render._Remembered.sheets == 0
