"""Notifications out of a real queue (moto's), into the inbox."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from aiobotocore.session import AioSession
from moto.server import ThreadedMotoServer

from shipcrowd.channels import listening, taking, vendors
from shipcrowd.connections import routes
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Kind
from shipcrowd.integrations import amazon as amazons
from shipcrowd.kernel import db, inbox, mailbox, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.mailbox import Mailbox, Unusable
from shipcrowd.kernel.tenancy import acting_for

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@dataclass
class Queue:
    """A queue and the one beside it for failed letters."""

    client: Any
    box: Mailbox

    async def put(self, *bodies: str) -> None:
        for body in bodies:
            await self.client.send_message(QueueUrl=self.box.url, MessageBody=body)

    async def left(self, url: str | None = None) -> int:
        answer = await self.client.get_queue_attributes(QueueUrl=url or self.box.url, AttributeNames=["All"])
        shown = answer["Attributes"]
        return int(shown["ApproximateNumberOfMessages"]) + int(shown["ApproximateNumberOfMessagesNotVisible"])

    kept: list[tuple[bytes, str]] = field(default_factory=list)
    """What its reader kept for a person, and why."""

    async def keep(self, body: bytes, because: str) -> None:
        self.kept.append((body, because))


@pytest.fixture
async def queue(endpoint, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    async with AioSession().create_client("sqs", region_name=REGION, endpoint_url=endpoint) as client:
        name = f"q-{new_id().hex[-12:]}"
        made = await client.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "1"})
        failed = await client.create_queue(QueueName=f"{name}-failed", Attributes={"VisibilityTimeout": "1"})
        box = Mailbox(made["QueueUrl"], REGION, endpoint, failed["QueueUrl"], consumers=2, tries=2, wait_seconds=1)
        yield Queue(client, box)


@asynccontextmanager
async def reading(queue: Queue, handle: Callable[[bytes], Awaitable[None]], vendor: str = "test"):
    stop = asyncio.Event()
    task = asyncio.create_task(mailbox.consume(vendor, queue.box, handle, queue.keep, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.05)


# --- the queue ------------------------------------------------------------------------------------------------------


async def test_what_was_handled_is_taken_away(queue):
    got = []

    async def handle(body: bytes) -> None:
        got.append(body)

    await queue.put(*(f"letter {n}" for n in range(25)))
    async with reading(queue, handle):
        await until(lambda: _is(queue.left, 0))
    assert sorted(got) == sorted(f"letter {n}".encode() for n in range(25))
    assert queue.kept == []


async def test_what_can_never_be_handled_is_put_aside_with_the_reason(queue):
    async def handle(body: bytes) -> None:
        raise Unusable("unreadable")

    await queue.put("nonsense")
    async with reading(queue, handle):
        await until(lambda: _is(queue.left, 0))
    assert queue.kept == [(b"nonsense", "unreadable")]


async def test_trouble_of_our_own_leaves_a_letter_however_often_it_comes(queue):
    tries = []

    async def handle(body: bytes) -> None:
        tries.append(body)
        if len(tries) < 4:  # more than the queue's tries
            raise ConnectionRefusedError("the database is away")

    await queue.put("letter")
    async with reading(queue, handle):
        await until(lambda: _is(queue.left, 0))
    assert len(tries) == 4
    assert queue.kept == []


async def test_a_letter_that_breaks_its_handler_is_put_aside_after_its_tries(queue):
    tries = []

    async def handle(body: bytes) -> None:
        tries.append(body)
        raise ZeroDivisionError

    await queue.put("poison")
    async with reading(queue, handle):
        await until(lambda: _is(queue.left, 0))
    assert len(tries) == 2
    assert queue.kept == [(b"poison", "ZeroDivisionError after 2 tries")]


async def test_a_letter_that_cannot_be_kept_just_now_stays_in_the_queue(queue, monkeypatch):
    tries = []

    async def handle(body: bytes) -> None:
        raise Unusable("unreadable")

    async def keep(body: bytes, because: str) -> None:
        tries.append(body)
        if len(tries) < 3:
            raise ConnectionRefusedError("the database is away")
        queue.kept.append((body, because))

    monkeypatch.setattr(queue, "keep", keep, raising=False)
    await queue.put("nonsense")
    async with reading(queue, handle):
        await until(lambda: _is(queue.left, 0))
    assert len(tries) == 3
    assert queue.kept == [(b"nonsense", "unreadable")]


async def test_one_bad_letter_does_not_keep_the_others(queue):
    got = []

    async def handle(body: bytes) -> None:
        if body == b"bad":
            raise Unusable("unreadable")
        got.append(body)

    await queue.put("a", "bad", "b")
    async with reading(queue, handle):
        await until(lambda: _is(queue.left, 0))
    assert sorted(got) == [b"a", b"b"]
    assert queue.kept == [(b"bad", "unreadable")]


async def test_stopping_does_not_wait_for_the_long_poll(queue):
    async def handle(body: bytes) -> None: ...

    patient = Queue(queue.client, replace(queue.box, wait_seconds=20))
    started = asyncio.get_running_loop().time()
    async with reading(patient, handle):
        await asyncio.sleep(0.3)
    assert asyncio.get_running_loop().time() - started < 4


async def test_a_queue_that_is_away_is_asked_again(queue, monkeypatch):
    pauses = []

    async def until_(stop: asyncio.Event, seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0.01)

    monkeypatch.setattr(mailbox, "_until", until_)

    async def handle(body: bytes) -> None: ...

    gone = Queue(queue.client, replace(queue.box, endpoint="http://127.0.0.1:9", consumers=1))
    async with reading(gone, handle):
        async with asyncio.timeout(10):
            while len(pauses) < 7:
                await asyncio.sleep(0.02)
    assert pauses[:7] == [1, 2, 4, 8, 16, 30, 30]


# --- and into the inbox ---------------------------------------------------------------------------------------------


@pytest.fixture
def seller() -> str:
    return f"A{new_id().hex[-13:].upper()}"


@pytest.fixture
async def store(company, seller):
    routes._Known.by_account.clear()
    async with acting_for(company) as session:
        connection = await connections.connect(
            session,
            vendor="amazon",
            kind=Kind.channel,
            external_id=seller,
            name="Mehfil Studio",
            credentials=amazons.AmazonCredentials.model_validate({"refresh_token": "Atzr|refresh"}),
            settings={},
        )
    return connection.id


@pytest.fixture
def told(payload, seller):
    def make(name: str = "notification_buyer_asks_to_cancel", number: int = 1) -> str:
        words = json.dumps(payload(name)).replace("A1INSELLER0001", seller)
        return words.replace("-00000000000", f"-{number:011d}")

    return make


async def deliveries(company: UUID) -> list[inbox.Delivery]:
    async with acting_for(company) as session:
        return list(await inbox.recent(session))


async def handle(body: bytes) -> None:
    await taking.take(amazons.vendor, body)


async def test_a_notification_is_in_the_inbox_before_it_leaves_the_queue(queue, company, store, seller, told):
    await queue.put(told())
    async with reading(queue, handle):
        await until(lambda: _is(queue.left, 0))
    [delivery] = await deliveries(company)
    assert (delivery.vendor, delivery.store, delivery.topic) == ("amazon", seller, "ORDER_CHANGE")
    assert inbox.opened(delivery)[1] == told().encode()
    async with db.raw() as wire:
        waiting = await wire.fetchval(
            "SELECT count(*) FROM pgqueuer WHERE entrypoint = 'channels.take_in' AND headers ->> 'company' = $1"
            " OR convert_from(payload, 'UTF8') LIKE '%' || $1 || '%'",
            str(company),
        )
    assert waiting == 1


async def test_twice_the_same_is_one_and_order_does_not_matter(queue, company, store, told):
    letters = [told(number=n) for n in (3, 1, 2, 1, 3, 3)] + [told("notification_feed_finished", 4)]
    await queue.put(*letters)
    async with reading(queue, handle):
        await until(lambda: _is(queue.left, 0))
    found = await deliveries(company)
    assert len(found) == 4
    assert {delivery.topic for delivery in found} == {"ORDER_CHANGE", "FEED_PROCESSING_FINISHED"}


async def test_a_seller_nobody_connected_is_counted_and_done_with(queue, company, store, told, seller):
    before = taking.STRAYS.labels("amazon")._value.get()
    await queue.put(told().replace(seller, "A0NOBODY12345"))
    async with reading(queue, handle):
        await until(lambda: _is(queue.left, 0))
    assert taking.STRAYS.labels("amazon")._value.get() == before + 1
    assert await deliveries(company) == []
    assert queue.kept == []


async def test_what_is_no_notification_and_what_is_of_no_seller_is_put_aside(queue, company, store):
    stray = {
        "notificationType": "ACCOUNT_STATUS_CHANGED",
        "payload": {},
        "notificationMetadata": {"notificationId": "n"},
    }
    await queue.put("<html>", json.dumps(stray))
    async with reading(queue, handle):
        await until(lambda: _is(queue.left, 0))
    assert {why for _, why in queue.kept} == {
        "unreadable: Malformed",
        "ACCOUNT_STATUS_CHANGED concerns the application, not a store",
    }
    assert await deliveries(company) == []


async def test_a_store_that_was_cut_is_nobodys(queue, company, store, told):
    async with acting_for(company) as session:
        await connections.disconnect(session, store)
    await queue.put(told())
    async with reading(queue, handle):
        await until(lambda: _is(queue.left, 0))
    assert await deliveries(company) == []


async def test_listening_reads_the_queues_that_are_set_up(queue, company, store, told):
    before = vendors._Vendors.known
    vendors.use([replace(amazons.vendor, mailbox=lambda app: queue.box), replace(amazons.vendor, slug="amazon-idle")])
    stop = asyncio.Event()
    task = asyncio.create_task(listening.listen(stop))
    try:
        await queue.put(told())
        await until(lambda: _is(queue.left, 0))
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)
        vendors._Vendors.known = before
    assert len(await deliveries(company)) == 1


async def test_the_queue_behind_is_read_as_well_and_what_nobody_can_handle_is_among_the_letters(
    queue, company, store, told
):
    """A good letter is there after a bad hour of ours."""
    before = vendors._Vendors.known
    vendors.use([replace(amazons.vendor, mailbox=lambda app: queue.box)])
    nonsense = f"<html>{new_id()}</html>"
    for body in (told(), nonsense):
        await queue.client.send_message(QueueUrl=queue.box.failed_url, MessageBody=body)
    stop = asyncio.Event()
    task = asyncio.create_task(listening.listen(stop))
    try:
        await until(lambda: _is(lambda: queue.left(queue.box.failed_url), 0))
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)
        vendors._Vendors.known = before
    assert len(await deliveries(company)) == 1
    kept = [one for one in await deliveries(tenancy.PLATFORM_COMPANY) if one.body is not None]
    aside = [one for one in kept if inbox.opened(one)[1] == nonsense.encode()]
    assert [(one.vendor, one.store, one.topic) for one in aside] == [("amazon", "queue", "unreadable")]


async def test_with_no_queue_to_read_a_worker_goes_on():
    before = vendors._Vendors.known
    vendors.use([replace(amazons.vendor, mailbox=lambda app: None)])
    stop = asyncio.Event()
    task = asyncio.create_task(listening.listen(stop))
    try:
        await asyncio.sleep(0.05)
        assert not task.done()  # the worker ends when it does
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)
        vendors._Vendors.known = before


async def _is(count: Callable[[], Awaitable[int]], wanted: int) -> bool:
    return await count() == wanted
