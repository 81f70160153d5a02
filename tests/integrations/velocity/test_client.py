"""The wire: the token's life, envelopes, failures, and what is sent once only."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx2
import pytest
import time_machine
from pydantic import BaseModel, SecretStr

from shipcrowd.couriers.contract import CourierAccount
from shipcrowd.integrations.velocity import client as wire
from shipcrowd.integrations.velocity.client import VelocityClient
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Disconnected, Http, Malformed, Refused, Unavailable

TRACK = "/order-tracking"
FORWARD = "/forward-order-orchestration"
HTML = httpx2.Response(200, content=b"<html><body>Maintenance</body></html>", headers={"content-type": "text/html"})


@pytest.fixture
def client(account):
    return VelocityClient(account)


def good_for(account, **left):
    """The account's token, with this much life left."""
    account.credentials = account.credentials.model_copy(update={"token_expires_at": clock.now() + timedelta(**left)})
    return VelocityClient(account)


async def test_the_token_travels_raw_in_the_authorization_header(client, script):
    script.on(TRACK, {"result": {}})
    await client.track(["A1"])
    assert script.tokens(TRACK) == ["kept"]
    assert script.requests[0].headers["content-type"] == "application/json"
    assert str(script.requests[0].url) == "https://shazam.velocity.in/custom/api/v1/order-tracking"
    assert script.bodies(TRACK) == [{"awbs": ["A1"]}]


async def test_another_base_url_is_used_where_the_account_names_one(account, script):
    script.on(TRACK, {"result": {}})
    client = VelocityClient(replace(account, settings={"base_url": "https://shazam.stagingvelocity.in/"}))
    await client.track(["A1"])
    assert script.requests[0].url.host == "shazam.stagingvelocity.in"
    assert client.base_host == "shazam.stagingvelocity.in"


async def test_a_first_call_signs_in_and_remembers_the_token(account, script, remembered):
    script.on(TRACK, {"result": {}})
    account.credentials = account.credentials.model_copy(update={"token": None, "token_expires_at": None})
    await VelocityClient(account).track(["A1"])
    assert script.paths() == ["/auth-token", TRACK]
    assert script.bodies("/auth-token") == [{"username": "+919800000001", "password": "s3cret"}]
    assert "authorization" not in script.requests[0].headers
    assert script.tokens(TRACK) == ["fresh"]
    assert [credentials.token.get_secret_value() for credentials in remembered] == ["fresh"]
    assert account.credentials is remembered[0]
    assert timedelta(hours=23) < remembered[0].token_expires_at - clock.now() < timedelta(hours=30)


async def test_a_token_with_an_hour_left_is_used_and_one_with_less_is_renewed(account, script):
    script.on(TRACK, {"result": {}})
    await good_for(account, minutes=61).track(["A1"])
    await good_for(account, minutes=59).track(["A1"])
    assert script.tokens(TRACK) == ["kept", "fresh"]


async def test_calls_at_the_same_time_renew_the_token_once(account, script):
    script.on(TRACK, {"result": {}})
    client = good_for(account, minutes=-5)
    await asyncio.gather(*(client.track([f"A{n}"]) for n in range(5)))
    assert script.paths().count("/auth-token") == 1
    assert script.tokens(TRACK) == ["fresh"] * 5


async def test_an_early_renewal_that_fails_leaves_the_working_token_in_use_and_rests(account, script):
    script.on(TRACK, {"result": {}}).on("/auth-token", httpx2.Response(503, content=b"<html>busy</html>"))
    client = good_for(account, minutes=30)
    await client.track(["A1"])
    await client.track(["A2"])
    assert script.tokens(TRACK) == ["kept", "kept"]
    assert script.paths().count("/auth-token") == 1


async def test_a_fresh_token_said_to_be_over_already_is_used_all_the_same(account, script):
    script.on(TRACK, {"result": {}}).on("/auth-token", {"token": "fresh", "expires_at": "2020-01-01T00:00:00"})
    client = good_for(account, minutes=-5)
    await client.track(["A1"])
    await client.track(["A2"])
    assert script.paths().count("/auth-token") == 1


async def test_an_expiry_that_cannot_be_read_counts_as_a_day(account, script, remembered):
    script.on(TRACK, {"result": {}}).on("/auth-token", {"token": "fresh", "expires_at": "tomorrow"})
    with time_machine.travel(datetime(2026, 11, 25, 8, 0, tzinfo=UTC), tick=False):
        await good_for(account, minutes=-5).track(["A1"])
    assert remembered[0].token_expires_at == datetime(2026, 11, 26, 8, 0, tzinfo=UTC)


async def test_a_401_renews_the_token_once_and_replays_the_call(client, script, answer):
    script.on(
        FORWARD, answer(401, {"error": "Unauthenticated"}), answer(200, {"status": 1, "payload": {"awb_code": "A1"}})
    )
    assert await client.forward({"order_id": "1"}) == {"awb_code": "A1"}
    assert script.paths() == [FORWARD, "/auth-token", FORWARD]
    assert script.tokens(FORWARD) == ["kept", "fresh"]


