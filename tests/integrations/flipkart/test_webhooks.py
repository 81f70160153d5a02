import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from shipcrowd.channels.contract import PATH_TOPIC, NothingToDo, OrderTouched
from shipcrowd.channels.returns_contract import ReturnTouched
from shipcrowd.integrations.flipkart import FlipkartApp, FlipkartCredentials, account, webhooks
from shipcrowd.integrations.flipkart.webhooks import Key
from shipcrowd.kernel.errors import BadRequest, Unauthenticated
from shipcrowd.kernel.outbound import Malformed

from .conftest import NOW, SELLER, shipment, signed_in

URL = f"https://app.example.com/api/v1/webhooks/flipkart/{SELLER}"
LOGIN = Key("fklogin", "app-secret", 900, app_id="app-id", url=URL).written()
HMAC = Key("hmac", "hush", 900).written()


def said(event: str = "shipment_created", **more) -> bytes:
    body = {
        "eventType": event,
        "source": "flipkart",
        "version": "v3",
        "timestamp": "2026-11-21T12:00:00+05:30",
        "locationId": "LOC1",
        "shipmentId": "ship-1",
        "attributes": {},
    }
    return json.dumps(body | more).encode()


def refused(keys, headers, body=b"{}", now=NOW) -> bool:
    try:
        webhooks.verify(keys, headers, body, now)
    except Unauthenticated:
        return True
    return False


# --- Flipkart's own signature ---------------------------------------------------------------------------------------


def test_the_documented_example_verifies():
    at = datetime(2015, 5, 19, 9, 2, 15, tzinfo=UTC)
    url, secret = "http://seller.api.pilotseller.com/notify/fki", "669a57f4-fe05-11e4-a322-1697f925ec7b"
    assert webhooks.digest(at, url, secret) == "83762abd87b41e66ddd58320a4e803251e72b776"
    token = base64.b64encode(b"the-app:83762abd87b41e66ddd58320a4e803251e72b776").decode()
    headers = {"x_date": "Tue, 19 May 2015 09:02:15 GMT", "x_authorization": f"FKLOGIN {token}"}
    key = Key("fklogin", secret, 900, app_id="the-app", url=url).written()
    assert not refused([key], headers, now=at + timedelta(seconds=30))


@pytest.mark.parametrize("rename", [lambda name: name, lambda name: name.replace("_", "-")])
@pytest.mark.parametrize("scheme", ["FKLOGIN", "fklogin", "FkLogin"])
def test_its_headers_may_have_been_respelled_on_the_way(rename, scheme):
    headers = webhooks.sign(LOGIN, "shipment_created", SELLER, said(), NOW)
    headers["x_authorization"] = headers["x_authorization"].replace("FKLOGIN", scheme)
    assert not refused([HMAC, LOGIN], {rename(name): value for name, value in headers.items()}, said())


@pytest.mark.parametrize("minutes", [-16, 16, 60 * 24])
def test_an_old_or_early_one_is_refused(minutes):
    headers = webhooks.sign(LOGIN, "t", SELLER, b"{}", NOW)
    assert refused([LOGIN], headers, now=NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    "changes",
    [
        {"x_authorization": ""},
        {"x_authorization": "FKLOGIN"},
        {"x_authorization": "FKLOGIN ###"},
        {"x_authorization": "FKLOGIN " + base64.b64encode(b"\xff\xfe").decode()},
        {"x_authorization": "Basic YTpi"},
        {"x_date": ""},
        {"x_date": "today"},
        {"x_date": "Sat, 21 Nov 2026 06:30:01 GMT"},
    ],
)
def test_one_whose_headers_do_not_fit_is_refused(changes):
    assert refused([LOGIN], webhooks.sign(LOGIN, "t", SELLER, b"{}", NOW) | changes)


@pytest.mark.parametrize(
    "other",
    [
        Key("fklogin", "other", 900, app_id="app-id", url=URL),
        Key("fklogin", "app-secret", 900, app_id="other", url=URL),
        Key("fklogin", "app-secret", 900, app_id="app-id", url=URL + "/"),
    ],
)
def test_another_secret_application_or_address_does_not_sign_for_this_store(other):
    assert refused([LOGIN], webhooks.sign(other.written(), "t", SELLER, b"{}", NOW))
    assert refused([], webhooks.sign(LOGIN, "t", SELLER, b"{}", NOW))


