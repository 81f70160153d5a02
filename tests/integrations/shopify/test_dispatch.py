from typing import Any

import httpx2
import pytest

from shipcrowd.channels.contract import Dispatch, DispatchLine
from shipcrowd.integrations.shopify import dispatch as dispatching
from shipcrowd.integrations.shopify.dispatch import FulfilmentOrder, OpenLine
from shipcrowd.kernel.outbound import Malformed, Refused, Unavailable

AWB = "1490812345678"
ORDER = "gid://shopify/Order/42"
MUMBAI, DELHI = "gid://shopify/Location/1", "gid://shopify/Location/2"


def parcel(*lines: tuple[str, int], awb: str = AWB, url: str | None = "https://track.example.in/x") -> Dispatch:
    return Dispatch("shipment-1", awb, "Blue Dart", url, tuple(DispatchLine(line, units) for line, units in lines))


def fo(number: int, *lines: tuple[str, int], place: str = MUMBAI, **changes: Any) -> FulfilmentOrder:
    own = tuple(OpenLine(f"fol-{number}-{line}", line, left) for line, left in lines)
    return FulfilmentOrder(id=f"fo-{number}", location=place, lines=own, **changes)


def as_graphql(order: FulfilmentOrder, **info: Any) -> dict[str, Any]:
    return {
        "id": order.id,
        "status": order.status,
        "requestStatus": order.request_status,
        "supportedActions": [{"action": action} for action in order.actions],
        "fulfillmentHolds": [{"id": "h", "reason": "OTHER", "displayReason": hold} for hold in order.holds],
        "deliveryMethod": {"methodType": order.method} if order.method else None,
        "assignedLocation": {"name": "Godown", "location": {"id": order.location}},
        "lineItems": {
            "pageInfo": info or {"hasNextPage": False},
            "nodes": [
                {
                    "id": line.id,
                    "remainingQuantity": line.remaining,
                    "lineItem": {"id": f"gid://shopify/LineItem/{line.line}"},
                }
                for line in order.lines
            ],
        },
    }


def open_orders(*orders: FulfilmentOrder, more: str | None = None) -> dict[str, Any]:
    info = {"hasNextPage": more is not None, "endCursor": more}
    return {"order": {"id": ORDER, "fulfillmentOrders": {"pageInfo": info, "nodes": [as_graphql(o) for o in orders]}}}


def fulfilments(*made: tuple[str, str, str]) -> dict[str, Any]:
    listed = [{"id": id, "status": status, "trackingInfo": [{"number": awb}]} for id, status, awb in made]
    return {"order": {"id": ORDER, "fulfillments": listed}}


def created(id: str = "gid://shopify/Fulfillment/9") -> dict[str, Any]:
    return {"fulfillmentCreate": {"fulfillment": {"id": id, "status": "SUCCESS"}, "userErrors": []}}


def refused(message: str) -> dict[str, Any]:
    return {"fulfillmentCreate": {"fulfillment": None, "userErrors": [{"field": ["fulfillment"], "message": message}]}}


def shipped(*lines: tuple[str, int], more: str | None = None) -> dict[str, Any]:
    nodes = [
        {"id": "n", "quantity": units, "lineItem": {"id": f"gid://shopify/LineItem/{line}"}} for line, units in lines
    ]
    info = {"hasNextPage": more is not None, "endCursor": more}
    return {"fulfillment": {"id": "f", "status": "SUCCESS", "fulfillmentLineItems": {"pageInfo": info, "nodes": nodes}}}


# --- which fulfilment orders (pure) ------------------------------------------------------------------------------


def picks(orders: list[FulfilmentOrder], wanted: dict[str, int]) -> list[dict[str, tuple[tuple[str, int], ...]]]:
    return [dict(part.picks) for part in dispatching.plan(orders, wanted)]


def test_the_units_of_a_parcel_are_taken_from_their_lines():
    assert picks([fo(1, ("a", 3), ("b", 1))], {"a": 2, "b": 1}) == [{"fo-1": (("fol-1-a", 2), ("fol-1-b", 1))}]


