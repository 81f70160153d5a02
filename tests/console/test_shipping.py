"""From an order to a parcel on paper: prices side by side, booking, many at once, and what may go wrong."""

import re
from pathlib import Path

import pypdfium2
import pytest

from shipcrowd.documents import keeping
from shipcrowd.kernel import tenancy
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Refused, Unavailable
from shipcrowd.orders import queries as orders
from shipcrowd.shipping import queries as shipments
from shipcrowd.shipping.models import State
from shipcrowd.wallet import service as wallet
from tests.console import world
from tests.console.conftest import count_of, words
from tests.support import drain

BOX = {"weight_grams": "0.5", "length_mm": "30", "breadth_mm": "24", "height_mm": "6"}


@pytest.fixture(autouse=True)
async def _papers(tmp_path: Path):
    keeping.use(f"file://{tmp_path}")
    yield
    await keeping.close()


async def parcels(day, number):
    async with tenancy.acting_for(day.seller.company_id) as session:
        return await shipments.of_order(session, day.orders[number])


async def money(day):
    async with tenancy.acting_for(day.seller.company_id) as session:
        return await wallet.balance(session)


def option(page: str, service: str) -> str:
    return re.search(rf'name="option" value="([^"]+:{service})"', page)[1]


def quote_id(page: str) -> str:
    return re.search(r'name="quote_id" value="([^"]+)"', page)[1]


async def test_weight_and_size_are_never_guessed(signed_in, day):
    url = f"/orders/{day.orders['#KH2475']}"
    assert 'name="weight_grams" value=""' in await signed_in.get(url)
    page = await signed_in.post(f"{url}/quote", status=422)
    assert "parcel's weight and size are needed" in words(page) and "aria-invalid" in page
    assert await count_of(day.seller.company_id, "quotes") == len(day.shipments)


@pytest.mark.parametrize("typed", ["heavy", "0", "-1", "0.0005", "nan"])
async def test_a_weight_that_is_none_is_refused_with_its_field_and_kept(typed, signed_in, day):
    url = f"/orders/{day.orders['#KH2480']}"
    page = await signed_in.post(f"{url}/quote", status=422, **(BOX | {"weight_grams": typed}))
    assert 'aria-describedby="wrong-weight_grams"' in page and f'value="{typed}"' in page


async def test_prices_stand_side_by_side_with_how_they_come_about(signed_in, day):
    page = await signed_in.post(f"/orders/{day.orders['#KH2480']}/quote", **BOX)
    text = words(page)
    assert page.count('class="option') == 4  # three options and the list around them
    assert "Cheapest" in text and "Fastest" in text and "Delhivery" in text and "Bluedart" in text
    assert (
        "Freight" in text and "COD fee" in text and "GST 18%" in text and "Charged for 1 kg : by size (864 g)" in text
    )
    assert "If it comes back undelivered" in text


async def test_booking_takes_the_money_aside_and_the_parcel_appears(signed_in, day):
    url = f"/orders/{day.orders['#KH2480']}"
    before = await money(day)
    page = await signed_in.post(f"{url}/quote", **BOX)
    page = await signed_in.post(f"{url}/book", quote_id=quote_id(page), option=option(page, "bd-air"))
    assert "is being booked with Bluedart" in words(page) and "Asking the courier" in words(page)
    (parcel,) = await parcels(day, "#KH2480")
    assert (await money(day)).held == parcel.charge_paise and parcel.state == State.booking
    await drain()
    page = await signed_in.get(url)
    assert "Print label" in words(page) and "Waiting for pickup" in words(page)
    assert (await money(day)).available == before.available - parcel.charge_paise


async def test_booking_twice_makes_one_parcel(signed_in, day):
    url = f"/orders/{day.orders['#KH2480']}"
    page = await signed_in.post(f"{url}/quote", **BOX)
    form = {"quote_id": quote_id(page), "option": option(page, "del-std")}
    await signed_in.post(f"{url}/book", **form)
    page = await signed_in.post(f"{url}/book", status=422, **form)
    assert "booked" in words(page)
    assert len(await parcels(day, "#KH2480")) == 1


async def test_too_little_money_says_how_much_is_missing_and_nothing_moves(new_browser):
    seller = await world.new_seller(rupees="50")
    await world.installed()
    (order_id,) = await world.make.orders(seller.company_id, world.incoming(0))
    browser = await new_browser()
    await browser.sign_in(seller)
    page = await browser.post(f"/orders/{order_id}/quote", **BOX)
    form = {"quote_id": quote_id(page), "option": option(page, "del-std")}
    page = await browser.post(f"/orders/{order_id}/book", status=409, **form)
    assert "recharge the wallet by" in words(page)
    assert await count_of(seller.company_id, "shipments") == 0


