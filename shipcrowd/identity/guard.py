"""The guard at every route: `who: Annotated[Member, May("orders:read")]`.

Two ways in: a browser's session cookie, or a program's `Authorization: Bearer sck_live_…`. A browser sends its cookie
with whatever page asked for the request, so a request of its that changes something must also carry the session's
CSRF token, as the `X-CSRF-Token` header or the `csrf_token` form field. A program needs none. Where both credentials
are sent, the key counts and the cookie is ignored.
"""

import hmac
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request, Response
from fastapi.params import Depends as Marker
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from shipcrowd.identity import api_keys, sessions
from shipcrowd.identity.member import Member
from shipcrowd.identity.permissions import PERMISSIONS
from shipcrowd.kernel.errors import Forbidden, Unauthenticated
from shipcrowd.kernel.tenancy import unowned
from shipcrowd.settings import settings

COOKIE = "shipcrowd_session"
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf_token"

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
FORM_FIELDS, FORM_FILES = 1000, 20

ANYONE_SIGNED_IN = "signed in"
"""What `SignedIn` asks for, in the place of a permission."""


class NotSignedIn(Unauthenticated):
    """Sign in, or send a valid API key."""


class MissingPermission(Forbidden):
    """Your role or API key does not allow this."""


class CsrfRefused(Forbidden):
    """This page is out of date; reload it and try again."""


class PeopleOnly(Forbidden):
    """This is for signed-in people, not for API keys."""


class _Guard(Protocol):
    permission: str
    __call__: Callable[..., Awaitable[Member]]


# auto_error off: refusals are ours to word. As dependencies they also tell the OpenAPI document how to sign in.
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="A browser's session, from `/auth/login`.")
_bearer = HTTPBearer(auto_error=False, description="An API key: `sck_live_…`.")


async def signed_in(
    request: Request,
    cookie: Annotated[str | None, Depends(_cookie)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Member:
    """Who asks. Also sets `request.state.member`, and `request.state.csrf_token` (None for a program).

    Raises NotSignedIn, CsrfRefused.
    """
    csrf: str | None = None
    if bearer is not None:
        async with unowned() as session:
            member = await api_keys.find_key(session, bearer.credentials)
        if member is None:
            raise NotSignedIn("The API key is unknown or revoked.")
    else:
        async with unowned() as session:
            found = await sessions.find_session(session, cookie) if cookie else None
        if found is None:
            raise NotSignedIn()
        if request.method not in SAFE_METHODS and not await _carries(request, found.csrf):
            raise CsrfRefused()
        member, csrf = Member.person(found.company_id, found.user_id, found.role), found.csrf
    request.state.member, request.state.csrf_token = member, csrf
    return member


def May(permission: str) -> Marker:
    """The mark of a route that wants `permission`. Its `.dependency.permission` tells which.

    Raises ValueError, at import, for a permission that is not in the table. The guard raises NotSignedIn,
    CsrfRefused, MissingPermission.
    """
    if permission not in PERMISSIONS:
        raise ValueError(f"{permission!r} is not in identity.permissions.PERMISSIONS")
    return Marker(_guard(permission))


@cache
def _guard(permission: str) -> _Guard:
    async def allowed(who: Annotated[Member, Depends(signed_in)]) -> Member:
        if permission != ANYONE_SIGNED_IN and not who.may(permission):
            raise MissingPermission(f"It needs {permission}.", permission=permission)
        return who

    guard = cast(_Guard, allowed)
    guard.permission = permission
    return guard


SignedIn = Marker(_guard(ANYONE_SIGNED_IN))
"""The mark of a route for whoever is signed in, whatever they may do."""


def set_cookie(response: Response, opened: sessions.OpenedSession) -> None:
    response.set_cookie(
        COOKIE,
        opened.token,
        expires=opened.expires_at,
        path="/",
        httponly=True,
        samesite="lax",
        secure=settings().public_url.startswith("https://"),
    )


def drop_cookie(response: Response) -> None:
    response.delete_cookie(
        COOKIE, path="/", httponly=True, samesite="lax", secure=settings().public_url.startswith("https://")
    )


async def _carries(request: Request, csrf: str) -> bool:
    given = request.headers.get(CSRF_HEADER)
    if given is None and request.headers.get("content-type", "").startswith(FORMS):
        # The route reads the same, already parsed form from the request.
        form = await request.form(max_fields=FORM_FIELDS, max_files=FORM_FILES)
        field = form.get(CSRF_FIELD)
        given = field if isinstance(field, str) else None
    return given is not None and hmac.compare_digest(given.encode(), csrf.encode())
