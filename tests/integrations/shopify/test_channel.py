from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from shipcrowd.channels.contract import Listing, Milestone, Page
from shipcrowd.integrations.shopify import channel as channel_module
from shipcrowd.integrations.shopify import documents
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable

SINCE = datetime(2026, 11, 20, 5, 30, tzinfo=UTC)


def order_gid(number: int) -> str:
    return f"gid://shopify/Order/{number}"


def scan(*numbers: int, more: str | None = None, at: str = "2026-11-20T06:00:00Z") -> dict[str, Any]:
    return {
        "orders": {
            "pageInfo": {"hasNextPage": more is not None, "endCursor": more},
            "nodes": [{"id": order_gid(number), "updatedAt": at} for number in numbers],
        }
    }


@pytest.fixture
def orders_of(shop, payload):
    """Lets `OrderById` answer any order with the paid one under its id, unless `changed` says otherwise."""

    def lay(changed: dict[int, Any] | None = None) -> None:
        def answer(variables: dict[str, Any]) -> Any:
            number = int(variables["id"].rsplit("/", 1)[1])
            special = (changed or {}).get(number, {})
            if special is None:
                return {"order": None}
            if "errors" in special or "data" in special:
                return special
            whole = payload("order_read_prepaid") | {"id": variables["id"], "legacyResourceId": str(number)}
            return {"order": whole | special}

        shop.on("OrderById", answer)

    return lay


async def pages(shop, since: datetime = SINCE) -> list[Page]:
    return [page async for page in shop.channel().orders(since)]


# --- the store ---------------------------------------------------------------------------------------------------


def shop_info(*scopes: str) -> dict[str, Any]:
    return {
        "shop": {
            "id": "gid://shopify/Shop/70011",
            "name": "Mehfil Studio",
            "myshopifyDomain": "Mehfil-Studio.myshopify.com",
            "email": "owner@example.in",
            "currencyCode": "INR",
            "ianaTimezone": "Asia/Kolkata",
            "taxesIncluded": True,
            "plan": {"publicDisplayName": "Basic", "partnerDevelopment": False},
        },
        "currentAppInstallation": {
            "id": "gid://shopify/AppInstallation/1",
            "accessScopes": [{"handle": s} for s in scopes],
        },
    }


async def test_the_store_tells_who_it_is_and_what_we_may_not_do(shop):
    shop.on("ShopInfo", shop_info("write_orders", "read_products", "read_locations"))
    places = [{"id": "gid://shopify/Location/5801", "name": "Andheri godown"}]
    shop.on("Locations", {"locations": {"nodes": places}})
    store = await shop.channel().store()
    assert (store.external_id, store.name, store.currency) == ("mehfil-studio.myshopify.com", "Mehfil Studio", "INR")
    assert store.missing_scopes == (
        "read_inventory",
        "write_inventory",
        "read_merchant_managed_fulfillment_orders",
        "write_merchant_managed_fulfillment_orders",
    )
    assert store.details == {"shop": "gid://shopify/Shop/70011", "plan": "Basic", "location.5801": "Andheri godown"}


async def test_places_are_not_asked_for_without_the_permission(shop):
    shop.on("ShopInfo", shop_info("read_orders"))
    assert "read_locations" in (await shop.channel().store()).missing_scopes
    assert shop.operations() == ["ShopInfo"]


async def test_a_store_that_does_not_say_who_it_is_cannot_be_read(shop):
    shop.on("ShopInfo", {"shop": None, "currentAppInstallation": {"id": "1"}})
    with pytest.raises(Malformed):
        await shop.channel().store()


# --- the sweep ---------------------------------------------------------------------------------------------------


async def test_a_sweep_scans_ids_page_by_page_and_reads_each_order(shop, orders_of):
    shop.on("OrdersScan", scan(1, 2, more="c1"), scan(3, at="2026-11-20T06:10:00Z"))
    orders_of()
    found = await pages(shop)
    assert [[order.external_id for order in page.orders] for page in found] == [["1", "2"], ["3"]]
    assert [page.through for page in found] == [
        datetime(2026, 11, 20, 6, 0, tzinfo=UTC),
        datetime(2026, 11, 20, 6, 10, tzinfo=UTC),
    ]
    first, second = shop.variables("OrdersScan")
    assert first["q"] == "updated_at:>='2026-11-20T05:30:00Z' AND status:any"
    assert (first["first"], first["after"], second["after"]) == (documents.SCAN_PAGE, None, "c1")


async def test_a_moment_in_india_is_asked_for_in_utc(shop):
    shop.on("OrdersScan", scan())
    ist = datetime.fromisoformat("2026-11-20T11:00:00+05:30")
    assert await pages(shop, ist) == []
    assert shop.variables("OrdersScan")[0]["q"].startswith("updated_at:>='2026-11-20T05:30:00Z'")


async def test_one_unreadable_order_is_set_aside_and_the_rest_goes_on(shop, orders_of):
    shop.on("OrdersScan", scan(1, 2, 3))
    orders_of({2: {"currentTotalPriceSet": None}})
    [page] = await pages(shop)
    assert [order.external_id for order in page.orders] == ["1", "3"]
    [failed] = page.failed
    assert failed.external_id == "2"
    assert "currentTotalPriceSet" in failed.reason
    assert failed.raw["name"] == "#KB-311"


