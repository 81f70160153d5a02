import re
from typing import Any

import httpx2
import pytest

from shipcrowd.integrations.shopify import documents, watch
from shipcrowd.integrations.shopify.client import Rejected
from shipcrowd.kernel.outbound import Disconnected, Malformed, OutsideFailure, Refused, Unavailable

QUERY, MUTATION = documents.ORDER_STANDING, documents.PAID_ON_DELIVERY
PCD = (
    "This app is not approved to access the Order object. "
    "See https://shopify.dev/docs/apps/launch/protected-customer-data for more details."
)


def error(code: str, message: str = "no", **more: Any) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code}} | more


def throttle(requested: int = 300, left: float = 100, refill: float = 50.0) -> dict[str, Any]:
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": left, "restoreRate": refill}
    return {"cost": {"requestedQueryCost": requested, "actualQueryCost": None, "throttleStatus": status}}


async def ask(shop, document=QUERY, *, repeatable: bool = True):
    return await shop.client().execute(document, {"id": "gid://shopify/Order/1"}, repeatable=repeatable)


async def test_a_call_goes_to_the_pinned_version_with_the_token_and_the_operations_name(shop):
    shop.on("OrderStanding", {"order": {"id": "gid://shopify/Order/1"}})
    answer = await ask(shop)
    [request] = shop.requests
    assert str(request.url) == "https://mehfil-studio.myshopify.com/admin/api/2026-10/graphql.json"
    assert request.headers["x-shopify-access-token"] == "shpat_first_token"
    assert request.headers["content-type"] == "application/json"
    assert answer.data == {"order": {"id": "gid://shopify/Order/1"}}
    assert answer.faults == ()


async def test_every_call_waits_for_its_cost_and_reports_the_real_bucket(shop):
    shop.on("OrderStanding", {"data": {"order": None}, "extensions": throttle(left=1904, refill=100.0)})
    await ask(shop)
    assert shop.paced == [("graphql", documents.ORDER_STANDING.cost)]
    assert shop.retuned == [("graphql", 2000.0, 1904.0, 100.0)]


@pytest.mark.parametrize(
    "extensions",
    [
        None,
        {},
        {"cost": None},
        {"cost": {"throttleStatus": {}}},
        {"cost": {"throttleStatus": {"maximumAvailable": "?", "currentlyAvailable": 1, "restoreRate": 1}}},
        throttle(refill=0),
    ],
)
async def test_a_reply_without_usable_advice_on_pace_is_as_good(shop, extensions):
    shop.on("OrderStanding", {"data": {"order": None}, "extensions": extensions})
    await ask(shop)
    assert shop.retuned == []


@pytest.mark.parametrize(("left", "wait"), [(100, 4.0), (299, 0.5), (-100_000, 60.0)])
async def test_a_throttled_call_says_when_to_come_back(shop, left: float, wait: float):
    shop.on("PaidOnDelivery", {"errors": [error("THROTTLED", "Throttled")], "extensions": throttle(left=left)})
    with pytest.raises(Unavailable) as raised:
        await ask(shop, MUTATION)
    assert raised.value.retry_after == wait
    assert not raised.value.maybe_received
    assert shop.retuned != []


async def test_a_throttled_call_without_figures_waits_a_second(shop):
    shop.on("OrderStanding", {"errors": [error("THROTTLED")]})
    with pytest.raises(Unavailable) as raised:
        await ask(shop)
    assert raised.value.retry_after == 1.0


