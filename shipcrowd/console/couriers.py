"""Couriers: whose accounts parcels are booked with; accounts of the company's own, and how they fare."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.connections import forms as connect_forms
from shipcrowd.console import forms, queries, web
from shipcrowd.couriers import vendors
from shipcrowd.identity.guard import May
from shipcrowd.identity.member import Member
from shipcrowd.kernel.errors import Conflict
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.shipping import connecting
from shipcrowd.shipping.accounts import NO_ACCOUNT, accounts
from shipcrowd.shipping.connecting import Standing

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)

Reads = Annotated[Member, May("couriers:read")]
Writes = Annotated[Member, May("couriers:write")]

FROM_THE_FORM = "credentials."


async def couriers_page(request: Request, who: Member, *, courier: str = "") -> Response:
    """`courier` is the one whose form was refused."""
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        own = await connecting.standings(session)
    return web.page(
        request,
        "couriers.html",
        title="Couriers",
        shell=shell,
        own=[(standing, vendors.vendor(standing.connection.vendor)) for standing in own],
        others=[account for account in await accounts(who.company_id) if not account.own or account.id == NO_ACCOUNT],
        no_account=NO_ACCOUNT,
        connectable=[
            (vendor, connect_forms.fields(vendor.credentials), connecting.abilities(vendor))
            for vendor in vendors.vendors()
            if vendor.credentials.model_fields and vendor.channel is None
        ],
        refused=courier,
    )


@router.get("/couriers")
async def show_all(request: Request, who: Reads) -> Response:
    return await couriers_page(request, who)


@router.post("/couriers/{courier}/connect")
@web.shown_again_on(couriers_page)
async def connect(request: Request, who: Writes, courier: str) -> Response:
    form = await forms.form_of(request)
    fields = connect_forms.fields(vendors.vendor(courier).credentials)
    made = await connecting.connect(
        who.company_id,
        courier=courier,
        given={field.name: forms.text(form, FROM_THE_FORM + field.name) or None for field in fields},
        name=forms.text(form, "name")[:120],
        actor=who.actor,
    )
    if made.webhook_secret is None:
        return web.after(f"/couriers/{made.id}", "Connected. New parcels are booked with your own account.")
    # Not sent on: the secret is shown in this one answer and stands in no address and no cookie.
    return await account_page(request, who, made.id, secret=made.webhook_secret, fresh=True)


# --- one account ----------------------------------------------------------------------------------------------------


async def account_page(
    request: Request, who: Member, account_id: UUID, *, secret: str = "", fresh: bool = False
) -> Response:
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        standing = await connecting.own(session, account_id)
    vendor = vendors.vendor(standing.connection.vendor)
    return web.page(
        request,
        "courier.html",
        title=standing.connection.name,
        shell=shell,
        standing=standing,
        vendor=vendor,
        fields=connect_forms.fields(vendor.credentials),
        abilities=connecting.abilities(vendor),
        webhook_url=connecting.webhook_url(standing.connection),
        secret=secret,
        fresh=fresh,
    )


@router.get("/couriers/{account_id:uuid}")
async def show(request: Request, who: Reads, account_id: UUID) -> Response:
    return await account_page(request, who, account_id)


async def _own(who: Member, account_id: UUID) -> Standing:
    async with acting_for(who.company_id) as session:
        return await connecting.own(session, account_id)


@router.post("/couriers/{account_id:uuid}/credentials")
@web.shown_again_on(account_page)
async def change(request: Request, who: Writes, account_id: UUID) -> Response:
    form = await forms.form_of(request)
    row = (await _own(who, account_id)).connection
    fields = connect_forms.fields(vendors.vendor(row.vendor).credentials)
    given: dict[str, Any] = forms.filled(form, *(FROM_THE_FORM + field.name for field in fields))
    await connecting.change(
        who.company_id,
        account_id,
        courier=row.vendor,
        given={name.removeprefix(FROM_THE_FORM): typed for name, typed in given.items()},
        name=forms.text(form, "name")[:120],
        actor=who.actor,
    )
    return web.after(f"/couriers/{account_id}", "Saved. The courier accepted it." if given else "Saved.")


@router.post("/couriers/{account_id:uuid}/test")
@web.shown_again_on(account_page)
async def test(who: Writes, account_id: UUID) -> Response:
    row = (await _own(who, account_id)).connection
    await connecting.test(who.company_id, account_id, courier=row.vendor)
    return web.after(f"/couriers/{account_id}", f"{row.name} let us in: the account works.")


@router.post("/couriers/{account_id:uuid}/pause")
@web.shown_again_on(account_page)
async def pause(who: Writes, account_id: UUID) -> Response:
    row = (await _own(who, account_id)).connection
    async with acting_for(who.company_id) as session:
        await connecting.pause(session, account_id, courier=row.vendor, actor=who.actor)
    return web.after(f"/couriers/{account_id}", "Paused. Its parcels under way are followed to their end.")


@router.post("/couriers/{account_id:uuid}/resume")
@web.shown_again_on(account_page)
async def resume(who: Writes, account_id: UUID) -> Response:
    row = (await _own(who, account_id)).connection
    async with acting_for(who.company_id) as session:
        await connecting.resume(session, account_id, courier=row.vendor, actor=who.actor)
    return web.after(f"/couriers/{account_id}", "Resumed. New parcels are booked with it again.")


@router.post("/couriers/{account_id:uuid}/webhook-secret")
@web.shown_again_on(account_page)
async def webhook_secret(request: Request, who: Writes, account_id: UUID) -> Response:
    row = (await _own(who, account_id)).connection
    async with acting_for(who.company_id) as session:
        made = await connecting.new_webhook_secret(session, account_id, courier=row.vendor, actor=who.actor)
    return await account_page(request, who, account_id, secret=made)


@router.post("/couriers/{account_id:uuid}/disconnect")
@web.shown_again_on(account_page)
async def disconnect(request: Request, who: Writes, account_id: UUID) -> Response:
    form = await forms.form_of(request)
    if forms.text(form, "sure") != "yes":
        raise Conflict("tick that you are sure first", field="sure")
    row = (await _own(who, account_id)).connection
    anyway = forms.text(form, "anyway") == "yes"
    await connecting.disconnect(who.company_id, account_id, courier=row.vendor, anyway=anyway, actor=who.actor)
    return web.after("/couriers", f"{row.name} is disconnected. Its shipments stay.")
