"""How a page is made: templates, the frame around every page, flashes, security headers, and what errors look like.

A page is a function `(request, who, …) -> Response`. A form posts; when it worked, the browser is sent on to a page
(`after`), so that reloading repeats nothing; when it did not, the page the form stands on is shown again with the
reason and what was typed (`shown_again_on`), under the error's own status. Scripts only save reloads: htmx takes the
same pages and picks out the part it needs.
"""

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlencode, urlsplit

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from shipcrowd.console import words
from shipcrowd.identity.guard import CSRF_FIELD, CsrfRefused, MissingPermission, NotSignedIn
from shipcrowd.identity.member import Member
from shipcrowd.kernel import clock
from shipcrowd.kernel.errors import ShipcrowdError
from shipcrowd.kernel.outbound import Disconnected, Malformed, OutsideFailure, Refused, Unavailable

log = structlog.get_logger(__name__)

HERE = Path(__file__).parent
STATIC = HERE / "static"
FLASH = "shipcrowd_flash"
FLASH_SECONDS = 60
FLASH_WORDS = 600
BESIDE_A_FIELD = 60

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    # Pages show people's names and addresses: no shared cache keeps them, and Back asks again.
    "cache-control": "no-store",
}

NAV: Sequence[tuple[str, str, str]] = (
    ("/orders", "Orders", "orders:read"),
    ("/shipments", "Shipments", "shipments:read"),
    ("/manifests", "Manifests", "shipments:read"),
    ("/pickups", "Pickups", "shipments:read"),
    ("/stores", "Stores", "stores:read"),
    ("/couriers", "Couriers", "couriers:read"),
    ("/places", "Pickup addresses", "places:read"),
    ("/wallet", "Wallet", "wallet:read"),
    ("/jobs", "Failed jobs", "jobs:read"),
    ("/settings", "Settings", "company:read"),
)


# --- rendering ------------------------------------------------------------------------------------------------------


@cache
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cast(dict[str, Any], made.filters).update({each.__name__: each for each in FILTERS})
    cast(dict[str, Any], made.globals).update(GLOBALS)
    return made


FILTERS: Sequence[Callable[..., Any]] = (
    words.money, words.rupees, words.kg, words.typed_kg, words.typed_cm, words.moment, words.short_moment, words.ago,
    words.order_state, words.shipment_state, words.ship_by, words.said,
)  # fmt: skip


@cache
def asset(name: str) -> str:
    """The address of a static file, which changes with its content; empty when the file is not there."""
    path = STATIC / name
    if not path.is_file():
        # htmx is fetched at build and not committed; every page works without it.
        log.warning("static file missing; run `python tools/assets.py`", file=path.name)
        return ""
    return f"/static/console/{name}?v={hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def with_query(path: str, query: Mapping[str, Any], **changed: Any) -> str:
    """`path` with these query values, some of them changed; what is empty is left out."""
    pairs: list[tuple[str, str]] = []
    for key, value in {**query, **changed}.items():
        values = cast(list[Any], value) if isinstance(value, list) else [value]
        pairs += [(key, str(each)) for each in values if each not in (None, "")]
    return f"{path}?{urlencode(pairs)}" if pairs else path


GLOBALS: Mapping[str, Any] = {
    "asset": asset,
    "words": words,
    "size": words.size,
    "days": words.days,
    "with_query": with_query,
}


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """Render a template with the request's frame around it: who is signed in, the flash, and what went wrong."""
    problem: Problem | None = getattr(request.state, "problem", None)
    flash = flash_of(request)
    member: Member | None = getattr(request.state, "member", None)
    body = (
        _templates()
        .get_template(template)
        .render(
            request=request,
            path=request.url.path,
            who=member,
            csrf=getattr(request.state, "csrf_token", None) or "",
            csrf_field=CSRF_FIELD,
            nav=[(path, label) for path, label, permission in NAV if member and member.may(permission)],
            shell=values.pop("shell", None),
            flash=flash,
            problem=problem,
            typed=Typed(request),
            now=clock.now(),
            **values,
        )
    )
    answer = HTMLResponse(body, problem.status if problem else status, {**HEADERS, **(headers or {})})
    if flash is not None:
        answer.delete_cookie(FLASH, path="/")
    return answer


class Typed:
    """What was typed into the form that was refused, so that nobody types it again."""

    def __init__(self, request: Request) -> None:
        problem: Problem | None = getattr(request.state, "problem", None)
        self.form = getattr(request.state, "form", None) if problem else None
        self.wrong: Mapping[str, str] = problem.fields if problem else {}

    def __call__(self, field: str, otherwise: Any = "") -> Any:
        if self.form is not None and field in self.form:
            return self.form[field]
        return "" if otherwise is None else otherwise

    @property
    def again(self) -> bool:
        return self.form is not None

    def ticked(self, field: str, value: object) -> bool:
        """Whether this box was ticked when the form was refused."""
        return self.form is not None and str(value) in self.form.getlist(field)

    def refused(self, *fields: str) -> bool:
        """Whether one of these fields is what is wrong."""
        return any(field in self.wrong for field in fields)