async def test_401s_at_the_same_time_renew_the_token_once(client, script, answer):
    def by_token(request):
        fresh = request.headers["authorization"] == "fresh"
        return answer(200, {"result": {}}) if fresh else answer(401, {"error": "expired"})

    script.on(TRACK, by_token)
    await asyncio.gather(*(client.track([f"A{n}"]) for n in range(4)))
    assert script.paths().count("/auth-token") == 1


async def test_a_second_401_disconnects(client, script):
    script.on(TRACK, {"error": "Unauthenticated"}, status=401)
    with pytest.raises(Disconnected):
        await client.track(["A1"])
    assert script.paths() == [TRACK, "/auth-token", TRACK]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"error": "Invalid credentials"}),
        (422, {"message": "username is invalid"}),
        (200, {"status": "FAILURE", "message": "bad password"}),
    ],
)
async def test_a_refused_login_disconnects(client, script, remembered, status, body):
    script.on("/auth-token", body, status=status)
    with pytest.raises(Disconnected):
        await client.sign_in()
    assert remembered == []


@pytest.mark.parametrize(
    "failure",
    [
        httpx2.ReadTimeout("slow"),
        httpx2.Response(502, content=b"<html>"),
        httpx2.Response(404, content=b"<html>"),
        HTML,
        httpx2.Response(200, json={"status": 1, "payload": {}}),
    ],
)
async def test_a_login_that_fails_means_the_booking_was_not_received(account, script, failure):
    script.on("/auth-token", failure).on(FORWARD, {"status": 1, "payload": {}})
    with pytest.raises(Unavailable) as unavailable:
        await good_for(account, minutes=-5).forward({"order_id": "1"})
    assert unavailable.value.maybe_received is False
    assert FORWARD not in script.paths()


async def test_a_throttled_login_says_when_to_come_back(account, script, answer):
    script.on("/auth-token", answer(429, {}, **{"retry-after": "90"}))
    with pytest.raises(Unavailable) as unavailable:
        await good_for(account, minutes=-5).track(["A1"])
    assert unavailable.value.retry_after == 90


@pytest.mark.parametrize(
    ("call", "path", "body", "inner"),
    [
        (lambda c: c.forward({}), FORWARD, {"status": 1, "payload": {"a": 1}}, {"a": 1}),
        (lambda c: c.create_warehouse({}), "/warehouse", {"status": "SUCCESS", "payload": {"a": 1}}, {"a": 1}),
        (lambda c: c.serviceability({}), "/serviceability", {"status": "SUCCESS", "result": {"a": 1}}, {"a": 1}),
        (lambda c: c.track([]), TRACK, {"result": {"A1": {}}}, {"A1": {}}),
        (lambda c: c.track([]), TRACK, {"result": []}, {}),  # PHP's empty object
        (lambda c: c.cancel(["A1"]), "/cancel-order", {"message": "In progress"}, "In progress"),
        (lambda c: c.reports("x", "y", "forward"), "/reports", {"status": "SUCCESS", "payload": {"a": 1}}, {"a": 1}),
        (lambda c: c.forward_order({}), "/forward-order", {"status": 1, "payload": {"a": 1}}, {"a": 1}),
        (lambda c: c.reverse({}), "/reverse-order-orchestration", {"status": 1, "payload": {"a": 1}}, {"a": 1}),
        (lambda c: c.reverse_order({}), "/reverse-order", {"status": 1, "payload": {"a": 1}}, {"a": 1}),
        (lambda c: c.update_order("ORD1", {}), "/order", {"status": 1, "payload": {"a": 1}}, {"a": 1}),
        (lambda c: c.update_order("ORD1", {}), "/order", {"message": "Updated"}, {"message": "Updated"}),
    ],
)
async def test_every_envelope_is_opened(client, script, call, path, body, inner):
    script.on(path, body)
    assert await call(client) == inner


async def test_an_order_is_corrected_with_put(client, script):
    script.on("/order", {"status": 1, "payload": {}})
    await client.update_order("ORD1", {"billing_city": "Pune"})
    assert script.requests[0].method == "PUT"
    assert script.bodies("/order") == [{"order_id": "ORD1", "billing_city": "Pune"}]


async def test_the_second_step_names_the_carrier_only_where_one_was_chosen(client, script):
    script.on("/forward-order-shipment", {"payload": {}}).on("/reverse-order-shipment", {"payload": {}})
    await client.forward_shipment("SHI1", "CAR1")
    await client.forward_shipment("SHI1", "")
    await client.reverse_shipment("RET1", "WH1", "")
    assert script.bodies("/forward-order-shipment") == [
        {"shipment_id": "SHI1", "carrier_id": "CAR1"},
        {"shipment_id": "SHI1"},
    ]
    assert script.bodies("/reverse-order-shipment") == [{"return_id": "RET1", "warehouse_id": "WH1"}]


