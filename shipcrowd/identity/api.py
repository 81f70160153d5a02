"""Registration, sign-in, the team, API keys and the company's own details, over HTTP.

Other modules take `Member` and `May` from here to guard their routes.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.identity import api_keys, passwords, people, queries, service, sessions, signin
from shipcrowd.identity.guard import COOKIE, May, PeopleOnly, SignedIn, drop_cookie, set_cookie
from shipcrowd.identity.member import Member
from shipcrowd.identity.schemas import (
    CompanyChange,
    CompanyOut,
    IssuedKeyOut,
    KeyOut,
    Login,
    Me,
    NewKey,
    NewMember,
    PasswordChange,
    PersonOut,
    Registration,
    RoleChange,
    SignedInOut,
    SwitchCompany,
    TeamMemberOut,
    WorkplaceOut,
)
from shipcrowd.identity.service import TeamMember
from shipcrowd.identity.sessions import OpenedSession
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.pages import After, Limit, Page
from shipcrowd.kernel.tenancy import acting_for, unowned

__all__ = ["May", "Member", "SignedIn", "router"]

router = APIRouter(tags=["identity"])


@router.post("/auth/register", status_code=201)
async def register(body: Registration, request: Request, response: Response) -> SignedInOut:
    """A new company with its owner, who is signed in at once."""
    await signin.pace_registration(_address(request))
    password_hash = await passwords.hashed(body.password.get_secret_value(), email=body.email)
    async with acting_for(new_id()) as session:
        made = await service.register(
            session, company_name=body.company_name, name=body.name, email=body.email, password_hash=password_hash
        )
        opened = await _open(session, request, made.user_id, made.company_id)
    return _signed_in(response, opened)


@router.post("/auth/login")
async def login(body: Login, request: Request, response: Response) -> SignedInOut:
    """Sign in with e-mail and password. The session is always a new one; the one the browser came with is closed."""
    user_id = await signin.authenticate(
        email=body.email, password=body.password.get_secret_value(), address=_address(request)
    )
    async with unowned() as session:
        opened = await _open(session, request, user_id, body.company_id)
    return _signed_in(response, opened)


@router.post("/auth/logout", status_code=204)
async def logout(
    request: Request,
    response: Response,
    who: Annotated[Member, SignedIn],
    everywhere: Annotated[bool, Query(description="Sign out of every browser")] = False,
) -> None:
    """Close this session, or all of the person's."""
    user_id, token = _person(who), request.cookies[COOKIE]
    async with unowned() as session:
        await (sessions.close_all(session, user_id) if everywhere else sessions.close_session(session, token))
    drop_cookie(response)


@router.get("/auth/me")
async def me(request: Request, who: Annotated[Member, SignedIn]) -> Me:
    """Who asks, for which company, and what they may do."""
    person: PersonOut | None = None
    companies: list[queries.Workplace] = []
    if who.user_id is not None:
        async with unowned() as session:
            person = PersonOut.model_validate(await people.person(session, who.user_id))
        companies = await queries.workplaces(who.user_id)
    return Me(
        user=person,
        company_id=who.company_id,
        role=who.role,
        permissions=tuple(sorted(who.permissions)),
        csrf_token=request.state.csrf_token,
        companies=tuple(WorkplaceOut.model_validate(place) for place in companies),
    )


@router.post("/auth/switch-company")
async def switch_company(
    body: SwitchCompany, request: Request, response: Response, who: Annotated[Member, SignedIn]
) -> SignedInOut:
    """Act for another of the person's companies, in a new session."""
    _person(who)
    async with unowned() as session:
        opened = await sessions.switch_company(
            session, token=request.cookies[COOKIE], company_id=body.company_id, user_agent=_agent(request)
        )
    return _signed_in(response, opened)


@router.post("/auth/change-password")
async def change_password(
    body: PasswordChange, request: Request, response: Response, who: Annotated[Member, SignedIn]
) -> SignedInOut:
    """A new password. Every session is closed, and this browser gets a new one."""
    user_id = _person(who)
    async with unowned() as session:
        email = (await people.person(session, user_id)).email
    await signin.authenticate(email=email, password=body.present.get_secret_value(), address=_address(request))
    password_hash = await passwords.hashed(body.password.get_secret_value(), email=email)
    async with unowned() as session:
        await service.change_password(session, user_id=user_id, password_hash=password_hash)
        opened = await _open(session, request, user_id, who.company_id)
    return _signed_in(response, opened)


