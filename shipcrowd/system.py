"""The operator's and the machine's view: health, metrics, failed jobs."""

import hmac
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from pydantic import BaseModel, Field
from sqlalchemy import text

from shipcrowd.identity.api import May, Member
from shipcrowd.kernel import db, jobs, tenancy
from shipcrowd.kernel.errors import Unauthenticated
from shipcrowd.orders.schemas import Input
from shipcrowd.settings import settings

QUEUE = Gauge("shipcrowd_queue_jobs", "Jobs in the queue", ["status"])

health = APIRouter(tags=["health"])
router = APIRouter(prefix="/system", tags=["system"])


@health.get("/health/live")
async def live() -> dict[str, str]:
    """The process runs."""
    return {"status": "ok"}


@health.get("/health/ready")
async def ready() -> JSONResponse:
    """The process can serve: the database answers and its schema is there."""
    try:
        async with db.engine().connect() as connection:
            version = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one()
        return JSONResponse({"status": "ok", "schema": version})
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is "not ready"
        return JSONResponse({"status": "unavailable", "database": type(error).__name__}, 503)


@health.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Prometheus figures of this process, and the queue's depth."""
    token = settings().metrics_token
    if token is not None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
            raise Unauthenticated
    async with tenancy.unowned() as session:
        depth = await jobs.depth(session)
    for status in ("queued", "picked", "failed"):
        QUEUE.labels(status).set(depth.get(status, 0))
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


class HeldJobOut(BaseModel):
    id: int
    name: str
    error: str
    tries: int
    held_at: datetime


class JobIds(Input):
    ids: tuple[Annotated[int, Field(ge=1, lt=2**63)], ...] = Field(min_length=1, max_length=500)


class Requeued(BaseModel):
    requeued: int


@router.get("/jobs/failed")
async def failed_jobs(who: Annotated[Member, May("jobs:read")]) -> list[HeldJobOut]:
    """Your company's jobs that failed for good, newest first; the platform sees all."""
    async with tenancy.unowned() as session:
        found = await jobs.held(session, company_id=_scope(who))
    return [HeldJobOut(id=j.id, name=j.name, error=j.error, tries=j.tries, held_at=j.held_at) for j in found]


@router.post("/jobs/failed/requeue")
async def requeue_jobs(who: Annotated[Member, May("jobs:write")], wanted: JobIds) -> Requeued:
    """Give failed jobs their tries again."""
    async with tenancy.unowned() as session:
        return Requeued(requeued=await jobs.requeue(session, wanted.ids, company_id=_scope(who)))


def _scope(who: Member) -> UUID | None:
    return None if who.company_id == tenancy.PLATFORM_COMPANY else who.company_id
