"""Work that happens later, in a worker: typed jobs on PgQueuer, enqueued in the caller's own transaction.

    @job(retry=on(Unavailable, times=8))
    async def request_label(company_id: UUID, shipment_id: UUID) -> None: ...

    await request_label.enqueue(session, company_id=…, shipment_id=…)
    await request_label.with_(key=f"{company_id}:label", after=timedelta(minutes=5)).enqueue(session, …)

What this adds to the queue: payloads checked by type; retries with jittered back-off that count *our* tries (a wait
for a rate limit is none, a crash of the worker is counted by the database); jobs that failed for good are held, listed
and requeued; a key coalesces jobs that still wait, and never loses news (see `schema.queue`).
A job may run twice: every job re-reads state before it acts.
"""

import asyncio
import contextlib
import inspect
import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, ParamSpec, cast
from uuid import UUID

import asyncpg
import structlog
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.core.qm import QueueManager
from pgqueuer.core.sm import SchedulerManager
from pgqueuer.domain import errors as queue_errors
from pgqueuer.domain import models as queue_models
from pgqueuer.queries import Queries
from prometheus_client import Counter, Histogram
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel import clock, db, tenancy
from shipcrowd.kernel.running import Later, Running, running

P = ParamSpec("P")

log = structlog.get_logger(__name__)

RAN = Counter("shipcrowd_jobs_total", "Jobs run", ["job", "outcome"])
SECONDS = Histogram("shipcrowd_job_seconds", "Time a job ran", ["job"])

CRASHES_ALLOWED = 3
NO_PLACES: Mapping[str, Any] = {"slots": {}, "tokens": {}, "missed": 0}
"""A try that failed has used the places in rate limits it held."""

WAITS_ALLOWED = 100
"""How often the far side may ask a job to come again later before that counts as failing."""

QUEUE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError)
"""What a lost database connection raises out of `work`."""


@dataclass(frozen=True)
class Retry:
    """Which exceptions are worth another try, how many tries in all, and the back-off in seconds."""

    exceptions: tuple[type[Exception], ...]
    times: int
    first: float = 1.0
    most: float = 600.0

    def delay(self, tries: int) -> timedelta:
        """The wait after `tries` failed tries: doubling, with up to 30 % jitter."""
        seconds = min(self.first * 2 ** (tries - 1), self.most) * (1 + random.random() * 0.3)  # noqa: S311 - jitter
        return timedelta(seconds=seconds)


def on(*exceptions: type[Exception], times: int, first: float = 1.0, most: float = 600.0) -> Retry:
    return Retry(exceptions, times, first, most)


ANY_ERROR = on(Exception, times=5, first=2.0)


