"""Intake: what is let in, what is kept, and that nothing else leaves a trace."""

from datetime import timedelta

import pytest
import time_machine
from pydantic import SecretStr

from shipcrowd.channels import service, webhooks
from shipcrowd.channels.contract import OrderChanged
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Kind
from shipcrowd.kernel import audit, clock, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.inbox import Outcome
from shipcrowd.settings import settings
from tests.channels import look
from tests.channels.bazaar import (
    APP_SECRET,
    SHOPS,
    BazaarKeys,
    BazaarWebhooks,
    FarSide,
    created,
    order,
    signature,
    webhook,
)
from tests.support import drain


def counted(why: str, vendor: str = "bazaar") -> float:
    return webhooks.REFUSED.labels(vendor, why)._value.get()


async def send(http, body: bytes, headers: dict[str, str], path: str = "/webhooks/bazaar"):
    return await http.post(path, content=body, headers=headers)


async def test_a_new_order_arrives_by_webhook(http, company, store, far):
    answer = await send(http, *webhook("orders/create", far.external_id, created(order("1001"))))
    assert answer.status_code == 200
    assert answer.content == b""
    await drain()
    assert await look.order_numbers(company) == ["#1001"]
    (delivery,) = await look.deliveries(company)
    assert (delivery.outcome, delivery.topic, delivery.store) == (Outcome.handled, "orders/create", far.external_id)
    synced = await look.sync(company, store)
    assert synced.orders_imported == 1
    assert synced.last_webhook_at == delivery.received_at


async def test_the_address_of_one_store_works_by_connection_id_and_by_the_vendors_name(http, company, store, far):
    for n, name in enumerate([str(store), far.external_id]):
        body, headers = webhook("orders/create", far.external_id, created(order(f"10{n}")))
        assert (await send(http, body, headers, f"/webhooks/bazaar/{name}")).status_code == 200
    await drain()
    assert await look.order_numbers(company) == ["#100", "#101"]