@pytest.mark.parametrize(
    ("body", "failure", "code"),
    [
        ({"errors": [error("MAX_COST_EXCEEDED", "Query cost is 2163")]}, Refused, "query_too_costly"),
        ({"data": {"order": None}, "errors": [error("ACCESS_DENIED", PCD)]}, Refused, "protected_customer_data"),
        ({"errors": [error("ACCESS_DENIED", "Required access: `read_orders`")]}, Refused, "missing_scope"),
        ({"errors": [error("SHOP_INACTIVE")]}, Refused, "shop_frozen"),
        ({"errors": [error("undefinedField", "Field 'x' doesn't exist")]}, Refused, "bad_query"),
        ({"errors": "something odd"}, Refused, "bad_query"),
        ({"errors": ["one", "two"]}, Refused, "bad_query"),
        ({"errors": [error("INTERNAL_SERVER_ERROR")]}, Unavailable, None),
        ({"data": {"order": {"id": "1"}}, "errors": [error("TIMEOUT")]}, Unavailable, None),
        ({"data": None}, Malformed, None),
        ({"data": []}, Malformed, None),
        ({"hello": "world", "data": "?"}, Malformed, None),
        ({"errors": [{"message": "x", "extensions": "y"}]}, Malformed, None),
    ],
)
async def test_errors_with_status_200_are_failures_of_their_kind(
    shop, body, failure: type[OutsideFailure], code: str | None
):
    shop.on("OrderStanding", body)
    with pytest.raises(failure) as raised:
        await ask(shop)
    assert getattr(raised.value, "code", None) == code


async def test_the_documentation_link_alone_tells_unapproved_data_from_a_scope(shop):
    denied = error("ACCESS_DENIED", "Access denied")
    denied["extensions"]["documentation"] = "https://shopify.dev/docs/apps/launch/protected-customer-data"
    shop.on("OrderStanding", {"errors": [denied]})
    with pytest.raises(Refused) as raised:
        await ask(shop)
    assert raised.value.code == "protected_customer_data"


async def test_an_error_inside_a_mutation_may_have_been_received(shop):
    shop.on("PaidOnDelivery", {"data": {"orderMarkAsPaid": None}, "errors": [error("INTERNAL_SERVER_ERROR")]})
    with pytest.raises(Unavailable) as raised:
        await ask(shop, MUTATION)
    assert raised.value.maybe_received


async def test_data_that_came_with_errors_is_kept(shop):
    fault = error("ACCESS_DENIED", PCD, path=["order", "email"])
    shop.on("OrderStanding", {"data": {"order": {"id": "1", "email": None}}, "errors": [fault]})
    answer = await ask(shop)
    assert answer.data["order"]["id"] == "1"
    assert answer.withheld
    assert answer.faults[0].path == ("order", "email")


async def test_a_missing_scope_on_one_field_is_not_data_withheld(shop):
    fault = error("ACCESS_DENIED", "Required access: `read_customers`", path=["order", "customer"])
    shop.on("OrderStanding", {"data": {"order": {"id": "1"}}, "errors": [fault]})
    assert not (await ask(shop)).withheld


@pytest.mark.parametrize("field", ["userErrors", "orderCancelUserErrors"])
async def test_user_errors_refuse_with_every_reason(shop, field: str):
    errors = [
        {"field": ["input", "id"], "message": "Order cannot be paid.", "code": "NOT_PAYABLE"},
        {"field": None, "message": "And it is old."},
    ]
    shop.on("PaidOnDelivery", {"orderMarkAsPaid": {"order": None, field: errors}, "other": None})
    with pytest.raises(Rejected) as raised:
        await ask(shop, MUTATION)
    assert isinstance(raised.value, Refused)
    assert (raised.value.code, raised.value.message) == ("not_payable", "Order cannot be paid.; And it is old.")
    assert raised.value.errors[0].field == ("input", "id")


async def test_user_errors_without_a_code_or_words_still_refuse(shop):
    shop.on("PaidOnDelivery", {"orderMarkAsPaid": {"userErrors": [{}]}})
    with pytest.raises(Rejected) as raised:
        await ask(shop, MUTATION)
    assert raised.value.code == "user_error"
    assert raised.value.message