@dataclass(frozen=True)
class Job(Generic[P]):
    """A registered job. Made by `@job`."""

    name: str
    run: Callable[P, Awaitable[None]]
    payload: type[BaseModel]
    retry: Retry
    seconds: float
    concurrency: int
    on_exhausted: Callable[..., Awaitable[None]] | None
    key: str | None = None
    after: timedelta | None = None
    priority: int = 0
    later: Later | None = None

    def with_(
        self,
        *,
        key: str | None = None,
        after: timedelta | None = None,
        priority: int = 0,
        later: Later | None = None,
    ) -> "Job[P]":
        """The same job, enqueued under a dedupe key, later, ahead of others, or as one that was put back."""
        return replace(self, key=key, after=later.left if later else after, priority=priority, later=later)

    async def enqueue(self, session: AsyncSession, *args: P.args, **kwargs: P.kwargs) -> None:
        """Enqueue in the session's transaction: a rollback leaves no job."""
        await enqueue_many(session, self, [cast(Mapping[str, Any], kwargs)], keys=[self.key] if self.key else None)

    def exhausted(self, then: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
        """Decorator: what to do when the last try failed, before the job is held."""
        REGISTRY[self.name] = replace(self, on_exhausted=then)
        return then


REGISTRY: dict[str, Job[...]] = {}


def job(
    *, retry: Retry = ANY_ERROR, seconds: float = 300.0, concurrency: int = 0, name: str | None = None
) -> Callable[[Callable[P, Awaitable[None]]], Job[P]]:
    """Register an async function as a job named `module.function`.

    `seconds` bounds one run; `concurrency` bounds how many run at once over all workers (0: no bound).
    """

    def register(run: Callable[P, Awaitable[None]]) -> Job[P]:
        module = run.__module__.removeprefix("shipcrowd.").removesuffix(".jobs")
        made = Job(name or f"{module}.{run.__name__}", run, _payload(run), retry, seconds, concurrency, None)
        if made.name in REGISTRY:
            raise ValueError(f"two jobs are named {made.name}")
        REGISTRY[made.name] = made
        return made

    return register


def _payload(run: Callable[..., Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in inspect.signature(run, eval_str=True).parameters.items()
    }
    return create_model(f"{run.__name__}_payload", __config__=ConfigDict(extra="forbid"), **fields)


async def enqueue_many(
    session: AsyncSession,
    job: Job[...],
    payloads: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str] | None = None,
) -> None:
    """Enqueue one job per payload in one statement. Equal keys become one job."""
    if not payloads:
        return
    company = session.info.get("company_id")
    rows = [
        (key, job.payload(**payload).model_dump_json().encode(), payload.get("company_id", company))
        for key, payload in zip(keys or [None] * len(payloads), payloads, strict=True)
    ]
    if keys is not None:
        # Sorted, so that two transactions that lock the same waiting jobs do so in one order.
        rows = sorted({row[0]: row for row in rows}.values(), key=lambda row: row[0] or "")
    await _queries(await db.driver(session)).enqueue(
        [job.name] * len(rows),
        [payload for _, payload, _ in rows],
        [job.priority] * len(rows),
        [job.after] * len(rows),
        [None if key is None else f"{job.name}:{key}" for key, _, _ in rows],
        [_headers(owner, job.later) for _, _, owner in rows],
        on_conflict="update_priority" if keys is not None else "raise",
    )


def _headers(company_id: object, later: Later | None) -> dict[str, Any] | None:
    """What stands beside a job's payload; None for nothing."""
    said: dict[str, Any] = {"company": str(company_id)} if company_id else {}
    return said | (later.headers() if later else {}) or None


def _queries(wire: db.Wire) -> Queries:
    return Queries(AsyncpgDriver(cast(Any, wire)))


# --- running --------------------------------------------------------------------------------------------------------


class _Hold(Exception):
    """Raised to the queue so that it holds the job."""


async def run_one(row: queue_models.Job) -> None:
    """Run one picked job to its outcome: returns, asks for a retry, or raises so that the queue holds it."""
    registered = REGISTRY[row.entrypoint]
    headers = row.headers or {}
    with (
        structlog.contextvars.bound_contextvars(job=row.entrypoint, job_id=int(row.id), company=headers.get("company")),
        SECONDS.labels(row.entrypoint).time(),
    ):
        outcome = "held"
        try:
            crashes = int(cast(int, headers.get("crashes") or 0))
            try:
                payload = registered.payload.model_validate_json(row.payload or b"{}")
            except ValidationError as error:
                raise _Hold("its payload does not fit the job any more") from error
            if crashes >= CRASHES_ALLOWED:
                if registered.on_exhausted is not None:
                    await registered.on_exhausted(**_arguments(payload))
                raise _Hold(f"its worker died {crashes} times while it ran")
            outcome = await _attempt(registered, payload, row, headers)
        except queue_errors.RetryRequested:
            outcome = "again"
            raise
        except _Hold as hold:
            log.warning("job held", reason=str(hold))
            await _note(row, {"error": str(hold)[:500]})
            raise
        finally:
            RAN.labels(row.entrypoint, outcome).inc()


def _arguments(payload: BaseModel) -> dict[str, Any]:
    return {name: getattr(payload, name) for name in type(payload).model_fields}


async def _attempt(
    registered: Job[...], payload: BaseModel, row: queue_models.Job, headers: Mapping[str, object]
) -> str:
    slots = cast(Mapping[str, str], headers.get("slots") or {})
    token = running.set(
        Running(
            row.entrypoint,
            {key: datetime.fromisoformat(at) for key, at in slots.items()},
            missed=int(cast(int, headers.get("missed") or 0)),
            tokens=dict(cast(Mapping[str, float], headers.get("tokens") or {})),
        )
    )
    arguments = _arguments(payload)
    try:
        async with asyncio.timeout(registered.seconds):
            await registered.run(**arguments)
        return "done"
    except Later as later:
        await _note(row, later.headers())
        raise queue_errors.RetryRequested(delay=later.left, reason=str(later)) from later
    except Exception as error:
        words = f"{type(error).__name__}: {error}"[:500]
        wish: float | None = getattr(error, "retry_after", None)
        waits = int(cast(int, headers.get("waits") or 0)) + 1
        if wish is not None and isinstance(error, registered.retry.exceptions) and waits <= WAITS_ALLOWED:
            # They said when to come again: keeping that appointment is no failed try.
            await _note(row, {"waits": waits, "error": words, **NO_PLACES})
            delay = timedelta(seconds=wish * (1 + random.random() * 0.3))  # noqa: S311 - jitter
            raise queue_errors.RetryRequested(delay=delay, reason=words) from error
        tries = int(cast(int, headers.get("tries") or 0)) + 1
        if isinstance(error, registered.retry.exceptions) and tries < registered.retry.times:
            delay = registered.retry.delay(tries)
            log.warning("job failed, will be tried again", tries=tries, seconds=delay.total_seconds(), error=words)
            await _note(row, {"tries": tries, "error": words, **NO_PLACES})
            raise queue_errors.RetryRequested(delay=delay, reason=words) from error
        log.exception("job failed for good", tries=tries)
        if registered.on_exhausted is not None:
            await registered.on_exhausted(**arguments)
        raise _Hold(words) from error
    finally:
        running.reset(token)


async def _note(row: queue_models.Job, facts: Mapping[str, Any]) -> None:
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute(
            "UPDATE pgqueuer SET headers = coalesce(nullif(headers, 'null'::jsonb), '{}'::jsonb) || $2::text::jsonb"
            " WHERE id = $1",
            int(row.id),
            json.dumps(facts),
        )


# --- schedules ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Schedule:
    """A job with no arguments, enqueued by the clock. `cron` is read in IST."""

    cron: str
    job: Job[[]]


def utc_cron(cron: str) -> str:
    """A cron line with fixed minute and hour in IST → the same moment in UTC; one with `*` in the hour is unchanged.

    Raises ValueError for a fixed hour with a fixed weekday or day, whose date would shift as well.
    """
    minute, hour, *rest = cron.split()
    if not hour.isdigit():
        return cron
    if not minute.isdigit():
        raise ValueError(f"{cron!r}: a fixed hour needs a fixed minute")
    total = (int(hour) * 60 + int(minute) - 330) % 1440
    if rest != ["*", "*", "*"] and int(hour) * 60 + int(minute) < 330:
        raise ValueError(f"{cron!r}: before 05:30 IST the date differs in UTC")
    return " ".join([str(total % 60), str(total // 60), *rest])


# --- the worker -----------------------------------------------------------------------------------------------------


async def work(
    url: str,
    *,
    stop: asyncio.Event,
    schedules: Sequence[Schedule] = (),
    concurrency: int = 20,
    heartbeat: timedelta = timedelta(seconds=30),
) -> None:
    """Run jobs until `stop` is set, then finish the running ones. The database connection must be open (kernel.db)."""
    queue_connection = await db.open_connection(url, name="shipcrowd-queue")
    clock_connection = await db.open_connection(url, name="shipcrowd-cron")
    try:
        manager = QueueManager(_queries(queue_connection))
        for registered in REGISTRY.values():
            manager.entrypoint(registered.name, concurrency_limit=registered.concurrency, on_failure="hold")(run_one)
        scheduler = SchedulerManager(_queries(clock_connection))
        for schedule in schedules:
            scheduler.schedule(schedule.job.name, utc_cron(schedule.cron))(_firing(schedule.job))

        async def until_stopped() -> None:
            await stop.wait()
            manager.shutdown.set()
            scheduler.shutdown.set()

        watcher = asyncio.create_task(until_stopped())
        cron = asyncio.create_task(scheduler.run()) if schedules else None
        try:
            await manager.run(
                dequeue_timeout=timedelta(seconds=1),
                batch_size=max(1, concurrency // 2),
                max_concurrent_tasks=max(2, concurrency),
                heartbeat_timeout=heartbeat,
            )
        finally:
            scheduler.shutdown.set()
            watcher.cancel()
            if cron is not None:
                await cron
    finally:
        await queue_connection.close()
        await clock_connection.close()


def _firing(scheduled: Job[[]]) -> Callable[[queue_models.Schedule], Awaitable[None]]:
    async def fire(schedule: queue_models.Schedule) -> None:
        async with tenancy.unowned() as session:
            await scheduled.with_(key="cron").enqueue(session)

    return fire


# --- waking, looking and mending ------------------------------------------------------------------------------------


class _Wake:
    pending: asyncio.Task[None] | None = None


def wake_soon(seconds: float = 0.02) -> None:
    """Wake the workers once for all that was enqueued quietly in the next moments of this process."""
    if _Wake.pending is None or _Wake.pending.done():
        _Wake.pending = asyncio.create_task(_wake(seconds))


async def _wake(seconds: float) -> None:
    await asyncio.sleep(seconds)
    _Wake.pending = None
    # The workers' own poll is the safety net when this fails.
    with contextlib.suppress(OSError, asyncpg.PostgresError):
        async with db.raw() as wire:
            await wire.execute("SELECT shipcrowd_wake()")


@dataclass(frozen=True)
class HeldJob:
    id: int
    name: str
    company_id: UUID | None
    error: str
    tries: int
    held_at: datetime
    payload: str


async def held(session: AsyncSession, *, company_id: UUID | None, limit: int = 100) -> list[HeldJob]:
    """Jobs that failed for good, newest first: of one company, or of all for None."""
    rows = await (await db.driver(session)).fetch(
        """
        SELECT id, entrypoint, headers ->> 'company' AS company, headers ->> 'error' AS error,
               coalesce((headers ->> 'tries')::int, 0) AS tries, updated, convert_from(payload, 'UTF8') AS payload
        FROM pgqueuer
        WHERE status = 'failed' AND ($1::text IS NULL OR headers ->> 'company' = $1)
        ORDER BY id DESC LIMIT $2
        """,
        None if company_id is None else str(company_id),
        limit,
    )
    return [
        HeldJob(
            row["id"],
            row["entrypoint"],
            UUID(row["company"]) if row["company"] else None,
            row["error"] or "",
            row["tries"],
            row["updated"],
            row["payload"] or "",
        )
        for row in rows
    ]


async def requeue(session: AsyncSession, ids: Sequence[int], *, company_id: UUID | None) -> int:
    """Give held jobs their tries again; how many were."""
    done = await (await db.driver(session)).fetch(
        """
        UPDATE pgqueuer SET status = 'queued', execute_after = now(), updated = now(), queue_manager_id = NULL,
               attempts = 0, headers = headers - 'tries' - 'waits' - 'crashes' - 'error'
                         - 'slots' - 'tokens' - 'missed'
        WHERE id = ANY($1::bigint[]) AND status = 'failed' AND ($2::text IS NULL OR headers ->> 'company' = $2)
        RETURNING id
        """,
        list(ids),
        None if company_id is None else str(company_id),
    )
    await (await db.driver(session)).execute("SELECT shipcrowd_wake()")
    return len(done)


async def depth(session: AsyncSession) -> Mapping[str, int]:
    """Jobs by status."""
    rows = await (await db.driver(session)).fetch("SELECT status::text, count(*) FROM pgqueuer GROUP BY 1")
    return {row["status"]: row["count"] for row in rows}


async def prune_log(session: AsyncSession, *, older_than: timedelta) -> None:
    """Delete the queue's log lines and statistics from before then."""
    before = clock.now() - older_than
    wire = await db.driver(session)
    await wire.execute("DELETE FROM pgqueuer_log WHERE created < $1", before)
    await wire.execute("DELETE FROM pgqueuer_statistics WHERE created < $1", before)