async def test_a_forged_webhook_is_refused_and_leaves_no_trace_but_a_count(http, company, store, far):
    stored, before = await look.every_delivery(), counted("forged")
    body, headers = webhook("orders/create", far.external_id, created(order()), secret="not-the-secret")
    answer = await send(http, body, headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "forged_webhook"
    tampered = body.replace(b"Asha", b"Mona")
    good = webhook("orders/create", far.external_id, created(order()))[1]
    assert (await send(http, tampered, good)).status_code == 401
    assert (await send(http, body, {**headers, "x-bazaar-hmac": ""})).status_code == 401
    assert await drain() == 0
    assert await look.every_delivery() == stored
    assert await look.order_numbers(company) == []
    assert counted("forged") == before + 3


async def test_an_unknown_store_is_answered_like_a_forgery(http, store, far):
    stored, before = await look.every_delivery(), counted("unknown_store")
    body, headers = webhook("orders/create", far.external_id, created(order()), secret="forged")
    forged = await send(http, body, headers)
    body, headers = webhook("orders/create", "nobody.bazaar.example", created(order()))
    unknown = await send(http, body, headers)
    nameless = await send(http, body, {**headers, "x-bazaar-shop": ""})
    other_id = await send(http, body, headers, f"/webhooks/bazaar/{new_id()}")
    for answer in (unknown, nameless, other_id):
        assert (answer.status_code, answer.json()) == (forged.status_code, forged.json())
    assert counted("unknown_store") == before + 3
    assert await look.every_delivery() == stored
    assert await drain() == 0


async def test_an_unknown_platform_is_not_found(http):
    assert (await send(http, b"{}", {}, "/webhooks/nowhere")).status_code == 404


async def test_an_oversized_body_is_refused_without_reading_it_all(http, store, far, monkeypatch):
    stored = await look.every_delivery()
    monkeypatch.setattr(settings(), "webhook_body_bytes", 1000)
    sent = 0

    async def endless():
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b"x" * 500

    _, headers = webhook("orders/create", far.external_id, {})
    chunked = await http.post("/webhooks/bazaar", content=endless(), headers=headers)
    announced = await http.post("/webhooks/bazaar", content=b"x" * 1001, headers=headers)
    assert [chunked.status_code, announced.status_code] == [413, 413]
    assert await look.every_delivery() == stored


async def test_empty_and_unreadable_bodies_are_bad_requests_and_leave_nothing(http, company, store, far):
    _, headers = webhook("orders/create", far.external_id, {})
    assert (await send(http, b"", headers)).status_code == 400
    for body in (b"webhook_id=7", b"[" * 100_000):
        signed = {**headers, "x-bazaar-hmac": signature(APP_SECRET, body)}
        answer = await send(http, body, signed)
        assert (answer.status_code, answer.json()["code"]) == (400, "unreadable_webhook")
    assert await look.deliveries(company) == []


async def test_the_same_delivery_again_changes_nothing(http, company, store, far):
    body, headers = webhook("orders/create", far.external_id, created(order("1001")))
    for _ in range(3):
        assert (await send(http, body, headers)).status_code == 200
    assert await drain() == 1
    assert len(await look.deliveries(company)) == 1
    assert (await look.sync(company, store)).orders_imported == 1


async def test_a_replay_under_another_delivery_id_imports_nothing_twice(http, company, store, far):
    body, headers = webhook("orders/create", far.external_id, created(order("1001")))
    await send(http, body, headers)
    await send(http, body, {**headers, "x-bazaar-id": "replayed"})
    await drain()
    assert await look.order_numbers(company) == ["#1001"]
    assert (await look.sync(company, store)).orders_imported == 1


async def test_news_out_of_order_never_goes_back(http, company, store, far):
    newer, older = order("1001", minutes_ago=1, note="newer"), order("1001", minutes_ago=30, note="older")
    for incoming in (newer, older):
        await send(http, *webhook("orders/create", far.external_id, created(incoming)))
        await drain()
    assert (await look.one_order(company, "1001")).source_updated_at == newer.source_updated_at
    notes = [delivery.note for delivery in await look.deliveries(company)]
    assert notes == ["", "nothing newer than what we hold"]


async def test_an_update_that_overtakes_the_creation_is_read_afresh(http, company, store, far):
    far.put(order("1001"))
    await send(http, *webhook("orders/updated", far.external_id, {"id": "1001"}))
    await drain()
    assert await look.order_numbers(company) == ["#1001"]
    await send(http, *webhook("orders/create", far.external_id, created(order("1001", minutes_ago=90))))
    await drain()
    assert await look.order_numbers(company) == ["#1001"]


async def test_many_hints_about_one_order_are_one_read(http, company, store, far):
    far.put(order("1001"))
    for _ in range(5):
        await send(http, *webhook("orders/updated", far.external_id, {"id": "1001"}))
    await drain()
    assert far.count("order") == 1
    assert (await look.sync(company, store)).orders_imported == 1


async def test_an_unknown_topic_is_kept_and_ignored(http, company, store, far):
    assert (await send(http, *webhook("moon/phase", far.external_id, {"full": True}))).status_code == 200
    await drain()
    (delivery,) = await look.deliveries(company)
    assert (delivery.outcome, delivery.note) == (Outcome.ignored, "nothing to do for moon/phase")


async def test_an_unreadable_delivery_is_shown_and_can_be_replayed_after_a_fix(http, company, store, far, monkeypatch):
    await send(http, *webhook("orders/create", far.external_id, {"oder": "typo"}))
    await drain()
    (delivery,) = await look.deliveries(company)
    assert (delivery.outcome, delivery.note) == (Outcome.failed, "the payload holds no order")
    (item,) = await look.failed(company)
    assert (item.delivery_id, item.resolved_at) == (delivery.id, None)

    monkeypatch.setattr(BazaarWebhooks, "read", lambda self, topic, body, headers: [OrderChanged(order("1001"))])
    answer = await http.post(f"/integrations/bazaar/failed-items/{item.id}/replay")
    assert answer.status_code == 202
    await drain()
    assert await look.order_numbers(company) == ["#1001"]
    assert (await look.deliveries(company))[0].outcome == Outcome.handled
    (item,) = await look.failed(company)
    assert item.resolved_at is not None


async def test_a_mapping_that_breaks_costs_its_own_delivery_only(http, company, store, far):
    await send(http, *webhook("orders/updated", far.external_id, {"no": "id"}))  # KeyError in the reader
    await send(http, *webhook("orders/create", far.external_id, created(order("1002"))))
    await drain()
    assert [delivery.outcome for delivery in await look.deliveries(company)] == [Outcome.failed, Outcome.handled]
    assert await look.order_numbers(company) == ["#1002"]


async def test_any_delivery_can_be_replayed(http, company, store, far):
    await send(http, *webhook("orders/create", far.external_id, created(order("1001"))))
    await drain()
    (delivery,) = await look.deliveries(company)
    assert (await http.post(f"/integrations/bazaar/webhooks/{delivery.id}/replay")).status_code == 202
    assert (await http.post(f"/integrations/bazaar/webhooks/{new_id()}/replay")).status_code == 404
    await drain()
    (delivery,) = await look.deliveries(company)
    assert (delivery.outcome, delivery.note) == (Outcome.handled, "nothing newer than what we hold")


async def test_a_warm_delivery_costs_the_database_one_round_trip(http, company, store, far, monkeypatch):
    await send(http, *webhook("orders/create", far.external_id, created(order("1001"))))

    def refuse(*_: object, **__: object):
        raise AssertionError("a warm delivery opened a transaction besides the inbox's own statement")

    with monkeypatch.context() as patch:
        patch.setattr(tenancy, "_transaction", refuse)
        answer = await send(http, *webhook("orders/create", far.external_id, created(order("1002"))))
        assert answer.status_code == 200
    assert len(await look.deliveries(company)) == 2


async def test_webhooks_of_a_paused_store_wait_for_the_sweep_after_it(http, company, store, far):
    assert (await http.post(f"/integrations/bazaar/stores/{store}/pause")).status_code == 200
    incoming = order("1001", minutes_ago=0)
    far.put(incoming)
    await send(http, *webhook("orders/create", far.external_id, created(incoming)))
    await drain()
    assert await look.order_numbers(company) == []
    (delivery,) = await look.deliveries(company)
    assert (delivery.outcome, delivery.note) == (Outcome.ignored, "the store is paused")
    await http.post(f"/integrations/bazaar/stores/{store}/resume")
    await drain()
    assert await look.order_numbers(company) == ["#1001"]


# --- leaving --------------------------------------------------------------------------------------------------------


async def test_a_store_that_removes_us_is_closed(http, company, store, far):
    await send(http, *webhook("app/uninstalled", far.external_id, {}))
    await drain()
    connection = await look.connection(company, store)
    assert connection.status == "left"
    assert connection.closed_at is not None


async def test_a_late_uninstall_after_a_reinstall_is_ignored(http, company, store, connect, far):
    body, headers = webhook("app/uninstalled", far.external_id, {})
    await connect()  # installed again before the delivery came through
    await drain()
    assert (await send(http, body, headers)).status_code == 200
    await drain()
    assert (await look.connection(company, store)).status == "connected"
    delivery = (await look.deliveries(company))[-1]
    assert (delivery.outcome, delivery.note) == (Outcome.ignored, "older than the present connection")


@pytest.mark.parametrize(("revoked", "status"), [(True, "left"), (False, "connected")])
async def test_an_uninstall_without_a_time_is_checked_with_the_store(http, company, store, far, revoked, status):
    if revoked:
        far.tokens.clear()
    body, headers = webhook("app/uninstalled", far.external_id, {})
    del headers["x-bazaar-at"]
    await send(http, body, headers)
    await drain()
    assert (await look.connection(company, store)).status == status


async def test_a_closed_stores_orders_are_not_taken_in(http, company, store, far):
    await http.delete(f"/integrations/bazaar/stores/{store}")
    answer = await send(http, *webhook("orders/create", far.external_id, created(order("1001"))))
    assert answer.status_code == 200  # the signature is right; a late delivery is no fault of the vendor's
    await drain()
    assert await look.order_numbers(company) == []


async def test_a_wrong_secret_remembered_from_before_a_reconnect_is_looked_up_again(http, company, connect, far):
    far.tokens = {"tok-good-1", "tok-good-2"}
    store = await connect(platform="rugged", token="tok-good-1")
    path = f"/webhooks/rugged/{store}"
    old = webhook("orders/create", far.external_id, created(order("1001")), secret="tok-good-1")
    assert (await send(http, *old, path)).status_code == 200
    async with tenancy.acting_for(company) as session:
        # Connected again by another process: this one's memory is not told.
        await connections.connect(
            session,
            vendor="rugged",
            kind=Kind.channel,
            external_id=far.external_id,
            name="Kaveri Handlooms",
            credentials=BazaarKeys(token=SecretStr("tok-good-2")),
        )
    new = webhook("orders/create", far.external_id, created(order("1002")), secret="tok-good-2")
    assert (await send(http, *new, path)).status_code == 401  # at most once a second is looked up again
    with time_machine.travel(clock.now() + timedelta(seconds=2)):
        assert (await send(http, *new, path)).status_code == 200


async def test_a_delivery_at_one_stores_address_that_names_another_is_refused(http, company, store, connect, far):
    other = FarSide("narmada." + far.external_id)
    SHOPS[other.external_id] = other
    theirs = await service.connect_pasted(
        new_id(), platform="bazaar", store=other.external_id, given={"token": "tok-good-1"}, actor="user:mona"
    )
    before = counted("other_store")
    # One secret signs for every store of this vendor: the signature alone does not tell them apart.
    body, headers = webhook("orders/create", far.external_id, created(order("1001")))
    assert (await send(http, body, headers, f"/webhooks/bazaar/{theirs}")).status_code == 401
    assert counted("other_store") == before + 1


# --- privacy --------------------------------------------------------------------------------------------------------


async def test_a_buyers_data_goes_when_the_store_says_so_even_after_it_left(http, company, store, far):
    far.unreadable.add("1002")
    far.put(order("1001", minutes_ago=1), order("1002", minutes_ago=0))
    await http.post(f"/integrations/bazaar/stores/{store}/sync/orders")
    await drain()
    assert [item.raw is not None for item in await look.failed(company)] == [True]
    await send(http, *webhook("app/uninstalled", far.external_id, {}))
    await send(http, *webhook("customers/redact", far.external_id, {"orders": ["1001", "1002"]}))
    await drain()
    assert (await look.one_order(company, "1001")).redacted_at is not None
    assert [item.raw for item in await look.failed(company)] == [None]
    handled = [d for d in await look.deliveries(company) if d.topic == "customers/redact"]
    assert handled[0].note == "the buyer's data was removed from 1 orders"


async def test_a_whole_stores_data_goes_with_its_deliveries(http, company, store, far):
    body, headers = webhook("orders/create", far.external_id, created(order("1001")))
    await send(http, body, headers)
    await send(http, *webhook("orders/create", far.external_id, created(order("1002"))))
    await drain()
    await http.delete(f"/integrations/bazaar/stores/{store}")
    await send(http, *webhook("shop/redact", far.external_id, {}))
    await drain()
    for external_id in ("1001", "1002"):
        assert (await look.one_order(company, external_id)).redacted_at is not None
    # The rows stay, or a repeat of one of them would bring its buyer back; what they said does not.
    assert [d.body for d in await look.deliveries(company)] == [None, None, None]
    await send(http, body, headers)
    await drain()
    assert len(await look.deliveries(company)) == 3


async def test_a_buyer_who_asks_for_their_data_is_written_down(http, company, store, far):
    await send(http, *webhook("customers/data_request", far.external_id, {"orders": ["1001"]}))
    await drain()
    async with tenancy.acting_for(company) as session:
        entries = await audit.of(session, f"connection:{store}")
    found = next(entry for entry in entries if entry.action == "privacy.data_request")
    assert found.details["orders"] == ["1001"]


def test_only_the_vendors_own_headers_are_kept_and_not_too_many():
    kept = webhooks._kept(
        {
            "x-bazaar-topic": "orders/create",
            "content-type": "application/json",
            "cookie": "session=1",
            "authorization": "Bearer x",
            "x-forwarded-for": "10.0.0.1",
            "x-huge": "y" * 10_000,
        }
    )
    assert kept == {"x-bazaar-topic": "orders/create", "content-type": "application/json"}
    assert len(webhooks.bounded("d" * 500)) < webhooks.ID_CHARACTERS


async def test_a_topics_own_address_is_the_same_door_and_only_the_path_says_the_topic(http, company, store, far):
    body, headers = webhook("", far.external_id, {"id": "1001"})
    headers.pop("x-bazaar-topic")
    far.put(order("1001"))
    claimed = headers | {"x-path-topic": "app/uninstalled", "x-bazaar-id": "a"}
    assert (await http.post(f"/webhooks/bazaar/{store}", content=body, headers=claimed)).status_code == 200
    claimed = headers | {"x-path-topic": "app/uninstalled", "x-bazaar-id": "b"}
    assert (await http.post(f"/webhooks/bazaar/{store}/order-placed", content=body, headers=claimed)).status_code == 200
    assert [each.topic for each in await look.deliveries(company)] == ["", "order-placed"]
    await drain()
    assert (await look.connection(company, store)).status == "connected"
    forged = headers | {"x-bazaar-hmac": "AAAA", "x-bazaar-id": "c"}
    assert (await http.post(f"/webhooks/bazaar/{store}/order-placed", content=body, headers=forged)).status_code == 401
    assert len(await look.deliveries(company)) == 2