async def test_an_order_deleted_since_the_scan_is_passed_over(shop, orders_of):
    shop.on("OrdersScan", scan(1, 2))
    orders_of({1: None})
    [page] = await pages(shop)
    assert [order.external_id for order in page.orders] == ["2"]
    assert page.failed == ()


async def test_what_refuses_one_order_refuses_them_all(shop, orders_of):
    shop.on("OrdersScan", scan(1, 2))
    denied = {"message": "Required access: `read_orders`", "extensions": {"code": "ACCESS_DENIED"}}
    orders_of({1: {"data": {"order": None}, "errors": [denied]}})
    with pytest.raises(Refused) as raised:
        await pages(shop)
    assert raised.value.code == "missing_scope"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (httpx2.Response(503), Unavailable),
        (httpx2.Response(404), Disconnected),
        ({"orders": {"nodes": [{}]}}, Malformed),
    ],
)
async def test_a_sweep_that_fails_has_kept_its_earlier_pages(shop, orders_of, answer, failure):
    shop.on("OrdersScan", scan(1, more="c1"), answer)
    orders_of()
    seen: list[Page] = []

    async def sweep() -> None:
        async for page in shop.channel().orders(SINCE):
            seen.append(page)  # noqa: PERF401 - what came before the failure is the point

    with pytest.raises(failure):
        await sweep()
    assert len(seen) == 1


async def test_a_sweep_deeper_than_shopifys_cursors_starts_a_fresh_search(shop, orders_of, monkeypatch):
    monkeypatch.setattr(channel_module, "_DEPTH", 2)
    shop.on("OrdersScan", scan(1, 2, more="c1"), scan(2, 3, at="2026-11-20T06:20:00Z"))
    orders_of()
    assert len(await pages(shop)) == 2
    second = shop.variables("OrdersScan")[1]
    assert second["after"] is None
    assert second["q"].startswith("updated_at:>='2026-11-20T06:00:00Z'")


async def test_a_sweep_that_cannot_get_on_stops(shop, orders_of, monkeypatch):
    monkeypatch.setattr(channel_module, "_DEPTH", 1)
    shop.on("OrdersScan", scan(1, more="c1"))
    orders_of()
    with pytest.raises(Malformed):
        await pages(shop, SINCE + timedelta(hours=1))


async def test_further_lines_are_fetched(shop, payload):
    raw = payload("order_read_prepaid")
    first, note, gone = raw["lineItems"]["nodes"]
    raw["lineItems"] = {"pageInfo": {"hasNextPage": True, "endCursor": "l1"}, "nodes": [first]}
    shop.on("OrderById", {"order": raw})

    def more(node: Any, cursor: str | None) -> dict[str, Any]:
        info = {"hasNextPage": cursor is not None, "endCursor": cursor}
        return {"order": {"id": raw["id"], "lineItems": {"pageInfo": info, "nodes": [node]}}}

    shop.on("MoreLines", more(note, "l2"), more(gone, None))
    order = await shop.channel().order("7300000000042")
    assert [line.external_id for line in order.lines] == ["1801", "1802"]
    assert [v["after"] for v in shop.variables("MoreLines")] == ["l1", "l2"]
    assert shop.variables("OrderById") == [{"id": "gid://shopify/Order/7300000000042"}]


async def test_an_order_whose_lines_never_end_is_malformed(shop, payload):
    raw = payload("order_read_prepaid")
    raw["lineItems"]["pageInfo"] = {"hasNextPage": True, "endCursor": "again"}
    shop.on("OrderById", {"order": raw}).on("MoreLines", {"order": raw})
    with pytest.raises(Malformed):
        await shop.channel().order("7300000000042")
    assert shop.operations().count("MoreLines") == 40


async def test_an_order_that_is_not_there_is_refused_by_name(shop):
    shop.on("OrderById", {"order": None})
    with pytest.raises(Refused) as raised:
        await shop.channel().order("1")
    assert raised.value.code == "not_found"


async def test_an_order_without_its_buyer_is_flagged(shop, payload):
    shop.on("OrderById", payload("order_read_by_an_unapproved_app"))
    order = await shop.channel().order("7300000000042")
    assert order.pii_withheld
    assert order.ship_to is None


# --- listings ----------------------------------------------------------------------------------------------------


def variant(number: int) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/ProductVariant/{number}",
        "sku": f"S-{number}",
        "title": "Default Title",
        "price": "10.00",
        "barcode": None,
        "inventoryItem": {"id": f"gid://shopify/InventoryItem/{number + 1000}", "tracked": True},
        "product": {"id": "gid://shopify/Product/1", "title": "Lamp", "status": "ACTIVE"},
    }


def variants(*nodes: dict[str, Any], more: str | None = None) -> dict[str, Any]:
    return {"productVariants": {"pageInfo": {"hasNextPage": more is not None, "endCursor": more}, "nodes": list(nodes)}}


async def listings(shop) -> list[list[Listing]]:
    return [list(page) async for page in shop.channel().listings()]


