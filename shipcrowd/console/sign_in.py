"""Signing in, registering and signing out."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from shipcrowd.console import forms, web
from shipcrowd.identity import passwords, service, sessions, signin
from shipcrowd.identity.guard import COOKIE, SignedIn, drop_cookie, set_cookie
from shipcrowd.identity.member import Member
from shipcrowd.identity.schemas import Login, Registration
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import acting_for, unowned

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)


async def login_page(request: Request) -> Response:
    return web.page(request, "login.html", title="Sign in")


async def register_page(request: Request) -> Response:
    return web.page(request, "register.html", title="Open an account", shortest=passwords.SHORTEST)


@router.get("/login")
async def show_login(request: Request) -> Response:
    if await _signed_in(request):
        return RedirectResponse(_next(request), 303)
    return await login_page(request)


@router.post("/login")
@web.shown_again_on(login_page)
async def login(request: Request) -> Response:
    web.same_site(request)
    form = await forms.form_of(request)
    given = forms.read(Login, forms.filled(form, "email", "password"))
    user_id = await signin.authenticate(
        email=given.email, password=given.password.get_secret_value(), address=_address(request)
    )
    async with unowned() as session:
        opened = await _opened(session, request, user_id)
    answer = web.after(_next(request))
    set_cookie(answer, opened)
    return answer


@router.get("/register")
async def show_register(request: Request) -> Response:
    return await register_page(request)


@router.post("/register")
@web.shown_again_on(register_page)
async def register(request: Request) -> Response:
    web.same_site(request)
    form = await forms.form_of(request)
    given = forms.read(Registration, forms.filled(form, "company_name", "name", "email", "password"))
    await signin.pace_registration(_address(request))
    password_hash = await passwords.hashed(given.password.get_secret_value(), email=given.email)
    async with acting_for(new_id()) as session:
        made = await service.register(
            session, company_name=given.company_name, name=given.name, email=given.email, password_hash=password_hash
        )
        opened = await _opened(session, request, made.user_id)
    answer = web.after("/places", "Welcome. Start with the address your parcels are picked up from.")
    set_cookie(answer, opened)
    return answer


@router.post("/logout")
async def logout(request: Request, who: Annotated[Member, SignedIn]) -> Response:
    everywhere = forms.text(await forms.form_of(request), "everywhere") == "yes"
    async with unowned() as session:
        if everywhere and who.user_id is not None:
            await sessions.close_all(session, who.user_id)
        elif token := request.cookies.get(COOKIE):
            await sessions.close_session(session, token)
    answer = web.after("/login", "You are signed out.")
    drop_cookie(answer)
    return answer


@router.get("/")
async def home() -> Response:
    return RedirectResponse("/orders", 303)


async def _opened(session: AsyncSession, request: Request, user_id: UUID) -> sessions.OpenedSession:
    if stale := request.cookies.get(COOKIE):
        await sessions.close_session(session, stale)
    return await sessions.open_session(session, user_id=user_id, user_agent=request.headers.get("user-agent", ""))


async def _signed_in(request: Request) -> bool:
    token = request.cookies.get(COOKIE)
    if not token:
        return False
    async with unowned() as session:
        return await sessions.find_session(session, token) is not None


def _next(request: Request) -> str:
    return web.local(request.query_params.get("next", ""))


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
