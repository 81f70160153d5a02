import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest
from pydantic import SecretStr

from shipcrowd.integrations.shopify import ShopifyApp, ShopifyCredentials, oauth, vendor
from shipcrowd.kernel.errors import Invalid, Unauthenticated
from shipcrowd.kernel.outbound import Disconnected, Http, Limits, Malformed, OutsideFailure, Refused, Unavailable

SHOP = "mehfil-studio.myshopify.com"
APP = ShopifyApp(client_id="app-id", client_secret=SecretStr("hush"), old_client_secret=SecretStr("older"))


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 20, 6, 30, tzinfo=UTC)


def signed(query: list[tuple[str, str]], secret: str = "hush") -> list[tuple[str, str]]:
    return [*query, ("hmac", oauth.sign(secret, oauth.signed_text(query)))]


def callback(now, **changes: str) -> list[tuple[str, str]]:
    query = {"code": "c0de", "host": "YWRtaW4", "shop": SHOP, "state": "n0nce", "timestamp": str(int(now.timestamp()))}
    return list((query | changes).items())


def far_side(*answers: httpx2.Response | Exception) -> tuple[Http, list[dict[str, list[str]]]]:
    left, forms = list(answers), []

    def handle(request: httpx2.Request) -> httpx2.Response:
        assert str(request.url) == f"https://{SHOP}/admin/oauth/access_token"
        forms.append(parse_qs(request.content.decode()))
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Http("shopify", transport=httpx2.MockTransport(handle), limits=Limits(tries=1)), forms


def tokens(**changes: Any) -> httpx2.Response:
    body = {
        "access_token": "shpat_new_token",
        "scope": "write_orders,read_products,write_inventory,read_locations,write_merchant_managed_fulfillment_orders",
        "expires_in": 3600,
        "refresh_token": "shprt_new",
        "refresh_token_expires_in": 7776000,
    } | changes
    return httpx2.Response(200, json={key: value for key, value in body.items() if value is not None})


def expiring(now, **changes: Any) -> ShopifyCredentials:
    return ShopifyCredentials(
        **{
            "kind": "expiring",
            "access_token": SecretStr("shpat_old_token"),
            "refresh_token": SecretStr("shprt_old"),
            "expires_at": now,
            "refresh_expires_at": now + timedelta(days=3),
            "scopes": ("read_orders",),
        }
        | changes
    )


# --- start -------------------------------------------------------------------------------------------------------


def test_the_browser_is_sent_to_the_shop_with_our_scopes_and_state():
    url = urlsplit(oauth.start(APP, "mehfil-studio", "n0nce", "https://app.example.in/back?x=1"))
    query = dict(parse_qsl(url.query))
    assert (url.scheme, url.netloc, url.path) == ("https", SHOP, "/admin/oauth/authorize")
    assert query["client_id"] == "app-id"
    assert query["state"] == "n0nce"
    assert query["redirect_uri"] == "https://app.example.in/back?x=1"
    assert set(oauth.NEEDED_SCOPES) <= set(query["scope"].split(","))
    assert "grant_options[]" not in query


def test_no_one_is_sent_to_a_host_that_is_no_shop():
    with pytest.raises(Invalid):
        oauth.start(APP, "evil.com", "n0nce", "https://app.example.in/back")


# --- check -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ([("shop", "s.myshopify.com"), ("code", "1")], "code=1&shop=s.myshopify.com"),
        ([("a", "1"), ("hmac", "ignored")], "a=1"),
        ([("a&b", "c&d")], "a%26b=c%26d"),
        ([("a=b", "c=d")], "a%3Db=c=d"),
        ([("a%", "%b")], "a%25=%25b"),
        ([("a%26b", "x")], "a%2526b=x"),
        ([("ids[]", "1"), ("ids[]", "2"), ("b", "3")], 'b=3&ids=["1", "2"]'),
        ([("ids[]", "7")], 'ids=["7"]'),
        ([("new_thing", "kept")], "new_thing=kept"),
    ],
)
def test_the_signed_text_is_escaped_as_shopifys_own_library_does(query: list[tuple[str, str]], text: str):
    assert oauth.signed_text(query) == text


