import asyncio
from types import SimpleNamespace

import httpx2
import pytest
from structlog.testing import capture_logs

from shipcrowd.integrations.amazon import client as calling
from shipcrowd.integrations.amazon import operations as ops
from shipcrowd.integrations.amazon.refusals import NotDone
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable
from tests.integrations.amazon.far_side import SELLER, expired, refused, throttled

ORDER = {"orderId": "403-5512345-7788990"}


async def ask(amazon, operation=ops.GET_ORDER, **more):
    return await amazon.client().call(operation, path=ORDER, **more)


async def test_a_call_carries_the_token_the_agent_and_the_date_and_no_signature(amazon, at_now):
    amazon.on("getOrder", {"order": {"orderId": ORDER["orderId"]}})
    answer = await ask(amazon, query={"includedData": ["BUYER", "PAYMENT"], "none": None, "yes": True, "many": 3})
    [asked] = amazon.asked
    assert answer == {"order": ORDER}
    assert asked.request.url.host == "sellingpartnerapi-eu.amazon.com"
    assert asked.token == "Atza|first"
    assert asked.query == {"includedData": "BUYER,PAYMENT", "yes": "true", "many": "3"}
    assert asked.request.headers["x-amz-date"] == "20261120T064500Z"
    agent = asked.request.headers["user-agent"]
    assert agent.startswith("ShipCrowd/")
    assert "Language=Python/3." in agent
    assert len(agent) <= 500
    assert "authorization" not in asked.request.headers
    assert amazon.paced == [("getOrder", 1)]


@pytest.mark.parametrize(
    ("marketplace", "host"),
    [
        ("IN", "sellingpartnerapi-eu.amazon.com"),
        ("ATVPDKIKX0DER", "sellingpartnerapi-na.amazon.com"),
        ("jp", "sellingpartnerapi-fe.amazon.com"),
    ],
)
async def test_each_marketplace_is_asked_in_its_own_region(amazon, marketplace, host):
    amazon.marketplace = marketplace
    amazon.on("getOrder", {"order": {}})
    await ask(amazon)
    assert amazon.asked[0].request.url.host == host


@pytest.mark.parametrize("sku", ["A/B", "50% COTTON", "LADY'S KURTA #2", "a?b&c=d", "नीला"])
async def test_any_sku_reaches_its_own_path(amazon, sku):
    amazon.on("getListingsItem", {"sku": sku})
    await amazon.client().call(ops.GET_LISTING, path={"sellerId": SELLER, "sku": sku})
    assert amazon.asked[0].path == {"sellerId": SELLER, "sku": sku}


@pytest.mark.parametrize("sku", ["", ".", ".."])
async def test_what_would_climb_in_the_path_is_refused_before_any_call(amazon, sku):
    with pytest.raises(Refused) as raised:
        await amazon.client().call(ops.GET_LISTING, path={"sellerId": SELLER, "sku": sku})
    assert raised.value.code == "bad_id"
    assert amazon.asked == []


async def test_an_empty_answer_is_empty(amazon):
    amazon.on("confirmShipment", httpx2.Response(204))
    assert await ask(amazon, ops.CONFIRM_SHIPMENT, body={"marketplaceId": "A21TJRUUN4KGV"}) == {}
    assert amazon.asked[0].body == {"marketplaceId": "A21TJRUUN4KGV"}
    assert amazon.asked[0].request.headers["content-type"] == "application/json"


async def test_shipping_calls_name_the_indian_business(amazon):
    amazon.on("getTracking", {"payload": {}})
    await amazon.client().call(ops.TRACKING, query={"trackingId": "1", "carrierId": "ATS"})
    assert amazon.asked[0].request.headers["x-amzn-shipping-business-id"] == "AmazonShipping_IN"


# --- tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        expired(),
        refused(401, "Unauthorized", "denied", "The access token you provided has expired."),
        refused(403, "Unauthorized", "denied", "The access token you provided is revoked, malformed or invalid."),
    ],
)
async def test_a_token_that_expired_is_renewed_once_and_the_call_made_again(amazon, answer):
    amazon.on("getOrder", answer, {"order": ORDER})
    assert await ask(amazon) == {"order": ORDER}
    assert [asked.token for asked in amazon.asked] == ["Atza|first", "Atza|second"]
    assert amazon.paced == [("getOrder", 1)] * 2


async def test_a_new_token_that_is_refused_as_well_is_about_the_operation_and_not_about_the_seller(amazon):
    amazon.on("getOrder", expired())
    with pytest.raises(NotDone) as raised:
        await ask(amazon)
    assert (raised.value.code, raised.value.status) == ("forbidden", 403)
    assert [asked.token for asked in amazon.asked] == ["Atza|first", "Atza|second"]


async def test_where_login_with_amazon_renews_no_more_the_seller_must_sign_in_again(amazon):
    amazon.tokens = amazon.tokens[:1]
    amazon.on("getOrder", expired())
    with pytest.raises(Disconnected):
        await ask(amazon)
    assert len(amazon.asked) == 1


