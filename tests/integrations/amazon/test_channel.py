import copy
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import time_machine

from shipcrowd.channels.contract import (
    AnnouncesDispatch,
    CancelsOrders,
    Milestone,
    SalesChannel,
    Subscribes,
)
from shipcrowd.integrations.amazon import channel as channels
from shipcrowd.integrations.amazon import orders
from shipcrowd.kernel.outbound import Malformed, Refused, Unavailable
from tests.integrations.amazon.far_side import NOW, SELLER, Amazon, channel_of, refused, throttled

SINCE = datetime(2026, 11, 19, tzinfo=UTC)
PARTICIPATION = {
    "marketplace": {"id": "A21TJRUUN4KGV", "countryCode": "IN", "name": "Amazon.in"},
    "storeName": "Mehfil Studio",
    "participation": {"isParticipating": True, "hasSuspendedListings": False},
}


@pytest.fixture(autouse=True)
def _asked_afresh(at_now):
    channels.forget_participations()


@pytest.fixture
def order(payload):
    def make(number: int, minute: int) -> dict:
        raw = copy.deepcopy(payload("order_cash_on_delivery"))
        raw["orderId"] = f"403-0000000-{number:07d}"
        raw["lastUpdatedTime"] = f"2026-11-19T10:{minute:02d}:00.000Z"
        return raw

    return make


async def pages(amazon: Amazon, since: datetime = SINCE):
    return [page async for page in channel_of(amazon).orders(since)]


def test_what_it_can_do_is_what_it_declares(amazon):
    channel = channel_of(amazon)
    assert isinstance(channel, SalesChannel)
    assert isinstance(channel, AnnouncesDispatch)
    assert isinstance(channel, Subscribes)
    assert not isinstance(channel, CancelsOrders)


def test_orders_are_cancelled_where_the_operator_lets_them(amazon):
    amazon.app = amazon.app.model_copy(update={"cancel_orders": True})
    assert isinstance(channel_of(amazon), CancelsOrders)


# --- the store ------------------------------------------------------------------------------------------------------


async def test_the_store_is_the_seller_at_the_marketplace(amazon):
    amazon.on("getMarketplaceParticipations", {"payload": [PARTICIPATION]})
    info = await channel_of(amazon).store()
    assert (info.external_id, info.name, info.currency, info.timezone) == (
        SELLER,
        "Mehfil Studio",
        "INR",
        "Asia/Kolkata",
    )
    assert info.details == {
        "marketplace": "A21TJRUUN4KGV",
        "marketplaces": "IN",
        "sign_in_again_before": (NOW + timedelta(days=355)).date().isoformat(),
    }


async def test_amazon_is_asked_for_the_store_once_a_minute(amazon):
    amazon.on("getMarketplaceParticipations", {"payload": [PARTICIPATION]})
    with time_machine.travel(NOW, tick=False) as clock:
        for _ in range(5):
            await channel_of(amazon).store()
        assert len(amazon.asked) == 1
        clock.shift(61)
        await channel_of(amazon).store()
        assert len(amazon.asked) == 2


async def test_another_marketplace_or_another_key_is_another_question(amazon):
    amazon.on("getMarketplaceParticipations", {"payload": [PARTICIPATION]})
    await channel_of(amazon).store()
    amazon.private = True
    await channel_of(amazon).store()
    amazon.marketplace = "AE"
    with pytest.raises(Refused) as raised:
        await channel_of(amazon).store()
    assert len(amazon.asked) == 3
    assert raised.value.code == "not_participating"
    assert raised.value.message == "This seller does not sell at Amazon's marketplace AE, but at IN."


@pytest.mark.parametrize(
    "payload",
    [[], [PARTICIPATION | {"participation": {"isParticipating": False}}], [PARTICIPATION | {"participation": None}]],
)
async def test_a_seller_who_takes_no_part_is_named(amazon, payload):
    amazon.on("getMarketplaceParticipations", {"payload": payload})
    with pytest.raises(Refused) as raised:
        await channel_of(amazon).store()
    assert raised.value.code == "not_participating"


async def test_suspended_listings_are_told_and_a_nameless_store_gets_a_name(amazon):
    suspended = {"isParticipating": True, "hasSuspendedListings": True}
    amazon.on(
        "getMarketplaceParticipations", {"payload": [PARTICIPATION | {"participation": suspended, "storeName": ""}]}
    )
    info = await channel_of(amazon).store()
    assert info.details["listings"] == "some are suspended"
    assert info.name == f"Amazon IN {SELLER}"


