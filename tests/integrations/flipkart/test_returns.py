from datetime import timedelta

import pytest

from shipcrowd.channels.returns_contract import ReturnDecision, ReturnKind, ReturnState
from shipcrowd.integrations.flipkart.reading import moment
from shipcrowd.kernel.outbound import Unavailable

from .conftest import LOCATION, NOW, Flipkart

SEARCH = "/v2/returns"


def item(return_id: str = "r-1", **more):
    return {
        "returnId": return_id,
        "orderItemId": "12345600012345600",
        "orderId": "OD512345600012345600",
        "shipmentId": "ship-1",
        "locationId": LOCATION,
        "quantity": 1,
        "status": "created",
        "reason": "DAMAGED",
        "subReason": "BOX_OPEN",
        "comments": "came open",
        "trackingId": "FMPR1",
        "courierName": "E-Kart Logistics",
        "createdDate": "2026-11-20T10:00:00.000+05:30",
        "updatedDate": "2026-11-20T11:00:00.000+05:30",
        "services": [{"serviceFulfilmentId": "sf-1"}],
    } | more


def far(flipkart: Flipkart, **by_source):
    flipkart.on(SEARCH, lambda request: by_source[request.url.params["source"]])
    return flipkart


async def found(flipkart, hours: int = 24):
    return [each async for some in flipkart.channel().returns(NOW - timedelta(hours=hours)) for each in some]


async def test_both_kinds_are_searched_and_named_by_what_they_are(flipkart):
    far(
        flipkart,
        customer_return={"hasMore": False, "returnItems": [item("r-1")]},
        courier_return={"hasMore": False, "returnItems": [item("r-2", services=None)]},
    )
    bought, undelivered = await found(flipkart)
    assert (bought.external_id, bought.kind) == ("r-1", ReturnKind.customer)
    assert (undelivered.external_id, undelivered.kind) == ("r-2", ReturnKind.undelivered)
    assert (bought.order_external_id, bought.line_external_id) == ("ship-1", "12345600012345600")
    assert (bought.state, bought.units, bought.reason) == (ReturnState.open, 1, "DAMAGED, BOX_OPEN")
    assert (bought.awb, bought.carrier, bought.service_id) == ("FMPR1", "E-Kart Logistics", "sf-1")
    assert undelivered.service_id == ""
    window = flipkart.requests[0].url.params
    assert moment(window["modifiedAfter"]) == NOW - timedelta(hours=24)
    assert moment(window["modifiedBefore"]) > NOW


async def test_pages_are_followed_below_v2(flipkart):
    more = {"hasMore": True, "nextUrl": "/returns/search/aGk", "returnItems": [item("r-1")]}
    far(flipkart, customer_return=more, courier_return={"hasMore": False, "returnItems": []})
    flipkart.on("/v2/returns/search/aGk", {"hasMore": False, "returnItems": [item("r-3")]})
    assert [each.external_id for each in await found(flipkart)] == ["r-1", "r-3"]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("init", ReturnState.open),
        ("RETURN_CREATED", ReturnState.open),
        ("approved", ReturnState.approved),
        ("rejected", ReturnState.rejected),
        ("RETURN_PICKED_UP", ReturnState.picked_up),
        ("completed", ReturnState.completed),
        ("CANCELLED", ReturnState.cancelled),
        ("vanished", None),
    ],
)
async def test_a_status_is_ours_or_unknown(flipkart, status, state):
    none = {"hasMore": False, "returnItems": []}
    far(flipkart, customer_return={"returnItems": [item(status=status)]}, courier_return=none)
    [one] = await found(flipkart)
    assert (one.state, one.status) == (state, status)


async def test_one_that_cannot_be_read_says_so_and_does_not_keep_the_others_back(flipkart):
    broken = [item("r-1", quantity="some"), item("r-2", createdDate="soon"), item("r-3", services=["x"]), item("r-4")]
    far(flipkart, customer_return={"returnItems": broken}, courier_return={"returnItems": []})
    returns = await found(flipkart)
    assert [(each.external_id, each.problem is None) for each in returns] == [
        ("r-1", False), ("r-2", False), ("r-3", False), ("r-4", True),
    ]  # fmt: skip
    assert all(each.state is None for each in returns[:3])


def told(*ids: str):
    return {"returns": [{"returnId": each, "processingStatus": "SUCCESS"} for each in ids]}


@pytest.mark.parametrize(
    ("action", "path"),
    [
        ("approve", "approve"),
        ("reject", "reject"),
        ("pickup", "pickup"),
        ("attempt", "pickupAttempt"),
        ("complete", "complete"),
        ("cancel", "cancel"),
    ],
)
async def test_a_decision_is_told_by_its_own_call(flipkart, action, path):
    flipkart.on(f"/v2/returns/{path}", told("r-1"))
    [result] = await flipkart.channel().decide_returns([ReturnDecision("r-1", action, LOCATION, "sf-1", NOW, "fine")])
    assert (result.external_id, result.done) == ("r-1", True)
    [body] = flipkart.bodies(f"/v2/returns/{path}")
    [asked] = body["returns"]
    assert body["locationId"] == LOCATION
    assert (asked["returnId"], asked["serviceFulfilmentId"], asked["comments"]) == ("r-1", "sf-1", "fine")
    assert moment(asked["serviceDate"]) == NOW


async def test_many_go_together_by_action_and_place_and_are_answered_in_order(flipkart):
    no = {"returnId": "r-2", "processingStatus": "FAILURE", "errorCode": "BAD_STATE", "errorMessage": "too late"}
    flipkart.on("/v2/returns/approve", {"returns": [no, *told("r-1")["returns"]]}, told("r-4"))
    flipkart.on("/v2/returns/reject", told("r-3"))
    decisions = [
        ReturnDecision("r-1", "approve", LOCATION),
        ReturnDecision("r-3", "reject", LOCATION),
        ReturnDecision("r-9", "burn", LOCATION),
        ReturnDecision("r-2", "approve", LOCATION),
        ReturnDecision("r-4", "approve", "LOC2"),
    ]
    results = await flipkart.channel().decide_returns(decisions)
    assert [(each.external_id, each.done, each.code) for each in results] == [
        ("r-1", True, ""), ("r-3", True, ""), ("r-9", False, "unknown_action"), ("r-2", False, "BAD_STATE"),
        ("r-4", True, ""),
    ]  # fmt: skip
    assert len(flipkart.requests) == 3


async def test_no_more_than_25_are_told_at_once(flipkart):
    flipkart.on("/v2/returns/approve", {"returns": []})
    await flipkart.channel().decide_returns([ReturnDecision(f"r-{n}", "approve", LOCATION) for n in range(60)])
    assert [len(body["returns"]) for body in flipkart.bodies("/v2/returns/approve")] == [25, 25, 10]


async def test_a_lost_answer_is_unavailable(flipkart):
    flipkart.on("/v2/returns/approve", b"<html>")
    with pytest.raises(Unavailable):
        await flipkart.channel().decide_returns([ReturnDecision("r-1", "approve", LOCATION)])