async def test_a_quote_of_another_order_books_nothing(signed_in, day):
    page = await signed_in.post(f"/orders/{day.orders['#KH2480']}/quote", **BOX)
    form = {"quote_id": quote_id(page), "option": option(page, "del-std")}
    await signed_in.post(f"/orders/{day.orders['#KH2479']}/book", status=404, **form)
    assert await parcels(day, "#KH2479") == []


async def test_a_parcel_booked_elsewhere_is_recorded_and_followed_by_hand(signed_in, day):
    url = f"/orders/{day.orders['#KH2480']}"
    await signed_in.post(f"{url}/book-by-hand", carrier="Professional Couriers", awb="pcs-1234567", **BOX)
    await drain()
    (parcel,) = await parcels(day, "#KH2480")
    assert (parcel.awb, parcel.charge_paise) == ("PCS-1234567", Money.zero)
    page = await signed_in.post(f"/shipments/{parcel.id}/progress", progress="picked_up", remark="given at the counter")
    assert "Recorded" in words(page) and "Picked up" in words(page)


async def test_weight_and_size_are_kept_with_the_order_when_asked(signed_in, day):
    order_id = day.orders["#KH2475"]
    page = await signed_in.post(f"/orders/{order_id}/package", weight_grams="1.25", length_mm="12.5")
    assert 'name="weight_grams" value="1.25"' in page and 'name="length_mm" value="12.5"' in page
    async with tenancy.acting_for(day.seller.company_id) as session:
        order = (await orders.whole(session, order_id)).order
    assert (order.weight_grams, order.length_mm) == (1250, 125)


async def test_a_courier_that_does_not_answer_is_said_in_words(signed_in, day):
    day.script.serviceable = lambda parcel: False
    page = await signed_in.post(f"/orders/{day.orders['#KH2480']}/quote", status=422, **BOX)
    assert "No courier of yours delivers to this pincode" in words(page)


# --- many at once ---------------------------------------------------------------------------------------------------


async def test_a_bulk_run_shows_each_orders_end_and_prints_the_booked_ones(signed_in, day):
    for number in ("#KH2480", "#KH2479"):
        await signed_in.post(f"/orders/{day.orders[number]}/package", **BOX)
    chosen = [str(day.orders[number]) for number in ("#KH2480", "#KH2479", "#KH2474")]
    page = await signed_in.post("/orders/ship", order_id=chosen, choose="cheapest")
    assert "0 of 3 done" in words(page) and "hx-trigger" in page and "<noscript>" in page
    run = re.search(r'action="/bulk/([0-9a-f-]+)|hx-get="/bulk/([0-9a-f-]+)', page)
    run_id = run[1] or run[2]
    await drain()
    page = await signed_in.get(f"/bulk/{run_id}")
    text = words(page)
    assert "3 of 3 done · 2 booked · 1 not booked · finished" in text and "hx-trigger" not in page
    assert "held: confirm the colour" in text and "Print 2 labels" in text
    timeline = words(await signed_in.get(f"/orders/{day.orders['#KH2474']}"))
    assert "Not booked when many were shipped at once: held: confirm the colour" in timeline
    assert words(await signed_in.get("/orders")).count("Not booked") == 1
    await signed_in.post(f"/orders/{day.orders['#KH2474']}/release")
    assert "Not booked" not in words(await signed_in.get("/orders"))
    answer = await signed_in.send(f"/bulk/{run_id}/labels")
    assert answer.headers["content-type"] == "application/pdf" and answer.content.startswith(b"%PDF")


async def test_labels_of_ticked_orders_are_one_pdf_and_the_print_is_counted(signed_in, day):
    chosen = [str(day.orders[number]) for number in ("#KH2470", "#KH2469", "#KH2480")]
    answer = await signed_in.send("/orders/labels", order_id=chosen)
    assert answer.status_code == 200 and answer.content.startswith(b"%PDF")
    (parcel,) = await parcels(day, "#KH2470")
    assert parcel.labels_printed == 1


async def test_orders_without_a_parcel_have_no_labels_and_the_page_says_so(signed_in, day):
    page = await signed_in.post("/orders/labels", status=422, order_id=str(day.orders["#KH2480"]))
    assert "none of these orders has a parcel" in words(page)


# --- one shipment ---------------------------------------------------------------------------------------------------


async def test_a_shipment_tells_its_way_its_charge_and_when_it_was_looked_at(signed_in, day):
    text = words(await signed_in.get(f"/shipments/{day.shipments['#KH2466']}"))
    assert "Out for delivery" in text and "Bengaluru Hub" in text and "courier's word: PICKED UP" in text
    assert "Last checked 12 min ago" in text and "next check in" in text
    assert "Zone" in text and "SAC 996812" in text and "Fatima Sheikh" in text


