import dataclasses
import json

import httpx2
import pytest

from shipcrowd.integrations.flipkart import FlipkartCredentials, client, vendor
from shipcrowd.integrations.flipkart.client import Outcome, outcomes, sku_outcomes
from shipcrowd.kernel.outbound import Disconnected, Malformed, OutsideFailure, Refused, Unavailable

from .conftest import BASE, FILTER, READ

PDF = b"%PDF-1.4 label"


async def pages(flipkart, operation=client.SEARCH, key="shipments", **asked):
    return [page async for page in flipkart.client().pages(operation, key=key, **asked)]


async def test_a_call_carries_the_token_and_goes_below_sellers(flipkart):
    flipkart.on(READ, {"shipments": []})
    await flipkart.client().call(client.SHIPMENTS, params={"shipmentIds": "a,b"})
    [request] = flipkart.requests
    assert str(request.url) == f"{BASE}/sellers/v3/shipments?shipmentIds=a%2Cb"
    assert request.headers["authorization"] == "Bearer first-token-1"


async def test_every_call_takes_from_the_hour_and_the_second_and_a_persons_from_the_kept_share(flipkart):
    flipkart.on(READ, {}).on("/v3/shipments/dispatch", {}).on("/listings/v3/update/inventory", {})
    await flipkart.client().call(client.SHIPMENTS)
    await flipkart.client().call(client.DISPATCH, body={})
    await flipkart.client().call(client.SET_STOCK, body={})
    assert flipkart.paced == [
        ("pace", "hour"), ("pace", "second"),
        ("hurry", "hour"), ("hurry", "second"),
        ("pace", "hour"), ("pace", "second"), ("pace", "stock"),
    ]  # fmt: skip


async def test_a_401_is_met_with_another_token_and_the_call_made_once_more(flipkart):
    flipkart.on(READ, httpx2.Response(401, json={"error": "invalid_token"}), {"shipments": []})
    await flipkart.client().call(client.SHIPMENTS)
    assert [request.headers["authorization"] for request in flipkart.requests] == [
        "Bearer first-token-1",
        "Bearer second-token-2",
    ]


async def test_a_second_401_asks_the_seller_to_sign_in_again(flipkart):
    flipkart.on(READ, httpx2.Response(401, json={"error": "invalid_token"}))
    with pytest.raises(Disconnected, match="sign in again"):
        await flipkart.client().call(client.SHIPMENTS)
    assert len(flipkart.requests) == 2


async def test_a_second_401_of_an_own_application_asks_to_check_its_keys(flipkart, monkeypatch):
    async def credentials(stale=None):
        flipkart.tokens = flipkart.tokens[1:] if stale else flipkart.tokens
        return FlipkartCredentials(app_id="her-app", app_secret="her-secret", access_token=flipkart.tokens[0])

    flipkart.on(READ, httpx2.Response(401, json={"error": "invalid_token"}))
    account = dataclasses.replace(flipkart.account(), credentials=credentials)
    with pytest.raises(Disconnected, match="application id and secret") as raised:
        await client.FlipkartClient(account).call(client.SHIPMENTS)
    assert "sign in" not in raised.value.reason
    assert len(flipkart.requests) == 2


async def test_a_token_that_a_renewal_gives_back_unchanged_is_not_tried_again(flipkart):
    flipkart.tokens = ["same-token-1", "same-token-1"]
    flipkart.on(READ, httpx2.Response(401, json={"error": "invalid_token"}))
    with pytest.raises(Disconnected):
        await flipkart.client().call(client.SHIPMENTS)
    assert len(flipkart.requests) == 1


