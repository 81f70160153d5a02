"""The list of orders, orders typed by hand, and one order's facts."""

import re

import pytest
from sqlalchemy import event

from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.money import Money
from shipcrowd.orders import queries
from shipcrowd.orders.models import Order, OrderState
from tests import make
from tests.console import world
from tests.console.conftest import count_of, words


def numbers(page: str) -> list[str]:
    return re.findall(r"<strong>(#KH\d+)</strong>", page)


async def whole(day, number):
    async with tenancy.acting_for(day.seller.company_id) as session:
        return await queries.whole(session, day.orders[number])


async def test_the_list_says_what_a_seller_needs_at_a_glance(signed_in):
    text = words(await signed_in.get("/orders"))
    assert "#KH2480 Kaveri Handlooms" in text
    assert "Meera Nair Kochi 682016 COD ₹1,849.00 ₹1,849.00 1 unit 620 g" in text
    assert "₹24,998.00" in text and "Address incomplete" in text and "No weight" in text
    assert "Held" in text and "Duplicate?" in text and "5 h late" in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=delivered", {"#KH2463", "#KH2464"}),
        ("state=rto", {"#KH2462"}),
        ("problem=yes", {"#KH2478"}),
        ("text=KH2470", {"#KH2470"}),
        ("text=98450" + "00004", {"#KH2476"}),
        ("pincode=796", {"#KH2475", "#KH2463"}),
        ("sku=STOLE-PASH&payment=prepaid", {"#KH2476", "#KH2461"}),
        ("sku=STOLE-PASH&payment=prepaid&state=ready&pincode=38", {"#KH2461"}),
    ],
)
async def test_filters_narrow_the_list_and_combine(query, found, signed_in):
    assert set(numbers(await signed_in.get(f"/orders?{query}"))) == found


async def test_a_parcel_is_found_by_its_awb(signed_in, day):
    shipment = await world.shipment(day.seller.company_id, day.shipments["#KH2466"])
    assert numbers(await signed_in.get(f"/orders?text={shipment.awb}")) == ["#KH2466"]


@pytest.mark.parametrize("query", ["state=nonsense", "pincode=abc", "placed_from=yesterday", "payment=barter"])
async def test_a_filter_nobody_can_read_shows_all_and_says_which(query, signed_in):
    page = await signed_in.get(f"/orders?{query}", status=422)
    assert "This filter could not be read" in words(page) and len(numbers(page)) == 24


async def test_an_empty_list_says_why_and_what_to_do(signed_in, newcomer):
    assert "No order fits this filter" in words(await signed_in.get("/orders?text=nobody"))
    assert "Connect a store" in words(await newcomer.get("/orders"))


async def test_older_orders_follow_under_the_same_filter(signed_in, day):
    more = [world.incoming(100 + i, number=f"#KH{1000 + i}") for i in range(60)]
    await make.orders(day.seller.company_id, *more, connection_id=day.store_id)
    seen: list[str] = []
    path = "/orders?payment=cod"
    while path:
        page = await signed_in.get(path)
        seen += numbers(page)
        link = re.search(r'rel="next" href="([^"]+)"', page)
        path = link[1].replace("&amp;", "&") if link else ""
        assert not link or "payment=cod" in path
    assert len(seen) == len(set(seen)) == 56


async def test_fifty_orders_cost_as_many_statements_as_one(signed_in, day, database):
    await make.orders(
        day.seller.company_id,
        *[world.incoming(200 + i, number=f"#KH{1000 + i}") for i in range(40)],
        connection_id=day.store_id,
    )
    statements: list[str] = []

    def note(conn, cursor, statement, *rest):
        if "set_config" not in statement:
            statements.append(statement)

    event.listen(database.sync_engine, "before_cursor_execute", note)
    try:
        page = await signed_in.get("/orders")
    finally:
        event.remove(database.sync_engine, "before_cursor_execute", note)
    assert len(numbers(page)) == 50
    assert len(statements) <= 6, "\n".join(statements)


async def test_many_orders_are_held_at_once_and_the_filter_is_kept(signed_in, day):
    chosen = [str(day.orders[number]) for number in ("#KH2480", "#KH2479")]
    answer = await signed_in.send("/orders/hold", order_id=chosen, back="/orders?payment=cod")
    assert str(answer.url).endswith("/orders?payment=cod") and "2 orders held" in words(answer.text)
    assert (await whole(day, "#KH2480")).order.holds == ["ours:by hand"]


async def test_nothing_ticked_is_said_and_nothing_happens(signed_in):
    page = await signed_in.post("/orders/hold", status=422)
    assert "Tick at least one first" in words(page)


