from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipcrowd.documents import render
from shipcrowd.documents.code128 import Unprintable
from shipcrowd.documents.manifests import CLOSING_ROWS, FIRST_ROWS, NEXT_ROWS, paginate
from shipcrowd.documents.papers import (
    ManifestData,
    ManifestRow,
    PackingSlipData,
    PackingSlipLine,
    Party,
    SlipLayout,
)
from shipcrowd.documents.render import manifest_pdf, manifest_pdf_async, packing_slips_pdf, packing_slips_pdf_async
from shipcrowd.kernel.errors import Invalid, TooLarge
from shipcrowd.kernel.money import Money


@pytest.fixture
def slip(party: Party, warehouse: Party) -> PackingSlipData:
    return PackingSlipData(
        order_number="SC-10042",
        ordered_on=date(2026, 11, 20),
        ship_to=party,
        seller_name="Meera Handlooms",
        lines=(
            PackingSlipLine(
                "SAREE-RED-01", "Banarasi silk saree, red", 1, bin="A-01-03", unit_price=Money.rupees(4999)
            ),
            PackingSlipLine("KUR-BLU-M", "Cotton kurta, blue", 2, bin="B-02-01"),
        ),
        seller_address=warehouse,
        awb="14325551234567",
        courier="Delhivery Surface",
        to_collect=Money.rupees(5999),
        note="Gift wrap please",
    )


@pytest.fixture
def manifest(warehouse: Party) -> ManifestData:
    rows = tuple(
        ManifestRow(f"1432{i:010d}", f"#SC-{i}", "560038", 500, Money.rupees(1000) if i % 2 else None)
        for i in range(100)
    )
    return ManifestData("MAN-202611-0042", "Delhivery Surface", date(2026, 11, 21), "Meera Handlooms", warehouse, rows)


@pytest.mark.parametrize(("layout", "size"), [(SlipLayout.a4, (595.28, 841.89)), (SlipLayout.thermal_4x6, (288, 432))])
def test_a_packing_slip_says_what_to_pack_for_whom(slip: PackingSlipData, pdf, layout: SlipLayout, size):
    page = pdf(packing_slips_pdf([slip], layout))
    assert len(page) == 1
    assert page.size() == size
    text = page.text()
    for said in (
        "PACKING SLIP",
        "Order SC-10042",
        "Ananya Krishnan",
        "Meera Handlooms",
        "A-01-03",
        "SAREE-RED-01",
        "Cotton kurta, blue",
        "2 lines, 3 units",
        "COD · collect ₹5,999.00",
        "14325551234567",
        "Note: Gift wrap please",
        "Page 1 of 1",
    ):
        assert said in text, said
    assert ("₹4,999.00" in text) == (layout is SlipLayout.a4)
    assert [code.text for code in page.barcodes()] == ["SC-10042"]


def test_a_prepaid_slip_asks_for_no_cash(slip: PackingSlipData, pdf):
    text = pdf(packing_slips_pdf([replace(slip, to_collect=None)])).text()
    assert "PREPAID" in text
    assert "collect" not in text


def test_a_long_slip_goes_on_over_pages_with_every_line(slip: PackingSlipData, pdf):
    lines = tuple(PackingSlipLine(f"SKU-{i:03d}", "Thing " * 40, 1) for i in range(70))
    for layout in SlipLayout:
        pages = pdf(packing_slips_pdf([replace(slip, lines=lines)], layout))
        said = " ".join(pages.text(i) for i in range(len(pages)))
        assert all(f"SKU-{i:03d}" in said for i in range(70))
        assert f"Page {len(pages)} of {len(pages)}" in pages.text(len(pages) - 1)


def test_each_slip_begins_its_own_page(slip: PackingSlipData, pdf):
    pages = pdf(packing_slips_pdf([replace(slip, order_number=f"SC-{i}") for i in (7, 3, 5)]))
    assert [pages.barcodes(i)[0].text for i in range(3)] == ["SC-7", "SC-3", "SC-5"]


@pytest.mark.parametrize("number", ["ऑर्डर-१", "X" * 80])
def test_an_order_number_that_makes_no_barcode_is_printed_in_words_only(slip: PackingSlipData, pdf, number: str):
    page = pdf(packing_slips_pdf([replace(slip, order_number=number)]))
    assert page.barcodes() == []
    assert 0 not in page.glyphs()


