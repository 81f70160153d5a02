"""The company's own details, its people, its API keys, and one's own password."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.console import forms, queries, web
from shipcrowd.identity import api_keys, passwords, people, service, sessions, signin
from shipcrowd.identity.guard import COOKIE, May, PeopleOnly, SignedIn, set_cookie
from shipcrowd.identity.member import Member
from shipcrowd.identity.permissions import PERMISSIONS, Role
from shipcrowd.identity.queries import workplaces
from shipcrowd.identity.schemas import CompanyChange, NewKey, NewMember, PasswordChange
from shipcrowd.kernel.tenancy import acting_for, unowned
from shipcrowd.pincodes.states import BY_CODE
from shipcrowd.shipping import preferences
from shipcrowd.shipping.preferences import Box

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)

Team = Annotated[Member, May("team:write")]
Keys = Annotated[Member, May("api_keys:write")]

SHOWN = 100


async def settings_page(request: Request, who: Member, *, token: str = "", **_: UUID) -> Response:
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        company = await service.company(session)
        team = (await service.team(session, limit=SHOWN))[0] if who.may("team:read") else ()
        keys = (await api_keys.list_keys(session, limit=SHOWN))[0] if who.may("api_keys:write") else ()
        box = (await preferences.of(session)).box
        me = await people.person(session, who.user_id) if who.user_id else None
    companies = await workplaces(who.user_id) if who.user_id else []
    return web.page(
        request,
        "settings.html",
        title="Settings",
        shell=shell,
        company=company,
        box=box,
        team=team,
        keys=keys,
        me=me,
        companies=companies,
        roles=list(Role),
        role_names=[(role.value, role.value.replace("_", " ").capitalize()) for role in Role],
        scopes=sorted(PERMISSIONS & who.permissions),
        states=sorted(state.name for state in BY_CODE.values()),
        token=token,
        shortest=passwords.SHORTEST,
    )


@router.get("/settings")
async def show(request: Request, who: Annotated[Member, May("company:read")]) -> Response:
    return await settings_page(request, who)


@router.post("/settings/company")
@web.shown_again_on(settings_page)
async def change_company(request: Request, who: Annotated[Member, May("company:write")]) -> Response:
    form = await forms.form_of(request)
    typed = {field: forms.text(form, field) or None for field in ("name", "legal_name", "gstin", "pan", "state")}
    changes = forms.read(CompanyChange, typed).model_dump(exclude_unset=True)
    async with acting_for(who.company_id) as session:
        await service.change_company(session, by=who, changes=changes)
    return web.after("/settings", "Saved.")


@router.post("/settings/box")
@web.shown_again_on(settings_page)
async def choose_box(request: Request, who: Annotated[Member, May("company:write")]) -> Response:
    form = await forms.form_of(request)
    sides = {name: side for name, side in forms.package(form).items() if name != "weight_grams"}
    given = {name: side for name, side in sides.items() if side is not None}
    async with acting_for(who.company_id) as session:
        before = await preferences.of(session)
        box = forms.read(Box, given) if given else None
        await preferences.put(session, before.model_copy(update={"box": box}))
    return web.after("/settings", "Kept. Orders without a size of their own are quoted with it." if box else "Cleared.")


# --- the team -------------------------------------------------------------------------------------------------------


@router.post("/settings/team")
@web.shown_again_on(settings_page)
async def add_member(request: Request, who: Team) -> Response:
    form = await forms.form_of(request)
    new = forms.read(NewMember, forms.filled(form, "email", "name", "role", "password"))
    password_hash = await passwords.hashed(new.password.get_secret_value(), email=new.email)
    async with acting_for(who.company_id) as session:
        await service.add_member(
            session, by=who, email=new.email, name=new.name, role=new.role, password_hash=password_hash
        )
    return web.after("/settings#team", f"{new.name} may sign in now.")


@router.post("/settings/team/{user_id:uuid}/role")
@web.shown_again_on(settings_page)
async def change_role(request: Request, who: Team, user_id: UUID) -> Response:
    try:
        role = Role(forms.text(await forms.form_of(request), "role"))
    except ValueError as error:
        raise forms.wrong({"role": "choose one of the list"}) from error
    async with acting_for(who.company_id) as session:
        await service.change_role(session, by=who, user_id=user_id, role=role)
    return web.after("/settings#team", "The role is changed.")


@router.post("/settings/team/{user_id:uuid}/remove")
@web.shown_again_on(settings_page)
async def remove_member(request: Request, who: Team, user_id: UUID) -> Response:
    async with acting_for(who.company_id) as session:
        await service.remove_member(session, by=who, user_id=user_id)
    return web.after("/settings#team", "They are signed out and may not come back in.")


# --- API keys -------------------------------------------------------------------------------------------------------


@router.post("/settings/keys")
@web.shown_again_on(settings_page)
async def issue_key(request: Request, who: Keys) -> Response:
    form = await forms.form_of(request)
    mine = sorted(PERMISSIONS & who.permissions)
    scopes = {"all": mine, "read": [scope for scope in mine if scope.endswith(":read")]}.get(forms.text(form, "preset"))
    values = {"name": forms.text(form, "key_name"), "scopes": scopes or forms.texts(form, "scopes")}
    new = forms.read(NewKey, values)
    async with acting_for(who.company_id) as session:
        issued = await api_keys.issue_key(session, by=who, name=new.name, scopes=new.scopes)
    # Not sent on: the token is shown in this one answer and stands in no address and no cookie.
    return await settings_page(request, who, token=issued.token)


@router.post("/settings/keys/{key_id:uuid}/revoke")
@web.shown_again_on(settings_page)
async def revoke_key(request: Request, who: Keys, key_id: UUID) -> Response:
    async with acting_for(who.company_id) as session:
        await api_keys.revoke_key(session, key_id, by=who)
    return web.after("/settings#keys", "The key opens nothing any more.")


# --- oneself --------------------------------------------------------------------------------------------------------


@router.post("/settings/password")
@web.shown_again_on(settings_page)
async def change_password(request: Request, who: Annotated[Member, SignedIn]) -> Response:
    if who.user_id is None:
        raise PeopleOnly()
    form = await forms.form_of(request)
    given = forms.read(PasswordChange, {"present": forms.text(form, "present"), "password": forms.text(form, "new")})
    async with unowned() as session:
        email = (await people.person(session, who.user_id)).email
    address = request.client.host if request.client else "unknown"
    try:
        await signin.authenticate(email=email, password=given.present.get_secret_value(), address=address)
    except signin.SignInRefused as error:
        raise forms.wrong({"present": "this is not your present password, or it was tried too often"}) from error
    password_hash = await passwords.hashed(given.password.get_secret_value(), email=email)
    async with unowned() as session:
        await service.change_password(session, user_id=who.user_id, password_hash=password_hash)
        opened = await sessions.open_session(
            session,
            user_id=who.user_id,
            company_id=who.company_id,
            user_agent=request.headers.get("user-agent", ""),
        )
    answer = web.after("/settings", "The password is changed. Every other browser is signed out.")
    set_cookie(answer, opened)
    return answer


@router.post("/settings/switch")
async def switch(request: Request, who: Annotated[Member, SignedIn]) -> Response:
    company_id = forms.ident(await forms.form_of(request), "company_id")
    if who.user_id is None or company_id is None:
        raise PeopleOnly()
    async with unowned() as session:
        opened = await sessions.switch_company(
            session,
            token=request.cookies[COOKIE],
            company_id=company_id,
            user_agent=request.headers.get("user-agent", ""),
        )
    answer = web.after("/orders")
    set_cookie(answer, opened)
    return answer