@pytest.mark.parametrize(
    ("answer", "failure", "code"),
    [
        (httpx2.Response(400, json={"errors": [{"code": 1007, "description": "no such SKU"}]}), Refused, "1007"),
        (httpx2.Response(422, json={"errorCode": "UNPROCESSABLE_ENTITY", "errorMessage": "no"}), Refused,
         "unprocessable_entity"),
        (httpx2.Response(403, json={"error": "access_denied"}), Refused, "not_allowed"),
        (httpx2.Response(404, json={}), Refused, "not_found"),
        (httpx2.Response(400, json={"errorCode": "DEPENDENT_SYSTEM_CALL_FAILED"}), Unavailable, None),
        (httpx2.Response(400, content=b"<html>"), Unavailable, None),
        (httpx2.Response(499, json={}), Unavailable, None),
        (httpx2.Response(429, json={}), Unavailable, None),
        (httpx2.Response(503, content=b"<html>Gateway Time-out</html>"), Unavailable, None),
        (httpx2.Response(200, content=b"<html>hello</html>"), Unavailable, None),
        (httpx2.Response(200, content=b'{"shipments": ['), Malformed, None),
        (httpx2.ReadTimeout("slow"), Unavailable, None),
        (httpx2.ConnectError("away"), Unavailable, None),
    ],
)  # fmt: skip
async def test_whatever_happens_is_one_of_the_four_failures(flipkart, answer, failure, code):
    flipkart.on(READ, answer)
    with pytest.raises(OutsideFailure) as raised:
        await flipkart.client().call(client.SHIPMENTS)
    assert type(raised.value) is failure
    assert getattr(raised.value, "code", None) == code


LOST = [
    httpx2.Response(200, content=b"<html>"),
    httpx2.Response(200, content=b"{"),
    httpx2.Response(499),
    httpx2.Response(502),
    httpx2.ReadTimeout("slow"),
]


@pytest.mark.parametrize("answer", LOST)
async def test_a_call_that_changes_something_may_have_been_heard(flipkart, answer):
    flipkart.on("/v3/shipments/dispatch", answer)
    with pytest.raises(Unavailable) as raised:
        await flipkart.client().call(client.DISPATCH, body={})
    assert raised.value.maybe_received


@pytest.mark.parametrize(("bucket", "seconds", "most"), [("hour", 3600, 1000), ("second", 1, 10)])
def test_what_a_bucket_holds_and_what_flows_in_are_together_no_more_than_the_limit(bucket, seconds, most):
    capacity, refill = vendor.paces[bucket]
    assert capacity + refill * seconds <= most
    assert capacity * vendor.reserve >= 1  # a share of less than one call is no share
    assert vendor.reserve == 0.2


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "following",
    [
        "/v3/shipments/filter?next_token=eyJh",
        "/sellers/v3/shipments/filter?next_token=eyJh",
        "v3/shipments/filter?next_token=eyJh",
        f"{BASE}/sellers/v3/shipments/filter?next_token=eyJh",
    ],
)
async def test_the_next_page_is_below_sellers_however_its_address_is_given(flipkart, following):
    flipkart.on(
        FILTER,
        {"hasMore": True, "nextPageUrl": following, "shipments": [{"shipmentId": "a"}]},
        {"hasMore": False, "shipments": [{"shipmentId": "b"}]},
    )
    assert await pages(flipkart, body={}) == [([{"shipmentId": "a"}], True), ([{"shipmentId": "b"}], False)]
    assert [request.method for request in flipkart.requests] == ["POST", "GET"]
    assert str(flipkart.requests[1].url) == f"{BASE}/sellers/v3/shipments/filter?next_token=eyJh"


async def test_returns_go_on_below_their_own_version(flipkart):
    flipkart.on("/v2/returns", {"hasMore": True, "nextUrl": "/returns/search/aGk=", "returnItems": []})
    flipkart.on("/v2/returns/search/aGk=", {"hasMore": False, "returnItems": []})
    assert len(await pages(flipkart, client.RETURNS, "returnItems", params={"source": "courier_return"})) == 2


async def test_the_next_page_is_followed_only_where_there_is_more(flipkart):
    flipkart.on(FILTER, {"hasMore": False, "nextPageUrl": "/v3/shipments/filter?next_token=x", "shipments": []})
    assert await pages(flipkart, body={}) == [([], False)]