def test_the_signature_is_the_hexadecimal_hmac_of_that_text(now):
    query = callback(now)
    expected = hmac.new(b"hush", "&".join(f"{k}={v}" for k, v in sorted(query)).encode(), hashlib.sha256).hexdigest()
    assert oauth.check(APP, [*query, ("hmac", expected)], now) == SHOP


def test_a_callback_signed_with_the_secret_before_the_rotation_still_counts(now):
    assert oauth.check(APP, signed(callback(now), secret="older"), now) == SHOP


def test_unknown_parameters_are_part_of_the_signature(now):
    query = signed([*callback(now), ("embedded", "1")])
    assert oauth.check(APP, query, now) == SHOP
    with pytest.raises(Unauthenticated):
        oauth.check(APP, [pair for pair in query if pair[0] != "embedded"], now)


@pytest.mark.parametrize(
    "forge",
    [
        lambda q, now: [pair for pair in q if pair[0] != "hmac"],
        lambda q, now: [*q[:-1], ("hmac", "0" * 64)],
        lambda q, now: [*q[:-1], ("hmac", "ä" * 64)],
        lambda q, now: [*q[:-1], ("hmac", "")],
        lambda q, now: [*q, q[-1]],
        lambda q, now: [("shop", "evil.myshopify.com"), *q],
        lambda q, now: signed(callback(now, shop="evil.com")),
        lambda q, now: signed(callback(now, shop=f"{SHOP}.evil.com")),
        lambda q, now: signed(callback(now, shop=f"{SHOP}\n")),
        lambda q, now: signed(callback(now, timestamp="soon")),
        lambda q, now: signed(callback(now, timestamp="9" * 40)),
        lambda q, now: signed([pair for pair in callback(now) if pair[0] != "timestamp"]),
        lambda q, now: signed(callback(now, timestamp=str(int(now.timestamp()) - 601))),
        lambda q, now: signed(callback(now, timestamp=str(int(now.timestamp()) + 601))),
    ],
)
def test_a_forged_or_stale_callback_is_refused(now, forge):
    genuine = signed(callback(now))
    assert oauth.check(APP, genuine, now) == SHOP
    with pytest.raises(Unauthenticated):
        oauth.check(APP, forge(genuine, now), now)


def test_an_app_without_a_secret_accepts_nobody(now):
    with pytest.raises(Unauthenticated):
        oauth.check(ShopifyApp(client_id="x"), signed(callback(now), secret=""), now)


# --- finish ------------------------------------------------------------------------------------------------------


async def test_a_code_becomes_an_expiring_token(now):
    http, forms = far_side(tokens())
    held = await oauth.finish(APP, http, SHOP, {"code": "c0de"}, "https://app.example.in/back", now)
    assert forms == [{"client_id": ["app-id"], "client_secret": ["hush"], "code": ["c0de"], "expiring": ["1"]}]
    assert held.kind == "expiring"
    assert held.access_token.get_secret_value() == "shpat_new_token"
    assert held.refresh_token is not None
    assert held.expires_at == now + timedelta(hours=1)
    assert held.refresh_expires_at == now + timedelta(days=90)
    assert oauth.missing_scopes(held.scopes) == ()


async def test_an_app_exempt_from_expiring_tokens_gets_a_permanent_one(now):
    http, _ = far_side(tokens(expires_in=None, refresh_token=None, refresh_token_expires_in=None))
    held = await oauth.finish(APP, http, SHOP, {"code": "c0de"}, "https://app.example.in/back", now)
    assert held.kind == "permanent"
    assert vendor.expires_at(held) is None


