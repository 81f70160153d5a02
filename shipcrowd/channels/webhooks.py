"""Where stores send their webhooks: checked on the raw bytes, stored, answered. What they say is read by a job.

Nothing is stored of what does not verify; it is only counted. Whether a store is connected here is nobody's business:
an unknown store and a forged signature get the same answer. The route and the secrets of a store are remembered for
a few seconds, so that one delivery costs one round trip to the database.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from prometheus_client import Counter
from pydantic_core import from_json

from shipcrowd.channels import jobs, vendors
from shipcrowd.channels.contract import PATH_TOPIC, ChannelVendor
from shipcrowd.channels.open import app_settings
from shipcrowd.connections import service as connections
from shipcrowd.connections.service import Route
from shipcrowd.kernel import clock, inbox
from shipcrowd.kernel.errors import BadRequest, ShipcrowdError, TooLarge, Unauthenticated
from shipcrowd.kernel.outbound import Disconnected, Malformed
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.kernel.web import raw_body

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

REFUSED = Counter("shipcrowd_webhooks_refused_total", "Webhooks not taken", ["vendor", "why"])

REMEMBERED = timedelta(seconds=10)
RELOADED_AT_MOST_EVERY = timedelta(seconds=1)
ROOM = 10_000
ID_CHARACTERS = 200
HEADER_BYTES = 8 * 1024


class ForgedWebhook(Unauthenticated):
    """This webhook could not be verified."""


class EmptyWebhook(BadRequest):
    """A webhook without a body says nothing."""


class UnreadableWebhook(BadRequest):
    """The body of a webhook is JSON."""


@dataclass(frozen=True)
class Door:
    """A store's way in: whose it is, and what its webhooks may be signed with."""

    route: Route
    secrets: tuple[str, ...]
    since: datetime


class _Doors:
    known: ClassVar[dict[tuple[str, str], Door]] = {}


@router.post("/{vendor}", response_class=Response)
async def receive(vendor: str, request: Request) -> Response:
    """A webhook that names its store by itself."""
    return await _receive(vendors.vendor(vendor), None, request)


@router.post("/{vendor}/{store}", response_class=Response)
async def receive_for_store(vendor: str, store: str, request: Request) -> Response:
    """A webhook at the address of one store: its connection's id, or its id at the vendor."""
    return await _receive(vendors.vendor(vendor), store, request)


@router.post("/{vendor}/{store}/{topic}", response_class=Response)
async def receive_topic(
    vendor: str, store: str, topic: Annotated[str, Path(max_length=ID_CHARACTERS)], request: Request
) -> Response:
    """A webhook at an address of its topic's own, for senders that use one for each: the same door, and the vendor's
    reader finds the address's last part in the header `x-path-topic`."""
    return await _receive(vendors.vendor(vendor), store, request, topic)


def forget_doors() -> None:
    """Drop what this process remembers of stores' secrets."""
    _Doors.known.clear()


async def _receive(vendor: ChannelVendor, store: str | None, request: Request, topic: str | None = None) -> Response:
    try:
        body = await raw_body(request)
    except TooLarge:
        REFUSED.labels(vendor.slug, "too_large").inc()
        raise
    # What the sender may claim is never taken for the path itself.
    headers = {name: value for name, value in request.headers.items() if name != PATH_TOPIC}
    if topic is not None:
        headers[PATH_TOPIC] = topic
    if not body:
        REFUSED.labels(vendor.slug, "empty").inc()
        raise EmptyWebhook()
    route = await _verified(vendor, store, headers, body)
    try:
        _read(body)
        delivery_id, subject = vendor.webhooks.delivery_id(headers, body), vendor.webhooks.topic(headers, body)
    except (ValueError, RecursionError, Malformed) as error:
        REFUSED.labels(vendor.slug, "unreadable").inc()
        raise UnreadableWebhook() from error
    await keep(vendor, route, delivery_id=delivery_id, topic=subject, body=body, headers=_kept(headers))
    return Response(status_code=200)


