"""The one way out: every call to an outside system goes through an `Http` made here.

It bounds time, size and tries, counts and logs without secrets, and turns what the network does into the four
failures the rest of the product knows. What a *vendor* means by a 4xx body is the vendor client's business.
"""

import asyncio
import json as jsonlib
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
import structlog
from prometheus_client import Counter, Histogram

from shipcrowd.kernel import clock

log = structlog.get_logger(__name__)

Json = Any
"""A decoded JSON value. Numbers with a point are `Decimal`: money never passes through a float."""

CALLS = Counter("shipcrowd_outbound_calls_total", "Calls to outside systems", ["vendor", "what", "outcome"])
SECONDS = Histogram("shipcrowd_outbound_seconds", "Time of calls to outside systems", ["vendor", "what"])


class OutsideFailure(Exception):
    """An outside system did not do what was asked. One of exactly four subclasses."""


class Unavailable(OutsideFailure):
    """Not now: network trouble, throttling, or an error on their side. Trying again is right.

    `retry_after` is seconds to wait, where they said so. `maybe_received` tells that the request may have been
    acted on although no answer came, so that what must not happen twice is not simply repeated. `reply` is the
    answer (a 429, a 5xx), where there was one: for what a vendor says in its headers.
    """

    def __init__(
        self,
        detail: str,
        *,
        retry_after: float | None = None,
        maybe_received: bool = False,
        reply: "Reply | None" = None,
    ) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.maybe_received = maybe_received
        self.reply = reply

    @property
    def throttled(self) -> bool:
        return self.reply is not None and self.reply.status == 429


class Refused(OutsideFailure):
    """They understood and said no. `code` is for programs, `message` is fit for a seller to read."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Disconnected(OutsideFailure):
    """Our credentials no longer work there: pause the account and ask the seller to sign in again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Malformed(OutsideFailure):
    """The reply could not be read. `raw` (cut to 2,000 characters) is kept for whoever looks into it."""

    def __init__(self, detail: str, raw: str = "") -> None:
        super().__init__(detail)
        self.raw = raw[:2000]


@dataclass(frozen=True)
class Reply:
    """An HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]  # keys in lower case
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Json:
        """The decoded body; raises Malformed when it is not JSON (an HTML error page, say)."""
        return read_json(self.body)


def read_json(raw: bytes | str) -> Json:
    """Decode vendor JSON with exact decimals; raises Malformed."""
    try:
        return jsonlib.loads(raw, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        shown = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        raise Malformed(f"not JSON: {error}", shown) from error


Router = Callable[[str], str]
"""Where a vendor's URL really goes. The sandbox puts its own host in front; production leaves it alone."""


@dataclass(frozen=True)
class Limits:
    connect_seconds: float = 3.0
    read_seconds: float = 10.0
    reply_bytes: int = 10 * 1024 * 1024
    connections: int = 50
    tries: int = 3  # for calls marked safe to repeat


