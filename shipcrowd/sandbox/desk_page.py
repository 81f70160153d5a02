"""The desk's page, for people: what it shows, and what its forms do.

It acts on real state of a developer's sandbox, so it answers only on loopback host names and takes forms only from
itself. The forms of a vendor bear its name: `velocity-deliver`.
"""

from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, select_autoescape
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from shipcrowd.kernel import clock
from shipcrowd.sandbox.amazon import desk_page as amazon
from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.desk_http import is_local, not_local
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.flipkart import desk_page as flipkart
from shipcrowd.sandbox.refusals import NotPossible, Unknown
from shipcrowd.sandbox.schemas import NewFault
from shipcrowd.sandbox.shopify import desk_page as shopify
from shipcrowd.sandbox.velocity import desk_page as velocity

OPERATIONS = {
    "shopify": shopify.OPERATIONS,
    "velocity": velocity.OPERATIONS,
    "amazon": amazon.OPERATIONS,
    "flipkart": flipkart.OPERATIONS,
}
"""The calls a fault may be armed for."""

PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["html"]))


def _when(at: datetime) -> str:
    return clock.ist(at).strftime("%d %b, %H:%M:%S")


PAGES.filters["ist"] = _when


def page_routes(desk: Desk) -> list[Route]:
    """The page at `/desk` and the forms on it."""

    async def show(request: Request) -> Response:
        if not is_local(request):
            return not_local()
        page = PAGES.get_template("desk.html").render(
            stats=desk.stats(),
            shopify=shopify.context(desk),
            velocity=velocity.context(desk),
            amazon=amazon.context(desk.amazon),
            flipkart=flipkart.context(desk.flipkart),
            letters=desk.letters(30),
            faults=desk.armed_faults(),
            kinds=list(FaultKind),
            operations=OPERATIONS,
            said=request.query_params.get("said", "")[:300],
            went_wrong=request.query_params.get("wrong") == "1",
        )
        return HTMLResponse(page)

    async def act(request: Request) -> Response:
        if not is_local(request) or not _from_here(request):
            return not_local()
        form = {key: str(value) for key, value in (await request.form()).items()}
        try:
            said = _do(desk, request.path_params["what"], form)
        except (Unknown, NotPossible, ValidationError, ValueError) as error:
            return _back(_plain(error), wrong=True)
        return _back(said)

    return [Route("/desk", show), Route("/desk/do/{what}", act, methods=["POST"])]


def _do(desk: Desk, what: str, form: dict[str, str]) -> str:
    """One form of the page; what to tell the person. Raises Unknown for a form there is not."""
    match what.partition("-")[0]:
        case "shopify":
            return shopify.do(desk, what, form)
        case "velocity":
            return velocity.do(desk, what, form)
        case "amazon":
            return amazon.do(desk.amazon, what, form)
        case "flipkart":
            return flipkart.do(desk.flipkart, what, form)
        case _:
            return _do_for_all(desk, what, form)


def _do_for_all(desk: Desk, what: str, form: dict[str, str]) -> str:
    match what:
        case "fault":
            vendor, _, operation = form.get("operation", "").partition(" ")
            asked = {
                "vendor": vendor,
                "operation": operation,
                "kind": form.get("kind"),
                "times": form.get("times", "1"),
            }
            armed = desk.add_fault(NewFault.model_validate(asked))
            return f"The next {armed.times or ''} calls to {armed.vendor} {armed.operation} will meet: {armed.kind}."
        case "clear-faults":
            desk.clear_faults()
            return "No faults are armed."
        case "retry":
            return f"{desk.retry_webhooks()} waiting webhooks are sent now."
        case _:
            raise Unknown(f"the desk cannot {what}")


def _plain(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error.args[0]) if error.args else str(error)


def _back(said: str, *, wrong: bool = False) -> Response:
    query = {"said": said, **({"wrong": "1"} if wrong else {})}
    return RedirectResponse(f"/desk?{urlencode(query)}", 303)


def _from_here(request: Request) -> bool:
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