async def test_a_label_is_printed_and_printed_again(signed_in, day):
    url = f"/shipments/{day.shipments['#KH2470']}"
    answer = await signed_in.send(f"{url}/label")
    assert answer.content.startswith(b"%PDF") and "content-security-policy" not in answer.headers
    assert "Print label again" in words(await signed_in.get(url))


async def test_cancelling_asks_the_courier_and_waits_for_its_word(signed_in, day):
    page = await signed_in.post(f"/shipments/{day.shipments['#KH2470']}/cancel")
    assert "The courier took the cancellation" in words(page) and "Cancelling…" in words(page)


async def test_a_refused_cancellation_shows_the_couriers_words(signed_in, day):
    day.script.cancel_words = "already out with the driver"
    page = await signed_in.post(f"/shipments/{day.shipments['#KH2470']}/cancel", status=409)
    assert "Already out with the driver." in words(page)


async def test_shipments_are_grouped_by_what_they_want_of_a_person(signed_in, day):
    text = words(await signed_in.get("/shipments?group=look"))
    assert "#KH2465" in text and "Delivery failed" in text and "#KH2464" not in text
    assert "Needs a look 1" in text


# --- bookings without an answer -------------------------------------------------------------------------------------


@pytest.fixture
async def silent(signed_in, day):
    """An order booked with a courier that took the request and never answered."""

    def lost(request):
        raise Unavailable("read timed out", maybe_received=True)

    day.script.after_booking = lost
    url = f"/orders/{day.orders['#KH2480']}"
    page = await signed_in.post(f"{url}/quote", **BOX)
    await signed_in.post(f"{url}/book", quote_id=quote_id(page), option=option(page, "del-std"))
    await drain()
    (parcel,) = await parcels(day, "#KH2480")
    assert parcel.state == State.unconfirmed
    return parcel


async def test_the_desk_explains_and_every_page_counts_what_waits_there(silent, signed_in):
    text = words(await signed_in.get("/shipments/unconfirmed"))
    assert "We never book it a second time by ourselves" in text and str(silent.id) in text
    assert 'title="Unconfirmed bookings">1<' in await signed_in.get("/wallet")


async def test_a_found_parcel_is_settled_with_its_awb(silent, signed_in, day):
    page = await signed_in.post(f"/shipments/{silent.id}/settle", awb="1490999900001")
    assert "is booked as 1490999900001" in words(page) and "Every booking has an answer" in words(page)
    assert (await money(day)).held == Money.zero


@pytest.mark.parametrize("awb", ["", "12", "DROP TABLE", "1490 9999", "१४९०९९९९"])
async def test_what_is_no_awb_settles_nothing(awb, silent, signed_in, day):
    await signed_in.post(f"/shipments/{silent.id}/settle", status=422, awb=awb)
    assert (await parcels(day, "#KH2480"))[0].state == State.unconfirmed


async def test_voiding_wants_a_persons_word_and_gives_the_money_back(silent, signed_in, day):
    await signed_in.post(f"/shipments/{silent.id}/void", status=422)
    assert (await money(day)).held == silent.charge_paise
    page = await signed_in.post(f"/shipments/{silent.id}/void", sure="yes")
    assert "its money is back in the wallet" in words(page)
    assert (await money(day)).held == Money.zero


async def test_a_courier_that_refuses_is_told_on_the_order(signed_in, day):
    def refuse(request):
        raise Refused("pincode", "the receiver's pincode is not served today")

    day.script.before_booking = refuse
    url = f"/orders/{day.orders['#KH2480']}"
    page = await signed_in.post(f"{url}/quote", **BOX)
    await signed_in.post(f"{url}/book", quote_id=quote_id(page), option=option(page, "del-std"))
    await drain()
    page = await signed_in.get(url)
    assert "The receiver's pincode is not served today" in words(page) and "Compare prices" in words(page)


# --- manifests and pickups ------------------------------------------------------------------------------------------


async def test_a_manifest_is_made_closed_printed_and_handed_over(signed_in, day):
    chosen = [str(day.shipments[number]) for number in ("#KH2470", "#KH2469")]
    answer = await signed_in.send("/shipments/manifest", shipment_id=chosen)
    url = answer.url.path
    assert "is open with 2 parcels" in words(answer.text)
    signed_in._read(answer, 200)
    await signed_in.post(f"{url}/remove", shipment_id=chosen[1])
    await signed_in.post(f"{url}/close")
    assert (await signed_in.http.get(f"{url}/pdf")).content.startswith(b"%PDF")
    await signed_in.post(f"{url}/hand-over", status=422, to="")
    page = await signed_in.post(f"{url}/hand-over", to="Suresh, KA 05 MJ 1234")
    assert "Handed over" in words(page) and "Suresh" in words(page)
    assert "Suresh" in words(await signed_in.get("/manifests"))


