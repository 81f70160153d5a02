import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine

from shipcrowd.sandbox.schemas import Knobs

SHOP = "asha-crafts.myshopify.com"
AUTHORIZE = f"https://{SHOP}/admin/oauth/authorize"
TOKEN = f"https://{SHOP}/admin/oauth/access_token"
START = {
    "client_id": "sandbox-client-id",
    "scope": "read_orders,write_orders,read_products",
    "redirect_uri": "https://app.example/callback",
    "state": "nonce & more=1",
}
APP = {"client_id": "sandbox-client-id", "client_secret": "sandbox-client-secret"}


async def install(http, **changes):
    reply = await http.post(AUTHORIZE, data={**START, **changes, "decision": "install"})
    assert reply.status_code == 302
    return dict(parse_qsl(urlsplit(reply.headers["location"]).query))


async def tokens(http, **more):
    code = (await install(http))["code"]
    return (await http.post(TOKEN, json={**APP, "code": code, **more})).json()


async def shop_info(http, token):
    return await http.post(
        f"https://{SHOP}/admin/api/2026-10/graphql.json",
        headers={"X-Shopify-Access-Token": token},
        json={"query": "{ shop { name } }"},
    )


async def test_the_consent_page_names_the_shop_and_what_is_asked_for(http):
    page = await http.get(AUTHORIZE, params=START)
    assert page.status_code == 200
    assert "Install ShipCrowd" in page.text
    assert "View and edit: Orders" in page.text
    assert "nonce &amp; more=1" in page.text


@pytest.mark.parametrize("changes", [{"client_id": "somebody-else"}, {"redirect_uri": "https://evil.example/callback"}])
async def test_an_unknown_app_or_redirect_gets_an_error_page_and_no_code(http, desk, changes):
    assert (await http.get(AUTHORIZE, params={**START, **changes})).status_code == 400
    assert (await http.post(AUTHORIZE, data={**START, **changes, "decision": "install"})).status_code == 400
    assert not desk.shopify.shops[SHOP].codes


async def test_the_callback_is_signed_over_its_decoded_sorted_parameters(http):
    query = await install(http)
    signature = query.pop("hmac")
    message = "&".join(f"{key}={value.replace('&', '%26')}" for key, value in sorted(query.items()))
    assert signature == hmac.new(b"sandbox-client-secret", message.encode(), hashlib.sha256).hexdigest()
    assert query["state"] == START["state"]
    assert query["shop"] == SHOP
    assert abs(int(query["timestamp"]) - datetime.now(UTC).timestamp()) < 5


async def test_the_desk_can_press_install(desk, http):
    url = desk.approve(f"{AUTHORIZE}?client_id=sandbox-client-id&redirect_uri=https://app.example/callback&state=n")
    assert url.startswith("https://app.example/callback?code=")


@pytest.mark.parametrize("as_form", [True, False])
async def test_a_code_buys_an_expiring_token_once(http, as_form):
    code = (await install(http))["code"]
    body = {**APP, "code": code, "expiring": "1"}
    reply = await http.post(TOKEN, data=body) if as_form else await http.post(TOKEN, json=body)
    granted = reply.json()
    assert granted["access_token"].startswith("shpat_")
    assert granted["refresh_token"].startswith("shprt_")
    assert (granted["expires_in"], granted["refresh_token_expires_in"]) == (3600, 7776000)
    assert granted["scope"] == "read_products,write_orders", "a write scope stands for its read scope"
    again = await http.post(TOKEN, json=body)
    assert again.status_code == 400
    assert again.json()["error"] == "invalid_request"


async def test_a_wrong_secret_is_invalid_client_and_keeps_the_code(http):
    code = (await install(http))["code"]
    wrong = await http.post(TOKEN, json={**APP, "client_secret": "guess", "code": code})
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    assert (await http.post(TOKEN, json={**APP, "code": code, "expiring": 1})).status_code == 200


async def test_an_access_token_dies_after_an_hour_and_its_refresh_token_renews_it(http):
    with time_machine.travel(datetime(2026, 11, 22, 10, tzinfo=UTC), tick=False) as clock:
        granted = await tokens(http, expiring=1)
        assert (await shop_info(http, granted["access_token"])).status_code == 200
        clock.shift(timedelta(seconds=3600))
        expired = await shop_info(http, granted["access_token"])
        assert expired.status_code == 401
        assert isinstance(expired.json()["errors"], str)
        renewed = await http.post(
            TOKEN, json={**APP, "grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
        )
        assert renewed.json()["refresh_token"] != granted["refresh_token"]
        assert (await shop_info(http, renewed.json()["access_token"])).status_code == 200


async def refresh(http, value):
    return await http.post(TOKEN, data={**APP, "grant_type": "refresh_token", "refresh_token": value})


async def test_the_previous_refresh_token_works_until_its_replacement_is_used(http):
    first = (await tokens(http, expiring=1))["refresh_token"]
    lost = (await refresh(http, first)).json()["refresh_token"]  # the answer that never arrived
    second = await refresh(http, first)
    assert second.status_code == 200
    assert (await refresh(http, lost)).json()["error"] == "invalid_grant"
    third = await refresh(http, second.json()["refresh_token"])
    assert third.status_code == 200
    assert (await refresh(http, first)).json()["error"] == "invalid_grant", "its replacement was used"


async def test_a_refresh_token_dies_after_90_days(http):
    with time_machine.travel(datetime(2026, 11, 22, tzinfo=UTC), tick=False) as clock:
        granted = await tokens(http, expiring=1)
        clock.shift(timedelta(days=90))
        assert (await refresh(http, granted["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_non_expiring_token_is_refused_by_the_api_unless_the_knob_allows_it(http, desk):
    granted = await tokens(http)
    assert "expires_in" not in granted
    refused = await shop_info(http, granted["access_token"])
    assert refused.status_code == 403
    assert "Non-expiring access tokens are no longer accepted" in refused.json()["errors"]
    desk.set_knobs(Knobs(refuse_non_expiring=False))
    assert (await shop_info(http, granted["access_token"])).status_code == 200


async def test_an_old_token_is_exchanged_for_an_expiring_one_and_dies(http):
    old = (await tokens(http))["access_token"]
    kind = "urn:shopify:params:oauth:token-type:offline-access-token"
    reply = await http.post(
        TOKEN,
        data={
            **APP,
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": old,
            "subject_token_type": kind,
            "requested_token_type": kind,
            "expiring": "1",
        },
    )
    assert reply.json()["expires_in"] == 3600
    assert (await shop_info(http, old)).status_code == 401


async def test_a_scope_can_be_withheld(http, desk):
    desk.set_knobs(Knobs(withhold_scopes=("write_orders",)))
    assert (await tokens(http, expiring=1))["scope"] == "read_orders,read_products"


async def test_uninstalling_kills_the_token(http, desk):
    granted = await tokens(http, expiring=1)
    desk.uninstall(SHOP)
    assert (await shop_info(http, granted["access_token"])).status_code == 401
    assert (await refresh(http, granted["refresh_token"])).json()["error"] == "invalid_grant"