async def test_a_list_that_leads_to_another_host_or_round_in_a_circle_is_not_followed(flipkart):
    flipkart.on(FILTER, {"hasMore": True, "nextPageUrl": "https://elsewhere.example/x", "shipments": []})
    with pytest.raises(Malformed, match="another host"):
        await pages(flipkart, body={})
    assert len(flipkart.requests) == 1
    flipkart.on(FILTER, {"hasMore": True, "nextPageUrl": "/v3/shipments/filter?next_token=same", "shipments": []})
    with pytest.raises(Malformed, match="circle"):
        await pages(flipkart, body={})


async def test_a_list_without_end_ends(flipkart, monkeypatch):
    monkeypatch.setattr(client, "MOST_PAGES", 3)
    count = iter(range(100))
    flipkart.on(
        FILTER, lambda _: {"hasMore": True, "nextPageUrl": f"/v3/shipments/filter?t={next(count)}", "shipments": []}
    )
    with pytest.raises(Malformed, match="more than 3 pages"):
        await pages(flipkart, body={})


# --- failures inside a 200 ------------------------------------------------------------------------------------------


def test_each_of_a_batch_has_its_own_outcome_whatever_the_field_is_called():
    answer = {
        "shipments": [
            {"shipmentId": "b", "processingStatus": "FAILURE", "errorCode": "INVALID_SHIPMENTS", "errorMessage": "no"},
            {"shipmentId": "a", "status": "SUCCESS"},
        ]
    }
    assert outcomes(answer, ["a", "b", "c"]) == [
        Outcome("a", True),
        Outcome("b", False, "INVALID_SHIPMENTS", "no"),
        Outcome("c", False, "NO_ANSWER", "Flipkart did not say what became of it."),
    ]


def test_a_dependency_of_theirs_that_failed_is_tried_again_and_the_rest_is_refused():
    with pytest.raises(Unavailable):
        Outcome("a", False, "DEPENDENT_SYSTEM_CALL_FAILED", "try later").or_raise()
    with pytest.raises(Refused) as raised:
        Outcome("a", False, "INVALID_SHIPMENTS", "Shipment not found for seller").or_raise()
    assert (raised.value.code, raised.value.message) == ("invalid_shipments", "Shipment not found for seller")
    Outcome("a", True).or_raise()


def test_listings_answer_by_sku():
    answer = {
        "A": {"status": "SUCCESS", "errors": [], "attribute_errors": []},
        "B": {"status": "FAILURE", "errors": [{"code": 1007, "description": "no such SKU"}],
              "attribute_errors": [{"code": 2001, "description": "inventory must be >= 0"}]},
    }  # fmt: skip
    assert sku_outcomes(answer, ["A", "B", "C"]) == [
        Outcome("A", True),
        Outcome("B", False, "1007", "no such SKU; inventory must be >= 0"),
        Outcome("C", False, "NO_ANSWER", "Flipkart did not say what became of it."),
    ]


async def test_a_pdf_is_one_or_malformed(flipkart):
    path = "/v3/shipments/a,b/labels"
    flipkart.on(path, PDF)
    assert await flipkart.client().pdf(client.LABELS, ids=["a", "b"]) == PDF
    flipkart.on(path, {"status": "pending"})
    with pytest.raises(Malformed):
        await flipkart.client().pdf(client.LABELS, ids=["a", "b"])
    flipkart.on(path, httpx2.Response(404, content=json.dumps({"message": "no label"})))
    with pytest.raises(Refused, match="no label"):
        await flipkart.client().pdf(client.LABELS, ids=["a", "b"])


async def test_an_id_cannot_lead_out_of_its_path(flipkart):
    flipkart.on("/v3/shipments/..%2F..%2Fx/labels", PDF)
    assert await flipkart.client().pdf(client.LABELS, ids=["../../x"]) == PDF
