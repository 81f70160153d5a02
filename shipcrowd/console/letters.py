"""Messages of vendors' queues that could not be handled, for the platform's operator: to look at, try again, drop."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.channels import letters
from shipcrowd.channels.letters_api import platforms
from shipcrowd.console import forms, queries, web
from shipcrowd.identity.guard import May
from shipcrowd.identity.member import Member
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.tenancy import acting_for

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)

MOST = 100
LONGEST = 300


async def letters_page(request: Request, who: Member, **_: object) -> Response:
    platforms(who)
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
    waiting, _following = await letters.page(after=None, limit=MOST)
    return web.page(request, "letters.html", title="Messages put aside", shell=shell, letters=waiting, most=MOST)


@router.get("/letters")
async def show(request: Request, who: Annotated[Member, May("jobs:read")]) -> Response:
    return await letters_page(request, who)


@router.post("/letters/again")
@web.shown_again_on(letters_page)
async def all_again(request: Request, who: Annotated[Member, May("jobs:write")]) -> Response:
    platforms(who)
    count = await letters.replay_all(actor=who.actor)
    return web.after("/letters", f"{count} will be tried again now.")


@router.post("/letters/{delivery_id}/again")
@web.shown_again_on(letters_page)
async def again(request: Request, who: Annotated[Member, May("jobs:write")], delivery_id: UUID) -> Response:
    platforms(who)
    await letters.replay(delivery_id, actor=who.actor)
    return web.after("/letters", "It will be tried again now.")


@router.post("/letters/{delivery_id}/drop")
@web.shown_again_on(letters_page)
async def drop(request: Request, who: Annotated[Member, May("jobs:write")], delivery_id: UUID) -> Response:
    platforms(who)
    reason = forms.text(await forms.form_of(request), "reason").strip()[:LONGEST]
    if len(reason) < 3:
        raise Invalid("say why nothing is lost by it", field="reason")
    await letters.drop(delivery_id, reason=reason, actor=who.actor)
    return web.after("/letters", "Dropped.")