@pytest.mark.parametrize(
    "body",
    [
        {"status": 0, "message": "Pincode is not covered"},
        {"status": "FAILURE", "message": "pincode"},
        {"success": False, "error": "pincode"},
        {"status": False, "payload": {"message": "pincode"}},
        {"error": "pincode"},
    ],
)
async def test_a_failure_told_with_200_is_a_refusal(client, script, body):
    script.on(FORWARD, body)
    with pytest.raises(Refused) as refused:
        await client.forward({})
    assert refused.value.code == "not_serviceable"


async def test_a_failure_told_with_200_does_not_hide_an_order_that_stands(client, script):
    script.on(FORWARD, {"status": 0, "message": "AWB failed", "payload": {"shipment_id": "SHI1"}})
    assert await client.forward({}) == {"shipment_id": "SHI1"}


async def test_a_validation_error_is_refused_naming_the_field(client, script):
    script.on(FORWARD, {"message": "Invalid", "errors": {"billing_pincode": ["must be 6 digits"]}}, status=400)
    with pytest.raises(Refused, match="billing_pincode: must be 6 digits") as refused:
        await client.forward({})
    assert refused.value.code == "validation"


async def test_an_html_503_is_unavailable(client, script):
    script.on(TRACK, httpx2.Response(503, content=b"<html>down</html>", headers={"retry-after": "7"}))
    with pytest.raises(Unavailable) as unavailable:
        await client.track(["A1"])
    assert unavailable.value.retry_after == 7


@pytest.mark.parametrize("status", [302, 403, 404, 418])
async def test_a_gateways_page_in_place_of_the_api_is_unavailable_and_nothing_was_received(client, script, status):
    script.on(FORWARD, httpx2.Response(status, content=b"<html>no</html>"))
    with pytest.raises(Unavailable) as unavailable:
        await client.forward({})
    assert unavailable.value.maybe_received is False


@pytest.mark.parametrize("answered", [HTML, httpx2.Response(200, json=[1]), httpx2.Response(200, content=b"")])
async def test_an_unreadable_answer_is_malformed_to_a_question_and_open_to_a_booking(client, script, answered):
    script.on(TRACK, answered).on(FORWARD, answered)
    with pytest.raises(Malformed):
        await client.track(["A1"])
    with pytest.raises(Unavailable) as unavailable:
        await client.forward({})
    assert unavailable.value.maybe_received is True


async def test_an_answer_too_large_to_read_leaves_a_booking_open(account, script):
    account.http.limits = replace(account.http.limits, reply_bytes=10)
    script.on(FORWARD, {"status": 1, "payload": {"awb_code": "A1"}})
    with pytest.raises(Unavailable) as unavailable:
        await VelocityClient(account).forward({})
    assert unavailable.value.maybe_received is True


@pytest.mark.parametrize(
    ("failure", "received"),
    [(httpx2.ReadTimeout("slow"), True), (httpx2.ConnectTimeout("away"), False), (httpx2.ConnectError("no"), False)],
)
async def test_a_booking_is_sent_once_whatever_happens_to_it(client, script, failure, received):
    script.on(FORWARD, failure)
    with pytest.raises(Unavailable) as unavailable:
        await client.forward({})
    assert unavailable.value.maybe_received is received
    assert script.paths() == [FORWARD]


async def test_a_question_is_asked_again(client, script, answer):
    script.on(TRACK, httpx2.ReadTimeout("slow"), answer(200, {"result": {"A1": {}}}))
    assert await client.track(["A1"]) == {"A1": {}}
    assert script.paths() == [TRACK, TRACK]


def test_only_reads_are_repeatable_and_what_creates_never_is():
    operations = [value for value in vars(wire).values() if isinstance(value, wire.Operation)]
    assert {op.what for op in operations if op.repeatable} == {"serviceability", "track", "reports"}
    assert {op.what for op in operations if op.creates} == {
        "warehouse",
        "forward",
        "forward_order",
        "forward_shipment",
        "reverse",
        "reverse_order",
        "reverse_shipment",
    }
    assert {op.what: op.read_seconds for op in operations}["serviceability"] == 8
    assert {op.what: op.read_seconds for op in operations}["forward"] == 30


def test_numbers_are_written_digit_by_digit():
    body = {"kg": Decimal("0.740"), "big": Decimal("1E+4"), "list": [Decimal("0.1"), None, True], "name": 'O"Hara ₹'}
    text = wire.encoded(body)
    assert json.loads(text, parse_float=str) == {
        "kg": "0.740",
        "big": 10000,
        "list": ["0.1", None, True],
        "name": 'O"Hara ₹',
    }


def test_credentials_of_another_vendor_are_a_programming_error():
    class Other(BaseModel):
        key: SecretStr

    account = CourierAccount(key="x", credentials=Other(key=SecretStr("x")), http=Http("velocity"))
    with pytest.raises(TypeError, match="VelocityCredentials"):
        VelocityClient(account)