def test_one_parcel_may_take_from_several_fulfilment_orders_of_one_place():
    assert picks([fo(1, ("a", 1)), fo(2, ("a", 2), ("b", 1))], {"a": 3, "b": 1}) == [
        {"fo-1": (("fol-1-a", 1),), "fo-2": (("fol-2-a", 2), ("fol-2-b", 1))}
    ]


def test_places_are_never_mixed_and_the_one_holding_most_goes_first():
    orders = [fo(1, ("a", 1), place=DELHI), fo(2, ("a", 1), ("b", 5))]
    assert picks(orders, {"a": 1, "b": 2}) == [{"fo-2": (("fol-2-a", 1), ("fol-2-b", 2))}]
    assert picks(orders, {"a": 2, "b": 2}) == [
        {"fo-2": (("fol-2-a", 1), ("fol-2-b", 2))},
        {"fo-1": (("fol-1-a", 1),)},
    ]


def test_a_parcel_without_lines_means_everything_still_open():
    assert picks([fo(1, ("a", 3)), fo(2, ("b", 2), status="CLOSED")], {}) == [{"fo-1": (("fol-1-a", 3),)}]


def test_units_that_are_no_longer_there_are_left_out():
    assert picks([fo(1, ("a", 1))], {"a": 3, "gone": 1}) == [{"fo-1": (("fol-1-a", 1),)}]


def test_a_null_delivery_method_is_shipped():
    assert picks([fo(1, ("a", 1), method=None)], {"a": 1}) == [{"fo-1": (("fol-1-a", 1),)}]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": "ON_HOLD", "holds": ("Wrong address",), "actions": frozenset()}, "fulfilment_on_hold"),
        ({"status": "SCHEDULED"}, "fulfilment_scheduled"),
        ({"request_status": "SUBMITTED"}, "with_fulfilment_service"),
        ({"request_status": "ACCEPTED", "status": "IN_PROGRESS"}, "with_fulfilment_service"),
        ({"method": "PICK_UP"}, "not_for_shipping"),
        ({"status": "CLOSED", "actions": frozenset()}, "already_fulfilled"),
        ({"actions": frozenset({"EXTERNAL"})}, "already_fulfilled"),
    ],
)
def test_what_stands_in_the_way_is_named(changes: dict[str, Any], code: str):
    with pytest.raises(Refused) as raised:
        dispatching.plan([fo(1, ("a", 1), **changes)], {"a": 1})
    assert raised.value.code == code


def test_a_part_that_only_a_person_can_free_stops_the_whole():
    held = fo(2, ("b", 1), status="ON_HOLD", holds=("Wrong address",))
    with pytest.raises(Refused, match="Wrong address"):
        dispatching.plan([fo(1, ("a", 1)), held], {"a": 1, "b": 1})
    assert len(dispatching.plan([fo(1, ("a", 1)), held], {"a": 1})) == 1


def test_no_fulfilment_orders_at_all_smells_of_a_missing_permission():
    with pytest.raises(Refused) as raised:
        dispatching.plan([], {"a": 1})
    assert raised.value.code == "no_fulfilment_orders"
    assert "permission" in raised.value.message


# --- announcing --------------------------------------------------------------------------------------------------


async def announce(shop, dispatch: Dispatch) -> str | None:
    return await shop.channel().dispatched(ORDER, dispatch)


async def test_a_parcel_is_announced_with_its_tracking(shop):
    shop.on("Fulfilments", fulfilments()).on("OpenFulfillmentOrders", open_orders(fo(1, ("a", 2)))).on(
        "Fulfil", created()
    )
    assert await announce(shop, parcel(("a", 2))) == "gid://shopify/Fulfillment/9"
    assert shop.variables("Fulfil") == [
        {
            "f": {
                "notifyCustomer": True,
                "trackingInfo": {"company": "Bluedart", "number": AWB, "url": "https://track.example.in/x"},
                "lineItemsByFulfillmentOrder": [
                    {
                        "fulfillmentOrderId": "fo-1",
                        "fulfillmentOrderLineItems": [{"id": "fol-1-a", "quantity": 2}],
                    }
                ],
            }
        }
    ]


