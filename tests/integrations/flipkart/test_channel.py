"""The channel against a small Flipkart that keeps shipments, lists them as it does, and changes under the reader."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from shipcrowd.channels import open as channel_open
from shipcrowd.channels.contract import (
    AnnouncesDispatch,
    CancelsOrders,
    Dispatch,
    ListsProducts,
    MarksDispatched,
    Milestone,
    PriceChange,
    ReadyParcel,
    SalesChannel,
    SetsPrices,
    SetsStock,
    StockLevel,
)
from shipcrowd.channels.returns_contract import HandlesReturns
from shipcrowd.integrations.flipkart import client, mapping
from shipcrowd.integrations.flipkart.reading import moment, spoken
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Malformed, Refused, Unavailable, read_json
from shipcrowd.orders.schemas import SourceState

from .conftest import FILTER, LOCATION, NOW, READ, SELLER, Flipkart, details, done, failed, path_of, shipment

SELF = {"shipmentType": "SELF"}
READY = "/v3/shipments/dispatch"
DISPATCH = Dispatch("ref-1", "DL1490812345", "Delhivery Surface", None, ())


@dataclass
class Shelf:
    """Shipments at Flipkart, listed by numbered pages over whatever is there at the moment."""

    far: Flipkart
    held: dict[str, Any] = field(default_factory=dict)
    size: int = 3
    searches: list[Any] = field(default_factory=list)
    meanwhile: list[Any] = field(default_factory=list)
    """What happens between two searches, in turn."""

    def __post_init__(self) -> None:
        self.far.on(FILTER, self.search)
        self.far.on(READ, self.read)

    def put(self, shipment_id: str, minutes: float, status: str = "APPROVED", **more: Any) -> None:
        at = spoken(NOW - timedelta(hours=5) + timedelta(minutes=minutes))
        self.held[shipment_id] = shipment(shipment_id, status, updatedAt=at, **more)
        self.far.on(f"/v3/shipments/{shipment_id}", {"shipments": [details(shipment_id)]})

    def matching(self, asked: Any) -> list[Any]:
        wanted = asked["filter"]
        assert set(wanted["serviceProfiles"]) == {"NON_FBF", "FBF_LITE", "FBF"}
        assert asked["sort"] == {"field": "modifiedDate", "order": "asc"}
        if wanted["type"] == "cancelled":
            assert wanted["cancellationType"].endswith("Cancellation")
        after = moment(wanted["modifiedDate"]["from"])
        found = [
            raw
            for raw in self.held.values()
            if {item["status"] for item in raw["orderItems"]} & set(wanted["states"])
            and moment(raw["updatedAt"]) >= after
            and ("hold" not in wanted or raw["hold"] is wanted["hold"])
            and (wanted["type"] != "cancelled" or raw.get("by") == wanted["cancellationType"])
        ]
        return sorted(found, key=lambda raw: (raw["updatedAt"], raw["shipmentId"]))

    def search(self, request: Any) -> Any:
        if request.method == "POST":
            self.searches.append(read_json(request.content))
            page, asked = 0, self.searches[-1]
            if self.meanwhile:
                self.meanwhile.pop(0)()
        else:
            number, at = request.url.params["next_token"].split("-")
            page, asked = int(number), self.searches[int(at)]
        found = self.matching(asked)
        some = found[page * self.size : (page + 1) * self.size]
        token = f"/v3/shipments/filter?next_token={page + 1}-{len(self.searches) - 1}"
        more = len(found) > (page + 1) * self.size
        return {"hasMore": more, "nextPageUrl": token if more else None, "shipments": some}

    def read(self, request: Any) -> Any:
        ids = request.url.params["shipmentIds"].split(",")
        return {"shipments": [self.held[each] for each in ids if each in self.held]}


@pytest.fixture
def shelf(flipkart) -> Shelf:
    made = Shelf(flipkart)
    answer = flipkart.handle

    def details_of_many(request):
        path = path_of(request)
        if path.startswith("/v3/shipments/") and "," in path:
            flipkart.on(path, {"shipments": [details(each) for each in path.rsplit("/", 1)[-1].split(",")]})
        return answer(request)

    flipkart.handle = details_of_many
    return made


async def swept(flipkart, hours: float = 24):
    return [page async for page in flipkart.channel().orders(NOW - timedelta(hours=hours))]


def ids(pages) -> list[str]:
    return [order.external_id for page in pages for order in page.orders]


def test_it_is_a_channel_with_the_abilities_it_is_known_for(flipkart):
    channel = flipkart.channel()
    assert isinstance(channel, SalesChannel)
    for ability in (
        AnnouncesDispatch,
        SetsStock,
        ListsProducts,
        MarksDispatched,
        CancelsOrders,
        SetsPrices,
        HandlesReturns,
    ):
        assert isinstance(channel, ability)
    assert channel_open.abilities(channel) == [
        "announces_dispatch", "sets_stock", "lists_products", "marks_dispatched", "cancels_orders", "sets_prices",
        "changes_delivery_date", "handles_returns",
    ]  # fmt: skip


# --- who we are -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [True, False])
async def test_the_locations_tell_that_the_connection_works(flipkart, wrapped):
    places = [{"locationId": LOCATION, "locationName": "Peenya"}, {"id": "LOC2"}]
    flipkart.on("/locations/allLocations", {"locations": places} if wrapped else places)
    info = await flipkart.channel().store()
    assert info.external_id == SELLER
    assert info.details == {f"location.{LOCATION}": "Peenya", "location.LOC2": "LOC2"}
    assert flipkart.paced[0] == ("hurry", "hour")  # a person waits for it


async def test_without_a_list_of_locations_a_search_tells_that_the_connection_works(flipkart):
    flipkart.on("/locations/allLocations", httpx2.Response(404, json={})).on(FILTER, {"shipments": []})
    assert (await flipkart.channel().store()).details == {}
    assert flipkart.paths() == ["/locations/allLocations", FILTER]
    flipkart.on("/locations/allLocations", httpx2.Response(403, json={}))
    with pytest.raises(Refused):
        await flipkart.channel().store()


async def test_credentials_of_another_seller_are_refused(flipkart):
    flipkart.on("/locations/allLocations", {"locations": [{"locationId": LOCATION, "sellerId": "someoneelse"}]})
    with pytest.raises(Refused, match="someoneelse"):
        await flipkart.channel().store()


# --- what changed ---------------------------------------------------------------------------------------------------


async def test_a_sweep_asks_six_ways_and_an_empty_store_costs_six_calls(shelf, flipkart):
    assert await swept(flipkart) == []
    asked = [search["filter"] for search in shelf.searches]
    assert [(each["type"], each.get("hold"), each.get("cancellationType")) for each in asked] == [
        ("preDispatch", False, None),
        ("preDispatch", True, None),
        ("postDispatch", None, None),
        ("cancelled", None, "sellerCancellation"),
        ("cancelled", None, "buyerCancellation"),
        ("cancelled", None, "marketplaceCancellation"),
    ]
    assert len(flipkart.requests) == 6


async def test_held_dispatched_and_cancelled_shipments_are_all_found(shelf, flipkart):
    shelf.put("a", 1)
    shelf.put("b", 2, hold=True)
    shelf.put("c", 3, "SHIPPED")
    shelf.put("d", 4, "CANCELLED", by="buyerCancellation")
    pages = await swept(flipkart)
    assert sorted(ids(pages)) == ["a", "b", "c", "d"]
    states = {order.external_id: order.state for page in pages for order in page.orders}
    assert (states["b"], states["d"]) == (SourceState.on_hold, SourceState.cancelled)
    assert all(order.ship_to is not None for page in pages for order in page.orders)


async def test_what_a_search_for_cancellations_finds_is_read_whole(shelf, flipkart):
    shelf.put("a", 1, by="buyerCancellation")
    live = shelf.held["a"]["orderItems"][0]
    shelf.held["a"]["orderItems"] = [live, live | {"orderItemId": "2", "status": "CANCELLED"}]
    pages = await swept(flipkart)
    assert set(ids(pages)) == {"a"}
    assert all(order.state is SourceState.open for page in pages for order in page.orders)


async def test_many_pages_come_by_time_of_change_and_only_first_pages_are_read(shelf, flipkart):
    for n in range(20):
        shelf.put(f"s{n:02}", n, "SHIPPED" if n % 3 == 0 else "APPROVED")
    pages = await swept(flipkart)
    assert sorted(ids(pages)) == [f"s{n:02}" for n in range(20)]
    passed = [page.through for page in pages]
    assert passed == sorted(passed)
    assert all(request.method == "POST" for request in flipkart.requests if path_of(request) == FILTER)


async def test_a_mark_never_passes_what_has_not_been_given_out(shelf, flipkart):
    for n in range(20):
        shelf.put(f"s{n:02}", n, "SHIPPED" if n < 10 else "APPROVED")
    changes = {each: moment(raw["updatedAt"]) for each, raw in shelf.held.items()}
    seen = set[str]()
    async for page in flipkart.channel().orders(NOW - timedelta(hours=24)):
        seen |= {order.external_id for order in page.orders}
        # Whoever starts again at the mark finds all that was not given out.
        assert all(each in seen or at >= page.through for each, at in changes.items())
    assert len(seen) == 20


async def test_what_is_packed_while_the_list_is_read_takes_nothing_with_it(shelf, flipkart):
    """With numbered pages, the fourth shipment would be skipped: it moves up to the page that was read."""
    for n in range(9):
        shelf.put(f"s{n}", n)

    def nothing() -> None: ...

    def packed() -> None:
        shelf.put("s0", 100, "SHIPPED")

    shelf.meanwhile = [nothing, packed]
    assert set(ids(await swept(flipkart))) == {f"s{n}" for n in range(9)}


async def test_more_changes_in_one_moment_than_a_page_holds_are_all_found(shelf, flipkart):
    for n in range(11):
        shelf.put(f"s{n:02}", 5)
    shelf.put("later", 6)
    pages = await swept(flipkart)
    assert sorted(ids(pages)) == ["later", *(f"s{n:02}" for n in range(11))]
    assert any(request.method == "GET" for request in flipkart.requests if path_of(request) == FILTER)


async def test_a_list_that_is_not_in_order_is_read_page_by_page(shelf, flipkart):
    for n in range(8):
        shelf.put(f"s{n}", n)
    listed = shelf.matching
    shelf.matching = lambda asked: list(reversed(listed(asked)))
    assert sorted(ids(await swept(flipkart))) == [f"s{n}" for n in range(8)]


async def test_a_list_without_times_is_read_page_by_page_too(shelf, flipkart):
    for n in range(5):
        shelf.put(f"s{n}", n)

    def timeless(request):
        answer = Shelf.search(shelf, request)
        return answer | {"shipments": [raw | {"updatedAt": None} for raw in answer["shipments"]]}

    flipkart.on(FILTER, timeless)
    assert sorted(ids(await swept(flipkart))) == [f"s{n}" for n in range(5)]


async def test_a_shipment_that_cannot_be_read_is_kept_and_the_rest_goes_on(shelf, flipkart):
    shelf.put("good", 1)
    shelf.put("bad", 2, item={"priceComponents": None})
    pages = await swept(flipkart)
    assert ids(pages) == ["good"]
    [failure] = [item for page in pages for item in page.failed]
    assert (failure.external_id, failure.raw["shipmentId"]) == ("bad", "bad")


async def test_one_order_is_read_afresh_with_its_address(shelf, flipkart):
    shelf.put("a", 1, **SELF)
    order = await flipkart.channel().order("a")
    assert (order.external_id, order.ship_to.pincode, order.ship_to.mobile) == ("a", "560038", "9000000001")
    with pytest.raises(Refused) as raised:
        await flipkart.channel().order("gone")
    assert raised.value.code == "not_found"


# --- self-ship ------------------------------------------------------------------------------------------------------

TOLD = "/v3/shipments/selfShip/"


async def test_a_booked_parcel_is_not_told_yet_for_flipkart_would_take_it_for_shipped(shelf, flipkart):
    shelf.put("a", 1, **SELF)
    assert await flipkart.channel().dispatched("a", DISPATCH) == "a|DL1490812345|Delhivery Surface"
    assert flipkart.paths() == [READ]


async def test_a_parcel_of_flipkarts_own_courier_needs_no_telling(shelf, flipkart):
    shelf.put("a", 1)
    assert await flipkart.channel().dispatched("a", DISPATCH) is None


@pytest.mark.parametrize(
    ("more", "awb", "code"),
    [
        ({}, "no awb!", "bad_awb"),
        ({"hold": True}, "DL14908", "on_hold"),
        ({"status": "CANCELLED"}, "DL14908", "cancelled"),
    ],
)
async def test_what_may_not_go_is_refused_and_nothing_is_told(shelf, flipkart, more, awb, code):
    shelf.put("a", 1, **SELF, **more)
    with pytest.raises(Refused) as raised:
        await flipkart.channel().dispatched("a", Dispatch("r", awb, "Delhivery", None, ()))
    assert raised.value.code == code
    assert flipkart.paths() == [READ]


async def test_when_the_courier_has_it_it_is_dispatched_with_partner_and_awb(shelf, flipkart):
    shelf.put("a", 1, **SELF)
    flipkart.on(TOLD + "dispatch", done("a", key="processingStatus"))
    at = NOW - timedelta(hours=2)
    await flipkart.channel().moved("a|DL1490812345|Delhivery Surface", Milestone.picked_up, at, "The courier has it")
    [body] = flipkart.bodies(TOLD + "dispatch")
    [told] = body["shipments"]
    assert (told["deliveryPartnerCode"], told["trackingId"]) == ("DELHIVERY", "DL1490812345")
    assert told["locationId"] == told["dispatchLocation"]["locationId"] == LOCATION
    assert moment(told["dispatchDate"]) == at
    assert moment(told["tentativeDeliveryDate"]) > NOW
    assert told["invoice"] == {
        "invoiceNumber": "OD512345600012345600",
        "invoiceDate": "2026-11-21",
        "items": [{"orderItemId": "12345600012345600", "quantity": 2}],
    }


async def test_a_step_told_twice_is_one(shelf, flipkart):
    shelf.put("a", 1, "SHIPPED", **SELF)
    for milestone in (Milestone.picked_up, Milestone.in_transit, Milestone.label_printed, Milestone.failed):
        await flipkart.channel().moved("a|DL1490812345|Delhivery", milestone, NOW, "")
    shelf.put("a", 1, "DELIVERED", **SELF)
    for milestone in (Milestone.attempted, Milestone.delivered):
        await flipkart.channel().moved("a|DL1490812345|Delhivery", milestone, NOW, "")
    assert set(flipkart.paths()) == {READ}


async def test_steps_that_were_missed_are_caught_up_with(shelf, flipkart):
    shelf.put("a", 1, **SELF)
    flipkart.on(TOLD + "dispatch", done("a")).on(TOLD + "delivery", done("a"))
    await flipkart.channel().moved("a|DL1490812345|Delhivery", Milestone.delivered, NOW, "")
    assert flipkart.paths() == [READ, TOLD + "dispatch", TOLD + "delivery"]
    [delivery] = flipkart.bodies(TOLD + "delivery")
    assert delivery == {"shipments": [{"shipmentId": "a", "locationId": LOCATION, "deliveryDate": spoken(NOW)}]}


async def test_an_attempt_says_why_and_when_again(shelf, flipkart):
    shelf.put("a", 1, "SHIPPED", **SELF)
    flipkart.on(TOLD + "deliveryAttempt", done("a"))
    await flipkart.channel().moved("a|DL1490812345|Delhivery", Milestone.attempted, NOW, "Nobody was at home")
    [body] = flipkart.bodies(TOLD + "deliveryAttempt")
    why = body["shipments"][0]["failureAttributes"]
    assert (why["reason"], moment(why["newDeliveryDate"])) == ("Nobody was at home", NOW + timedelta(days=1))


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (failed("a", "INVALID_TRACKING_ID", "Tracking id is not valid"), Refused),
        (failed("a", "DEPENDENT_SYSTEM_CALL_FAILED", "later"), Unavailable),
        ({"shipments": []}, Refused),
    ],
)
async def test_a_failure_inside_a_200_is_a_failure(shelf, flipkart, answer, failure):
    shelf.put("a", 1, **SELF)
    flipkart.on(TOLD + "dispatch", answer)
    with pytest.raises(failure):
        await flipkart.channel().moved("a|DL1490812345|Delhivery", Milestone.picked_up, NOW, "")


async def test_a_dispatch_that_flipkart_knows_of_cannot_be_taken_back(shelf, flipkart):
    shelf.put("a", 1, **SELF)
    await flipkart.channel().withdrawn("a|DL1490812345|Delhivery")
    shelf.put("a", 1, "SHIPPED", **SELF)
    with pytest.raises(Refused) as raised:
        await flipkart.channel().withdrawn("a|DL1490812345|Delhivery")
    assert raised.value.code == "already_dispatched"


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE"])
async def test_what_flipkart_says_to_another_day_is_heard_in_either_shape(flipkart, wrapped, status):
    said = {"processingStatus": status, "errorCode": "TOO_LATE", "errorMessage": "It is delivered."}
    flipkart.on("/v3/shipments/a/update", {"shipments": [said]} if wrapped else said)
    asked = flipkart.channel().rescheduled("a|DL1490812345|Delhivery", NOW + timedelta(days=2))
    if status == "SUCCESS":
        await asked
    else:
        with pytest.raises(Refused, match="It is delivered"):
            await asked


async def test_another_day_is_told_in_flipkarts_other_spelling(flipkart):
    flipkart.on("/v3/shipments/a/update", {})
    await flipkart.channel().rescheduled("a|DL1490812345|Delhivery", NOW + timedelta(days=2))
    assert flipkart.bodies("/v3/shipments/a/update") == [
        {
            "shipment_id": "a",
            "tracking_id": "DL1490812345",
            "seller_id": SELLER,
            "delivery_partner": "Delhivery",
            "tentative_delivery_date": spoken(NOW + timedelta(days=2)),
        }
    ]
    with pytest.raises(Refused):
        await flipkart.channel().rescheduled("what", NOW)


# --- cancelling -----------------------------------------------------------------------------------------------------

CANCEL = "/v3/shipments/cancel"


async def test_an_order_is_cancelled_before_it_is_packed(shelf, flipkart):
    shelf.put("a", 1)
    flipkart.on(CANCEL, done("a"))
    await flipkart.channel().cancel_order("a", "sold out")
    [body] = flipkart.bodies(CANCEL)
    assert body["shipments"] == [
        {
            "shipmentId": "a",
            "locationId": LOCATION,
            "reason": "not_enough_inventory",
            "cancellationGroupIds": ["grp12345600012345600"],
        }
    ]


@pytest.mark.parametrize("status", ["PACKED", "READY_TO_DISPATCH", "SHIPPED", "TELEPORTED"])
async def test_and_not_afterwards(shelf, flipkart, status):
    shelf.put("a", 1, status)
    with pytest.raises(Refused):
        await flipkart.channel().cancel_order("a", "sold out")
    assert CANCEL not in flipkart.paths()


async def test_one_that_is_cancelled_is_not_cancelled_again(shelf, flipkart):
    shelf.put("a", 1, "CANCELLED")
    await flipkart.channel().cancel_order("a", "sold out")
    assert CANCEL not in flipkart.paths()


# --- listings -------------------------------------------------------------------------------------------------------

STOCK, PRICE = "/listings/v3/update/inventory", "/listings/v3/update/price"


def level(n: int, available: int = 5, location: str = LOCATION) -> StockLevel:
    return StockLevel(mapping.variant(f"FSN{n}", f"SKU-{n}"), location, available)


def taken(request):
    return {sku: {"status": "SUCCESS", "errors": [], "attribute_errors": []} for sku in read_json(request.content)}


async def test_fifty_levels_are_five_calls_of_ten_spaced_by_their_bucket(flipkart):
    flipkart.on(STOCK, taken)
    assert list(await flipkart.channel().set_stock([level(n) for n in range(50)])) == []
    assert [len(body) for body in flipkart.bodies(STOCK)] == [10] * 5
    assert flipkart.paced.count(("pace", "stock")) == 5
    assert flipkart.bodies(STOCK)[0]["SKU-0"] == {
        "product_id": "FSN0",
        "locations": [{"id": LOCATION, "inventory": 5}],
    }


async def test_several_locations_of_a_sku_are_one_entry_and_less_than_none_is_none(flipkart):
    flipkart.on(STOCK, taken)
    await flipkart.channel().set_stock([level(1, -3), level(1, 7, "LOC2")])
    [body] = flipkart.bodies(STOCK)
    assert body["SKU-1"]["locations"] == [{"id": LOCATION, "inventory": 0}, {"id": "LOC2", "inventory": 7}]


async def test_a_sku_that_is_refused_is_told_and_does_not_keep_the_others_back(flipkart):
    unknown = {"SKU-2": {"status": "FAILURE", "errors": [{"code": 1007, "description": "SKU not found for seller"}]}}
    flipkart.on(STOCK, lambda request: taken(request) | unknown)
    lone = [StockLevel("not-a-variant", LOCATION, 1), level(4, location="")]
    refused = await flipkart.channel().set_stock([level(1), level(2), level(3), *lone])
    assert [(each.external_variant_id, each.code) for each in refused] == [
        ("not-a-variant", "not_mapped"),
        ("FSN4:SKU-4", "not_mapped"),
        ("FSN2:SKU-2", "1007"),
    ]


async def test_prices_are_whole_rupees(flipkart):
    flipkart.on(PRICE, taken)
    changes = [
        PriceChange("FSN1:SKU-1", Money.rupees("499"), Money.rupees("1499")),
        PriceChange("FSN2:SKU-2", Money.rupees("499.50")),
        PriceChange("FSN3:SKU-3", Money.zero),
        PriceChange("nothing", Money.rupees("1")),
    ]
    refused = await flipkart.channel().set_prices(changes)
    assert [each.code for each in refused] == ["not_whole_rupees", "not_whole_rupees", "not_mapped"]
    assert flipkart.bodies(PRICE) == [
        {"SKU-1": {"product_id": "FSN1", "price": {"selling_price": 499, "currency": "INR", "mrp": 1499}}}
    ]


async def test_listings_are_searched_and_read(flipkart):
    def found(n: int) -> Any:
        return {"listing_id": f"LST{n}", "product_id": f"FSN{n}", "sku_id": f"SKU-{n}"}

    flipkart.on(
        "/listings/v3/search",
        {"has_more": True, "next_page_id": "p2", "listings": [found(1), found(2)]},
        {"has_more": False, "listings": {"product_id": "FSN3", "sku_id": "A,B"}},
    )
    known = {"SKU-1": {"product_id": "FSN1", "price": {"selling_price": 499}, "tax": {"hsn": "73239390"}}}
    flipkart.on("/listings/v3/SKU-1,SKU-2", {"available": known, "unavailable": ["SKU-2"], "invalid": []})
    pages = [list(page) async for page in flipkart.channel().listings()]
    assert [[each.external_variant_id for each in page] for page in pages] == [
        ["FSN1:SKU-1", "FSN2:SKU-2"],
        ["FSN3:A,B"],
    ]
    assert [each.price for each in pages[0]] == [Money.rupees("499"), None]
    assert [body["page_id"] for body in flipkart.bodies("/listings/v3/search")] == [None, "p2"]


async def test_a_listing_that_cannot_be_read_is_left_out(flipkart):
    flipkart.on("/listings/v3/search", {"has_more": False, "listings": [{"listing_id": "LST1"}]})
    assert [list(page) async for page in flipkart.channel().listings()] == [[]]


async def test_stock_that_flipkart_does_not_tell_is_unknown(flipkart):
    known = {"A": {"locations": [{"id": LOCATION, "inventory": 4}]}, "B": {"product_id": "FSN"}}
    flipkart.on("/listings/v3/A,B,C", {"available": known})
    assert await flipkart.channel().stock(["A", "B", "C"]) == {"A": {LOCATION: 4}, "B": None, "C": None}


async def test_listings_without_end_end(flipkart, monkeypatch):
    monkeypatch.setattr(client, "MOST_PAGES", 3)
    pages = iter(range(100))
    flipkart.on("/listings/v3/search", lambda _: {"has_more": True, "next_page_id": f"p{next(pages)}", "listings": []})
    with pytest.raises(Malformed):
        [page async for page in flipkart.channel().listings()]


# --- ready to dispatch ----------------------------------------------------------------------------------------------


async def test_ready_tells_what_is_packed_by_place_and_only_that(flipkart):
    found = [
        shipment("a", "PACKED"),
        shipment("b", "APPROVED"),
        shipment("c", "PACKED", locationId="LOC2"),
        shipment("d", "SHIPPED"),
        shipment("f", "PACKED"),
        shipment("g", "PACKED", shipmentType="SELF"),
    ]
    flipkart.on(READ, {"shipments": found})
    no = failed("f", "OPERATION_NOT_ALLOWED", "on hold")["shipments"]
    flipkart.on(READY, {"shipments": [*done("a")["shipments"], *no]}, done("c"))
    parcels = [ReadyParcel(f"parcel-{each}", each, f"FMPC-{each}") for each in "abcdefg"]
    refusals = await flipkart.channel().ready_to_dispatch(parcels)
    assert [(each.reference, each.code) for each in refusals] == [
        ("parcel-b", "not_packed"),
        ("parcel-e", "not_found"),
        ("parcel-f", "OPERATION_NOT_ALLOWED"),
        ("parcel-g", "not_standard"),
    ]
    assert refusals[2].message == "on hold"
    assert flipkart.bodies(READY) == [
        {"shipmentIds": ["a", "f"], "locationId": LOCATION},
        {"shipmentIds": ["c"], "locationId": "LOC2"},
    ]
    assert {lane for lane, _ in flipkart.paced} == {"hurry"}


async def test_what_flipkart_could_not_do_just_now_is_no_refusal_and_asked_again(flipkart):
    flipkart.on(READ, {"shipments": [shipment("a", "PACKED"), shipment("b", "PACKED")]})
    no = failed("b", "DEPENDENT_SYSTEM_CALL_FAILED", "try later")["shipments"]
    flipkart.on(READY, {"shipments": [*done("a")["shipments"], *no]})
    with pytest.raises(Unavailable, match="try later"):
        await flipkart.channel().ready_to_dispatch([ReadyParcel(each, each, f"FMPC-{each}") for each in "ab"])