@pytest.mark.parametrize(
    ("response", "failure", "code"),
    [
        (httpx2.Response(400, json={"errors": "bad JSON"}), Refused, "http_400"),
        (httpx2.Response(402, json={"errors": "Unavailable Shop"}), Refused, "shop_frozen"),
        (httpx2.Response(423, json={"errors": "Locked"}), Refused, "shop_frozen"),
        (httpx2.Response(403, json={"errors": [error("ACCESS_DENIED", PCD)]}), Refused, "protected_customer_data"),
        (
            httpx2.Response(
                403, json={"errors": "[API] This action requires merchant approval for read_orders scope."}
            ),
            Refused,
            "missing_scope",
        ),
        (httpx2.Response(403, json={"errors": "Not today"}), Refused, "forbidden"),
        (httpx2.Response(403, content=b"<html>"), Refused, "forbidden"),
        (
            httpx2.Response(
                403, json={"errors": "Non-expiring access tokens are no longer accepted for the Admin API, see docs"}
            ),
            Disconnected,
            None,
        ),
        (httpx2.Response(404, json={"errors": "Not Found"}), Disconnected, None),
        (httpx2.Response(301, headers={"location": "https://new.myshopify.com"}), Disconnected, None),
        (httpx2.Response(430, content=b""), Refused, "security_rejection"),
        (httpx2.Response(406, json=["odd"]), Refused, "http_406"),
        (httpx2.Response(429, headers={"retry-after": "2.0"}), Unavailable, None),
        (httpx2.Response(502, content=b"<html>bad gateway"), Unavailable, None),
        (httpx2.Response(200, content=b"<html>maintenance"), Malformed, None),
        (httpx2.Response(200, json=[1]), Malformed, None),
        (httpx2.ReadTimeout("slow"), Unavailable, None),
    ],
)
async def test_each_status_is_a_failure_of_its_kind(shop, response, failure: type[OutsideFailure], code: str | None):
    shop.on("OrderStanding", response)
    with pytest.raises(failure) as raised:
        await ask(shop)
    assert getattr(raised.value, "code", None) == code
    assert "shpat" not in str(raised.value)


DEAD = {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}


@pytest.mark.parametrize("status", [200, 401, 403])
async def test_a_refused_token_is_renewed_once(shop, status: int):
    shop.on("OrderStanding", httpx2.Response(status, json=DEAD), {"order": {"id": "1"}})
    assert (await ask(shop)).data == {"order": {"id": "1"}}
    assert [r.headers["x-shopify-access-token"] for r in shop.requests] == ["shpat_first_token", "shpat_second_token"]
    assert len(shop.paced) == 2


async def test_a_token_refused_again_disconnects(shop):
    shop.on("OrderStanding", httpx2.Response(401, json=DEAD))
    with pytest.raises(Disconnected):
        await ask(shop)
    assert len(shop.requests) == 2


async def test_when_there_is_no_other_token_we_are_disconnected(shop):
    shop.tokens = ["shpat_only_token"]
    shop.on("OrderStanding", httpx2.Response(401, json=DEAD))
    with pytest.raises(Disconnected):
        await ask(shop)
    shop.tokens = ["shpat_same_token", "shpat_same_token"]
    shop.requests.clear()
    with pytest.raises(Disconnected):
        await ask(shop)
    assert len(shop.requests) == 1


async def test_being_served_by_another_version_is_counted_and_not_fatal(shop):
    shop.version = "2027-01"
    shop.on("OrderStanding", {"order": None})
    before = watch.VERSION_MISMATCH.labels("2026-10", "2027-01")._value.get()
    await ask(shop)
    assert watch.VERSION_MISMATCH.labels("2026-10", "2027-01")._value.get() == before + 1


async def test_documents_go_out_under_the_name_they_carry(shop):
    shop.on("Hooks", {"webhookSubscriptions": {"nodes": []}})
    await shop.client().execute(documents.HOOKS, {"after": None}, repeatable=True)
    assert re.search(rb"query Hooks\b", shop.requests[0].content)