async def test_the_bound_on_what_is_remembered(amazon, monkeypatch):
    monkeypatch.setattr(channels, "_ROOM", 1)
    amazon.on("getMarketplaceParticipations", {"payload": [PARTICIPATION]})
    await channel_of(amazon).store()
    amazon.private = True
    await channel_of(amazon).store()
    assert len(channels._Participations.known) == 1


# --- orders ---------------------------------------------------------------------------------------------------------


async def test_changed_orders_come_page_by_page_and_say_how_far_they_reach(amazon, order):
    amazon.on(
        "searchOrders",
        {"orders": [order(1, 1), order(2, 5)], "pagination": {"nextToken": "two"}},
        {"orders": [order(3, 7)], "lastUpdatedBefore": "2026-11-20T06:42:00Z"},
    )
    first, last = await pages(amazon)
    assert [each.external_id for each in first.orders] == ["403-0000000-0000001", "403-0000000-0000002"]
    assert first.through == datetime(2026, 11, 19, 10, 5, tzinfo=UTC)
    assert last.through == datetime(2026, 11, 20, 6, 42, tzinfo=UTC)
    one, two = (asked.query for asked in amazon.asked)
    assert one == {
        "lastUpdatedAfter": "2026-11-19T00:00:00.000Z",
        "marketplaceIds": "A21TJRUUN4KGV",
        "includedData": ",".join(orders.DATA),
        "maxResultsPerPage": "100",
    }
    assert two == one | {"paginationToken": "two"}  # every filter unchanged


async def test_where_orders_do_not_come_in_order_only_the_end_says_how_far(amazon, order):
    amazon.on(
        "searchOrders",
        {"orders": [order(1, 9), order(2, 5)], "pagination": {"nextToken": "two"}},
        {"orders": [order(3, 30)], "pagination": {"nextToken": "three"}},
        {"orders": [order(4, 40)], "lastUpdatedBefore": "2026-11-20T06:42:00Z"},
    )
    assert [page.through for page in await pages(amazon)] == [None, None, datetime(2026, 11, 20, 6, 42, tzinfo=UTC)]


async def test_an_import_searches_by_creation_and_its_mark_is_the_last_ones(amazon, order):
    """The two families of dates do not mix: neither in the question nor in the mark."""
    first, second, third = order(1, 40), order(2, 30), order(3, 20)
    for raw, hour in ((first, 1), (second, 2), (third, 3)):
        raw["createdTime"] = f"2026-11-19T0{hour}:00:00Z"
    amazon.on(
        "searchOrders",
        {"orders": [first, second], "pagination": {"nextToken": "two"}},
        {"orders": [third], "createdBefore": "2026-11-20T06:42:00Z"},
    )
    found = [page async for page in channel_of(amazon).placed(SINCE)]
    assert [page.through for page in found] == [
        datetime(2026, 11, 19, 2, tzinfo=UTC),
        datetime(2026, 11, 20, 6, 42, tzinfo=UTC),
    ]
    assert sum(len(page.orders) for page in found) == 3
    for asked in amazon.asked:
        assert asked.query["createdAfter"] == "2026-11-19T00:00:00.000Z"
        assert "lastUpdatedAfter" not in asked.query


async def test_an_order_that_cannot_be_read_costs_itself_only(amazon, order):
    broken, nameless = order(2, 2), order(3, 3)
    del broken["createdTime"]
    nameless["orderId"] = None
    amazon.on("searchOrders", {"orders": [order(1, 1), broken, nameless, "no order", order(4, 4)]})
    [page] = await pages(amazon)
    assert [each.external_id for each in page.orders] == ["403-0000000-0000001", "403-0000000-0000004"]
    assert page.failed[0].external_id == "403-0000000-0000002"
    assert page.failed[0].raw == broken
    assert all(item.external_id.startswith("unnamed:") for item in page.failed[1:])
    assert page.through == datetime(2026, 11, 19, 10, 4, tzinfo=UTC)


async def test_an_empty_store_has_one_empty_page(amazon):
    amazon.on("searchOrders", {"orders": [], "lastUpdatedBefore": "2026-11-20T06:42:00Z"})
    [page] = await pages(amazon)
    assert (page.orders, page.through) == ((), datetime(2026, 11, 20, 6, 42, tzinfo=UTC))


