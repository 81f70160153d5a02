"""Sign-in at the stand-in for Flipkart."""

from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart.schemas import KnobChange
from shipcrowd.sandbox.refusals import NotPossible, Unknown

from .conftest import HOST, basic

CALLBACK = "https://app.example/flipkart/callback"


def authorize_url(desk, **changes):
    asked = {
        "client_id": desk.credentials.flipkart_app_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "Seller_Api",
        "state": "s-1",
        **changes,
    }
    return f"{HOST}/oauth-service/oauth/authorize?{urlencode(asked)}"


@pytest.fixture
def partner(desk, http):
    """The token endpoint, called by the partner's application."""

    async def call(method="GET", **query):
        made = desk.credentials
        return await http.request(
            method,
            f"{HOST}/oauth-service/oauth/token",
            params=query,
            headers=basic(made.flipkart_app_id, made.flipkart_app_secret),
        )

    return call


@pytest.fixture
def code(desk, flipkart):
    def made():
        back = desk.flipkart.approve(authorize_url(desk), flipkart.seller.id)
        return parse_qs(urlsplit(back).query)["code"][0]

    return made


async def test_the_sellers_own_application_gets_a_token_of_sixty_days_and_no_refresh_token(flipkart):
    answer = (await flipkart.mint(scope="Seller_Api,Default")).json()
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope"}
    assert 5183999 - 5 <= answer["expires_in"] <= 5183999
    assert (answer["token_type"], answer["scope"]) == ("bearer", "Seller_Api")


async def test_a_second_mint_hands_out_the_same_token_with_what_is_left_of_its_life(flipkart):
    with time_machine.travel(clock.now(), tick=False) as traveller:
        first = (await flipkart.mint()).json()
        traveller.shift(timedelta(days=20))
        second = (await flipkart.mint()).json()
        assert second["access_token"] == first["access_token"]
        assert second["expires_in"] == first["expires_in"] - 20 * 86400
        traveller.shift(timedelta(days=41))
        assert (await flipkart.mint()).json()["access_token"] != first["access_token"]


async def test_the_token_endpoint_answers_get_only_and_a_post_with_a_page(partner):
    reply = await partner("POST", grant_type="client_credentials", scope="Seller_Api")
    assert reply.status_code == 405
    assert reply.headers["content-type"].startswith("text/html")


async def test_wrong_credentials_are_refused_in_flipkarts_words(http, flipkart):
    url = f"{HOST}/oauth-service/oauth/token?grant_type=client_credentials&scope=Seller_Api"
    nobody = await http.get(url, headers=basic("9c1d", "x"))
    assert (nobody.status_code, nobody.json()["error_description"]) == (401, "No client with requested id: 9c1d")
    wrong = await http.get(url, headers=basic(flipkart.seller.app_id, "x"))
    assert wrong.json() == {"error": "unauthorized", "error_description": "Bad credentials"}
    for bare in ({}, {"Authorization": "Basic %%%"}):
        assert (await http.get(url, headers=bare)).status_code == 401


async def test_the_consent_page_names_the_sellers_and_sends_back_a_code_and_the_state(desk, flipkart, http):
    url = authorize_url(desk, state="a b&c")
    page = await http.get(url)
    assert flipkart.seller.name in page.text
    form = {**{key: one[0] for key, one in parse_qs(urlsplit(url).query).items()}, "seller": flipkart.seller.id}
    back = await http.post(url.split("?")[0], data={**form, "decision": "allow"})
    assert back.status_code == 302
    assert back.headers["location"].startswith(CALLBACK + "?code=")
    assert parse_qs(urlsplit(back.headers["location"]).query)["state"] == ["a b&c"]
    denied = await http.post(url.split("?")[0], data={**form, "decision": "deny"})
    assert parse_qs(urlsplit(denied.headers["location"]).query)["error"] == ["access_denied"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "http://app.example/callback"},
        {"redirect_uri": "https://evil.example/callback"},
        {"response_type": "token"},
        {"scope": "Everything"},
    ],
)
async def test_an_application_that_asks_wrongly_sees_an_error_and_gets_no_code(desk, flipkart, http, wrong):
    assert (await http.get(authorize_url(desk, **wrong))).status_code in (400, 401)
    with pytest.raises(NotPossible):
        desk.flipkart.approve(authorize_url(desk, **wrong), flipkart.seller.id)
    assert desk.flipkart.world.codes == {}


async def test_a_loopback_address_may_be_plain_http(desk, flipkart):
    back = desk.flipkart.approve(authorize_url(desk, redirect_uri="http://127.0.0.1:8000/cb"), flipkart.seller.id)
    assert back.startswith("http://127.0.0.1:8000/cb?code=")
    with pytest.raises(Unknown):
        desk.flipkart.approve(authorize_url(desk), "nobody")


