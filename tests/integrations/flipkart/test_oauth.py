from base64 import b64decode
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from pydantic import SecretStr, ValidationError

from shipcrowd.integrations.flipkart import FlipkartApp, FlipkartCredentials, NotAFlipkartSeller, account, oauth
from shipcrowd.kernel.errors import Invalid, Unauthenticated
from shipcrowd.kernel.outbound import Disconnected, Malformed, OutsideFailure, Refused, Unavailable

from .conftest import NOW, SELLER, Flipkart, signed_in

TOKEN = "/oauth-service/oauth/token"
APP = FlipkartApp(app_id="our-app", app_secret=SecretStr("our-secret"))
OWN = FlipkartCredentials(app_id="her-app", app_secret=SecretStr("her-secret"))
BACK = "https://app.example.com/api/v1/integrations/flipkart/callback"
MINTED = {"access_token": "5b0c9f0e-3f5d", "token_type": "bearer", "expires_in": 5183999, "scope": "Seller_Api"}
SIGNED_IN = MINTED | {"refresh_token": "7fe2-refresh", "refresh_token_expires_in": 10703805}


def asked(flipkart: Flipkart) -> dict[str, str]:
    [request] = flipkart.requests
    assert request.method == "GET"
    return dict(parse_qsl(request.url.query.decode()))


def basic(flipkart: Flipkart) -> str:
    scheme, _, token = flipkart.requests[-1].headers["authorization"].partition(" ")
    assert scheme == "Basic"
    return b64decode(token).decode()


def test_the_browser_is_sent_to_flipkart_with_our_application_and_the_nonce():
    url = urlsplit(oauth.start(APP, SELLER, "n0nce", BACK))
    assert (url.netloc, url.path) == ("api.flipkart.net", "/oauth-service/oauth/authorize")
    assert dict(parse_qsl(url.query)) == {
        "client_id": "our-app",
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "Seller_Api",
        "state": "n0nce",
    }


def test_without_an_application_of_ours_nobody_is_sent_anywhere():
    with pytest.raises(Invalid):
        oauth.start(FlipkartApp(), SELLER, "n0nce", BACK)


def test_the_callback_names_no_store():
    assert oauth.check(APP, [("code", "c0de"), ("state", "n0nce")], NOW) is None


@pytest.mark.parametrize(
    "query",
    [
        [],
        [("code", "c0de")],
        [("state", "n0nce")],
        [("code", ""), ("state", "n0nce")],
        [("code", "a"), ("code", "b"), ("state", "n0nce")],
        [("error", "access_denied"), ("error_description", "the seller said no"), ("state", "n0nce")],
    ],
)
def test_a_callback_without_one_code_and_one_state_is_refused(query):
    with pytest.raises(Unauthenticated):
        oauth.check(APP, query, NOW)


async def test_a_code_is_exchanged_with_the_same_state_and_address(flipkart):
    flipkart.on(TOKEN, SIGNED_IN)
    held = await oauth.finish(APP, flipkart.http(), SELLER, {"code": "c0de", "state": "n0nce"}, BACK, NOW)
    assert asked(flipkart) == {
        "grant_type": "authorization_code",
        "redirect_uri": BACK,
        "state": "n0nce",
        "code": "c0de",
    }
    assert basic(flipkart) == "our-app:our-secret"
    assert (held.kind, held.seller_id) == ("signed_in", SELLER)
    assert held.access_token == SecretStr("5b0c9f0e-3f5d")
    assert held.refresh_token == SecretStr("7fe2-refresh")
    assert held.expires_at == NOW + timedelta(seconds=5183999)
    assert held.refresh_expires_at == NOW + timedelta(seconds=10703805)


async def test_a_sellers_own_application_mints_its_token(flipkart):
    flipkart.on(TOKEN, MINTED)
    assert account.expires_at(OWN) < NOW  # nothing minted yet: it is renewed before it is tried
    held = await oauth.renew(APP, flipkart.http(), SELLER, OWN, NOW)
    assert asked(flipkart) == {"grant_type": "client_credentials", "scope": "Seller_Api"}
    assert basic(flipkart) == "her-app:her-secret"
    assert (held.kind, held.refresh_token, held.app_secret) == ("own_app", None, SecretStr("her-secret"))
    assert account.expires_at(held) == NOW + timedelta(seconds=5183999)


async def test_a_renewal_keeps_the_refresh_token_it_was_not_given_a_new_one_for(flipkart):
    flipkart.on(TOKEN, MINTED)
    before = signed_in(refresh_expires_at=NOW + timedelta(days=100))
    held = await oauth.renew(APP, flipkart.http(), SELLER, before, NOW)
    assert asked(flipkart) == {"grant_type": "refresh_token", "refresh_token": "refresh-one"}
    assert held.refresh_token == SecretStr("refresh-one")
    assert held.refresh_expires_at == NOW + timedelta(days=100)
    flipkart.on(TOKEN, SIGNED_IN)
    assert (await oauth.renew(APP, flipkart.http(), SELLER, before, NOW)).refresh_token == SecretStr("7fe2-refresh")


