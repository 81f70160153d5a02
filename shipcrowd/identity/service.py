"""A company and its people: registration, the company's own details, who joins, in which role, and who leaves.

Passwords arrive here already hashed (`passwords.hashed`): hashing is slow on purpose and has no place inside a
transaction. Signing in is `signin`, browsers are `sessions`, programs are `api_keys`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.identity import people, sessions
from shipcrowd.identity.events import CompanyRegistered
from shipcrowd.identity.member import Member
from shipcrowd.identity.models import Company, Membership, User
from shipcrowd.identity.people import Person
from shipcrowd.identity.permissions import ROLE_PERMISSIONS, Role
from shipcrowd.kernel import audit, clock, pages
from shipcrowd.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from shipcrowd.kernel.events import publish
from shipcrowd.kernel.tenancy import company_of
from shipcrowd.pincodes.gstin import InvalidPan, read_gstin, read_pan

DETAILS = frozenset({"name", "legal_name", "gstin", "pan", "state"})
"""What a company may change of its own row by itself."""


class CannotRegister(Conflict):
    """This registration cannot be completed."""


class NoSuchCompanyRow(NotFound):
    """There is no such company."""


class NoSuchMember(NotFound):
    """There is no such person in this company."""


class AlreadyMember(Conflict):
    """This person already works for the company."""


class LastOwner(Conflict):
    """A company keeps at least one owner."""


class RoleBeyondYours(Forbidden):
    """You cannot give, change or take away a role that may do more than you."""


@dataclass(frozen=True)
class Registered:
    """A new company and its owner."""

    company_id: UUID
    user_id: UUID


@dataclass(frozen=True)
class TeamMember:
    """One person of the team, as the team sees them."""

    person: Person
    role: Role
    joined_at: datetime
    locked_until: datetime | None
    disabled: bool


async def register(
    session: AsyncSession, *, company_name: str, name: str, email: str, password_hash: str
) -> Registered:
    """A new company with its owner, in the session of `acting_for(new_id())`: the company takes that id.

    Raises CannotRegister when the e-mail is taken, in words that do not say so.
    """
    company_id = company_of(session)
    user_id = await people.new_person(session, email=email, name=name, password_hash=password_hash)
    if user_id is None:
        raise CannotRegister("If you have an account already, sign in and add the company there; else write to us.")
    session.add(Company(company_id=company_id, id=company_id, name=company_name))
    session.add(Membership(user_id=user_id, company_id=company_id, role=Role.owner.value))
    await session.flush()
    await audit.record(session, actor=f"user:{user_id}", action="company.registered", subject=f"company:{company_id}")
    await publish(session, CompanyRegistered(company_id))
    return Registered(company_id, user_id)


async def ensure_platform(session: AsyncSession) -> None:
    """Make the platform's own company, once. The session acts for it."""
    company_id = company_of(session)
    await session.execute(
        insert(Company)
        .values(company_id=company_id, id=company_id, name="ShipCrowd", settings={}, created_at=clock.now())
        .on_conflict_do_nothing()
    )


async def company(session: AsyncSession) -> Company:
    """The session's own company. Raises NoSuchCompanyRow."""
    company_id = company_of(session)
    row = await session.get(Company, (company_id, company_id))
    if row is None:
        raise NoSuchCompanyRow()
    return row


async def change_company(session: AsyncSession, *, by: Member, changes: Mapping[str, str | None]) -> Company:
    """Change some of `DETAILS`; None clears one. Raises InvalidGstin, InvalidPan, Invalid, NoSuchCompanyRow."""
    if unknown := sorted(changes.keys() - DETAILS):
        raise Invalid(f"Not a detail of a company: {', '.join(unknown)}.", field=unknown[0])
    if "name" in changes and not changes["name"]:
        raise Invalid("A company has a name.", field="name")
    row = await company(session)
    gstin, pan = changes.get("gstin", row.gstin), changes.get("pan", row.pan)
    pan_inside = read_gstin(gstin).pan if gstin else None
    if pan and read_pan(pan) != (pan_inside or read_pan(pan)):
        raise InvalidPan("It differs from the PAN inside the GSTIN.", field="pan")
    changed = sorted(field for field, value in changes.items() if getattr(row, field) != value)
    for field in changed:
        setattr(row, field, changes[field])
    if changed:
        await session.flush()
        await audit.record(
            session,
            actor=by.actor,
            action="company.changed",
            subject=f"company:{row.id}",
            details={"fields": changed},
        )
    return row


async def put_settings(session: AsyncSession, *, section: str, values: Mapping[str, Any]) -> None:
    """Replace one section of the company's settings: each module keeps its own under its own name.

    In one statement, so that two modules writing at the same moment do not lose each other's.
    """
    company_id = company_of(session)
    await session.execute(
        update(Company)
        .where(Company.company_id == company_id, Company.id == company_id)
        .values(settings=Company.settings.concat({section: dict(values)}))
    )


async def team(
    session: AsyncSession, *, after: str | None = None, limit: int = 50
) -> tuple[Sequence[TeamMember], str | None]:
    """A page of the company's people, the newest first, and the cursor of the next page."""
    at, who = Membership.created_at, Membership.user_id
    places = _places(session)
    if after is not None:
        places = places.where(pages.older_than(at, who, after))
    rows = (await session.execute(places.order_by(at.desc(), who.desc()).limit(limit + 1))).all()
    kept, following = pages.page(rows, limit, lambda row: (row[0].created_at, row[0].user_id))
    return [_team_member(place, user) for place, user in kept], following


