"""Login with Amazon, the consent page, and whose token opens what."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from shipcrowd.sandbox.amazon.schemas import AmazonKnobChange, NewSeller
from shipcrowd.sandbox.refusals import NotPossible, Unknown

API = "https://sellingpartnerapi-eu.amazon.com"
PARTICIPATIONS = "/sellers/v1/marketplaceParticipations"
CALLBACK = "https://app.example/connect/amazon"
AGENT = {"user-agent": "ShipCrowd/1.0"}


def consent(amazon, state="s-1", redirect=CALLBACK):
    asked = {"application_id": amazon.world.app.application_id, "state": state, "redirect_uri": redirect}
    return f"https://sellercentral.amazon.in/apps/authorize/consent?{urlencode(asked)}"


def answered(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def error_of(reply):
    return reply.status_code, reply.json()["error"]


async def test_a_seller_consents_and_the_code_becomes_tokens(spapi, amazon, http):
    page = await http.get(consent(amazon))
    assert "A1INSELLER0001" in page.text
    assert "app.example" in page.text
    asked = {**answered(consent(amazon)), "seller": "A1INSELLER0001", "decision": "confirm"}
    back = await http.post("https://sellercentral.amazon.in/apps/authorize/consent", data=asked)
    assert back.status_code == 302
    came = answered(back.headers["location"])
    assert (came["state"], came["selling_partner_id"]) == ("s-1", "A1INSELLER0001")
    reply = await spapi.lwa(grant_type="authorization_code", code=came["spapi_oauth_code"], redirect_uri=CALLBACK)
    tokens = reply.json()
    assert tokens["access_token"].startswith("Atza|")
    assert tokens["refresh_token"].startswith("Atzr|")
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 3600)
    spapi.token = tokens["access_token"]
    (row,) = (await spapi.get(PARTICIPATIONS))["payload"]
    assert (row["marketplace"]["id"], row["participation"]["isParticipating"]) == ("A21TJRUUN4KGV", True)


async def test_a_code_works_once_and_for_five_minutes(spapi, amazon):
    first, late = (answered(amazon.approve(consent(amazon)))["spapi_oauth_code"] for _ in range(2))
    assert (await spapi.lwa(grant_type="authorization_code", code=first, redirect_uri=CALLBACK)).status_code == 200
    again = await spapi.lwa(grant_type="authorization_code", code=first, redirect_uri=CALLBACK)
    assert error_of(again) == (400, "invalid_grant")
    assert again.json()["error_description"].endswith(": code")
    amazon.pass_time(301)
    assert error_of(await spapi.lwa(grant_type="authorization_code", code=late)) == (400, "invalid_grant")


async def test_a_code_is_bound_to_its_redirect(spapi, amazon):
    code = answered(amazon.approve(consent(amazon)))["spapi_oauth_code"]
    other = await spapi.lwa(grant_type="authorization_code", code=code, redirect_uri="https://app.example/other")
    assert error_of(other) == (400, "invalid_grant")


async def test_consent_leads_nowhere_but_here(spapi, amazon, http):
    assert (await http.get(consent(amazon, redirect="https://evil.example/"))).status_code == 400
    unknown = consent(amazon).replace("amzn1.sp.solution.sandbox", "amzn1.sp.solution.other")
    assert (await http.get(unknown)).status_code == 400
    with pytest.raises(NotPossible):
        amazon.approve(consent(amazon, redirect="https://evil.example/"))
    with pytest.raises(Unknown):
        amazon.approve(unknown)
    assert amazon.world.codes == {}


async def test_a_sign_in_that_begins_at_the_appstore(spapi, amazon, http):
    start = amazon.appstore_link("A1INSELLER0001", "https://app.example/login/amazon")
    told = answered(start)
    assert start.startswith("https://app.example/login/amazon?")
    assert told["amazon_callback_uri"].startswith("https://sellercentral.amazon.in/apps/authorize/confirm/")
    way = {"redirect_uri": CALLBACK, "amazon_state": told["amazon_state"], "state": "ours"}
    back = await http.get(told["amazon_callback_uri"], params=way)
    came = answered(back.headers["location"])
    assert (came["state"], came["selling_partner_id"]) == ("ours", told["selling_partner_id"])
    assert (await http.get(told["amazon_callback_uri"], params=way)).status_code == 400, "amazon_state works once"
    assert (await spapi.lwa(grant_type="authorization_code", code=came["spapi_oauth_code"])).status_code == 200


async def test_the_token_endpoints_refusals(spapi, http):
    missing = await spapi.lwa(grant_type="refresh_token")
    assert error_of(missing) == (400, "invalid_request")
    assert missing.json()["error_description"].endswith(": refresh_token")
    assert error_of(await spapi.lwa(grant_type="password")) == (400, "unsupported_grant_type")
    assert error_of(await spapi.lwa(grant_type="client_credentials", scope="everything")) == (400, "invalid_scope")
    bad = await spapi.lwa(grant_type="refresh_token", refresh_token="Atzr|x", client_secret="no")
    assert error_of(bad) == (401, "invalid_client")
    reply = await http.post("https://api.amazon.com/auth/o2/token", json={"grant_type": "refresh_token"})
    assert error_of(reply) == (400, "invalid_request")


async def test_the_gateways_403s_name_the_token(spapi, amazon, http):
    async def details(token):
        headers = AGENT | ({"x-amz-access-token": token} if token else {})
        reply = await http.get(API + PARTICIPATIONS, headers=headers)
        assert reply.status_code == 403
        (error,) = reply.json()["errors"]
        assert error["code"] == "Unauthorized"
        assert reply.headers["x-amzn-requestid"]
        return error["details"]

    assert await details(None) == "Access token is missing in the request header."
    assert await details("Atza|wrong") == "The access token you provided is revoked, malformed or invalid."
    amazon.pass_time(3600)
    assert await details(spapi.token) == "The access token you provided has expired."


async def test_an_unknown_path_is_a_403(spapi):
    spapi.held = False
    assert (await spapi.call("GET", "/orders/v9/orders")).status_code == 403
    assert (await spapi.call("POST", PARTICIPATIONS, {})).status_code == 403


async def test_revoked_means_every_token_is_dead(spapi, amazon):
    value = amazon.refresh_token("A1INSELLER0001")
    await spapi.sign_in(value)
    amazon.revoke("A1INSELLER0001")
    reply = await spapi.call("GET", PARTICIPATIONS)
    assert reply.status_code == 403
    refused = await spapi.lwa(grant_type="refresh_token", refresh_token=value)
    assert error_of(refused) == (400, "invalid_grant")
    assert "User may have revoked" in refused.json()["error_description"]
    assert not amazon.sellers()[0].connected
    with pytest.raises(NotPossible):
        amazon.revoke("A1INSELLER0001")


async def test_an_authorization_lapses_after_a_year(spapi, amazon):
    value = amazon.refresh_token("A1INSELLER0001")
    amazon.pass_time(364 * 86400)
    assert (await spapi.lwa(grant_type="refresh_token", refresh_token=value)).status_code == 200
    amazon.pass_time(86400)
    assert error_of(await spapi.lwa(grant_type="refresh_token", refresh_token=value)) == (400, "invalid_grant")


async def test_grantless_operations_and_sellers_do_not_mix(spapi):
    destinations = "/notifications/v1/destinations"
    assert (await spapi.call("GET", destinations)).status_code == 403
    grantless = await spapi.grantless()
    assert (await grantless.call("GET", destinations)).status_code == 200
    assert (await grantless.call("GET", PARTICIPATIONS)).status_code == 403
    wrong_scope = await spapi.grantless("sellingpartnerapi::client_credential:rotation")
    assert (await wrong_scope.call("GET", destinations)).status_code == 403


async def test_the_wrong_region_is_refused(spapi):
    spapi.base = "https://sellingpartnerapi-na.amazon.com"
    assert (await spapi.call("GET", PARTICIPATIONS)).status_code == 403
    spapi.base = API
    foreign = await spapi.call(
        "GET", "/orders/2026-01-01/orders", lastUpdatedAfter="2026-01-01T00:00:00Z", marketplaceIds="ATVPDKIKX0DER"
    )
    assert foreign.status_code == 403
    assert "not valid for region" in foreign.json()["errors"][0]["message"]


async def test_a_private_app_has_a_secret_and_tokens_of_its_own(spapi, amazon):
    own = amazon.private_app("A1INSELLER0001")
    reply = await spapi.lwa(
        grant_type="refresh_token",
        refresh_token=own.refresh_token,
        client_id=own.client_id,
        client_secret=own.client_secret,
    )
    assert reply.status_code == 200
    crossed = await spapi.lwa(grant_type="refresh_token", refresh_token=own.refresh_token)
    assert error_of(crossed) == (400, "invalid_grant")


async def test_a_rotated_secret_arrives_on_the_queue_and_the_old_one_ends(spapi, amazon, desk, queue):
    old = amazon.world.app.secret
    rotation = await spapi.grantless("sellingpartnerapi::client_credential:rotation")
    path = "/applications/2023-11-30/clientSecret"
    assert (await rotation.call("POST", path)).status_code == 400, "no queue is set in the developer console"
    assert amazon.world.app.secret == old
    amazon.world.secret_queue = "arn:aws:sqs:eu-west-1:111122223333:spapi"
    amazon.pass_time(60)
    assert (await rotation.call("POST", path)).status_code == 204
    await desk.drain()
    (news,) = queue.of("APPLICATION_OAUTH_CLIENT_NEW_SECRET")
    told = news["payload"]["applicationOAuthClientNewSecret"]
    assert told["newClientSecret"] == amazon.world.app.secret != old
    value = amazon.refresh_token("A1INSELLER0001")
    for secret, status in ((old, 200), (told["newClientSecret"], 200)):
        reply = await spapi.lwa(grant_type="refresh_token", refresh_token=value, client_secret=secret)
        assert reply.status_code == status
    amazon.pass_time(7 * 86400)
    late = await spapi.lwa(grant_type="refresh_token", refresh_token=value, client_secret=old)
    assert error_of(late) == (401, "invalid_client")


async def test_tokens_live_as_long_as_the_knob_says(spapi, amazon):
    amazon.set_knobs(AmazonKnobChange(access_token_seconds=60))
    await spapi.sign_in()
    amazon.pass_time(61)
    assert (await spapi.call("GET", PARTICIPATIONS)).status_code == 403


async def test_sellers_see_their_own(spapi, amazon, http):
    other = amazon.create_seller(NewSeller(name="Noor Textiles"))
    placed = amazon.place_order(other.id)
    reply = await spapi.call("GET", f"/orders/2026-01-01/orders/{placed.id}")
    assert reply.status_code == 404