async def test_nothing_younger_than_two_minutes_is_asked_for(amazon):
    amazon.on("searchOrders", {"orders": []})
    await pages(amazon, NOW)
    assert amazon.asked[0].query["lastUpdatedAfter"] == "2026-11-20T06:42:55.000Z"


async def test_a_page_that_points_to_itself_ends_in_malformed(amazon, order):
    amazon.on("searchOrders", {"orders": [order(1, 1)], "pagination": {"nextToken": "again"}})
    with pytest.raises(Malformed):
        await pages(amazon)
    assert len(amazon.asked) == 2


async def test_a_list_without_end_is_bounded(amazon, monkeypatch):
    monkeypatch.setattr(orders, "_PAGES", 3)
    turn = iter(range(100))
    amazon.on("searchOrders", lambda asked: {"orders": [], "pagination": {"nextToken": f"t{next(turn)}"}})
    with pytest.raises(Malformed):
        await pages(amazon)
    assert len(amazon.asked) == 3


async def test_a_throttled_search_keeps_what_it_has(amazon, order):
    amazon.on("searchOrders", {"orders": [order(1, 1)], "pagination": {"nextToken": "two"}}, throttled())
    got = []
    with pytest.raises(Unavailable) as raised:
        async for page in channel_of(amazon).orders(SINCE):
            got += [page]
    assert len(got) == 1
    assert (raised.value.retry_after or 0) > 60


async def test_one_order_by_itself(amazon, order):
    amazon.on("getOrder", {"order": order(7, 1)})
    assert (await channel_of(amazon).order("403-0000000-0000007")).external_id == "403-0000000-0000007"
    assert amazon.asked[0].path == {"orderId": "403-0000000-0000007"}
    assert amazon.asked[0].query == {"includedData": ",".join(orders.DATA)}


async def test_an_order_that_is_not_there(amazon):
    amazon.on("getOrder", refused(404, "NotFound", "no such order"))
    with pytest.raises(Refused) as raised:
        await channel_of(amazon).order("403-0000000-0000007")
    assert raised.value.code == "not_found"


async def test_an_empty_answer_is_no_order(amazon):
    amazon.on("getOrder", {})
    with pytest.raises(Malformed):
        await channel_of(amazon).order("403-0000000-0000007")


# --- milestones, withdrawing, cancelling ----------------------------------------------------------------------------


async def test_milestones_are_amazons_own_to_follow(amazon):
    await channel_of(amazon).moved("1", Milestone.delivered, NOW, "Delivered")
    assert amazon.asked == []


async def test_what_was_confirmed_stays_and_the_seller_is_told(amazon):
    with pytest.raises(Refused) as raised:
        await channel_of(amazon).withdrawn("1")
    assert raised.value.code == "stays_confirmed"
    assert amazon.asked == []


@pytest.fixture
def cancelling(amazon):
    amazon.app = amazon.app.model_copy(update={"cancel_orders": True})
    return amazon


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("out_of_stock", "NO_INVENTORY"),
        ("the customer asked", "BUYER_CANCELLED"),
        ("undeliverable address", "SHIPPING_ADDRESS_UNDELIVERABLE"),
        ("pricing mistake", "PRICING_ERROR"),
        ("because", "NO_INVENTORY"),
    ],
)
async def test_an_order_is_cancelled_with_amazons_reason(cancelling, reason, code):
    cancelling.on("cancelOrder", httpx2.Response(204))
    await channel_of(cancelling).cancel_order("403-0000000-0000007", reason)
    [asked] = cancelling.asked
    assert (asked.path, asked.body) == ({"orderId": "403-0000000-0000007"}, {"cancelReasonCode": code})


async def test_an_order_cancelled_already_is_what_was_wanted(cancelling, order):
    gone = order(7, 1)
    gone["fulfillment"]["fulfillmentStatus"] = "CANCELLED"
    cancelling.on("cancelOrder", refused(400, "InvalidInput", "not cancellable"))
    cancelling.on("getOrder", {"order": gone})
    await channel_of(cancelling).cancel_order("403-0000000-0000007", "buyer")
    cancelling.on("getOrder", {"order": order(7, 1)})
    with pytest.raises(Refused, match="not cancellable"):
        await channel_of(cancelling).cancel_order("403-0000000-0000007", "buyer")
