"""What every HTTP request goes through: a request id, a body cap, security headers, a log line and metrics."""

import contextlib
import json
import re
import time
from collections.abc import Callable
from typing import Any, cast

import structlog
from fastapi import Request
from fastapi.routing import APIRoute
from prometheus_client import Counter, Histogram
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shipcrowd.kernel.errors import Invalid, TooLarge
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.problems import of_error
from shipcrowd.settings import settings

log = structlog.get_logger(__name__)

REQUESTS = Counter("shipcrowd_requests_total", "HTTP requests", ["method", "route", "status"])
SECONDS = Histogram("shipcrowd_request_seconds", "Time of HTTP requests", ["method", "route"])


class BodyTooLarge(TooLarge):
    """The body is larger than allowed."""


async def raw_body(request: Request, *, most: int | None = None) -> bytes:
    """The raw body, refused with 413 before more than the cap is read."""
    most = most or settings().webhook_body_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise BodyTooLarge(f"at most {most} bytes")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise BodyTooLarge(f"at most {most} bytes")
        parts.append(part)
    return b"".join(parts)


async def known_query(request: Request) -> None:
    """Refuses a query parameter the route does not know: a misspelt filter must not mean "everything".

    A route that reads the request by itself is asked nothing: it knows its own query.
    """
    route = request.scope.get("route")
    if request.method == "GET" and request.query_params and isinstance(route, APIRoute):
        if route.endpoint not in _QUERIES:
            _QUERIES[route.endpoint] = _query_of(route)
        known = _QUERIES[route.endpoint]
        if known is not None and (unknown := sorted(set(request.query_params) - known)):
            raise Invalid(f"known are: {', '.join(sorted(known)) or 'none'}", field=unknown[0])


_QUERIES: dict[Callable[..., Any], frozenset[str] | None] = {}
"""What each endpoint takes; worked out once."""


def _query_of(route: APIRoute) -> frozenset[str] | None:
    if route.dependant.request_param_name:
        return None
    names: set[str] = set()
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        waiting += dependant.dependencies
        for param in dependant.query_params:
            model = param.field_info.annotation
            if isinstance(model, type) and issubclass(model, BaseModel):
                names |= {field.alias or name for name, field in model.model_fields.items()}
            else:
                names.add(param.alias)
    return frozenset(names)


SUSPECT = re.compile(rb"\\u(?:0000|[dD][89abAB])")
"""In JSON: NUL, or the first half of a pair of surrogates, which is fine when the second half follows."""


async def storable_text(request: Request) -> None:
    """Refuses NUL and half surrogate pairs in paths, queries, JSON and forms: no text column takes them."""
    for name, value in (*request.path_params.items(), *request.query_params.multi_items()):
        if not _storable(value):
            raise _no_text(name)
    kind = request.headers.get("content-type", "")
    if "json" in kind:
        body = await request.body()
        if SUSPECT.search(body):
            with contextlib.suppress(ValueError, RecursionError):  # what cannot be read is refused as such
                if not _storable(json.loads(body)):
                    raise _no_text("body")
    elif kind.startswith("application/x-www-form-urlencoded") and b"%00" in await request.body():
        raise _no_text("body")


def _no_text(field: str) -> Invalid:
    message = "it holds a NUL or half a character, which is no text"
    return Invalid.naming({field: message})


def _storable(value: object) -> bool:
    match value:
        case str():
            return "\x00" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
        case dict():
            found = cast(dict[str, object], value)
            return all(_storable(key) and _storable(each) for key, each in found.items())
        case list():
            return all(map(_storable, cast(list[object], value)))
        case _:
            return True


class BodyCap:
    """Refuses a request whose body is over the cap, declared or not, before it reaches a route."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = next((value for key, value in scope["headers"] if key == b"content-length"), b"")
        if declared.isdigit() and int(declared) > self.most:
            await of_error(BodyTooLarge(f"at most {self.most} bytes"))(scope, receive, send)
            return
        size, refused, answered = 0, False, False

        async def counted() -> Message:
            nonlocal size, refused
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.most:
                error = BodyTooLarge(f"at most {self.most} bytes")
                if not refused and not answered:
                    # Answered here: what is raised while a body is read would reach the client as a plain 400.
                    refused = True
                    await of_error(error)(scope, receive, send)
                raise error
            return message

        async def unless_refused(message: Message) -> None:
            nonlocal answered
            if not refused:
                answered = True
                await send(message)

        await self.app(scope, counted, unless_refused)


def _template(scope: Scope) -> str:
    """The whole template of the matched route. The route itself knows its path without what it was included under."""
    route: str | None = getattr(scope.get("route"), "path", None)
    if route is None:
        return "unmatched"
    before = scope["path"].split("/")[: -route.count("/") or None]
    return "/".join(before) + route


SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Observe:
    """Request id, security headers, one log line and metrics by route template. Plain ASGI: it is on every hot path."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        self.headers = (*SECURITY_HEADERS, *((HSTS,) if https else ()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = str(new_id())
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 500

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {key for key, _ in message["headers"]}
                extra = [(key, value) for key, value in self.headers if key not in present]
                message["headers"] = [*message["headers"], *extra, (b"x-request-id", request_id.encode())]
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, marked)
        finally:
            seconds = time.perf_counter() - started
            route = _template(scope)
            REQUESTS.labels(scope["method"], route, str(status)).inc()
            SECONDS.labels(scope["method"], route).observe(seconds)
            log.info("request", method=scope["method"], route=route, status=status, seconds=round(seconds, 4))
            structlog.contextvars.unbind_contextvars("request_id")