def test_hostile_and_endless_text_stays_in_its_column(slip: PackingSlipData, pdf):
    text = "#set page(width: 1pt) *x* " + "W" * 400
    lines = (PackingSlipLine(text, text, 1, bin=text),)
    for layout in SlipLayout:
        page = pdf(packing_slips_pdf([replace(slip, lines=lines, note=text, seller_name=text, courier=text)], layout))
        assert len(page) == 1
        assert "#set page(width: 1pt) *x*" in page.text()


def test_a_manifest_lists_every_shipment_and_adds_up(manifest: ManifestData, pdf):
    pages = pdf(manifest_pdf(manifest))
    texts = [pages.text(i) for i in range(len(pages))]
    assert all(row.awb in " ".join(texts) for row in manifest.rows)
    assert pages.size() == (595.28, 841.89)
    for said in ("MANIFEST", "Delhivery Surface", "Meera Handlooms Warehouse", "21 Nov 2026", "MAN-202611-0042"):
        assert said in texts[0], said
    last = texts[-1]
    for said in (
        "Shipments: 100",
        "Packages: 100",
        "Weight: 50 kg",
        "Prepaid: 50",
        "COD: 50",
        "COD to collect: ₹50,000.00",
        "HANDED OVER BY",
        "RECEIVED BY THE COURIER",
        "Signature",
        f"Page {len(pages)} of {len(pages)}",
    ):
        assert said in last, said
    assert all("Signature" not in text for text in texts[:-1])
    assert [code.text for code in pages.barcodes(0)] == ["MAN-202611-0042"]


def test_each_row_of_a_manifest_names_who_carries_it(manifest: ManifestData, pdf):
    rows = tuple(replace(row, carrier=("Delhivery", "Ekart")[i % 2]) for i, row in enumerate(manifest.rows[:4]))
    text = pdf(manifest_pdf(replace(manifest, carrier="Velocity", rows=rows))).text()
    assert "Courier" in text and text.count("Ekart") == 2 and text.count("Delhivery") == 2


def test_rows_stay_together_across_their_columns(manifest: ManifestData, pdf):
    rows = tuple(replace(row, order_number="" if i % 3 else row.order_number) for i, row in enumerate(manifest.rows))
    text = pdf(manifest_pdf(replace(manifest, rows=rows))).text()
    assert text.count("—") >= 20  # an empty cell holds its line


@given(st.integers(1, 5000))
def test_pages_hold_all_rows_and_leave_room_to_sign(rows: int):
    counts = paginate(rows)
    assert sum(counts) == rows
    assert counts[0] <= FIRST_ROWS
    assert all(count <= NEXT_ROWS for count in counts[1:])
    assert 0 < counts[-1] <= (NEXT_ROWS if len(counts) > 1 else FIRST_ROWS) - CLOSING_ROWS


@pytest.mark.parametrize("rows", [1, 27, 28, 38, 39, 73, 74, 84])
def test_the_last_page_never_overflows(manifest: ManifestData, pdf, rows: int):
    made = pdf(manifest_pdf(replace(manifest, rows=manifest.rows[:rows])))
    assert len(made) == len(paginate(rows))
    pixels = made.pixels(len(made) - 1, dpi=72)
    height, width = pixels.shape
    assert all(pixels[y, x] > 200 for y in range(height - 34, height) for x in range(width))


def test_papers_are_the_same_bytes_each_time(slip: PackingSlipData, manifest: ManifestData):
    assert packing_slips_pdf([slip]) == packing_slips_pdf([slip])
    assert manifest_pdf(manifest) == manifest_pdf(manifest)


async def test_the_async_forms_make_the_same_pdfs(slip: PackingSlipData, manifest: ManifestData):
    assert await packing_slips_pdf_async([slip]) == packing_slips_pdf([slip])
    assert await manifest_pdf_async(manifest) == manifest_pdf(manifest)


def test_papers_of_nothing_are_refused(manifest: ManifestData):
    with pytest.raises(Invalid, match="no packing slip"):
        packing_slips_pdf([])
    with pytest.raises(Invalid, match="no shipment"):
        manifest_pdf(replace(manifest, rows=()))


def test_papers_without_end_are_refused(slip: PackingSlipData, manifest: ManifestData, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(render, "MAX_ROWS", 3)
    with pytest.raises(TooLarge):
        packing_slips_pdf([slip, slip])
    with pytest.raises(TooLarge):
        manifest_pdf(manifest)


def test_a_manifest_number_that_makes_no_barcode_is_refused(manifest: ManifestData):
    with pytest.raises(Unprintable):
        replace(manifest, number="मैनिफेस्ट")