async def test_a_403_that_is_not_about_the_token_renews_nothing(amazon):
    amazon.on("getOrder", refused(403, "Unauthorized", "Access to requested resource is denied."))
    with pytest.raises(NotDone) as raised:
        await ask(amazon)
    assert raised.value.code == "forbidden"
    assert len(amazon.asked) == 1
    assert amazon.tokens == ["Atza|first", "Atza|second"]


async def test_a_foreign_marketplace_is_named(amazon):
    said = "The marketplaces you provided are not valid for region."
    amazon.on("searchOrders", refused(403, "Unauthorized", said))
    with pytest.raises(NotDone) as raised:
        await amazon.client().call(ops.SEARCH_ORDERS)
    assert raised.value.code == "wrong_region"
    assert "marketplace" in raised.value.message


async def test_operations_of_the_application_take_its_own_token_asked_for_once(amazon):
    amazon.lwa = [{"access_token": "Atc|own", "token_type": "bearer", "expires_in": 3600}]
    amazon.on("getDestinations", {"payload": []})
    client = amazon.client()
    await asyncio.gather(*(client.call(ops.GET_DESTINATIONS) for _ in range(3)))
    assert {asked.token for asked in amazon.asked} == {"Atc|own"}
    [form] = amazon.forms
    assert form == {
        "grant_type": "client_credentials",
        "scope": "sellingpartnerapi::notifications",
        "client_id": "amzn1.application-oa2-client.ours",
        "client_secret": "our-secret",
    }
    assert amazon.paced == []  # counted for the application


async def test_the_applications_token_is_asked_for_again_when_it_is_refused(amazon):
    amazon.lwa = [
        {"access_token": "Atc|one", "expires_in": 3600},
        {"access_token": "Atc|two", "expires_in": 3600},
    ]
    amazon.on("getDestinations", expired(), {"payload": []})
    await amazon.client().call(ops.GET_DESTINATIONS)
    assert [asked.token for asked in amazon.asked] == ["Atc|one", "Atc|two"]


async def test_a_restricted_token_opens_what_it_was_made_for_and_takes_the_place_of_the_sellers(amazon):
    amazon.on("createRestrictedDataToken", {"restrictedDataToken": "Atz.sprdt|one", "expiresIn": 3600})
    amazon.on("getReportDocument", {"url": "https://x.s3.amazonaws.com/1", "reportDocumentId": "d"}, expired())
    client = amazon.client()
    resources = [{"method": "GET", "path": "/reports/2021-06-30/documents/d"}]
    token = await client.restricted_token(resources)
    await client.call(ops.GET_REPORT_DOCUMENT, path={"reportDocumentId": "d"}, restricted=token)
    assert amazon.asked[0].body == {"restrictedResources": resources}
    assert amazon.asked[1].token == "Atz.sprdt|one"
    with pytest.raises(Unavailable) as raised:
        await client.call(ops.GET_REPORT_DOCUMENT, path={"reportDocumentId": "d"}, restricted=token)
    assert raised.value.retry_after == 1
    assert amazon.tokens[0] == "Atza|first"


async def test_an_answer_without_a_restricted_token_is_malformed(amazon):
    amazon.on("createRestrictedDataToken", {})
    with pytest.raises(Malformed):
        await amazon.client().restricted_token([])


# --- pace -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("operation", "least"), [(ops.SEARCH_ORDERS, 89.0), (ops.GET_FEED, 1.0)])
async def test_a_throttled_call_comes_again_when_the_bucket_holds_a_request(amazon, operation, least):
    amazon.on(operation.name, throttled())
    with pytest.raises(Unavailable) as raised:
        await amazon.client().call(operation, path={"feedId": "1"})
    assert least <= (raised.value.retry_after or 0) <= 1.5 * max(1, 1 / (operation.rate * 0.95))
    assert not raised.value.maybe_received
    assert len(amazon.asked) == 1  # nothing is gained by knocking at once
    assert amazon.retuned == [(operation.name, operation.burst - 1, 0, operation.rate * 0.95)]


async def test_the_rate_amazon_tells_is_learned_once(amazon):
    def told(rate: str) -> httpx2.Response:
        return httpx2.Response(200, json={"order": {}}, headers={"x-amzn-RateLimit-Limit": rate})

    amazon.on("getOrder", told("0.5"), told("2.0"), told("2.0"), told("NaN"), told("-1"), told("?"), told("0.5"))
    for _ in range(7):
        await ask(amazon)
    assert amazon.retuned == [("getOrder", 29, 29, 2.0 * 0.95), ("getOrder", 29, 29, 0.5 * 0.95)]


async def test_a_throttled_call_waits_by_the_rate_it_was_told(amazon):
    amazon.on("getOrder", throttled(x_amzn_RateLimit_Limit="0.1"))
    with pytest.raises(Unavailable) as raised:
        await ask(amazon)
    assert (raised.value.retry_after or 0) >= 5
    assert amazon.retuned[-1] == ("getOrder", 29, 0, 0.1 * 0.95)


def test_our_buckets_are_a_little_smaller_than_amazons():
    assert set(ops.PACES) == {operation.name for operation in ops.OPERATIONS}
    for operation in ops.OPERATIONS:
        room, rate = ops.PACES[operation.name]
        assert rate == operation.rate * 0.95
        assert room == (operation.burst - 1 if operation.burst > 2 else operation.burst)
        assert room >= 1