async def test_an_order_is_typed_by_hand_and_the_pincode_names_the_city(signed_in, day):
    page = await signed_in.post(
        "/orders/new",
        name="Sanjana Pillai",
        phone="98450 12345",
        line1="7, Beach Road",
        pincode="682016",
        payment="cod",
        line_name=["Stole", ""],
        line_sku=["STOLE-PASH", ""],
        line_units=["2", "1"],
        line_price=["₹1,499.50", ""],
        line_weight=["0.31", ""],
        weight_grams="0.7",
    )
    text = words(page)
    assert "Sanjana Pillai" in text and "₹2,999.00" in text and "Kerala" in text
    async with tenancy.acting_for(day.seller.company_id) as session:
        (order,), _ = await queries.page_of(session, queries.OrderFilter(source="manual"), after=None, limit=5)
    assert (order.total_paise, order.to_collect_paise, order.weight_grams) == (Money(299900), Money(299900), 700)
    assert order.gaps == {} and order.city != ""


async def test_a_refused_order_keeps_what_was_typed_and_marks_the_field(signed_in, day):
    before = await count_of(day.seller.company_id, "orders")
    page = await signed_in.post(
        "/orders/new",
        status=422,
        name="Sanjana Pillai",
        payment="prepaid",
        line_name=["Stole"],
        line_sku=[""],
        line_units=["1"],
        line_price=["many"],
        line_weight=[""],
    )
    assert "type an amount in rupees" in words(page) and 'value="Sanjana Pillai"' in page and 'value="Stole"' in page
    assert await count_of(day.seller.company_id, "orders") == before


async def test_another_line_is_added_without_scripts_and_nothing_typed_is_lost(signed_in):
    page = await signed_in.post(
        "/orders/new", do="line", name="Sanjana", line_name=["A", "B"], line_sku=["", ""], line_units=["1", "1"],
        line_price=["1", "2"], line_weight=["", ""],
    )  # fmt: skip
    assert page.count('name="line_name"') == 3 and 'value="Sanjana"' in page and 'value="B"' in page


async def test_an_incomplete_address_is_shown_and_fixed_in_place(signed_in, day):
    order_id = day.orders["#KH2478"]
    assert "mobile number of ten digits" in words(await signed_in.get(f"/orders/{order_id}"))
    fixed = {"name": "Fatima Sheikh", "phone": "9845000002", "line1": "Road 12", "pincode": "500034"}
    page = await signed_in.post(f"/orders/{order_id}/address", **fixed)
    assert "The address is complete" in words(page) and "Compare prices" in words(page)
    assert (await whole(day, "#KH2478")).buyer.ship_to.city != ""


async def test_an_address_that_still_lacks_something_is_refused_with_its_field(signed_in, day):
    order_id = day.orders["#KH2478"]
    page = await signed_in.post(f"/orders/{order_id}/address", status=422, name="Fatima", phone="12", pincode="500034")
    assert page.count("aria-invalid") == 2 and 'value="Fatima"' in page
    assert (await whole(day, "#KH2478")).order.gaps != {}


async def test_hold_release_note_and_cancel_stand_on_the_timeline(signed_in, day):
    url = f"/orders/{day.orders['#KH2480']}"
    await signed_in.post(f"{url}/hold", reason="call first")
    await signed_in.post(f"{url}/release")
    await signed_in.post(f"{url}/note", words="Gift wrap <b>please</b>")
    page = await signed_in.post(f"{url}/cancel", reason="buyer asked")
    text = words(page)
    assert all(said in text for said in ("Held: call first", "Holds were taken off", "Cancelled: buyer asked"))
    assert "&lt;b&gt;please" in page
    assert (await whole(day, "#KH2480")).order.state == OrderState.cancelled


async def test_a_move_the_state_does_not_allow_is_a_friendly_409(signed_in, day):
    page = await signed_in.post(f"/orders/{day.orders['#KH2470']}/cancel", status=409, reason="too late")
    assert "cancel its shipment first" in words(page) and "#KH2470" in page


async def test_another_companys_orders_cannot_be_seen_or_touched(new_browser, day):
    stranger = await new_browser()
    await stranger.sign_in(await world.new_seller("Nila Ceramics"))
    order_id = day.orders["#KH2480"]
    await stranger.get(f"/orders/{order_id}", status=404)
    for verb in ("hold", "release", "cancel", "note", "address", "package", "quote", "book", "book-by-hand"):
        form = {"reason": "x", "words": "x", "weight_grams": "1", "carrier": "Delhivery", "awb": "AWB12345"}
        answer = await stranger.send(f"/orders/{order_id}/{verb}", **form)
        assert answer.status_code in (404, 422), verb
    await stranger.post("/orders/hold", status=404, order_id=str(order_id))
    async with tenancy.acting_for(day.seller.company_id) as session:
        order = await session.get(Order, (day.seller.company_id, order_id))
    assert order.holds == [] and order.state == OrderState.ready and order.updated_at < clock.now()