@router.get("/team")
async def team(who: Annotated[Member, May("team:read")], after: After = None, limit: Limit = 50) -> Page[TeamMemberOut]:
    """The company's people, the newest first."""
    async with acting_for(who.company_id) as session:
        members, following = await service.team(session, after=after, limit=limit)
    return Page(items=[_team_member(member) for member in members], next=following)


@router.post("/team", status_code=201)
async def add_member(body: NewMember, who: Annotated[Member, May("team:write")]) -> TeamMemberOut:
    """Someone joins the company in a role."""
    password_hash = await passwords.hashed(body.password.get_secret_value(), email=body.email)
    async with acting_for(who.company_id) as session:
        user_id = await service.add_member(
            session, by=who, email=body.email, name=body.name, role=body.role, password_hash=password_hash
        )
        return _team_member(await service.member(session, user_id))


@router.patch("/team/{user_id}")
async def change_role(user_id: UUID, body: RoleChange, who: Annotated[Member, May("team:write")]) -> TeamMemberOut:
    """Give someone another role, from their next request on."""
    async with acting_for(who.company_id) as session:
        await service.change_role(session, by=who, user_id=user_id, role=body.role)
        return _team_member(await service.member(session, user_id))


@router.delete("/team/{user_id}", status_code=204)
async def remove_member(user_id: UUID, who: Annotated[Member, May("team:write")]) -> None:
    """Someone leaves the company and is signed out of it."""
    async with acting_for(who.company_id) as session:
        await service.remove_member(session, by=who, user_id=user_id)


@router.get("/api-keys")
async def list_keys(
    who: Annotated[Member, May("api_keys:write")], after: After = None, limit: Limit = 50
) -> Page[KeyOut]:
    """The company's API keys, revoked ones too, the newest first."""
    async with acting_for(who.company_id) as session:
        keys, following = await api_keys.list_keys(session, after=after, limit=limit)
    return Page(items=[KeyOut.model_validate(key) for key in keys], next=following)


@router.post("/api-keys", status_code=201)
async def issue_key(body: NewKey, who: Annotated[Member, May("api_keys:write")]) -> IssuedKeyOut:
    """A new API key. The answer is the only place where it can be read."""
    async with acting_for(who.company_id) as session:
        issued = await api_keys.issue_key(session, by=who, name=body.name, scopes=body.scopes)
    return IssuedKeyOut(**KeyOut.model_validate(issued.key).model_dump(), token=issued.token)


@router.delete("/api-keys/{key_id}", status_code=204)
async def revoke_key(key_id: UUID, who: Annotated[Member, May("api_keys:write")]) -> None:
    """End an API key at once."""
    async with acting_for(who.company_id) as session:
        await api_keys.revoke_key(session, key_id, by=who)


@router.get("/company")
async def company(who: Annotated[Member, May("company:read")]) -> CompanyOut:
    """The company acted for."""
    async with acting_for(who.company_id) as session:
        return CompanyOut.model_validate(await service.company(session))


@router.patch("/company")
async def change_company(body: CompanyChange, who: Annotated[Member, May("company:write")]) -> CompanyOut:
    """Change the company's details."""
    async with acting_for(who.company_id) as session:
        row = await service.change_company(session, by=who, changes=body.model_dump(exclude_unset=True))
        return CompanyOut.model_validate(row)


async def _open(session: AsyncSession, request: Request, user_id: UUID, company_id: UUID | None) -> OpenedSession:
    if stale := request.cookies.get(COOKIE):
        await sessions.close_session(session, stale)
    return await sessions.open_session(session, user_id=user_id, company_id=company_id, user_agent=_agent(request))


def _signed_in(response: Response, opened: OpenedSession) -> SignedInOut:
    set_cookie(response, opened)
    return SignedInOut(
        user_id=opened.user_id,
        company_id=opened.company_id,
        role=opened.role,
        csrf_token=opened.csrf,
        expires_at=opened.expires_at,
    )


def _team_member(member: TeamMember) -> TeamMemberOut:
    return TeamMemberOut(
        user_id=member.person.id,
        name=member.person.name,
        email=member.person.email,
        role=member.role,
        joined_at=member.joined_at,
        locked_until=member.locked_until,
        disabled=member.disabled,
    )


def _person(who: Member) -> UUID:
    if who.user_id is None:
        raise PeopleOnly()
    return who.user_id


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "")