async def owners_email(session: AsyncSession) -> str | None:
    """Where the acting company is written to when it named no other address: the e-mail of its longest-standing
    owner. None for a company without people (the platform's own, at first)."""
    owners = _places(session).where(Membership.role == Role.owner.value)
    row = (await session.execute(owners.order_by(Membership.created_at, Membership.user_id).limit(1))).one_or_none()
    return None if row is None else _team_member(*row).person.email


async def member(session: AsyncSession, user_id: UUID) -> TeamMember:
    """Raises NoSuchMember."""
    row = (await session.execute(_places(session).where(Membership.user_id == user_id))).one_or_none()
    if row is None:
        raise NoSuchMember()
    return _team_member(*row)


async def add_member(
    session: AsyncSession, *, by: Member, email: str, name: str, role: Role, password_hash: str
) -> UUID:
    """Someone joins the session's company. One who has an account already keeps its name and password.

    Raises RoleBeyondYours, AlreadyMember.
    """
    _within_reach(by, role)
    company_id = company_of(session)
    user_id = await people.new_person(session, email=email, name=name, password_hash=password_hash)
    if user_id is None:
        user_id = (await session.scalars(select(User.id).where(User.email_hash == people.email_hash(email)))).one()
    joined = await session.scalar(
        insert(Membership)
        .values(user_id=user_id, company_id=company_id, role=role.value, created_at=clock.now())
        .on_conflict_do_nothing()
        .returning(Membership.user_id)
    )
    if joined is None:
        raise AlreadyMember("Change the role instead.")
    await _note(session, by, "member.added", user_id, {"role": role.value})
    return user_id


async def change_role(session: AsyncSession, *, by: Member, user_id: UUID, role: Role) -> None:
    """Raises NoSuchMember, RoleBeyondYours, LastOwner. Counts from the person's next request on."""
    before = await _locked_role(session, user_id)
    _within_reach(by, before)
    _within_reach(by, role)
    if before is role:
        return
    if before is Role.owner:
        await _another_owner(session, user_id)
    await session.execute(
        update(Membership)
        .where(Membership.company_id == company_of(session), Membership.user_id == user_id)
        .values(role=role.value)
    )
    await _note(session, by, "member.role_changed", user_id, {"from": before.value, "to": role.value})


async def remove_member(session: AsyncSession, *, by: Member, user_id: UUID) -> None:
    """Someone leaves the company and is signed out of it. Raises NoSuchMember, RoleBeyondYours, LastOwner."""
    before = await _locked_role(session, user_id)
    _within_reach(by, before)
    if before is Role.owner:
        await _another_owner(session, user_id)
    place = await session.get_one(Membership, (user_id, company_of(session)))
    await session.delete(place)
    await sessions.close_all(session, user_id, company_id=company_of(session))
    await _note(session, by, "member.removed", user_id, {"role": before.value})


async def change_password(session: AsyncSession, *, user_id: UUID, password_hash: str) -> None:
    """A new password, which signs the person out everywhere."""
    await session.execute(
        update(User).where(User.id == user_id).values(password_hash=password_hash, failed_logins=0, locked_until=None)
    )
    await sessions.close_all(session, user_id)


def _within_reach(by: Member, role: Role) -> None:
    owners_only = role is Role.owner and by.role is not Role.owner
    if owners_only or not ROLE_PERMISSIONS[role] <= by.permissions:
        raise RoleBeyondYours(f"The role is {role.value}.", field="role")


async def _locked_role(session: AsyncSession, user_id: UUID) -> Role:
    """The person's present role. Locks the company's owners first, always in the same order, and then the person:
    of two who make each other leave at the same moment, the second sees what the first did."""
    company_id = company_of(session)
    owners = select(Membership.user_id).where(Membership.company_id == company_id, Membership.role == Role.owner.value)
    await session.execute(owners.order_by(Membership.user_id).with_for_update())
    role = await session.scalar(
        select(Membership.role)
        .where(Membership.company_id == company_id, Membership.user_id == user_id)
        .with_for_update()
    )
    if role is None:
        raise NoSuchMember()
    return Role(role)


async def _another_owner(session: AsyncSession, user_id: UUID) -> None:
    """Raises LastOwner unless someone besides `user_id` owns the company; the owners are locked by now."""
    other = await session.scalar(
        select(Membership.user_id)
        .where(
            Membership.company_id == company_of(session),
            Membership.role == Role.owner.value,
            Membership.user_id != user_id,
        )
        .limit(1)
    )
    if other is None:
        raise LastOwner("Make someone else an owner first.")


def _places(session: AsyncSession) -> Select[Membership, User]:
    joined = select(Membership, User).join(User, User.id == Membership.user_id)
    return joined.where(Membership.company_id == company_of(session))


def _team_member(place: Membership, user: User) -> TeamMember:
    return TeamMember(
        people.opened(user.id, user.pii), Role(place.role), place.created_at, user.locked_until, bool(user.disabled_at)
    )


async def _note(session: AsyncSession, by: Member, action: str, user_id: UUID, details: dict[str, Any]) -> None:
    await audit.record(session, actor=by.actor, action=action, subject=f"user:{user_id}", details=details)
