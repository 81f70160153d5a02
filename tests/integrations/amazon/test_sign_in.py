"""Signing in, tokens, credentials, and what a seller may type."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from shipcrowd.integrations.amazon import account, lwa, regions, sign_in, vendor
from shipcrowd.integrations.amazon.account import AmazonApp, AmazonCredentials
from shipcrowd.kernel.errors import Invalid, Unauthenticated
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable
from tests.integrations.amazon.far_side import NOW, SELLER

BACK = "https://app.shipcrowd.example/api/v1/integrations/amazon/callback"
TOKENS = {"access_token": "Atza|new", "refresh_token": "Atzr|new", "token_type": "bearer", "expires_in": 3600}


def asked(url: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}", {k: v[0] for k, v in parse_qs(parts.query).items()}


def error(name: str, status: int = 400) -> httpx2.Response:
    return httpx2.Response(status, json={"error": name, "error_description": "Atzr|refresh was no good"})


# --- the consent page and the way back ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "page"),
    [
        ("", "https://sellercentral.amazon.in/apps/authorize/consent"),
        (" in ", "https://sellercentral.amazon.in/apps/authorize/consent"),
        ("A21TJRUUN4KGV", "https://sellercentral.amazon.in/apps/authorize/consent"),
        ("AE", "https://sellercentral.amazon.ae/apps/authorize/consent"),
        ("us", "https://sellercentral.amazon.com/apps/authorize/consent"),
    ],
)
def test_the_consent_page_is_that_of_the_marketplace(amazon, typed, page):
    where, query = asked(sign_in.start(amazon.app, sign_in.place(typed), "state-1", BACK))
    assert where == page
    assert query == {"application_id": "amzn1.sp.solution.ours", "state": "state-1", "redirect_uri": BACK}


def test_a_draft_application_says_so(amazon):
    app = amazon.app.model_copy(update={"draft": True})
    assert asked(sign_in.start(app, "IN", "s", BACK))[1]["version"] == "beta"


def test_a_place_amazon_does_not_have_is_refused(amazon):
    with pytest.raises(Invalid):
        sign_in.place("Atlantis")


def test_without_an_application_there_is_no_signing_in(amazon):
    with pytest.raises(Invalid):
        sign_in.start(AmazonApp(), "IN", "s", BACK)


GOOD = [
    ("state", "s"),
    ("selling_partner_id", SELLER),
    ("spapi_oauth_code", "code-1"),
    ("mws_auth_token", "old"),
]


CODE = {"spapi_oauth_code": "code-1"}


def test_the_callback_names_the_seller(amazon):
    assert sign_in.check(amazon.app, GOOD, NOW) == SELLER


@pytest.mark.parametrize(
    "query",
    [
        [],
        [pair for pair in GOOD if pair[0] != "state"],
        [pair for pair in GOOD if pair[0] != "spapi_oauth_code"],
        [pair for pair in GOOD if pair[0] != "selling_partner_id"],
        [*GOOD, ("selling_partner_id", "A2OTHERSELLER")],
        [("state", ""), *GOOD[1:]],
        [("state", "s"), ("selling_partner_id", "../../etc"), ("spapi_oauth_code", "c")],
        [("state", "s"), ("error", "access_denied")],
    ],
)
def test_any_other_callback_is_refused(amazon, query):
    with pytest.raises(Unauthenticated):
        sign_in.check(amazon.app, query, NOW)


async def test_the_code_is_exchanged_for_tokens(amazon, at_now):
    amazon.lwa = [TOKENS]
    held = await sign_in.finish(amazon.app, amazon.http(), "AE", CODE, BACK, NOW)
    assert amazon.forms == [
        {
            "grant_type": "authorization_code",
            "code": "code-1",
            "redirect_uri": BACK,
            "client_id": "amzn1.application-oa2-client.ours",
            "client_secret": "our-secret",
        }
    ]
    assert held.access_token == SecretStr("Atza|new")
    assert held.refresh_token == SecretStr("Atzr|new")
    assert (held.marketplace, held.authorized_at) == ("A2VIGQ35RCS4UG", NOW)
    assert held.expires_at == NOW + timedelta(hours=1)


async def test_a_code_that_was_used_means_start_again(amazon):
    amazon.lwa = [error("invalid_grant")]
    with pytest.raises(Disconnected) as raised:
        await sign_in.finish(amazon.app, amazon.http(), "IN", CODE, BACK, NOW)
    assert "Atzr" not in str(raised.value)


async def test_tokens_without_one_to_renew_them_are_malformed(amazon):
    amazon.lwa = [{"access_token": "Atza|new", "expires_in": 3600}]
    with pytest.raises(Malformed):
        await sign_in.finish(amazon.app, amazon.http(), "IN", CODE, BACK, NOW)


# --- begun in Amazon's app store ------------------------------------------------------------------------------------


def arrival(uri: str, **more: str) -> list[tuple[str, str]]:
    given = {"amazon_callback_uri": uri, "amazon_state": "amazons", "selling_partner_id": SELLER} | more
    return list(given.items())


@pytest.mark.parametrize(
    ("uri", "marketplace"),
    [
        ("https://sellercentral.amazon.in/apps/authorize/confirm/app", "A21TJRUUN4KGV"),
        ("https://amazon.com/apps/authorize/confirm/app", "A21TJRUUN4KGV"),
        ("https://sellercentral.amazon.ae/apps/authorize/confirm/app", "A2VIGQ35RCS4UG"),
    ],
)
def test_a_seller_from_the_app_store_is_sent_back_with_our_state(amazon, uri, marketplace):
    begun = vendor.sign_in.begun_there
    assert begun.place(amazon.app, arrival(uri)) == marketplace
    where, query = asked(begun.go_back(amazon.app, arrival(uri), "ours", BACK))
    assert where == uri
    assert query == {"redirect_uri": BACK, "amazon_state": "amazons", "state": "ours"}


def test_a_way_back_with_a_query_keeps_it_and_a_draft_says_so(amazon):
    app = amazon.app.model_copy(update={"draft": True})
    url = sign_in.go_back(app, arrival("https://amazon.in/confirm?app=1"), "ours", BACK)
    assert asked(url)[1] == {
        "app": "1",
        "redirect_uri": BACK,
        "amazon_state": "amazons",
        "state": "ours",
        "version": "beta",
    }


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/apps/authorize",
        "http://sellercentral.amazon.in/apps",
        "https://sellercentral.amazon.in.evil.example/",
        "https://notamazon.in/",
        "https://amazon.in@evil.example/",
        "https://amazon.in:8443/",
        "https://amazon.in\\@evil.example/",
        "https://amazon.in/#x",
        "https://amazon.in/ x",
        "javascript:alert(1)//amazon.in",
        "//amazon.in/",
        "",
    ],
)
def test_nobody_is_sent_anywhere_else(amazon, uri):
    with pytest.raises(Invalid):
        sign_in.arrive(amazon.app, arrival(uri))
    with pytest.raises(Invalid):
        sign_in.go_back(amazon.app, arrival(uri), "ours", BACK)


def test_an_arrival_without_amazons_state_is_refused(amazon):
    with pytest.raises(Invalid):
        sign_in.go_back(amazon.app, [("amazon_callback_uri", "https://amazon.in/x")], "ours", BACK)


# --- renewing -------------------------------------------------------------------------------------------------------


async def test_the_access_token_is_renewed_and_the_rest_kept(amazon):
    amazon.lwa = [{"access_token": "Atza|two", "expires_in": 1800}]
    before = amazon.credentials()
    held = await lwa.renew(amazon.app, amazon.http(), SELLER, before, NOW)
    assert amazon.forms[0]["grant_type"] == "refresh_token"
    assert amazon.forms[0]["refresh_token"] == "Atzr|refresh"
    assert (held.access_token, held.expires_at) == (SecretStr("Atza|two"), NOW + timedelta(minutes=30))
    assert held.refresh_token == before.refresh_token
    assert held.authorized_at == before.authorized_at


async def test_a_refresh_token_that_came_back_changed_is_kept(amazon):
    amazon.lwa = [TOKENS]
    held = await lwa.renew(amazon.app, amazon.http(), SELLER, amazon.credentials(), NOW)
    assert held.refresh_token == SecretStr("Atzr|new")


async def test_a_pasted_token_counts_from_its_first_use(amazon):
    amazon.lwa, amazon.authorized_at = [TOKENS], None
    held = await lwa.renew(amazon.app, amazon.http(), SELLER, amazon.credentials(), NOW)
    assert held.authorized_at == NOW


async def test_a_private_application_renews_with_its_own_keys(amazon):
    amazon.lwa, amazon.private = [TOKENS], True
    await lwa.renew(amazon.app, amazon.http(), SELLER, amazon.credentials(), NOW)
    assert amazon.forms[0]["client_id"] == "amzn1.application-oa2-client.theirs"
    assert amazon.forms[0]["client_secret"] == "their-secret"


@pytest.mark.parametrize(
    ("answer", "private", "failure", "code"),
    [
        (error("invalid_grant"), False, Disconnected, None),
        (error("invalid_client", 401), False, Refused, "bad_app_secret"),
        (error("unauthorized_client"), False, Refused, "bad_app_secret"),
        (error("invalid_client", 401), True, Disconnected, None),
        (error("invalid_scope"), False, Refused, "sign_in_refused"),
        (httpx2.Response(400, content=b"<html>"), False, Refused, "sign_in_refused"),
        (httpx2.Response(429), False, Unavailable, None),
        (httpx2.Response(503), False, Unavailable, None),
        ({"expires_in": 3600}, False, Malformed, None),
        ({"access_token": "", "expires_in": 3600}, False, Malformed, None),
    ],
)
async def test_what_amazon_answers_to_a_renewal(amazon, answer, private, failure, code):
    amazon.lwa, amazon.private = [answer], private
    with pytest.raises(failure) as raised:
        await lwa.renew(amazon.app, amazon.http(), SELLER, amazon.credentials(), NOW)
    assert getattr(raised.value, "code", None) == code
    assert "Atz" not in str(raised.value)
    assert "our-secret" not in str(raised.value)


@pytest.mark.parametrize("life", ["soon", None, -1, 10**9, {}])
async def test_a_life_that_makes_no_sense_is_the_documented_hour(amazon, life):
    amazon.lwa = [{"access_token": "Atza|two", "expires_in": life}]
    held = await lwa.renew(amazon.app, amazon.http(), SELLER, amazon.credentials(), NOW)
    assert held.expires_at == NOW + timedelta(hours=1)


async def test_without_keys_of_ours_amazon_is_not_asked(amazon):
    with pytest.raises(Refused) as raised:
        await lwa.renew(AmazonApp(), amazon.http(), SELLER, amazon.credentials(), NOW)
    assert raised.value.code == "no_app_keys"
    assert amazon.forms == []


# --- credentials ----------------------------------------------------------------------------------------------------


def test_pasted_credentials_are_renewed_before_they_are_used():
    pasted = AmazonCredentials.model_validate({"refresh_token": " Atzr|pasted ", "marketplace": "in"})
    assert pasted.refresh_token == SecretStr("Atzr|pasted")
    assert pasted.place is regions.INDIA
    ends = account.expires_at(pasted)
    assert ends is not None
    assert ends < NOW


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"refresh_token": "  "},
        {"refresh_token": "Atzr|pasted", "client_id": "only-one"},
        {"refresh_token": "Atzr|pasted", "client_secret": "only-one"},
        {"refresh_token": "Atzr|pasted", "marketplace": "Atlantis"},
        {"refresh_token": "Atzr|pasted", "marketplace": 7},
    ],
)
def test_credentials_that_cannot_work_are_refused(given):
    with pytest.raises(ValidationError):
        AmazonCredentials.model_validate(given)


def test_the_consent_lapses_after_a_year_but_not_that_of_an_application_of_ones_own(amazon):
    assert account.lapses_at(amazon.credentials()) == NOW + timedelta(days=355)
    amazon.private = True
    assert account.lapses_at(amazon.credentials()) is None
    amazon.private, amazon.authorized_at = False, None
    assert account.lapses_at(amazon.credentials()) is None


@pytest.mark.parametrize("typed", ["a1insellER0001", "  A1INSELLER0001 "])
def test_a_merchant_token_however_it_is_typed(typed):
    assert account.store_id(typed) == SELLER


@pytest.mark.parametrize("typed", ["", "IN", "mehfil.example", "B1INSELLER0001", "A1' OR 1=1", "A" * 40])
def test_what_is_no_merchant_token_is_refused_with_where_to_find_it(typed):
    with pytest.raises(Invalid, match="Account Info"):
        account.store_id(typed)


def test_a_relay_is_taken_only_where_one_is_set_up(amazon):
    assert account.webhook_secrets(amazon.app, amazon.credentials()) == ("relay-secret",)
    assert account.webhook_secrets(AmazonApp(), amazon.credentials()) == ()


def test_the_queue_is_where_its_arn_says(amazon):
    assert account.mailbox(amazon.app) is None
    box = account.mailbox(
        amazon.app.model_copy(update={"queue_url": "https://sqs/q", "failed_queue_url": "https://sqs/f"})
    )
    assert (box.url, box.region, box.failed_url, box.endpoint) == ("https://sqs/q", "eu-west-1", "https://sqs/f", None)
    bare = account.mailbox(AmazonApp(queue_url="https://sqs/q"))
    assert bare.region == "eu-west-1"


def test_two_vendors_mixed_up_is_told_at_once(amazon):
    class Other(BaseModel):
        pass

    with pytest.raises(TypeError):
        account.amazon_app(Other())
    with pytest.raises(TypeError):
        account.amazon_credentials(Other())


def test_every_marketplace_is_known_by_its_id_and_its_country():
    for place in regions.MARKETPLACES:
        assert regions.marketplace(place.id) is regions.marketplace(place.country.lower()) is place
        assert place.api.startswith("https://sellingpartnerapi-")
    assert len({place.id for place in regions.MARKETPLACES}) == len(regions.MARKETPLACES)