async def test_a_code_works_once_and_only_with_its_redirect(partner, code, flipkart):
    once = code()
    answer = await partner(grant_type="authorization_code", code=once, redirect_uri=CALLBACK, state="s-1")
    assert answer.json()["refresh_token_expires_in"] >= 15551990
    flipkart.token = answer.json()["access_token"]
    assert await flipkart.found() == []
    again = await partner(grant_type="authorization_code", code=once, redirect_uri=CALLBACK)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    other = await partner(grant_type="authorization_code", code=code(), redirect_uri="https://app.example/else")
    assert other.json() == {"error": "invalid_grant", "error_description": "Redirect URI mismatch."}


async def test_a_code_dies_after_ten_minutes(partner, code):
    with time_machine.travel(clock.now(), tick=False) as traveller:
        late = code()
        traveller.shift(timedelta(minutes=10))
        reply = await partner(grant_type="authorization_code", code=late, redirect_uri=CALLBACK)
        assert reply.json()["error"] == "invalid_grant"


async def test_a_refresh_makes_a_new_token_and_counts_from_the_sign_in(partner, code, flipkart):
    with time_machine.travel(clock.now(), tick=False) as traveller:
        first = (await partner(grant_type="authorization_code", code=code(), redirect_uri=CALLBACK)).json()
        for days in (55, 110, 165):
            traveller.shift(timedelta(days=55))
            fresh = (await partner(grant_type="refresh_token", refresh_token=first["refresh_token"])).json()
            assert fresh["access_token"] != first["access_token"]
            assert fresh["refresh_token"] == first["refresh_token"]
            assert fresh["refresh_token_expires_in"] == first["refresh_token_expires_in"] - days * 86400
            flipkart.token = fresh["access_token"]
            assert await flipkart.found() == []
        traveller.shift(timedelta(days=16))
        late = await partner(grant_type="refresh_token", refresh_token=first["refresh_token"])
        assert late.status_code == 401
        assert late.json()["error"] == "invalid_token"


async def test_the_token_before_a_refresh_is_dead(partner, code, flipkart):
    first = (await partner(grant_type="authorization_code", code=code(), redirect_uri=CALLBACK)).json()
    await partner(grant_type="refresh_token", refresh_token=first["refresh_token"])
    flipkart.token = first["access_token"]
    reply = await flipkart.filter()
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_token")


@pytest.mark.parametrize("returns", ["new", "none"])
async def test_a_refresh_may_hand_out_another_refresh_token_or_none(desk, partner, code, returns):
    desk.flipkart.set_knobs(KnobChange(refresh_returns=returns))
    first = (await partner(grant_type="authorization_code", code=code(), redirect_uri=CALLBACK)).json()
    fresh = (await partner(grant_type="refresh_token", refresh_token=first["refresh_token"])).json()
    assert fresh.get("refresh_token") != first["refresh_token"]
    assert ("refresh_token" in fresh) is (returns == "new")
    old = await partner(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert old.status_code == (400 if returns == "new" else 200)


async def test_an_hour_long_token_expires_on_the_sandboxs_clock(desk, flipkart):
    with time_machine.travel(clock.now() + timedelta(days=61), tick=False) as traveller:
        desk.flipkart.set_knobs(KnobChange(access_token_seconds=3600))
        answer = (await flipkart.mint()).json()
        assert answer["expires_in"] == 3599
        flipkart.token = answer["access_token"]
        assert (await flipkart.filter()).status_code == 200
        traveller.shift(timedelta(hours=1))
        late = await flipkart.filter()
        assert late.status_code == 401
        assert late.json()["error_description"].startswith("Access token expired")


async def test_the_kinds_of_application_do_not_mix(partner, flipkart, desk):
    assert (await partner(grant_type="client_credentials", scope="Seller_Api")).status_code == 401
    with pytest.raises(NotPossible):
        desk.flipkart.approve(authorize_url(desk, client_id=flipkart.seller.app_id), flipkart.seller.id)
    assert (await partner(grant_type="password")).json()["error"] == "unsupported_grant_type"


async def test_a_seller_who_revokes_ends_every_token(partner, code, flipkart, desk):
    answer = (await partner(grant_type="authorization_code", code=code(), redirect_uri=CALLBACK)).json()
    desk.flipkart.revoke(flipkart.seller.id)
    assert (await flipkart.filter()).status_code == 401
    again = await partner(grant_type="refresh_token", refresh_token=answer["refresh_token"])
    assert again.json()["error"] == "invalid_grant"


async def test_a_call_without_a_token_or_without_approval_is_refused(flipkart, desk):
    desk.flipkart.set_approved(flipkart.seller.id, approved=False)
    assert (await flipkart.filter()).status_code == 403
    flipkart.token = ""
    assert (await flipkart.filter()).status_code == 401
    assert (await flipkart.call("GET", "/v3/nothing/here/at/all")).status_code == 404
