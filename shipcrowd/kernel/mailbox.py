"""A queue an outside system writes to (SQS), read without losing a letter.

A letter is taken away only after it was handled; one that comes twice is the handler's to recognise. What can never
be handled is kept by whoever reads the queue, for a person to look at, and then taken away. Trouble of our own (the
database is away) leaves a letter where it is: it shows again after the queue's own time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Literal, cast

import asyncpg
import structlog
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError
from prometheus_client import Counter
from sqlalchemy.exc import DBAPIError

log = structlog.get_logger(__name__)

LETTERS = Counter("shipcrowd_mailbox_total", "Letters read from outside systems' queues", ["vendor", "outcome"])

WAIT_SECONDS = 20
AT_ONCE = 10
"""SQS gives no more, and waits no longer."""

LONGEST_PAUSE = 30.0
_OURS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError)
"""Trouble that says nothing about the letter."""


@dataclass(frozen=True)
class Mailbox:
    """An SQS queue. What breaks its handler `tries` times counts as never to be handled. `failed_url` is the queue
    behind it, to which its redrive policy leads, where there is one. Credentials come from the usual AWS variables."""

    url: str
    region: str
    endpoint: str | None = None
    failed_url: str | None = None
    consumers: int = 2
    tries: int = 5
    wait_seconds: int = WAIT_SECONDS


class Unusable(Exception):
    """Raised by a handler for a letter that no further try can handle; its words go with it."""


Handle = Callable[[bytes], Awaitable[None]]
Keep = Callable[[bytes, str], Awaitable[None]]
"""Stores what can never be handled, and why: durably, once it returns."""
_Outcome = Literal["handled", "kept", "left"]


async def consume(vendor: str, box: Mailbox, handle: Handle, keep: Keep, stop: asyncio.Event) -> None:
    """Read the queue with all its consumers until `stop` is set; letters in hand are finished first."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            cast(Any, AioSession()).create_client(
                "sqs",
                region_name=box.region,
                endpoint_url=box.endpoint,
                config=AioConfig(
                    connect_timeout=5,
                    read_timeout=box.wait_seconds + 15,
                    retries={"max_attempts": 1},
                    max_pool_connections=box.consumers * 3,
                ),
            )
        )
        await asyncio.gather(*(_consumer(vendor, box, client, handle, keep, stop) for _ in range(box.consumers)))


async def _consumer(vendor: str, box: Mailbox, client: Any, handle: Handle, keep: Keep, stop: asyncio.Event) -> None:
    pause = 1.0
    while not stop.is_set():
        try:
            letters = await _received(box, client, stop)
            outcomes = await asyncio.gather(*(_handled(vendor, box, letter, handle, keep) for letter in letters))
            done = [letter for letter, outcome in zip(letters, outcomes, strict=True) if outcome != "left"]
            if done:
                await _take_away(box, client, done)
            pause = 1.0
        except (BotoCoreError, ClientError, OSError) as error:
            log.warning("the mailbox does not answer", vendor=vendor, seconds=pause, error=type(error).__name__)
            await _until(stop, pause)
            pause = min(pause * 2, LONGEST_PAUSE)


async def _received(box: Mailbox, client: Any, stop: asyncio.Event) -> Sequence[dict[str, Any]]:
    asked = asyncio.ensure_future(
        client.receive_message(
            QueueUrl=box.url,
            MaxNumberOfMessages=AT_ONCE,
            WaitTimeSeconds=box.wait_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
    )
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({asked, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            return []
        return asked.result().get("Messages") or []
    finally:
        # What was given while we turned away shows again after the queue's own time.
        asked.cancel()
        stopped.cancel()


async def _handled(vendor: str, box: Mailbox, letter: dict[str, Any], handle: Handle, keep: Keep) -> _Outcome:
    tries = int(letter.get("Attributes", {}).get("ApproximateReceiveCount") or 1)
    body = letter["Body"].encode("utf-8", "surrogatepass")
    outcome: _Outcome = "left"
    try:
        because = await _tried(vendor, box, body, tries, handle)
        if because is None:
            outcome = "handled"
        elif because:
            await keep(body, because)
            log.error("a letter was put aside", vendor=vendor, because=because)
            outcome = "kept"
    except _OURS as error:
        log.warning("a letter waits", vendor=vendor, tries=tries, error=type(error).__name__)
    LETTERS.labels(vendor, outcome).inc()
    return outcome


async def _tried(vendor: str, box: Mailbox, body: bytes, tries: int, handle: Handle) -> str | None:
    """Why it can never be handled; None when it was, empty when it may be another time. Raises one of _OURS."""
    try:
        await handle(body)
    except Unusable as failure:
        return str(failure) or "unusable"
    except _OURS:
        raise
    except Exception as error:
        log.exception("a letter could not be handled", vendor=vendor, tries=tries)
        return f"{type(error).__name__} after {tries} tries" if tries >= box.tries else ""
    return None


async def _take_away(box: Mailbox, client: Any, done: Sequence[dict[str, Any]]) -> None:
    # One that could not be taken away comes again, and is recognised.
    entries = [{"Id": str(n), "ReceiptHandle": letter["ReceiptHandle"]} for n, letter in enumerate(done)]
    answer = await client.delete_message_batch(QueueUrl=box.url, Entries=entries)
    failed: Sequence[dict[str, Any]] = answer.get("Failed") or []
    for failure in failed:
        log.warning("a letter was not taken away", code=failure.get("Code"))


async def _until(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
