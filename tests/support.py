"""What tests do by hand that a worker does by itself."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, cast

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.domain import errors
from pgqueuer.domain.models import Job
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.queries import Queries

from shipcrowd.kernel import db, jobs, tenancy

WORKER = uuid.uuid4()


async def dequeue(batch: int = 50) -> list[Job]:
    async with db.raw() as wire:
        return await Queries(AsyncpgDriver(cast(Any, wire))).dequeue(
            batch_size=batch,
            entrypoints={cast(Any, name): EntrypointExecutionParameter(0) for name in jobs.REGISTRY},
            queue_manager_id=cast(Any, WORKER),
            global_concurrency_limit=None,
            heartbeat_timeout=timedelta(seconds=30),
        )


async def drain(*, skip_waits: bool = False, limit: int = 2000) -> int:
    """Run the waiting jobs, and those they enqueue, until none is due; how many ran.

    `skip_waits` moves postponed jobs (retries, rate limits) to now. Jobs run one after another, so a test sees one
    order; races are staged on purpose elsewhere.
    """
    ran = 0
    while ran < limit:
        if skip_waits:
            async with tenancy.unowned() as session:
                await (await db.driver(session)).execute(
                    "UPDATE pgqueuer SET execute_after = now() WHERE status = 'queued' AND execute_after > now()"
                )
        batch = await dequeue()
        if not batch:
            return ran
        for job in batch:
            await _run(job)
            ran += 1
    raise AssertionError(f"the queue does not come to rest within {limit} jobs")


async def _run(job: Job) -> None:
    async with db.raw() as wire:
        queries = Queries(AsyncpgDriver(cast(Any, wire)))
        try:
            await jobs.run_one(job)
        except errors.RetryRequested as again:
            await queries.retry_job(job, again.delay, None)
        except Exception:
            await queries.log_jobs([(job, "failed", None)])
        else:
            await queries.log_jobs([(job, "successful", None)])


async def body_of(receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> bytes:
    """The whole body of a request to an ASGI app of a test's own."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