def test_an_address_for_a_topic_is_part_of_what_is_signed():
    key = Key("fklogin", "app-secret", 900, app_id="app-id", url=f"{URL}/order-placed").written()
    headers = webhooks.sign(key, "t", SELLER, b"{}", NOW)
    assert not refused([LOGIN], headers | {PATH_TOPIC: "order-placed"})
    assert refused([LOGIN], headers)
    assert refused([LOGIN], headers | {PATH_TOPIC: "order-cancelled"})


# --- the HMAC of the body -------------------------------------------------------------------------------------------


def made(body: bytes, secret: str = "hush") -> bytes:
    return hmac.new(secret.encode(), body, hashlib.sha256).digest()


@pytest.mark.parametrize(
    "write",
    [
        lambda digest: digest.hex(),
        lambda digest: digest.hex().upper(),
        lambda digest: f"sha256={digest.hex()}",
        lambda digest: base64.b64encode(digest).decode(),
        lambda digest: f"sha256={base64.b64encode(digest).decode()}",
    ],
)
def test_an_hmac_is_taken_in_either_writing(write):
    assert not refused([LOGIN, HMAC], {"x-flipkart-signature": write(made(said()))}, said())


def test_an_hmac_of_another_body_or_secret_is_refused():
    good = {"x-flipkart-signature": made(said()).hex()}
    assert refused([HMAC], good, said("shipment_cancelled"))
    assert refused([HMAC], {"x-flipkart-signature": made(said(), "other").hex()}, said())
    assert refused([HMAC], {"x-flipkart-signature": ""}, said())
    assert refused([HMAC], {"x-flipkart-signature": "ü" * 64}, said())
    assert refused([HMAC], {}, said())


def test_a_body_replayed_later_shows_its_age():
    headers = webhooks.sign(HMAC, "t", SELLER, said(), NOW)
    assert not refused([HMAC], headers, said(), NOW + timedelta(minutes=15))
    assert refused([HMAC], headers, said(), NOW + timedelta(minutes=16))
    timeless = said(timestamp=None)
    assert not refused([HMAC], webhooks.sign(HMAC, "t", SELLER, timeless, NOW), timeless, NOW + timedelta(days=1))


@pytest.mark.parametrize(
    "told",
    [
        {"timestamp": int(NOW.timestamp())},
        {"timestamp": str(int(NOW.timestamp() * 1000))},
        {"timestamp": None, "data": {"timestamp": NOW.isoformat()}},
    ],
)
def test_however_the_body_tells_its_time_an_old_one_is_refused(told):
    body = said(**told)
    headers = webhooks.sign(HMAC, "t", SELLER, body, NOW)
    assert not refused([HMAC], headers, body, NOW + timedelta(minutes=14))
    assert refused([HMAC], headers, body, NOW + timedelta(minutes=16))
    # A header's time is nobody's signature.
    assert refused(
        [HMAC], headers | {"x_date": format_datetime(NOW + timedelta(minutes=16))}, body, NOW + timedelta(minutes=16)
    )


def test_what_tells_no_time_is_the_same_delivery_only_byte_for_byte():
    timeless = said(timestamp=None)
    assert webhooks.delivery_id({}, timeless) == webhooks.delivery_id({}, timeless)
    assert webhooks.delivery_id({}, timeless) != webhooks.delivery_id({}, said(timestamp=None, version="v4"))
    assert webhooks.delivery_id({}, said()) == webhooks.delivery_id({}, said(version="v4"))


# --- whose keys -----------------------------------------------------------------------------------------------------

APP = FlipkartApp(
    app_id="our-app",
    app_secret=SecretStr("our"),
    webhook_secret=SecretStr("hush"),
    public_url="https://app.example.com/",
)


def keys(app: FlipkartApp, held: FlipkartCredentials) -> list[tuple[str, str, str, str]]:
    found = [Key.of(written) for written in account.webhook_keys(app, held)]
    return [(key.how, key.app_id, key.secret, key.url) for key in found]


def test_a_stores_keys_are_our_applications_for_its_address_and_the_shared_secret():
    assert keys(APP, signed_in()) == [("fklogin", "our-app", "our", URL), ("hmac", "", "hush", "")]


def test_a_stores_own_application_address_and_secret_come_first():
    own = FlipkartCredentials(
        app_id="hers",
        app_secret="secret",
        webhook_secret="whispered",
        webhook_url="https://old.example/fk",
        seller_id=SELLER,
    )
    assert keys(APP, own) == [
        ("fklogin", "hers", "secret", "https://old.example/fk"),
        ("fklogin", "our-app", "our", "https://old.example/fk"),
        ("hmac", "", "whispered", ""),
        ("hmac", "", "hush", ""),
    ]
    moved = APP.model_copy(update={"webhook_url": "https://hooks.example.com/fk/"})
    assert keys(moved, signed_in())[0][3] == f"https://hooks.example.com/fk/{SELLER}"


