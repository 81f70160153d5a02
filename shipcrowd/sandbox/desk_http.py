"""The desk over HTTP, for other processes: a JSON API. Each vendor has its own part of it.

It acts on real state of a developer's sandbox, so it answers only on loopback host names: a foreign page cannot rebind
its name to this address.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from shipcrowd.sandbox.amazon import desk_http as amazon
from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.flipkart import desk_http as flipkart
from shipcrowd.sandbox.letters import on_this_machine
from shipcrowd.sandbox.refusals import NotPossible, Unknown
from shipcrowd.sandbox.schemas import Count, FaultView, Knobs, LetterView, NewFault, StatsView
from shipcrowd.sandbox.shopify import desk_http as shopify
from shipcrowd.sandbox.velocity import desk_http as velocity


def api(desk: Desk) -> FastAPI:
    """The control API. 404 for what the desk does not know, 409 for what the present state does not allow."""
    app = FastAPI(title="Sandbox desk", docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def here_only(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        return await call_next(request) if is_local(request) else not_local()

    @app.exception_handler(Unknown)
    async def unknown(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error.args[0] if error.args else error)}, 404)

    @app.exception_handler(NotPossible)
    async def not_possible(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, 409)

    app.include_router(shopify.router(desk))
    app.include_router(velocity.router(desk))
    app.include_router(amazon.router(desk.amazon))
    app.include_router(flipkart.router(desk.flipkart))
    app.include_router(_router(desk))
    return app


def is_local(request: Request) -> bool:
    return on_this_machine(f"http://{request.headers.get('host', '')}")


def not_local() -> Response:
    return JSONResponse({"detail": "the desk answers on this machine only"}, 403)


def _router(desk: Desk) -> APIRouter:
    """Trouble, settings and looking on, for all vendors."""
    on = APIRouter()

    @on.post("/faults", status_code=201)
    async def add_fault(new: NewFault) -> FaultView:
        return desk.add_fault(new)

    @on.get("/faults")
    async def faults() -> list[FaultView]:
        return desk.armed_faults()

    @on.delete("/faults", status_code=204)
    async def clear_faults() -> None:
        desk.clear_faults()

    @on.patch("/knobs", status_code=204)
    async def knobs(change: Knobs) -> None:
        desk.set_knobs(change)

    @on.get("/letters")
    async def letters(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[LetterView]:
        return desk.letters(limit)

    @on.post("/letters/retry")
    async def retry() -> Count:
        return Count(count=desk.retry_webhooks())

    @on.post("/drain", status_code=204)
    async def drain() -> None:
        await desk.drain()

    @on.get("/stats")
    async def stats() -> StatsView:
        return desk.stats()

    return on
