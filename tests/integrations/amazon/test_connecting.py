"""Connecting sellers, through the product: pasted tokens, signing in, coming from Amazon's app store, renewing."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import time_machine
from sqlalchemy import text

from shipcrowd.channels import health, open, queries, service, taking, vendors
from shipcrowd.channels import jobs as channel_jobs
from shipcrowd.channels.contract import Subscribes
from shipcrowd.connections import routes
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Status
from shipcrowd.integrations import amazon as amazons
from shipcrowd.integrations.amazon import channel as channels
from shipcrowd.integrations.amazon import subscriptions
from shipcrowd.kernel import clock, db, inbox, jobs, outbound, pace, tenancy
from shipcrowd.kernel.errors import Invalid, Unauthenticated
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.outbound import Unavailable
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.settings import settings
from tests.integrations.amazon.far_side import ARN, expired, refused
from tests.integrations.amazon.test_channel import PARTICIPATION
from tests.support import drain

_ORDERS = text("SELECT number, state, to_collect_paise FROM orders")
ASHA, RAVI = "user:asha", "user:ravi"


@pytest.fixture
def seller() -> str:
    return f"A{new_id().hex[-13:].upper()}"


@pytest.fixture
async def far(amazon, monkeypatch):
    """The product wired to Amazon alone, and Amazon played by the test."""
    for name, value in {
        "CLIENT_ID": "ours",
        "CLIENT_SECRET": "our-secret",
        "APPLICATION_ID": "amzn1.sp.solution.ours",
        "QUEUE_ARN": ARN,
        "RELAY_SECRET": "relay-secret",
    }.items():
        monkeypatch.setenv(f"SHIPCROWD_AMAZON_{name}", value)
    settings.cache_clear()
    known = vendors._Vendors.known
    vendors.use([amazons.vendor])
    wire = outbound._Wire.transport, outbound._Wire.route
    outbound.use_wire(transport=httpx2.MockTransport(amazon.handle))
    routes._Known.by_account.clear()
    channels.forget_participations()
    subscriptions.forget_destinations()
    open.forget_told_paces()
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
        await (await db.driver(session)).execute("DELETE FROM buckets")
    issued = iter(range(1, 1000))
    monkeypatch.setattr(amazon, "lwa", _Tokens(issued))
    amazon.on("getMarketplaceParticipations", {"payload": [PARTICIPATION]})
    amazon.on("searchListingsItems", {"items": []})
    amazon.on("searchOrders", {"orders": []})
    amazon.on("getDestinations", {"payload": []})
    amazon.on("createDestination", {"payload": {"destinationId": "d-1"}})
    amazon.on("getSubscription", refused(404, "NotFound", "none"))
    amazon.on("createSubscription", {"payload": {"subscriptionId": "s-1"}})
    amazon.on("deleteSubscriptionById", {})
    yield amazon
    outbound.use_wire(transport=wire[0], route=wire[1])
    vendors._Vendors.known = known
    settings.cache_clear()


class _Tokens(list[Any]):
    """Every answer of the token endpoint is another token, of an hour."""

    def __init__(self, issued) -> None:
        super().__init__([None])
        self.issued = issued
        self.down = False

    def __getitem__(self, _) -> Any:
        if self.down:
            return httpx2.Response(503)
        number = next(self.issued)
        return {"access_token": f"Atza|{number}", "refresh_token": f"Atzr|token-{number}", "expires_in": 3600}


async def paste(company, seller, **more):
    return await service.connect_pasted(
        company, platform="amazon", store=seller, given={"refresh_token": "Atzr|pasted", **more}, actor=ASHA
    )


async def status(company, store) -> str:
    async with acting_for(company) as session:
        return (await connections.get(session, store)).status


async def test_a_pasted_token_is_renewed_tried_and_kept(far, company, seller):
    store = await paste(company, seller.lower(), marketplace="IN")
    assert far.forms[0]["grant_type"] == "refresh_token"
    assert far.forms[0]["refresh_token"] == "Atzr|pasted"
    [asked] = far.calls("getMarketplaceParticipations")
    assert asked.token == "Atza|1"
    async with acting_for(company) as session:
        connection = await connections.get(session, store)
        kept = connections.credentials(connection, amazons.AmazonCredentials)
    assert (connection.external_id, connection.name) == (seller, "Mehfil Studio")
    assert kept.refresh_token.get_secret_value() == "Atzr|token-1"
    assert kept.authorized_at is not None


async def test_a_company_connects_several_sellers(far, company, seller):
    one, two = await paste(company, seller), await paste(company, f"A{new_id().hex[-13:].upper()}")
    assert one != two
    async with acting_for(company) as session:
        assert len(await queries.stores(session, vendor="amazon")) == 2


async def test_a_private_application_speaks_with_its_own_keys(far, company, seller):
    await paste(company, seller, client_id="theirs", client_secret="their-secret")
    assert (far.forms[0]["client_id"], far.forms[0]["client_secret"]) == ("theirs", "their-secret")


@pytest.mark.parametrize("given", [{"client_id": "alone"}, {"marketplace": "Atlantis"}])
async def test_credentials_that_cannot_work_are_refused_before_any_call(far, company, seller, given):
    with pytest.raises(Invalid) as raised:
        await paste(company, seller, **given)
    assert "Atzr" not in str(raised.value)
    assert far.forms == far.asked == []


async def test_a_revoked_token_connects_nothing(far, company, seller, monkeypatch):
    monkeypatch.setattr(far, "lwa", [httpx2.Response(400, json={"error": "invalid_grant"})])
    with pytest.raises(Invalid, match="no longer accepts"):
        await paste(company, seller)
    async with acting_for(company) as session:
        assert await queries.stores(session, vendor="amazon", closed=True) == []


async def test_the_wrong_marketplace_is_named(far, company, seller):
    with pytest.raises(Invalid, match="marketplace AE, but at IN"):
        await paste(company, seller, marketplace="AE")


@pytest.mark.parametrize(
    "answer",
    [
        refused(403, "Unauthorized", "Access to requested resource is denied."),
        expired(),
        refused(404, "NotFound", "None."),
    ],
)
async def test_a_merchant_token_that_is_not_the_refresh_tokens_connects_nothing(far, company, seller, answer):
    far.on("searchListingsItems", answer)
    with pytest.raises(Invalid, match=f"does not show the listings of {seller}") as raised:
        await paste(company, seller)
    assert (raised.value.field, raised.value.extra["reason"]) == ("store", "not_this_seller")
    [asked] = far.calls("searchListingsItems")
    assert (asked.path, asked.query["pageSize"]) == ({"sellerId": seller}, "1")
    async with acting_for(company) as session:
        assert await queries.stores(session, vendor="amazon", closed=True) == []


async def test_who_signed_in_at_amazon_needs_no_proof(far, company, seller):
    await finish(company, back((await start(company))["state"], seller))
    assert far.calls("searchListingsItems") == []


async def test_the_stand_in_shows_a_sellers_listings_to_that_seller_only(amazons, company):
    mine, other = amazons.seller(), amazons.seller()
    given = {"refresh_token": amazons.desk.refresh_token(mine.id)}
    with pytest.raises(Invalid, match=f"does not show the listings of {other.id}"):
        await service.try_pasted(platform="amazon", store=other.id, given=given)
    assert (await service.try_pasted(platform="amazon", store=mine.id, given=given)).external_id == mine.id


# --- signing in -----------------------------------------------------------------------------------------------------


async def start(company, typed="", actor=ASHA) -> dict[str, str]:
    url = await service.start_sign_in(company, platform="amazon", store=typed, actor=actor)
    assert url.startswith("https://sellercentral.amazon.in/apps/authorize/consent?")
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def back(state: str, seller: str) -> list[tuple[str, str]]:
    return [("state", state), ("selling_partner_id", seller), ("spapi_oauth_code", "code-1")]


async def finish(company, query, actor=ASHA):
    return await service.finish_sign_in(company, platform="amazon", query=query, actor=actor)


async def test_a_seller_signs_in_and_amazon_says_who_it_was(far, company, seller):
    asked = await start(company)
    store = await finish(company, back(asked["state"], seller))
    form = far.forms[0]
    assert (form["grant_type"], form["code"], form["redirect_uri"]) == (
        "authorization_code",
        "code-1",
        asked["redirect_uri"],
    )
    async with acting_for(company) as session:
        assert (await connections.get(session, store)).external_id == seller


async def test_a_state_is_good_once_for_who_started_it_and_for_ten_minutes(far, company, seller):
    state = (await start(company))["state"]
    with pytest.raises(connections.SignInStale):
        await finish(company, back(state, seller), actor=RAVI)
    with pytest.raises(connections.SignInStale):
        await finish(company, back("made-up", seller))
    await finish(company, back(state, seller))
    with pytest.raises(connections.SignInStale):
        await finish(company, back(state, seller))
    late = (await start(company))["state"]
    with time_machine.travel(clock.now() + timedelta(minutes=10, seconds=1)), pytest.raises(connections.SignInStale):
        await finish(company, back(late, seller))
    assert len([form for form in far.forms if form["grant_type"] == "authorization_code"]) == 1


async def test_a_callback_without_a_code_is_refused(far, company, seller):
    state = (await start(company))["state"]
    with pytest.raises(Unauthenticated):
        await finish(company, [("state", state), ("selling_partner_id", seller)])
    assert far.forms == []


async def test_the_same_seller_again_renews_the_same_store(far, company, seller):
    first = await finish(company, back((await start(company))["state"], seller))
    again = await finish(company, back((await start(company))["state"], seller))
    assert first == again


async def test_a_seller_of_another_company_is_refused_by_name(far, company, seller):
    await paste(company, seller)
    other = new_id()
    with pytest.raises(connections.ConnectedElsewhere, match=seller):
        await finish(other, back((await start(other))["state"], seller))


async def test_from_amazons_app_store_the_browser_goes_back_there_with_our_state(far, company, seller):
    came = [
        ("amazon_callback_uri", "https://sellercentral.amazon.in/apps/authorize/confirm/app"),
        ("amazon_state", "theirs"),
        ("selling_partner_id", seller),
    ]
    url = await service.arrive_to_sign_in(company, platform="amazon", query=came, actor=ASHA)
    assert url.startswith("https://sellercentral.amazon.in/apps/authorize/confirm/app?")
    sent = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert sent["amazon_state"] == "theirs"
    assert sent["redirect_uri"].endswith("/api/v1/integrations/amazon/callback")
    assert await finish(company, back(sent["state"], seller))


async def test_nobody_is_sent_elsewhere_than_to_amazon(far, company, seller):
    came = [("amazon_callback_uri", "https://evil.example/"), ("amazon_state", "theirs")]
    with pytest.raises(Invalid):
        await service.arrive_to_sign_in(company, platform="amazon", query=came, actor=ASHA)


# --- a connected store ----------------------------------------------------------------------------------------------


async def test_connecting_subscribes_and_cutting_unsubscribes(far, company, seller):
    store = await paste(company, seller)
    await drain(skip_waits=True)
    assert len(far.calls("createSubscription")) == len(subscriptions.KINDS)
    assert len(far.calls("searchOrders")) == 1
    far.on("getSubscription", {"payload": {"subscriptionId": "s-1", "destinationId": "d-1"}})
    await service.disconnect(company, store, platform="amazon", actor=ASHA)
    assert len(far.calls("deleteSubscriptionById")) == len(subscriptions.KINDS)
    assert await status(company, store) == Status.disconnected


async def opened(company, store):
    async with acting_for(company) as session:
        return open.opened(await connections.get(session, store))


async def test_an_expired_token_is_renewed_once_however_many_ask(far, company, seller):
    store = await paste(company, seller)
    stale = far.calls("getMarketplaceParticipations")[0].token

    def answer(asked):
        return expired() if asked.token == stale else {"order": {}}

    far.on("getSubscription", answer)
    channel = await opened(company, store)
    assert isinstance(channel, Subscribes)
    before = len(far.forms)
    await asyncio.gather(
        *(channel._client.call(subscriptions.GET_SUBSCRIPTION, path={"notificationType": f"T{n}"}) for n in range(4))
    )
    assert len(far.forms) - before == 1


async def test_a_revoked_consent_marks_the_store_and_stops_its_jobs(far, company, seller, monkeypatch):
    store = await paste(company, seller)
    await drain(skip_waits=True)
    monkeypatch.setattr(far, "lwa", [httpx2.Response(400, json={"error": "invalid_grant"})])
    far.on("searchOrders", expired())
    async with acting_for(company) as session:
        await channel_jobs.sweep.enqueue(session, company_id=company, connection_id=store)
    await drain(skip_waits=True)
    assert await status(company, store) == Status.disconnected
    calls = len(far.asked)
    async with acting_for(company) as session:
        await channel_jobs.sweep.enqueue(session, company_id=company, connection_id=store)
    await drain(skip_waits=True)
    assert len(far.asked) == calls


async def test_while_amazons_sign_in_is_away_a_token_that_still_lasts_is_used(far, company, seller, monkeypatch):
    store = await paste(company, seller)
    far.lwa.down = True
    far.on("getOrder", {"order": {}})
    channel = await opened(company, store)
    with time_machine.travel(clock.now() + timedelta(minutes=57)):
        await channel._client.credentials()
    with time_machine.travel(clock.now() + timedelta(minutes=59, seconds=30)), pytest.raises(Unavailable):
        await channel._client.credentials()


async def test_the_seller_is_told_a_month_before_the_consent_ends(far, company, seller):
    store = await finish(company, back((await start(company))["state"], seller))
    await drain(skip_waits=True)

    async def said(days: int) -> tuple[health.Level, str]:
        async with acting_for(company) as session:
            found = await queries.store(session, store)
            found.sync.swept_through = clock.now() + timedelta(days=days)
            with time_machine.travel(clock.now() + timedelta(days=days)):
                return found.verdict()

    assert (await said(330))[0] is health.Level.ok
    level, words = await said(340)
    assert level is health.Level.attention
    assert words == "The store's consent ends: sign in there again within 24 days."


# --- pace -----------------------------------------------------------------------------------------------------------


async def test_a_search_with_no_room_in_the_bucket_gives_its_worker_back(far, company, seller):
    store = await paste(company, seller)
    await drain(skip_waits=True)
    async with tenancy.unowned() as session:
        for _ in range(19):  # with the one of the first sweep, all that the bucket holds
            await pace.take(session, f"amazon:{seller}:searchOrders", capacity=20, refill_per_second=0.0056)
    calls = len(far.calls("searchOrders"))
    async with acting_for(company) as session:
        await channel_jobs.sweep.enqueue(session, company_id=company, connection_id=store)
    assert await drain() == 1
    assert len(far.calls("searchOrders")) == calls
    async with db.raw() as wire:
        row = await wire.fetchrow(
            "SELECT execute_after - now() AS wait, headers ->> 'tries' AS tries, status FROM pgqueuer"
            " WHERE entrypoint = 'channels.sweep'"
        )
    assert row["status"] == "queued"
    assert row["tries"] is None  # waiting is no try
    assert timedelta(seconds=120) < row["wait"] < timedelta(seconds=200)
    async with acting_for(company) as session:
        found = await queries.store(session, store)
    assert found.sync.sweeping_until is None  # and nobody waits for its lease


async def test_a_rate_amazon_grants_is_used_by_the_shared_bucket(far, company, seller):
    store = await paste(company, seller)
    far.on("getOrder", httpx2.Response(200, json={"order": {}}, headers={"x-amzn-RateLimit-Limit": "0.1"}))
    channel = await opened(company, store)
    with pytest.raises(outbound.Malformed):
        await channel.order("403-0000000-0000001")
    assert open._Told.paces[f"amazon:{seller}:getOrder"] == (29, 0.1 * 0.95)
    delays: list[timedelta] = []
    for _ in range(40):  # jobs, each with one call
        token = jobs.running.set(jobs.Running("test"))
        try:
            await channel._client.account.pace("getOrder", 1)
        except jobs.Later as later:
            delays.append(later.delay)
        finally:
            jobs.running.reset(token)
    assert timedelta(seconds=10) < delays[-1] - delays[-2] < timedelta(seconds=11)


# --- notifications --------------------------------------------------------------------------------------------------


async def test_a_notification_makes_the_order_be_read(far, company, seller, payload):
    await paste(company, seller)
    await drain(skip_waits=True)
    raw = payload("order_cash_on_delivery")
    far.on("getOrder", {"order": raw})
    told = json.dumps(payload("notification_buyer_asks_to_cancel")).replace("A1INSELLER0001", seller)
    await taking.take(amazons.vendor, told.encode())
    await taking.take(amazons.vendor, told.encode())
    await drain(skip_waits=True)
    assert [asked.path["orderId"] for asked in far.calls("getOrder")] == [raw["orderId"]]
    async with acting_for(company) as session:
        assert [delivery.outcome for delivery in await inbox.recent(session)] == ["handled"]
        row = (await session.execute(_ORDERS)).one()
    assert (row.number, row.state, row.to_collect_paise) == (raw["orderId"], "ready", 149900)
