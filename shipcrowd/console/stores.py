"""Stores: connecting them, how they fare, what could not be taken in, and trying that again."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.channels import announcements, failures, returning, returns, service, sweeps, vendors
from shipcrowd.channels import queries as channels
from shipcrowd.channels.open import abilities, opened
from shipcrowd.channels.returns_schemas import Action
from shipcrowd.channels.schemas import StoreSettingsChange
from shipcrowd.connections.models import Status
from shipcrowd.console import forms, queries, web
from shipcrowd.identity.guard import May
from shipcrowd.identity.member import Member
from shipcrowd.kernel import inbox
from shipcrowd.kernel.errors import Conflict
from shipcrowd.kernel.tenancy import acting_for

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)

Reads = Annotated[Member, May("stores:read")]
Writes = Annotated[Member, May("stores:write")]
Decides = Annotated[Member, May("orders:write")]

SHOWN = 20
FROM_THE_FORM = "credentials."


async def stores_page(request: Request, who: Member, *, platform: str = "") -> Response:
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        found = await channels.stores(session)
    return web.page(
        request,
        "stores.html",
        title="Stores",
        shell=shell,
        stores=[(store, *store.verdict()) for store in found],
        channels=[(vendor, service.form(vendor)) for vendor in vendors.vendors()],
        platform=platform,
    )


@router.get("/stores")
async def show_all(request: Request, who: Reads) -> Response:
    return await stores_page(request, who)


@router.post("/stores/{platform}/sign-in")
@web.shown_again_on(stores_page)
async def sign_in(request: Request, who: Writes, platform: str) -> Response:
    store = forms.text(await forms.form_of(request), "store")
    knows_its_store = vendors.vendor(platform).sign_in
    if not store and (knows_its_store is None or knows_its_store.place is None):
        raise forms.wrong({"store": "type the store's name first"})
    url = await service.start_sign_in(who.company_id, platform=platform, store=store, actor=who.actor)
    return _leave(request, platform, url)


@router.get("/stores/{platform}/arrive")
async def arrive(request: Request, who: Writes, platform: str) -> Response:
    """A seller chose ShipCrowd in the vendor's app store, which sent the browser here: on to consent there."""
    query = request.query_params.multi_items()
    url = await service.arrive_to_sign_in(who.company_id, platform=platform, query=query, actor=who.actor)
    return _leave(request, platform, url)


def _leave(request: Request, platform: str, url: str) -> Response:
    # A page, not a redirect: the policy lets forms go to ourselves only, and a redirect counts as part of the form.
    vendor = vendors.vendor(platform)
    return web.page(request, "leave.html", title=f"To {vendor.name}", to=url, place=vendor.name)


@router.post("/stores/{platform}/paste")
@web.shown_again_on(stores_page)
async def paste(request: Request, who: Writes, platform: str) -> Response:
    form = await forms.form_of(request)
    names = [field.name for field in service.form(vendors.vendor(platform))]
    if not forms.text(form, "store"):
        raise forms.wrong({"store": "type the store's address first"})
    store_id = await service.connect_pasted(
        who.company_id,
        platform=platform,
        store=forms.text(form, "store"),
        given={name: forms.text(form, FROM_THE_FORM + name) or None for name in names},
        actor=who.actor,
    )
    return web.after(f"/stores/{store_id}", "Connected. Its orders are being read now.")


# --- one store ------------------------------------------------------------------------------------------------------


async def store_page(request: Request, who: Member, store_id: UUID, **_: UUID) -> Response:
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        store = await channels.store(session, store_id)
        log, _next = await channels.log(session, store_id, limit=SHOWN)
        failed, more = await failures.page(session, connection_ids=[store_id], limit=SHOWN)
        refused, _more = await announcements.page(
            session, connection_ids=[store_id], untold=True, after=None, limit=SHOWN
        )
        told = await inbox.recent(session, store=store.connection.external_id, limit=SHOWN)
        coming_back, more_back = await returns.page(session, store_id, limit=SHOWN)
    closed = store.connection.status in (Status.disconnected, Status.left)
    return web.page(
        request,
        "store.html",
        title=store.connection.name,
        shell=shell,
        store=store,
        verdict=store.verdict(),
        wishes=sweeps.settings_of(store.connection),
        abilities=[] if closed else abilities(opened(store.connection)),
        vendor=vendors.vendor(store.connection.vendor),
        log=log,
        failed=failed,
        more_failed=more is not None,
        refused=refused,
        coming_back=[(row, order, returns.may(row, order)) for row, order in coming_back],
        more_back=more_back is not None,
        told=[delivery for delivery in told if delivery.vendor == store.connection.vendor],
        closed=closed,
    )