async def test_without_a_tracking_page_no_address_is_sent(shop):
    shop.on("Fulfilments", fulfilments()).on("OpenFulfillmentOrders", open_orders(fo(1, ("a", 2)))).on(
        "Fulfil", created()
    )
    await announce(shop, parcel(("a", 1), ("a", 1), url=None))
    assert shop.variables("Fulfil")[0]["f"]["trackingInfo"] == {"company": "Bluedart", "number": AWB}


async def test_announcing_again_finds_what_was_made_and_makes_nothing(shop):
    shop.on("Fulfilments", fulfilments(("f-other", "SUCCESS", "999"), ("f-1", "SUCCESS", AWB)))
    shop.on("FulfilmentLines", shipped(("a", 1), more="p1"), shipped(("a", 1)))
    assert await announce(shop, parcel(("a", 2))) == "f-1"
    assert "Fulfil" not in shop.operations()
    assert [v["after"] for v in shop.variables("FulfilmentLines")] == [None, "p1"]


@pytest.mark.parametrize("status", ["CANCELLED", "ERROR", "FAILURE"])
async def test_a_fulfilment_that_no_longer_counts_is_made_anew(shop, status: str):
    shop.on("Fulfilments", fulfilments(("f-1", status, AWB)))
    shop.on("OpenFulfillmentOrders", open_orders(fo(1, ("a", 2)))).on("Fulfil", created())
    assert await announce(shop, parcel(("a", 2))) == "gid://shopify/Fulfillment/9"


async def test_a_parcel_from_two_places_is_two_fulfilments_and_a_cut_off_try_is_completed(shop):
    both = open_orders(fo(1, ("a", 1)), fo(2, ("b", 1), place=DELHI))
    shop.on("Fulfilments", fulfilments()).on("OpenFulfillmentOrders", both)
    shop.on("Fulfil", created("f-1"), httpx2.Response(429))
    with pytest.raises(Unavailable):
        await announce(shop, parcel(("a", 1), ("b", 1)))

    shop.on("Fulfilments", fulfilments(("f-1", "SUCCESS", AWB))).on("FulfilmentLines", shipped(("a", 1)))
    shop.on("OpenFulfillmentOrders", open_orders(fo(1, status="CLOSED"), fo(2, ("b", 1), place=DELHI)))
    shop.on("Fulfil", created("f-2"))
    assert await announce(shop, parcel(("a", 1), ("b", 1))) == "f-1 f-2"
    assert len(shop.variables("Fulfil")) == 3


async def test_the_remainder_of_a_found_parcel_that_cannot_go_is_let_be(shop):
    shop.on("Fulfilments", fulfilments(("f-1", "SUCCESS", AWB))).on("FulfilmentLines", shipped(("a", 1)))
    shop.on("OpenFulfillmentOrders", open_orders(fo(1, status="CLOSED")))
    assert await announce(shop, parcel(("a", 2))) == "f-1"


@pytest.mark.parametrize("lost", [httpx2.ReadTimeout("slow"), httpx2.Response(502)])
async def test_after_a_lost_answer_we_look_before_we_leap(shop, lost):
    shop.on("Fulfilments", fulfilments(), fulfilments(("f-1", "SUCCESS", AWB)))
    shop.on("OpenFulfillmentOrders", open_orders(fo(1, ("a", 2)))).on("Fulfil", lost)
    assert await announce(shop, parcel(("a", 2))) == "f-1"
    assert len(shop.variables("Fulfil")) == 1


async def test_a_lost_call_that_did_not_arrive_is_tried_again_later(shop):
    shop.on("Fulfilments", fulfilments()).on("OpenFulfillmentOrders", open_orders(fo(1, ("a", 2))))
    shop.on("Fulfil", httpx2.ReadTimeout("slow"))
    with pytest.raises(Unavailable):
        await announce(shop, parcel(("a", 2)))
    assert len(shop.variables("Fulfil")) == 1