async def test_the_applications_operations_do_not_spend_the_sellers_bucket(amazon):
    amazon.lwa = [{"access_token": "Atc|own", "expires_in": 3600}]
    amazon.on("getDestinations", throttled(x_amzn_RateLimit_Limit="0.1"))
    with pytest.raises(Unavailable):
        await amazon.client().call(ops.GET_DESTINATIONS)
    assert amazon.retuned == []


def test_what_is_remembered_of_rates_is_bounded(monkeypatch):
    monkeypatch.setattr(calling, "_ROOM", 2)
    account = SimpleNamespace(key="k", app=calling.amazon_app, external_id="x", retune=_nothing)
    client = calling.AmazonClient.__new__(calling.AmazonClient)
    client.account = account
    for operation in (ops.GET_ORDER, ops.GET_FEED, ops.GET_REPORT):
        reply = calling.Reply(200, {"x-amzn-ratelimit-limit": "9"}, b"")
        asyncio.run(client._learn(operation, reply))
    assert len(calling._Told.rates) == 2
    calling.forget_rates()


async def _nothing(*_: object) -> None: ...


# --- no -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (refused(400, "InvalidInput", "PackageReferenceId: is invalid"), "InvalidInput", "PackageReferenceId"),
        (refused(400, "400", "no"), "http_400", "no"),
        (refused(404, "NotFound", "Order not found"), "not_found", "Order not found"),
        (httpx2.Response(404, content=b"<html>"), "not_found", "no such thing"),
        (refused(409, "Conflict", "exists"), "Conflict", "exists"),
        (httpx2.Response(413), "http_413", "413"),
        (httpx2.Response(302, headers={"location": "https://evil.example/"}), "http_302", "302"),
        (httpx2.Response(400, json={"errors": "all wrong"}), "http_400", "400"),
        (httpx2.Response(400, json=["x"]), "http_400", "400"),
    ],
)
async def test_what_amazon_refuses_is_told_with_its_words(amazon, answer, code, words):
    amazon.on("getOrder", answer)
    with pytest.raises(NotDone) as raised:
        await ask(amazon)
    assert raised.value.code == code
    assert words in raised.value.message
    assert len(amazon.asked) == 1


TROUBLE = [
    refused(500, "InternalFailure", "oops"),
    httpx2.Response(503, content=b"<html>Service Unavailable</html>"),
    httpx2.ReadTimeout("late"),
]


@pytest.mark.parametrize("answer", TROUBLE)
async def test_trouble_on_their_side_is_unavailable_and_takes_one_place_in_the_bucket(amazon, answer):
    amazon.on("getOrder", answer)
    with pytest.raises(Unavailable) as raised:
        await ask(amazon)
    assert not raised.value.maybe_received  # whether it was received makes no difference to a question
    assert raised.value.retry_after is None
    assert amazon.paced == [("getOrder", 1)]


@pytest.mark.parametrize("answer", TROUBLE)
async def test_what_must_not_happen_twice_may_have_been_received(amazon, answer):
    amazon.on("createScheduledPackage", answer)
    with pytest.raises(Unavailable) as raised:
        await amazon.client().call(ops.CREATE_PACKAGE, body={})
    assert raised.value.maybe_received


async def test_html_with_a_200_is_malformed(amazon):
    amazon.on("getOrder", httpx2.Response(200, content=b"<html>"))
    with pytest.raises(Malformed):
        await ask(amazon)


async def test_a_list_with_a_200_is_malformed(amazon):
    amazon.on("getOrder", httpx2.Response(200, content=b"[]"))
    with pytest.raises(Malformed):
        await ask(amazon)


async def test_no_token_and_no_words_of_the_reply_reach_the_log(amazon):
    amazon.on("getOrder", refused(400, "InvalidInput", "Asha Rao, 9800000000"))
    with capture_logs() as logs, pytest.raises(NotDone):
        await ask(amazon)
    written = str(logs)
    assert "r-1" in written
    assert "Atza" not in written
    assert "Asha" not in written


async def test_credentials_without_an_access_token_do_not_call(amazon):
    account = amazon.account()
    held = amazon.credentials().model_copy(update={"access_token": None})

    async def bare(stale: object = None) -> object:
        return held

    account.credentials = bare
    with pytest.raises(Disconnected):
        await calling.AmazonClient(account).call(ops.GET_ORDER, path=ORDER)
    assert amazon.asked == []


async def test_the_same_token_again_after_a_renewal_is_not_tried_again(amazon):
    account = amazon.account()
    held = amazon.credentials()

    async def same(stale: object = None) -> object:
        return held

    account.credentials = same
    amazon.on("getOrder", expired())
    with pytest.raises(NotDone):
        await calling.AmazonClient(account).call(ops.GET_ORDER, path=ORDER)
    assert len(amazon.asked) == 1


def test_a_secret_does_not_show_in_what_is_printed(amazon):
    assert "Atza" not in repr(amazon.credentials())