async def keep(
    vendor: ChannelVendor, route: Route, *, delivery_id: str, topic: str, body: bytes, headers: dict[str, str]
) -> None:
    """Store a delivery of a store in the inbox of its company, once per delivery id, and have it read."""
    await inbox.receive(
        company_id=route.company_id,
        vendor=vendor.slug,
        store=route.external_id,
        delivery_id=bounded(delivery_id),
        topic=topic_of(topic),
        body=body,
        headers=headers,
        reader=jobs.take_in,
        together=True,
    )


def _read(body: bytes) -> None:
    """Raises ValueError or RecursionError for what is no JSON."""
    try:
        from_json(body)
    except ValueError:
        json.loads(body)  # several times slower, and takes what shops do send: half an emoji, cut off at a limit


async def _verified(vendor: ChannelVendor, store: str | None, headers: Mapping[str, str], body: bytes) -> Route:
    """The route of the store that signed this. Raises ForgedWebhook for every reason alike."""
    named = _named_store(vendor, headers, body)
    name = store or named
    door = await _door(vendor, name) if name else None
    signed = door is not None and _signed(vendor, door, headers, body)
    if door is not None and not signed and clock.now() - door.since > RELOADED_AT_MOST_EVERY:
        # The store may have been connected again a moment ago, with another secret.
        _Doors.known.pop((vendor.slug, name), None)
        door = await _door(vendor, name)
        signed = door is not None and _signed(vendor, door, headers, body)
    if door is None:
        why = "unknown_store"
    elif not signed:
        why = "forged"
    elif await _strays(vendor, door.route, named):
        why = "other_store"
    else:
        return door.route
    REFUSED.labels(vendor.slug, why).inc()
    raise ForgedWebhook()


def _named_store(vendor: ChannelVendor, headers: Mapping[str, str], body: bytes) -> str:
    try:
        return vendor.webhooks.store(headers, body)
    except (ShipcrowdError, Malformed):
        return ""


def _signed(vendor: ChannelVendor, door: Door, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        vendor.webhooks.verify(door.secrets, headers, body, clock.now())
    except Unauthenticated:
        return False
    return bool(door.secrets)


async def _strays(vendor: ChannelVendor, route: Route, named: str) -> bool:
    """Whether a delivery at one store's address names another store of ours. Where a vendor signs for all its stores
    with one secret, the signature does not tell them apart."""
    if not named or named == route.external_id:
        return False
    other = await connections.route(vendor.slug, named)
    return other is not None and other.connection_id != route.connection_id


async def _door(vendor: ChannelVendor, name: str) -> Door | None:
    now = clock.now()
    known = _Doors.known.get((vendor.slug, name))
    if known is not None and known.since + REMEMBERED > now:
        return known
    route = await _route(vendor, name)
    if route is None:
        return None
    async with acting_for(route.company_id) as session:
        connection = await connections.find(session, vendor=vendor.slug, external_id=route.external_id)
    if connection is None:
        return None
    try:
        credentials = connections.credentials(connection, vendor.credentials)
    except Disconnected:
        return None
    door = Door(route, tuple(vendor.webhook_secrets(app_settings(vendor), credentials)), now)
    while len(_Doors.known) >= ROOM:
        del _Doors.known[next(iter(_Doors.known))]
    _Doors.known[vendor.slug, name] = door
    return door


async def _route(vendor: ChannelVendor, name: str) -> Route | None:
    try:
        connection_id = UUID(name)
    except ValueError:
        return await connections.route(vendor.slug, name)
    route = await connections.route_of(connection_id)
    return route if route is not None and route.vendor == vendor.slug else None


def topic_of(topic: str) -> str:
    """A topic, cut to what is stored."""
    return topic[:ID_CHARACTERS]


def bounded(delivery_id: str) -> str:
    """A delivery's id, or its digest where it is too long to be stored."""
    if len(delivery_id) <= ID_CHARACTERS:
        return delivery_id
    return "sha256:" + hashlib.sha256(delivery_id.encode()).hexdigest()


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers a reader may need: the vendor's own, bounded, without what proxies add."""
    kept: dict[str, str] = {}
    room = HEADER_BYTES
    for name, value in headers.items():
        wanted = name == "content-type" or (name.startswith("x-") and not name.startswith("x-forwarded"))
        room -= len(name) + len(value) if wanted else 0
        if wanted and room >= 0:
            kept[name] = value
    return kept
