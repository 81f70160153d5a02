"""All stand-ins as one ASGI app. The first segment of the path is the host the request was meant for:
`https://HOST/PATH` becomes `http://127.0.0.1:PORT/HOST/PATH`, and a table says who answers for which host.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shipcrowd.sandbox import desk_http, desk_page
from shipcrowd.sandbox.amazon import documents as amazon_documents
from shipcrowd.sandbox.amazon import lwa as amazon_lwa
from shipcrowd.sandbox.amazon import web as amazon_web
from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.flipkart import web as flipkart_web
from shipcrowd.sandbox.letters import on_this_machine
from shipcrowd.sandbox.shopify import bulk as shopify_bulk
from shipcrowd.sandbox.shopify import web as shopify_web
from shipcrowd.sandbox.velocity import journey
from shipcrowd.sandbox.velocity import web as velocity_web

StandIn = Callable[[Desk, Request, str, str], Awaitable[Response]]


async def _shop(desk: Desk, request: Request, host: str, path: str) -> Response:
    return await shopify_web.answer(desk.shopify, desk.faults, request, host, path)


async def _shopify_files(desk: Desk, request: Request, host: str, path: str) -> Response:
    return await shopify_web.bulk_file(desk.shopify, path)


async def _courier(desk: Desk, request: Request, host: str, path: str) -> Response:
    return await velocity_web.answer(desk.velocity, desk.faults, request, host, path)


async def _labels(desk: Desk, request: Request, host: str, path: str) -> Response:
    return await velocity_web.label(desk.velocity, desk.faults, request, host, path)


async def _amazon(desk: Desk, request: Request, host: str, path: str) -> Response:
    return await amazon_web.answer(desk.amazon.world, desk.faults, request, host)


async def _amazon_documents(desk: Desk, request: Request, host: str, path: str) -> Response:
    return await amazon_documents.answer(desk.amazon.world, desk.faults, request, path)


async def _amazon_sign_in(desk: Desk, request: Request, host: str, path: str) -> Response:
    return await amazon_lwa.token_endpoint(desk.amazon.world, desk.faults, request, path)


async def _seller_central(desk: Desk, request: Request, host: str, path: str) -> Response:
    return await amazon_lwa.seller_central(desk.amazon.world, request, path)


async def _flipkart(desk: Desk, request: Request, host: str, path: str) -> Response:
    return await flipkart_web.answer(desk.flipkart.world, desk.faults, request, host, path)


HOSTS: tuple[tuple[re.Pattern[str], StandIn], ...] = (
    (re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com"), _shop),
    (re.compile(re.escape(shopify_bulk.HOST)), _shopify_files),
    (re.compile(r"shazam\.(velocity|stagingvelocity)\.in"), _courier),
    (re.compile(r"velocity-[a-z-]+\.s3\.ap-south-1\.amazonaws\.com"), _labels),
    (amazon_web.HOST, _amazon),
    (re.compile(re.escape(amazon_documents.HOST)), _amazon_documents),
    (re.compile(re.escape(amazon_lwa.SIGN_IN_HOST)), _amazon_sign_in),
    (re.compile(re.escape(amazon_lwa.CONSENT_HOST)), _seller_central),
    (re.compile(r"(sandbox-)?api\.flipkart\.net"), _flipkart),
)
"""Which host is answered by whom. What is not here is not reachable through the sandbox."""


async def _carry_on(desk: Desk) -> None:
    """What was asked of the courier happens without anybody asking again, as it would there."""
    while True:
        journey.settle(desk.velocity)
        await asyncio.sleep(0.5)


def stand_in(host: str) -> StandIn | None:
    return next((who for pattern, who in HOSTS if pattern.fullmatch(host.lower())), None)


def sandbox(desk: Desk | None = None) -> Starlette:
    """The stand-ins of `desk` (a new one if left out), its page at `/desk` and its control API at `/desk/api`."""
    driven = desk or Desk()

    async def vendor(request: Request) -> Response:
        host = request.path_params["host"]
        who = stand_in(host)
        if who is None:
            return JSONResponse({"error": f"the sandbox has no stand-in for {host}"}, 404)
        return await who(driven, request, host, "/" + request.path_params["path"])

    async def home(request: Request) -> Response:
        return RedirectResponse("/desk")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        by_itself = asyncio.create_task(_carry_on(driven))
        yield
        by_itself.cancel()
        await driven.close()

    return Starlette(
        routes=[
            Route("/", home),
            Mount("/desk/api", _when_asked(lambda: desk_http.api(driven))),
            *desk_page.page_routes(driven),
            Route("/{host}/{path:path}", vendor, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
        ],
        lifespan=lifespan,
    )


def _when_asked(make: Callable[[], ASGIApp]) -> ASGIApp:
    """An app made with its first request: the desk's many routes take far longer to make than all stand-ins do, and
    who drives the desk in this process never calls them."""
    made: list[ASGIApp] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if not made:
            made.append(make())
        await made[0](scope, receive, send)

    return app


def route_through(base_url: str) -> Callable[[str], str]:
    """The rewriter that sends vendors' URLs to a sandbox at `base_url`.

    It raises ValueError for a host without a stand-in, so that nothing leaves the machine by accident. A URL that
    is already the sandbox's passes unchanged.
    """
    base = base_url.rstrip("/")

    def rewrite(url: str) -> str:
        if url.startswith(base + "/"):
            return url
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if parts.scheme != "https" or parts.port not in (None, 443) or stand_in(host) is None:
            raise ValueError(f"the sandbox has no stand-in for {parts.scheme}://{parts.netloc}")
        query = f"?{parts.query}" if parts.query else ""
        return f"{base}/{host}{parts.path or '/'}{query}"

    return rewrite


class InProcess(httpx2.AsyncBaseTransport):
    """Carries vendors' URLs to a sandbox in this process, without sockets, and keeps the read time-out.

    Raises httpx2.ReadTimeout as the real wire would, and httpx2.ConnectError for a host without a stand-in.
    """

    def __init__(self, app: Starlette, base_url: str = "http://127.0.0.1:8100") -> None:
        self._inner = httpx2.ASGITransport(app)
        self._rewrite = route_through(base_url)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = str(request.url)
        if not on_this_machine(url):
            try:
                url = self._rewrite(url)
            except ValueError as error:
                raise httpx2.ConnectError(str(error), request=request) from error
        sent = httpx2.Request(
            request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
        )
        limit = request.extensions.get("timeout", {}).get("read")
        try:
            async with asyncio.timeout(limit):
                return await self._inner.handle_async_request(sent)
        except TimeoutError as error:
            raise httpx2.ReadTimeout("the stand-in did not answer in time", request=request) from error