def test_without_any_secret_there_is_no_key():
    assert keys(FlipkartApp(), signed_in()) == []


# --- what it says ---------------------------------------------------------------------------------------------------


def read(body: bytes, **headers: str):
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return webhooks.topic(given, body), webhooks.read(webhooks.topic(given, body), body, given)


@pytest.mark.parametrize(("event", "topic"), webhooks.EVENTS.items())
def test_every_event_of_flipkarts_is_a_topic_and_a_hint(event, topic):
    assert read(said(event)) == (topic, [OrderTouched("ship-1")])


@pytest.mark.parametrize(("route", "topic"), webhooks.ROUTES.items())
def test_every_address_feeds_the_same_reader(route, topic):
    body = json.dumps({"shipmentId": "ship-1"}).encode()
    given = {PATH_TOPIC: route}
    assert webhooks.topic(given, body) == topic
    expected = [NothingToDo(topic)] if topic == "inventory.updated" else [OrderTouched("ship-1")]
    assert webhooks.read(topic, body, given) == expected


def test_the_eight_topics_come_by_header_too():
    assert len(webhooks.TOPICS) == 8
    body = json.dumps({"data": {"shipment_id": "ship-1"}}).encode()
    assert read(body, x_flipkart_topic="order.cancelled") == ("order.cancelled", [OrderTouched("ship-1")])


def test_a_whole_shipment_in_the_body_is_a_hint_like_any_other():
    assert read(said(attributes=shipment("ship-1")))[1] == [OrderTouched("ship-1")]


def test_a_return_touches_the_shipments_it_names():
    items = [{"shipmentId": "ship-1"}, {"shipmentId": "ship-2"}, {"shipmentId": "ship-1"}]
    body = said("return_created", shipmentId=None, returnId="r-1", attributes={"returnItems": items})
    assert read(body)[1] == [OrderTouched("ship-1"), OrderTouched("ship-2"), ReturnTouched("r-1")]
    later = said("return_completed", shipmentId=None, returnId="r-1")
    assert read(later)[1] == [ReturnTouched("r-1")]


def test_what_we_have_no_use_for_is_taken_all_the_same():
    assert read(said("shipment_painted_blue")) == ("shipment_painted_blue", [NothingToDo("shipment_painted_blue")])
    assert read(b"{}") == ("unnamed", [NothingToDo("unnamed")])


@pytest.mark.parametrize("body", [said(shipmentId=None), said(attributes=[]), b"[]", b"not json"])
def test_what_should_name_a_shipment_and_does_not_is_malformed(body):
    with pytest.raises(Malformed):
        webhooks.read("order.created", body, {})


def test_a_delivery_is_told_from_another_by_what_happened_to_what_and_when():
    def one(**more) -> str:
        return webhooks.delivery_id({}, said(**more))

    assert one() == one(locationId="LOC2", version="v4")  # the same news, told again
    kinds = {one(), one(event="shipment_hold"), one(shipmentId="ship-2"), one(timestamp="2026-11-21T12:00:01+05:30"),
             one(attributes={"status": "PACKED"})}  # fmt: skip
    assert len(kinds) == 5
    bare = [said(shipmentId=None, **{name: n}) for name in ("shipment_id", "returnId") for n in ("a", "b")]
    bare += [said(returnId=n) for n in ("a", "b")]  # two returns of one shipment in one second
    assert len({webhooks.delivery_id({}, body) for body in bare}) == 6
    plain = [json.dumps({"data": {"id": n}}).encode() for n in (1, 2)]
    assert webhooks.delivery_id({}, plain[0]) != webhooks.delivery_id({}, plain[1])


def test_the_store_is_named_by_header_or_body_or_not_at_all():
    assert webhooks.store({"x-flipkart-seller-id": SELLER.upper()}, b"{}") == SELLER
    assert webhooks.store({}, json.dumps({"sellerId": SELLER}).encode()) == SELLER
    for body in (said(), b"not json"):
        with pytest.raises(BadRequest):
            webhooks.store({}, body)


@pytest.mark.parametrize("key", [LOGIN, HMAC])
def test_what_we_sign_verifies(key):
    headers = webhooks.sign(key, "order.created", SELLER, said(), NOW)
    assert not refused([key], headers, said())
    assert webhooks.store(headers, said()) == SELLER