class Http:
    """Calls to one vendor. Make one per vendor and process and share it; it keeps connections alive.

    `transport` is the seam for tests and the sandbox; `route` rewrites the URL (see `Router`).
    """

    def __init__(
        self,
        vendor: str,
        *,
        limits: Limits | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        route: Router | None = None,
    ) -> None:
        self.vendor = vendor
        self.limits = limits or Limits()
        self._route = route
        self._client = httpx2.AsyncClient(
            transport=transport,
            timeout=httpx2.Timeout(self.limits.read_seconds, connect=self.limits.connect_seconds, pool=5.0),
            limits=httpx2.Limits(max_connections=self.limits.connections),
            follow_redirects=False,
            trust_env=False,
            headers={"user-agent": "ShipCrowd/1"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def request(
        self,
        method: str,
        url: str,
        *,
        what: str,
        repeatable: bool,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: Json = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        read_seconds: float | None = None,
        reply_bytes: int | None = None,
    ) -> Reply:
        """One call, answered whole, whatever its status below 500 except 429.

        `what` names the operation in metrics and logs (a constant, never an id). `repeatable` says that doing it
        twice is harmless: only then is it tried again here, `limits.tries` times, on network trouble and 5xx. A 429
        is never: another call at once is the last thing a full bucket needs. `reply_bytes` is the cap of this answer
        in place of `limits.reply_bytes`, for files.
        Raises Unavailable (429, 5xx, network trouble, time-out) and Malformed (a reply over the size cap).
        """
        tries = self.limits.tries if repeatable else 1
        for attempt in range(1, tries + 1):
            try:
                return await self._once(
                    method, url, what, headers, params, json, form, content, read_seconds, reply_bytes
                )
            except Unavailable as failure:
                if attempt == tries or failure.retry_after is not None or failure.throttled:
                    raise
                await asyncio.sleep(0.2 * 2**attempt * (1 + random.random() * 0.3))  # noqa: S311 - jitter
        raise AssertionError("unreachable")

    async def _once(
        self,
        method: str,
        url: str,
        what: str,
        headers: Mapping[str, str] | None,
        params: Mapping[str, str] | None,
        json: Json,
        form: Mapping[str, str] | None,
        content: bytes | None,
        read_seconds: float | None,
        reply_bytes: int | None,
    ) -> Reply:
        target = self._route(url) if self._route else url
        if json is not None:
            content = jsonlib.dumps(json, default=_plain).encode()
            headers = {"content-type": "application/json", **(headers or {})}
        if _Wire.read_seconds is not None:
            read_seconds = min(read_seconds or self.limits.read_seconds, _Wire.read_seconds)
        timeout = (
            httpx2.Timeout(read_seconds, connect=self.limits.connect_seconds, pool=5.0)
            if read_seconds
            else httpx2.USE_CLIENT_DEFAULT
        )
        outcome = "error"
        started = clock.now()
        try:
            request = self._client.build_request(
                method, target, headers=headers, params=params, data=form, content=content, timeout=timeout
            )
            async with await_closing(await self._client.send(request, stream=True)) as response:
                body = await self._read_capped(response, what, reply_bytes or self.limits.reply_bytes)
            outcome = str(response.status_code)
            reply = Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, body)
            if reply.status == 429 or reply.status >= 500:
                raise Unavailable(
                    f"{self.vendor} answered {reply.status} to {what}",
                    retry_after=retry_after(reply.headers),
                    maybe_received=reply.status >= 500,
                    reply=reply,
                )
            return reply
        except httpx2.TimeoutException as error:
            outcome = "timeout"
            raise Unavailable(
                f"{self.vendor} did not answer {what} in time", maybe_received=_may_have_arrived(error)
            ) from error
        except httpx2.DecodingError as error:
            outcome = "unreadable"
            raise Malformed(f"{self.vendor} answered {what} with a body that does not unpack") from error
        except httpx2.TransportError as error:
            outcome = "network"
            raise Unavailable(
                f"{self.vendor} could not be reached for {what}", maybe_received=_may_have_arrived(error)
            ) from error
        finally:
            seconds = (clock.now() - started).total_seconds()
            CALLS.labels(self.vendor, what, outcome).inc()
            SECONDS.labels(self.vendor, what).observe(max(seconds, 0))
            host = urlsplit(url).hostname
            log.debug("outbound", vendor=self.vendor, what=what, host=host, outcome=outcome, seconds=seconds)

    async def _read_capped(self, response: httpx2.Response, what: str, most: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > most:
                raise Malformed(f"{self.vendor} answered {what} with more than {most} bytes")
            parts.append(part)
        return b"".join(parts)


class await_closing:
    """`async with` around a streamed response."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response

    async def __aenter__(self) -> httpx2.Response:
        return self._response

    async def __aexit__(self, *_: object) -> None:
        await self._response.aclose()


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from a `Retry-After` header (a number or an HTTP date), or None. Never negative, at most an hour."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - clock.now()).total_seconds()
        except (TypeError, ValueError):
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), 3600.0)


def _may_have_arrived(error: httpx2.TransportError) -> bool:
    never_sent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
    return not isinstance(error, never_sent)


def _plain(value: object) -> str | int:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


class _Wire:
    """How this process reaches the outside: straight, or through the sandbox or a test's transport."""

    route: Router | None = None
    transport: httpx2.AsyncBaseTransport | None = None
    read_seconds: float | None = None
    clients: dict[str, Http] = {}  # noqa: RUF012 - one per process on purpose


def use_wire(
    *,
    route: Router | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
    read_seconds: float | None = None,
) -> None:
    """Set how every vendor is reached from now on, and the longest wait for any answer; forgets earlier clients."""
    _Wire.route, _Wire.transport, _Wire.read_seconds = route, transport, read_seconds
    _Wire.clients = {}


def http(vendor: str, limits: Limits | None = None) -> Http:
    """The process's shared client for one vendor."""
    if vendor not in _Wire.clients:
        _Wire.clients[vendor] = Http(vendor, limits=limits, transport=_Wire.transport, route=_Wire.route)
    return _Wire.clients[vendor]


def browser_url(url: str) -> str:
    """Where a browser must go to reach a vendor's page: through the sandbox when it is on."""
    return _Wire.route(url) if _Wire.route else url


async def close_all() -> None:
    for client in _Wire.clients.values():
        await client.close()
    _Wire.clients = {}