@router.get("/stores/{store_id:uuid}")
async def show(request: Request, who: Reads, store_id: UUID) -> Response:
    return await store_page(request, who, store_id)


async def _platform(who: Member, store_id: UUID) -> str:
    async with acting_for(who.company_id) as session:
        return (await channels.store(session, store_id)).connection.vendor


@router.post("/stores/{store_id:uuid}/sync")
@web.shown_again_on(store_page)
async def sync(who: Writes, store_id: UUID) -> Response:
    platform = await _platform(who, store_id)
    async with acting_for(who.company_id) as session:
        await service.sync_now(session, store_id, platform=platform)
    return web.after(f"/stores/{store_id}", "The store is being read now; the log below will say how it went.")


@router.post("/stores/{store_id:uuid}/test")
@web.shown_again_on(store_page)
async def test(who: Writes, store_id: UUID) -> Response:
    info = await service.test_store(who.company_id, store_id, platform=await _platform(who, store_id))
    return web.after(f"/stores/{store_id}", f"{info.name} answered: the connection works.")


@router.post("/stores/{store_id:uuid}/pause")
@web.shown_again_on(store_page)
async def pause(who: Writes, store_id: UUID) -> Response:
    platform = await _platform(who, store_id)
    async with acting_for(who.company_id) as session:
        await service.pause(session, store_id, platform=platform, actor=who.actor)
    return web.after(f"/stores/{store_id}", "Paused. What happens there meanwhile is read when you resume.")


@router.post("/stores/{store_id:uuid}/resume")
@web.shown_again_on(store_page)
async def resume(who: Writes, store_id: UUID) -> Response:
    platform = await _platform(who, store_id)
    async with acting_for(who.company_id) as session:
        await service.resume(session, store_id, platform=platform, actor=who.actor)
    return web.after(f"/stores/{store_id}", "Resumed.")


@router.post("/stores/{store_id:uuid}/disconnect")
@web.shown_again_on(store_page)
async def disconnect(request: Request, who: Writes, store_id: UUID) -> Response:
    if forms.text(await forms.form_of(request), "sure") != "yes":
        raise Conflict("tick that you are sure first", field="sure")
    await service.disconnect(who.company_id, store_id, platform=await _platform(who, store_id), actor=who.actor)
    return web.after("/stores", "Disconnected. The orders that came from it stay.")


@router.post("/stores/{store_id:uuid}/settings")
@web.shown_again_on(store_page)
async def configure(request: Request, who: Writes, store_id: UUID) -> Response:
    form = await forms.form_of(request)
    given = {
        "import_days": forms.text(form, "import_days"),
        "announce": forms.text(form, "announce") == "yes",
        "notify_buyer": forms.text(form, "notify_buyer") == "yes",
    }
    change = forms.read(StoreSettingsChange, {name: value for name, value in given.items() if value != ""})
    platform = await _platform(who, store_id)
    async with acting_for(who.company_id) as session:
        await service.configure(session, store_id, change, platform=platform, actor=who.actor)
    return web.after(f"/stores/{store_id}", "Saved.")


@router.post("/stores/{store_id:uuid}/failed/{item_id:uuid}/replay")
@web.shown_again_on(store_page)
async def replay(who: Writes, store_id: UUID, item_id: UUID) -> Response:
    platform = await _platform(who, store_id)
    async with acting_for(who.company_id) as session:
        await service.replay_item(session, item_id, platform=platform)
    return web.after(f"/stores/{store_id}#failed", "It is being tried again.")


@router.post("/stores/{store_id:uuid}/announcements/{announcement_id:uuid}/again")
@web.shown_again_on(store_page)
async def announce_again(who: Writes, store_id: UUID, announcement_id: UUID) -> Response:
    platform = await _platform(who, store_id)
    async with acting_for(who.company_id) as session:
        await service.announce_again(session, announcement_id, platform=platform)
    return web.after(f"/stores/{store_id}#announcements", "The store is being told again.")


@router.post("/stores/{store_id:uuid}/returns/{return_id:uuid}/{action}")
@web.shown_again_on(store_page)
async def decide_return(who: Decides, store_id: UUID, return_id: UUID, action: Action) -> Response:
    platform = await _platform(who, store_id)
    async with acting_for(who.company_id) as session:
        connection = await service.usable(session, store_id, platform)
        row = await returns.ask(session, connection, return_id, action, actor=who.actor)
        await returning.enqueue_decision(session, row)
    return web.after(f"/stores/{store_id}#returns", "The store is being told; its answer will stand here.")