async def test_a_refusal_because_we_got_there_first_is_success(shop):
    shop.on("Fulfilments", fulfilments(), fulfilments(("f-1", "SUCCESS", AWB)))
    shop.on("OpenFulfillmentOrders", open_orders(fo(1, ("a", 2))))
    shop.on("Fulfil", refused("Fulfillment order 60010001 has an unfulfillable status= closed."))
    assert await announce(shop, parcel(("a", 2))) == "f-1"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Fulfillment order 6001 has an unfulfillable status= closed.", "already_fulfilled"),
        ("Fulfillment order 6001 has an unfulfillable status= cancelled.", "fulfilment_cancelled"),
        ("Fulfillment order 6001 has an unfulfillable status= on_hold.", "fulfilment_on_hold"),
        ("Fulfillment order 6001 has an unfulfillable status= scheduled.", "fulfilment_scheduled"),
        ("Something new.", "fulfilment_refused"),
    ],
)
async def test_refusals_are_told_apart_by_their_words(shop, message: str, code: str):
    shop.on("Fulfilments", fulfilments(("f-7", "SUCCESS", "another")))
    shop.on("OpenFulfillmentOrders", open_orders(fo(1, ("a", 2)))).on("Fulfil", refused(message))
    with pytest.raises(Refused) as raised:
        await announce(shop, parcel(("a", 2)))
    assert raised.value.code == code


@pytest.mark.parametrize(
    "message", ["Invalid fulfillment order line item quantity requested.", "Fulfillment order does not exist."]
)
async def test_an_order_that_moved_under_our_hands_is_read_again_later(shop, message: str):
    shop.on("Fulfilments", fulfilments()).on("OpenFulfillmentOrders", open_orders(fo(1, ("a", 2))))
    shop.on("Fulfil", refused(message))
    with pytest.raises(Unavailable) as raised:
        await announce(shop, parcel(("a", 2)))
    assert raised.value.retry_after == 2.0
    assert not raised.value.maybe_received


async def test_all_fulfilment_orders_and_all_their_lines_are_read(shop):
    first = open_orders(fo(1, ("x", 1)), more="o1")
    second = open_orders()
    second["order"]["fulfillmentOrders"]["nodes"] = [as_graphql(fo(2, ("y", 1)), hasNextPage=True, endCursor="l1")]
    further = {
        "fulfillmentOrder": {
            "id": "fo-2",
            "lineItems": {
                "pageInfo": {"hasNextPage": False},
                "nodes": [{"id": "fol-2-a", "remainingQuantity": 4, "lineItem": {"id": "gid://shopify/LineItem/a"}}],
            },
        }
    }
    shop.on("Fulfilments", fulfilments()).on("OpenFulfillmentOrders", first, second)
    shop.on("FulfillmentOrderLines", further).on("Fulfil", created())
    await announce(shop, parcel(("gid://shopify/LineItem/a", 3)))
    [sent] = shop.variables("Fulfil")
    assert sent["f"]["lineItemsByFulfillmentOrder"] == [
        {"fulfillmentOrderId": "fo-2", "fulfillmentOrderLineItems": [{"id": "fol-2-a", "quantity": 3}]}
    ]


async def test_an_order_that_is_gone_is_refused(shop):
    shop.on("Fulfilments", {"order": None})
    with pytest.raises(Refused) as raised:
        await announce(shop, parcel(("a", 1)))
    assert raised.value.code == "not_found"


async def test_a_fulfilment_without_a_name_is_malformed(shop):
    shop.on("Fulfilments", fulfilments()).on("OpenFulfillmentOrders", open_orders(fo(1, ("a", 2))))
    shop.on("Fulfil", {"fulfillmentCreate": {"fulfillment": None, "userErrors": []}})
    with pytest.raises(Malformed):
        await announce(shop, parcel(("a", 2)))