def pdf(data: bytes, name: str) -> Response:
    """A PDF shown in the browser, called `name`.pdf when it is saved."""
    headers = {
        "content-disposition": f"inline; filename*=UTF-8''{quote(name)}.pdf",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
    return Response(data, media_type="application/pdf", headers=headers)


# --- going on -------------------------------------------------------------------------------------------------------


def after(url: str, flash: str = "", *, tone: str = "good") -> RedirectResponse:
    """Send the browser on to a page of ours, with words on what was done."""
    answer = RedirectResponse(url, 303, headers={"cache-control": "no-store"})
    if flash:
        packed = base64.urlsafe_b64encode(json.dumps([tone, flash[:FLASH_WORDS]]).encode()).decode()
        answer.set_cookie(FLASH, packed, max_age=FLASH_SECONDS, path="/", httponly=True, samesite="lax")
    return answer


def asked(request: Request) -> QueryParams:
    """How the list is narrowed: by the address or, when a form on the list was refused, by the address it stood at."""
    if request.method in ("GET", "HEAD"):
        return request.query_params
    form: FormData | None = getattr(request.state, "form", None)
    back = form.get("back") if form is not None else None
    return QueryParams(urlsplit(back).query if isinstance(back, str) else "")


def flash_of(request: Request) -> tuple[str, str] | None:
    """Tone and words of what was just done."""
    try:
        tone, said = json.loads(base64.urlsafe_b64decode(request.cookies.get(FLASH, "")))
    except (ValueError, TypeError):
        return None
    if tone not in ("good", "act") or not isinstance(said, str):
        return None
    return tone, said[:FLASH_WORDS]


def local(url: str, otherwise: str = "/orders") -> str:
    """`url` when it is a page of ours, and nothing that leads elsewhere."""
    parts = urlsplit(url)
    ours = url.startswith("/") and not url.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return url if ours and url.isprintable() and "\\" not in url and len(url) < 2000 else otherwise


# --- errors ---------------------------------------------------------------------------------------------------------


class Problem:
    """An error as a page shows it: a title, what to do, and the fields at fault with words beside each."""

    def __init__(self, status: int, title: str, detail: str = "", fields: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.fields = dict(fields or {})


def problem_of(error: ShipcrowdError | OutsideFailure | RequestValidationError) -> Problem:
    match error:
        case ShipcrowdError():
            named: Sequence[Mapping[str, str]] = error.extra.get("errors") or []
            fields = {each["field"]: each["message"] for each in named}
            if not fields and error.field:
                # What is long stands above once; the field is marked, and not told again what is wrong.
                said = error.detail or error.title()
                fields = {error.field: said if len(said) <= BESIDE_A_FIELD else ""}
            return Problem(error.status, error.title(), _sentence(error.detail), fields)
        case Unavailable():
            return Problem(503, "The other side does not answer just now.", "Nothing was changed; try again shortly.")
        case Refused():
            return Problem(422, "The other side refused this.", _sentence(error.message))
        case Disconnected():
            return Problem(409, "The account there must be connected again.", _sentence(error.reason))
        case Malformed() | OutsideFailure():
            return Problem(502, "The other side answered something unreadable.", "It was recorded; try again later.")
        case _:
            return Problem(422, "This address does not lead anywhere.", "Go back and choose from the page.")


def _sentence(words: str) -> str:
    words = words.strip()
    if not words:
        return ""
    return words[0].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])
_AGAIN: dict[Callable[..., Any], Callable[..., Awaitable[Response]]] = {}


def shown_again_on(shown: Callable[..., Awaitable[Response]]) -> Callable[[Handler], Handler]:
    """The mark of a form's route: when it is refused, `shown(request, who, **path parameters)` is the answer."""

    def mark(handler: Handler) -> Handler:
        _AGAIN[handler] = shown
        return handler

    return mark


class PageRoute(APIRoute):
    """A route for people: every error becomes a page, never a problem document."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, endpoint = super().get_route_handler(), self.endpoint

        async def friendly(request: Request) -> Response:
            try:
                return await handle(request)
            except (ShipcrowdError, OutsideFailure, RequestValidationError) as error:
                return await _answer(request, _AGAIN.get(endpoint), error)

        return friendly


async def _answer(
    request: Request,
    again: Callable[..., Awaitable[Response]] | None,
    error: ShipcrowdError | OutsideFailure | RequestValidationError,
) -> Response:
    at_the_door = isinstance(error, NotSignedIn | CsrfRefused | MissingPermission | RequestValidationError)
    if again is not None and not at_the_door:
        request.state.problem = problem_of(error)
        member: Member | None = getattr(request.state, "member", None)
        try:
            return await (again(request, member, **request.path_params) if member else again(request))
        except ShipcrowdError as worse:
            # The page has nothing to stand on either: most often, the thing itself is not there.
            request.state.problem = None
            error = worse
    if isinstance(error, NotSignedIn):
        return _to_sign_in(request)
    return error_page(request, problem_of(error), stale=isinstance(error, CsrfRefused))


def _to_sign_in(request: Request) -> Response:
    if request.method in ("GET", "HEAD"):
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    else:
        back = urlsplit(request.headers.get("referer", "")).path
    url = with_query("/login", {"next": local(back, "")})
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"hx-redirect": url})
    return RedirectResponse(url, 303, headers={"cache-control": "no-store"})


def error_page(request: Request, problem: Problem, *, stale: bool = False) -> HTMLResponse:
    """A page that says only what went wrong and where to go."""
    request.state.problem = problem
    return page(request, "error.html", stale=stale)


def same_site(request: Request) -> None:
    """For forms before there is a session: refuse one that another site sent. Raises CsrfRefused."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise CsrfRefused()
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc != request.headers.get("host"):
        raise CsrfRefused()