async def test_a_manifest_names_the_carrier_of_each_parcel_on_paper_as_on_screen(signed_in, day):
    for number, service in (("#KH2480", "ekart-std"), ("#KH2479", "bd-air")):
        await signed_in.post(f"/orders/{day.orders[number]}/package", **BOX)
        await world.ship(day, day.orders[number], service=service)
    chosen = [str(day.shipments[number]) for number in ("#KH2470", "#KH2480", "#KH2479")]
    page = await signed_in.post("/shipments/manifest", shipment_id=chosen)
    rows = re.findall(r'<td class="courier">([^<]+)</td><td>([^<]+)</td>', page)
    assert rows == [("Bluedart", "#KH2479"), ("Delhivery", "#KH2470"), ("Ekart", "#KH2480")]
    assert "Velocity · Jayanagar workshop" in words(page)
    pdf = (await signed_in.http.get(re.search(r'href="(/manifests/[0-9a-f-]+/pdf)"', page)[1])).content
    text = pypdfium2.PdfDocument(pdf)[0].get_textpage().get_text_bounded()
    assert [text.index(number) for _, number in rows] == sorted(text.index(number) for _, number in rows)
    assert all(carrier in text for carrier, _ in rows)


async def test_the_shipment_leads_to_its_manifest_by_number(signed_in, day):
    shipment_id = day.shipments["#KH2470"]
    await signed_in.post("/shipments/manifest", shipment_id=str(shipment_id))
    assert "Manifest MAN-000001" in words(await signed_in.get(f"/shipments/{shipment_id}"))


async def test_a_parcel_on_its_way_is_for_no_manifest_and_what_was_ticked_stays_ticked(signed_in, day):
    chosen = str(day.shipments["#KH2466"])
    page = await signed_in.post(
        "/shipments/manifest", status=422, shipment_id=chosen, back="/shipments?group=moving&payment=cod"
    )
    assert "cannot be on the manifest" in words(page)
    assert re.search(rf'value="{chosen}" [^>]*checked', page) and page.count(" checked") == 1
    assert 'name="group" value="moving"' in page and "#KH2470" not in page
    assert await count_of(day.seller.company_id, "manifests") == 0


@pytest.mark.parametrize(
    ("form", "page"),
    [
        ("/shipments/manifest", "/shipments"),
        ("/orders/ship", "/orders"),
        ("/stores/shopify/paste", "/stores"),
        ("/settings/keys", "/settings"),
        ("/orders/{order}/hold", "/orders/{order}"),
    ],
)
async def test_the_address_of_a_form_opens_the_page_it_stands_on(form, page, signed_in, day):
    order = str(day.orders["#KH2480"])
    answer = await signed_in.http.get(form.format(order=order), headers={"accept": "text/html"})
    assert (answer.status_code, answer.url.path) == (200, page.format(order=order))


async def test_a_pickup_is_asked_for_where_parcels_wait(signed_in, day):
    page = await signed_in.get("/pickups")
    assert "2 parcels at Jayanagar workshop" in words(page)
    place = re.search(r'name="place_id" value="([^"]+)"', page)[1]
    today = re.search(r'name="on" value="([^"]+)"', page)[1]
    page = await signed_in.post("/pickups", place_id=place, courier="velocity", on=today)
    assert "No need to ask" in words(page) and "Comes by itself" in words(page)
    assert "Ask for a pickup" not in words(page)
    await signed_in.post("/pickups", status=422, place_id=place, courier="velocity", on="2020-01-01")


async def test_another_companys_parcels_cannot_be_seen_printed_or_settled(new_browser, day):
    stranger = await new_browser()
    await stranger.sign_in(await world.new_seller("Nila Ceramics"))
    shipment_id = day.shipments["#KH2470"]
    await stranger.get(f"/shipments/{shipment_id}", status=404)
    for verb in ("label", "cancel", "settle", "void", "check", "progress"):
        form = {"awb": "1490999900001", "sure": "yes", "progress": "delivered"}
        await stranger.post(f"/shipments/{shipment_id}/{verb}", status=404, **form)
    for verb in ("labels", "packing-slips", "manifest"):
        await stranger.post(f"/shipments/{verb}", status=404, shipment_id=str(shipment_id))
    parcel = await world.shipment(day.seller.company_id, shipment_id)
    assert parcel.labels_printed == 0 and parcel.state == State.pickup_pending and parcel.manifest_id is None
