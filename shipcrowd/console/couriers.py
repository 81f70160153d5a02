"""The courier accounts a company books with."""

from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.console import queries, web
from shipcrowd.couriers import vendors
from shipcrowd.identity.guard import May
from shipcrowd.identity.member import Member
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.shipping.accounts import NO_ACCOUNT, accounts

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)


@router.get("/couriers")
async def show(request: Request, who: Annotated[Member, May("couriers:read")]) -> Response:
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
    usable = await accounts(who.company_id)
    return web.page(
        request,
        "couriers.html",
        title="Couriers",
        shell=shell,
        accounts=usable,
        no_account=NO_ACCOUNT,
        company_id=who.company_id,
        others=[vendor for vendor in vendors.vendors() if vendor.slug not in {each.vendor.slug for each in usable}],
    )