@pytest.mark.parametrize(
    ("answer", "failure", "code"),
    [
        (httpx2.Response(400, json={"error": "invalid_client"}), Refused, "bad_app_secret"),
        (httpx2.Response(401, json={"error": "invalid_client"}), Refused, "bad_app_secret"),
        (httpx2.Response(400, json={"error": "invalid_grant", "error_description": "used"}), Disconnected, None),
        (httpx2.Response(400, json={"error": "invalid_request"}), Disconnected, None),
        (httpx2.Response(400, content=b"<p>The authorization code was not found</p>"), Disconnected, None),
        (httpx2.Response(402, json={"errors": "Unavailable Shop"}), Refused, "shop_frozen"),
        (httpx2.Response(404, content=b"Not Found"), Disconnected, None),
        (httpx2.Response(418, content=b"tea"), Refused, "sign_in_refused"),
        (httpx2.Response(503, content=b"<html>"), Unavailable, None),
        (httpx2.Response(429, headers={"retry-after": "2"}), Unavailable, None),
        (httpx2.ConnectError("no route"), Unavailable, None),
        (httpx2.Response(200, json=["no"]), Malformed, None),
        (httpx2.Response(200, json={"scope": "read_orders"}), Malformed, None),
        (tokens(refresh_token=None), Malformed, None),
    ],
)
async def test_a_refused_exchange_says_whose_fault_it_is(now, answer, failure: type[OutsideFailure], code: str | None):
    http, _ = far_side(answer)
    with pytest.raises(failure) as raised:
        await oauth.finish(APP, http, SHOP, {"code": "c0de"}, "https://app.example.in/back", now)
    assert getattr(raised.value, "code", None) == code
    assert "hush" not in str(raised.value)


# --- renew -------------------------------------------------------------------------------------------------------


async def test_renewing_rotates_both_tokens(now):
    http, forms = far_side(tokens())
    held = await oauth.renew(APP, http, SHOP, expiring(now), now)
    assert forms[0]["grant_type"] == ["refresh_token"]
    assert forms[0]["refresh_token"] == ["shprt_old"]
    assert held.access_token.get_secret_value() == "shpat_new_token"
    assert held.refresh_token is not None
    assert held.refresh_token.get_secret_value() == "shprt_new"
    assert held.expires_at == now + timedelta(hours=1)


async def test_a_renewal_that_says_nothing_of_scopes_keeps_the_ones_we_know(now):
    http, _ = far_side(tokens(scope=None))
    assert (await oauth.renew(APP, http, SHOP, expiring(now), now)).scopes == ("read_orders",)


async def test_a_renewal_without_expiry_is_never_kept_as_never_expiring(now):
    http, _ = far_side(tokens(expires_in=None))
    held = await oauth.renew(APP, http, SHOP, expiring(now), now)
    assert held.kind == "expiring"
    assert held.expires_at == now + timedelta(hours=1)


async def test_a_renewal_with_neither_expiry_nor_refresh_token_changes_nothing(now):
    http, _ = far_side(tokens(expires_in=None, refresh_token=None))
    with pytest.raises(Malformed):
        await oauth.renew(APP, http, SHOP, expiring(now), now)


@pytest.mark.parametrize("nonsense", ["soon", -5, 0])
async def test_a_nonsensical_lifetime_counts_as_the_documented_one(now, nonsense):
    http, _ = far_side(tokens(expires_in=nonsense))
    assert (await oauth.renew(APP, http, SHOP, expiring(now), now)).expires_at == now + timedelta(hours=1)


async def test_what_cannot_be_renewed_asks_for_a_new_sign_in_without_a_call(now):
    http, forms = far_side()
    for held in (
        ShopifyCredentials(access_token=SecretStr("shpat_pasted")),
        expiring(now, refresh_expires_at=now - timedelta(seconds=1)),
    ):
        with pytest.raises(Disconnected):
            await oauth.renew(APP, http, SHOP, held, now)
    assert forms == []


async def test_a_dead_refresh_token_disconnects_and_a_wrong_secret_of_ours_does_not(now):
    http, _ = far_side(
        httpx2.Response(400, json={"error": "invalid_grant"}), httpx2.Response(401, json={"error": "invalid_client"})
    )
    with pytest.raises(Disconnected):
        await oauth.renew(APP, http, SHOP, expiring(now), now)
    with pytest.raises(Refused) as refused:
        await oauth.renew(APP, http, SHOP, expiring(now), now)
    assert refused.value.code == "bad_app_secret"


# --- scopes ------------------------------------------------------------------------------------------------------


def test_a_write_scope_implies_its_read_scope():
    writes = {scope for scope in oauth.NEEDED_SCOPES if scope.startswith("write_")}
    assert oauth.missing_scopes(writes | {"read_products", "read_locations"}) == ()


def test_scopes_the_merchant_did_not_grant_are_named():
    assert oauth.missing_scopes(("read_orders", "write_inventory")) == (
        "write_orders",
        "read_products",
        "read_locations",
        "read_merchant_managed_fulfillment_orders",
        "write_merchant_managed_fulfillment_orders",
    )
