"""Letters that could not be handled, over HTTP: for the platform's operator alone."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from shipcrowd.channels import letters
from shipcrowd.identity.api import May, Member
from shipcrowd.kernel import pages
from shipcrowd.kernel.pages import After, Limit, Page
from shipcrowd.kernel.tenancy import PLATFORM_COMPANY
from shipcrowd.orders.schemas import Input

router = APIRouter(prefix="/system/letters", tags=["system"])


class LetterOut(BaseModel):
    """A message of a vendor's queue that could not be handled. `outline` names its fields, not what they hold."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    vendor: str
    topic: str
    received_at: datetime
    reason: str
    outcome: str
    can_be_tried: bool
    size: int | None
    outline: list[str]


class Trying(BaseModel):
    """How many are tried again now."""

    letters: int


class DropLetter(Input):
    reason: str = Field(min_length=3, max_length=300, description="Why nothing is lost by it")


def platforms(who: Member) -> Member:
    """Of a company there are no such letters. Raises NoSuchLetter."""
    if who.company_id != PLATFORM_COMPANY:
        raise letters.NoSuchLetter
    return who


@router.get("")
async def list_letters(
    who: Annotated[Member, May("jobs:read")],
    settled: Annotated[bool, Query(description="Those that were handled or dropped in the end")] = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[LetterOut]:
    """Messages of vendors' queues that wait for the operator, newest first."""
    if after:
        pages.parse(after)  # what is wrong with the request is wrong whoever asks
    platforms(who)
    found, following = await letters.page(after=after, limit=limit, failed=not settled)
    return Page(items=[LetterOut.model_validate(each) for each in found], next=following)


@router.get("/{delivery_id}")
async def get_letter(who: Annotated[Member, May("jobs:read")], delivery_id: UUID) -> LetterOut:
    """One of them."""
    platforms(who)
    return LetterOut.model_validate(await letters.get(delivery_id))


@router.post("/replay", status_code=202)
async def replay_letters(who: Annotated[Member, May("jobs:write")]) -> Trying:
    """Try all that wait again, at most 500 at a time."""
    platforms(who)
    return Trying(letters=await letters.replay_all(actor=who.actor))


@router.post("/{delivery_id}/replay", status_code=202)
async def replay_letter(who: Annotated[Member, May("jobs:write")], delivery_id: UUID) -> Trying:
    """Try one again."""
    platforms(who)
    await letters.replay(delivery_id, actor=who.actor)
    return Trying(letters=1)


@router.post("/{delivery_id}/drop", status_code=204)
async def drop_letter(who: Annotated[Member, May("jobs:write")], delivery_id: UUID, body: DropLetter) -> None:
    """Be done with one. What it said is removed; that it came, and why it was dropped, stays."""
    platforms(who)
    await letters.drop(delivery_id, reason=body.reason, actor=who.actor)
