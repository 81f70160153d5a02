"""Reads that cross the companies of one person, and so open a transaction for each company in turn."""

from dataclasses import dataclass
from uuid import UUID

from shipcrowd.identity import service, sessions
from shipcrowd.identity.permissions import Role
from shipcrowd.kernel.tenancy import acting_for, unowned


@dataclass(frozen=True)
class Workplace:
    """A company someone works for, as the switch in the console shows it."""

    company_id: UUID
    name: str
    role: Role


async def workplaces(user_id: UUID, *, limit: int = 20) -> list[Workplace]:
    """The companies a person works for, first joined first. Row security shows a company's name to that company
    only, so each is asked in its own transaction; people who work for many see the first `limit`."""
    async with unowned() as session:
        mine = await sessions.memberships(session, user_id)
    found: list[Workplace] = []
    for place in mine[:limit]:
        async with acting_for(place.company_id) as session:
            found.append(Workplace(place.company_id, (await service.company(session)).name, Role(place.role)))
    return found
