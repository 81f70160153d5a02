"""Couriers' webhooks: verified on the raw bytes, stored, read later. The same door for every courier that has one."""

import time
from collections.abc import Awaitable, Callable
from typing import ClassVar
from uuid import UUID

from fastapi import APIRouter, Request, Response
from prometheus_client import Counter
from sqlalchemy import select

from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Kind, Status
from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import CourierVendor
from shipcrowd.kernel import clock, inbox, tenancy
from shipcrowd.kernel.errors import BadRequest, NotFound, Unauthenticated
from shipcrowd.kernel.outbound import Malformed
from shipcrowd.kernel.web import raw_body
from shipcrowd.shipping import jobs

REFUSED = Counter("shipcrowd_courier_webhooks_refused_total", "Courier webhooks turned away", ["courier", "why"])

KNOWN_FOR = 30.0


class EmptyBody(BadRequest):
    """The body is empty."""


class NotSigned(Unauthenticated):
    """The signature is missing, wrong or too old."""


class _Secrets:
    """The webhook secrets of a courier's accounts, kept for half a minute: a webhook must not cost a look-up."""

    known: ClassVar[dict[tuple[str, UUID], tuple[float, tuple[UUID, str] | None]]] = {}


def forget_secrets() -> None:
    _Secrets.known.clear()


async def _secret(vendor: CourierVendor, account_id: UUID | None) -> tuple[UUID, str] | None:
    """The owner and the webhook secret of an account; of the platform's shared one when none is named."""
    key = (vendor.slug, account_id or tenancy.PLATFORM_COMPANY)
    at, found = _Secrets.known.get(key, (0.0, None))
    if found is not None and time.monotonic() - at < KNOWN_FOR:
        return found
    async with tenancy.acting_for_platform(why="courier webhook secret") as session:
        query = select(Connection).where(
            Connection.kind == Kind.courier, Connection.vendor == vendor.slug, Connection.closed_at.is_(None)
        )
        if account_id is None:
            query = query.where(Connection.company_id == tenancy.PLATFORM_COMPANY)
        else:
            query = query.where(Connection.id == account_id)
        # Parcels of an account that is paused, or must be signed in to again, are still on their way.
        newest = query.order_by(Connection.status != Status.connected, Connection.connected_at.desc()).limit(1)
        row = (await session.execute(newest)).scalar_one_or_none()
    if row is None:
        return None
    secret = getattr(connections.credentials(row, vendor.credentials), "webhook_secret", None)
    if secret is None or not secret.get_secret_value():
        return None
    _Secrets.known[key] = (time.monotonic(), (row.company_id, secret.get_secret_value()))
    return row.company_id, secret.get_secret_value()


async def take_in(request: Request, slug: str, account_id: UUID | None) -> Response:
    """Store one delivery. 401 for a forged, stale or unknown one, and nothing stored but a counter."""
    vendor = vendors.vendor(slug)
    webhooks = vendor.webhooks
    if webhooks is None:
        raise NotFound
    body = await raw_body(request)
    if not body:
        REFUSED.labels(slug, "empty").inc()
        raise EmptyBody
    headers = dict(request.headers.items())
    known = await _secret(vendor, account_id)
    try:
        if known is None:
            raise NotSigned
        webhooks.verify(known[1], headers, body, clock.now())
    except Unauthenticated:
        REFUSED.labels(slug, "signature").inc()
        raise
    try:
        topic, delivery_id = webhooks.topic(headers, body), webhooks.delivery_id(headers, body)
    except Malformed as error:
        REFUSED.labels(slug, "unreadable").inc()
        raise BadRequest(str(error)) from error
    await inbox.receive(
        company_id=known[0],
        vendor=slug,
        store=str(account_id or "shared"),
        delivery_id=delivery_id,
        topic=topic,
        body=body,
        headers={},
        reader=jobs.take_scans,
    )
    return Response(status_code=200)


def router(slugs: list[str]) -> APIRouter:
    """`POST /webhooks/<courier>` (the platform's account) and `/webhooks/<courier>/<account id>` for each courier."""
    made = APIRouter(prefix="/webhooks", tags=["webhooks"])
    for slug in slugs:
        shared, own = _doors(slug)
        made.add_api_route(f"/{slug}", shared, methods=["POST"], name=f"{slug} webhook", response_class=Response)
        made.add_api_route(
            f"/{slug}/{{account_id}}", own, methods=["POST"], name=f"{slug} account webhook", response_class=Response
        )
    return made


def _doors(slug: str) -> tuple[Callable[..., Awaitable[Response]], Callable[..., Awaitable[Response]]]:
    # A parameter of the route would be a query parameter of the request, and whoever sends it would choose the vendor.
    async def shared(request: Request) -> Response:
        return await take_in(request, slug, None)

    async def own(request: Request, account_id: UUID) -> Response:
        return await take_in(request, slug, account_id)

    return shared, own