async def test_variants_come_in_pages_and_an_unreadable_one_is_left_out(shop):
    shop.on("Variants", variants(variant(1), variant(2) | {"product": None}, more="v1"), variants(variant(3)))
    found = await listings(shop)
    assert [[listing.external_variant_id for listing in page] for page in found] == [["1"], ["3"]]
    assert found[0][0].stock_id == "1001"
    assert shop.variables("Variants") == [
        {"first": 150, "after": None, "q": None},
        {"first": 150, "after": "v1", "q": None},
    ]


async def test_a_store_with_more_variants_than_cursors_reach_is_searched_on_by_id(shop, monkeypatch):
    monkeypatch.setattr(channel_module, "_DEPTH", 2)
    shop.on("Variants", variants(variant(1), variant(2), more="v1"), variants())
    assert len(await listings(shop)) == 1
    assert shop.variables("Variants")[1] == {"first": 150, "after": None, "q": "id:>=3"}


# --- milestones, withdrawal, cancelling, payment -----------------------------------------------------------------


async def test_a_milestone_becomes_an_event_on_every_fulfilment_of_the_parcel(shop):
    shop.on("TrackEvent", {"fulfillmentEventCreate": {"fulfillmentEvent": {"id": "e"}, "userErrors": []}})
    at = datetime.fromisoformat("2026-11-21T10:00:00+05:30")
    await shop.channel().moved("gid://shopify/Fulfillment/1 2", Milestone.out_for_delivery, at, "Out in Andheri")
    assert [v["e"] for v in shop.variables("TrackEvent")] == [
        {
            "fulfillmentId": f"gid://shopify/Fulfillment/{number}",
            "status": "OUT_FOR_DELIVERY",
            "happenedAt": "2026-11-21T04:30:00Z",
            "message": "Out in Andheri",
        }
        for number in (1, 2)
    ]


def refused(mutation: str, message: str, field: str = "userErrors") -> dict[str, Any]:
    return {mutation: {field: [{"field": ["id"], "message": message}]}}


async def test_a_withdrawn_parcel_cancels_its_fulfilments(shop):
    shop.on(
        "CancelFulfilment", {"fulfillmentCancel": {"fulfillment": {"id": "x", "status": "CANCELLED"}, "userErrors": []}}
    )
    await shop.channel().withdrawn("gid://shopify/Fulfillment/1 gid://shopify/Fulfillment/2")
    assert [v["id"] for v in shop.variables("CancelFulfilment")] == [
        "gid://shopify/Fulfillment/1",
        "gid://shopify/Fulfillment/2",
    ]


async def test_withdrawing_twice_is_harmless_and_a_real_refusal_is_not_hidden(shop):
    shop.on("CancelFulfilment", refused("fulfillmentCancel", "Fulfillment is already cancelled."))
    shop.on("FulfilmentLines", {"fulfillment": {"id": "f", "status": "CANCELLED"}})
    await shop.channel().withdrawn("gid://shopify/Fulfillment/1")
    shop.on("FulfilmentLines", {"fulfillment": {"id": "f", "status": "SUCCESS"}})
    with pytest.raises(Refused):
        await shop.channel().withdrawn("gid://shopify/Fulfillment/1")


async def test_cancelling_an_order_restocks_and_moves_no_money(shop):
    shop.on("Cancel", {"orderCancel": {"job": {"id": "j", "done": False}, "orderCancelUserErrors": []}})
    await shop.channel().cancel_order("7300000000042", "buyer changed her mind")
    assert shop.variables("Cancel") == [
        {"id": order_gid(7300000000042), "reason": "CUSTOMER", "restock": True, "m": None}
    ]


async def test_cancelling_twice_is_harmless_and_a_real_refusal_is_not_hidden(shop):
    shop.on("Cancel", refused("orderCancel", "Order is fulfilled.", "orderCancelUserErrors"))
    shop.on("OrderStanding", {"order": {"id": "o", "cancelledAt": "2026-11-20T06:00:00Z"}})
    await shop.channel().cancel_order(order_gid(1), "other")
    shop.on("OrderStanding", {"order": {"id": "o", "cancelledAt": None}})
    with pytest.raises(Refused):
        await shop.channel().cancel_order(order_gid(1), "other")


async def test_marking_paid_twice_is_harmless_and_a_real_refusal_is_not_hidden(shop):
    shop.on("PaidOnDelivery", {"orderMarkAsPaid": {"order": {"id": "o"}, "userErrors": []}})
    await shop.channel().paid_on_delivery("1")
    assert shop.variables("PaidOnDelivery") == [{"input": {"id": order_gid(1)}}]
    shop.on("PaidOnDelivery", refused("orderMarkAsPaid", "Order cannot be marked as paid."))
    shop.on("OrderStanding", {"order": {"id": "o", "displayFinancialStatus": "PAID"}})
    await shop.channel().paid_on_delivery("1")
    shop.on("OrderStanding", {"order": {"id": "o", "displayFinancialStatus": "VOIDED"}})
    with pytest.raises(Refused):
        await shop.channel().paid_on_delivery("1")