async def test_after_180_days_without_a_renewal_the_seller_signs_in_again_and_nobody_is_asked(flipkart):
    late = signed_in(refresh_expires_at=NOW)
    with pytest.raises(Disconnected, match="180 days"):
        await oauth.renew(APP, flipkart.http(), SELLER, late, NOW)
    with pytest.raises(Disconnected):
        await oauth.renew(APP, flipkart.http(), SELLER, late.model_copy(update={"refresh_token": None}), NOW)
    assert flipkart.requests == []


@pytest.mark.parametrize(
    ("lasts", "left"),
    [
        (timedelta(seconds=5183999), timedelta(days=5)),  # 60 days: renewed on the 55th
        (timedelta(days=8), timedelta(days=5)),
        (timedelta(days=5), timedelta(days=1)),
        (timedelta(hours=1), timedelta(minutes=12)),
        (timedelta(minutes=2), timedelta(seconds=60)),
    ],
)
def test_one_rule_says_when_to_renew_a_long_token_and_a_short_one(lasts, left):
    assert account.due(NOW, lasts) == NOW + lasts - left


async def test_a_token_minted_again_may_be_the_same_one_and_is_not_asked_for_at_every_call(flipkart):
    now, ends, mints = NOW, NOW + timedelta(days=60), 0
    held = OWN
    while now < ends - timedelta(minutes=2):
        flipkart.on(TOKEN, MINTED | {"expires_in": int((ends - now).total_seconds())})
        held = await oauth.renew(APP, flipkart.http(), SELLER, held, now)
        assert account.expires_at(held) <= ends
        now, mints = account.renew_at(held), mints + 1
    assert mints < 10


@pytest.mark.parametrize(
    ("answer", "own", "of_ours"),
    [
        (httpx2.Response(401, json={"error": "unauthorized", "error_description": "Bad credentials"}),
         Disconnected, Refused),
        (httpx2.Response(400, json={"error": "invalid_grant", "error_description": "Invalid refresh token: abc"}),
         Disconnected, Disconnected),
        (httpx2.Response(403, json={"error": "access_denied"}), Disconnected, Refused),
        (httpx2.Response(405, content=b"<html>Method not allowed</html>"), Unavailable, Unavailable),
        (httpx2.Response(200, content=b"<html>Your address is blocked</html>"), Unavailable, Unavailable),
        (httpx2.Response(503, content=b"<html>Gateway Time-out</html>"), Unavailable, Unavailable),
        (httpx2.ReadTimeout("slow"), Unavailable, Unavailable),
        ({"access_token": "5b0c9f0e-3f5d"}, Malformed, Malformed),
        ({"expires_in": 100}, Malformed, Malformed),
        ({"access_token": "5b0c9f0e-3f5d", "expires_in": -1}, Malformed, Malformed),
    ],
)  # fmt: skip
async def test_no_token_is_one_of_the_four_failures(flipkart, answer, own, of_ours):
    for held, expected in ((OWN, own), (signed_in(), of_ours)):
        flipkart.on(TOKEN, answer)
        with pytest.raises(OutsideFailure) as raised:
            await oauth.renew(APP, flipkart.http(), SELLER, held, NOW)
        assert type(raised.value) is expected


async def test_wrong_keys_of_a_seller_are_told_in_flipkarts_words(flipkart):
    words = "No client with requested id: her-app"
    flipkart.on(TOKEN, httpx2.Response(401, json={"error": "unauthorized", "error_description": words}))
    with pytest.raises(Disconnected, match=words):
        await oauth.renew(APP, flipkart.http(), SELLER, OWN, NOW)


@pytest.mark.parametrize(("status", "error"), [(401, "unauthorized"), (400, "invalid_grant"), (403, "access_denied")])
async def test_a_store_with_its_own_application_is_told_to_check_its_keys_not_to_sign_in(flipkart, status, error):
    flipkart.on(TOKEN, httpx2.Response(status, json={"error": error}))
    with pytest.raises(Disconnected) as raised:
        await oauth.renew(APP, flipkart.http(), SELLER, OWN, NOW)
    assert "application id and secret" in raised.value.reason
    assert "Developer Access" in raised.value.reason
    assert "sign in" not in raised.value.reason


def test_credentials_are_whole_or_refused():
    for given in ({}, {"app_id": "her-app"}, {"app_id": " ", "app_secret": "her-secret"}, {"kind": "signed_in"}):
        with pytest.raises(ValidationError):
            FlipkartCredentials(**given)


def test_a_seller_id_is_typed_in_any_case_and_nothing_else_is_one():
    assert account.store_id(" D591418B408940A0 ") == SELLER
    for typed in ("", "abc", "https://seller.flipkart.com/x", "a b c d", "x" * 65):
        with pytest.raises(NotAFlipkartSeller):
            account.store_id(typed)


def test_only_an_https_address_is_called():
    with pytest.raises(Refused):
        oauth.base_url(FlipkartApp(base_url="http://api.flipkart.net"))
    assert oauth.base_url(FlipkartApp(base_url="https://api.flipkart.net/")) == "https://api.flipkart.net"
