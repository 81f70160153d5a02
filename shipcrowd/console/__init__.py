"""The web pages, drawn on the server: sign in, orders, the Ship panel, shipments, stores, and the buyer's tracking
page. Every page works without scripts; htmx and one small script of ours save reloads and add the keyboard.

Not here: rules. A page reads through the modules' queries and acts through their verbs, in one transaction each.
"""

from fastapi import Depends, FastAPI, Request, Response
from fastapi.routing import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Match
from starlette.staticfiles import StaticFiles

from shipcrowd.console import (
    bulk,
    couriers,
    jobs,
    letters,
    manifests,
    order,
    orders,
    pickups,
    places,
    settings,
    shipments,
    sign_in,
    stores,
    track,
    wallet,
    web,
)
from shipcrowd.kernel.web import storable_text

__all__ = ["PUBLIC_PAGES", "install", "router"]

PUBLIC_PAGES = frozenset(
    {
        "GET /",  # leads to the orders, and so to the door
        "GET /login",
        "POST /login",
        "GET /register",
        "POST /register",
        "GET /track",
        "GET /track/{link}",
    }
)
"""Pages that ask nobody to sign in; every other one carries a guard, which a test makes sure of."""

router = APIRouter(include_in_schema=False)
for _part in (
    sign_in, orders, order, shipments, bulk, manifests, pickups, places, stores, couriers, wallet, settings, jobs,
    letters, track,
):  # fmt: skip
    router.include_router(_part.router)

API = "/api/"


def install(app: FastAPI) -> None:
    """Put the pages, their static files and the pages for unknown addresses on `app`; after `kernel.problems`."""
    app.mount("/static/console", StaticFiles(directory=web.STATIC), name="console-static")
    app.include_router(router, dependencies=[Depends(storable_text)])
    otherwise = app.exception_handlers.get(HTTPException)

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        for_people = not request.url.path.startswith(API) and "text/html" in request.headers.get("accept", "")
        if otherwise is not None and not for_people:
            answer = otherwise(request, error)
            return answer if isinstance(answer, Response) else await answer
        if error.status_code == 405 and request.method in ("GET", "HEAD"):
            return RedirectResponse(_stands_on(request.url.path), 303)
        titles = {404: "There is no such page.", 405: "This page takes no forms."}
        title = titles.get(error.status_code, "This did not work.")
        return web.error_page(request, web.Problem(error.status_code, title))

    app.add_exception_handler(HTTPException, unknown)


def _stands_on(path: str) -> str:
    """The page that the form sent to this address stands on: where a reload after a refusal leads. Pure."""
    while path := path.rpartition("/")[0]:
        scope = {"type": "http", "method": "GET", "path": path, "root_path": ""}
        if any(route.matches(scope)[0] is Match.FULL for route in router.routes):
            return path
    return "/"
