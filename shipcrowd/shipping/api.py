"""Parcels over HTTP: parse, one call, answer."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.couriers.contract import FilledForm, Paper, Pod
from shipcrowd.documents.papers import Layout, SlipLayout
from shipcrowd.identity.api import May, Member
from shipcrowd.kernel import idempotency, pages, tenancy
from shipcrowd.kernel.errors import NotFound
from shipcrowd.shipping import (
    booking,
    bulk,
    cancelling,
    collecting,
    jobs,
    labels,
    manifests,
    papers,
    pickups,
    preferences,
    queries,
    quoting,
    retyping,
    tracking,
)
from shipcrowd.shipping.models import BulkItem, Manifest, Pickup, Quote, ScanRow, Shipment, State
from shipcrowd.shipping.preferences import Preferences
from shipcrowd.shipping.quoting import Package
from shipcrowd.shipping.schemas import (
    AskPickup,
    AskPrices,
    BookByHand,
    BookFromQuote,
    BulkItemOut,
    BulkRunOut,
    BulkShip,
    FormsDone,
    HandOver,
    HandOverOut,
    LineUnits,
    ManifestOut,
    PickupOut,
    PrintLabels,
    QuoteOut,
    ScanOut,
    ShipmentIds,
    ShipmentList,
    ShipmentOut,
    ShipmentWholeOut,
    TypedAwb,
    TypedProgress,
)  # fmt: skip

router = APIRouter(tags=["shipping"])

Reads = Annotated[Member, May("shipments:read")]
Writes = Annotated[Member, May("shipments:write")]
Key = Annotated[str | None, Header(alias="idempotency-key", max_length=200)]


class Pdf(Response):
    media_type = "application/pdf"


def pdf(data: bytes, name: str) -> Response:
    return Pdf(data, headers={"content-disposition": f'inline; filename="{name}"'})


# --- prices and booking ---------------------------------------------------------------------------------------------


@router.post("/quotes", status_code=201)
async def ask_prices(who: Reads, ask: AskPrices) -> QuoteOut:
    """What shipping an order costs, courier beside courier; good for half an hour."""
    package = Package(ask.weight_grams, ask.length_mm, ask.breadth_mm, ask.height_mm)
    return quote_out(await quoting.quote(who.company_id, ask.order_id, place_id=ask.place_id, package=package))


@router.post("/shipments", status_code=202)
async def book(who: Writes, want: BookFromQuote, request: Request, idempotency_key: Key = None) -> ShipmentOut:
    """Book one option of a quote. The charge is held at once; the AWB follows (state `booking` → `pickup_pending`)."""
    async with tenancy.acting_for(who.company_id) as session:

        async def work() -> Any:
            shipment = await booking.book(
                session,
                want.quote_id,
                service=want.service,
                account_id=want.account_id,
                units=units(want.lines),
                actor=who.actor,
            )
            await jobs.request_label.enqueue(session, company_id=who.company_id, shipment_id=shipment.id)
            await session.flush()
            return shipment_out(shipment).model_dump(mode="json")

        body = await request.body()
        answer = await idempotency.once(session, route="POST /shipments", key=idempotency_key, body=body, work=work)
    return ShipmentOut.model_validate(answer)


@router.post("/shipments/manual", status_code=202)
async def book_by_hand(who: Writes, want: BookByHand, request: Request, idempotency_key: Key = None) -> ShipmentOut:
    """Record a parcel booked elsewhere by its carrier and AWB; nothing is charged."""
    async with tenancy.acting_for(who.company_id) as session:

        async def work() -> Any:
            shipment = await booking.book_by_hand(
                session,
                want.order_id,
                carrier=want.carrier,
                awb=want.awb,
                package=Package(want.weight_grams, want.length_mm, want.breadth_mm, want.height_mm),
                place_id=want.place_id,
                units=units(want.lines),
                actor=who.actor,
            )
            await jobs.request_label.enqueue(session, company_id=who.company_id, shipment_id=shipment.id)
            await session.flush()
            return shipment_out(shipment).model_dump(mode="json")

        body = await request.body()
        route = "POST /shipments/manual"
        answer = await idempotency.once(session, route=route, key=idempotency_key, body=body, work=work)
    return ShipmentOut.model_validate(answer)


def units(lines: Sequence[LineUnits]) -> dict[UUID, int] | None:
    return {line.line_id: line.units for line in lines} or None


@router.post("/shipments/bulk", status_code=202)
async def bulk_ship(who: Writes, want: BulkShip, request: Request, idempotency_key: Key = None) -> BulkRunOut:
    """Ship many orders; watch the run for each one's result."""
    async with tenancy.acting_for(who.company_id) as session:

        async def work() -> Any:
            run = await bulk.start(session, want.order_ids, choose=want.choose, place_id=want.place_id, actor=who.actor)
            await jobs.enqueue_run(session, run.id, want.order_ids)
            return {"run_id": str(run.id)}

        body = await request.body()
        answer = await idempotency.once(
            session, route="POST /shipments/bulk", key=idempotency_key, body=body, work=work
        )
        run = await bulk.got(session, UUID(answer["run_id"]))
        return run_out(run.id, run.total, await bulk.results(session, run.id))


@router.get("/shipments/bulk/{run_id}")
async def bulk_run(who: Reads, run_id: UUID) -> BulkRunOut:
    async with tenancy.acting_for(who.company_id) as session:
        run = await bulk.got(session, run_id)
        return run_out(run.id, run.total, await bulk.results(session, run_id))


@router.get("/shipments/bulk/{run_id}/labels.pdf", response_class=Pdf)
async def bulk_labels(who: Reads, run_id: UUID, layout: Layout = Layout.thermal_4x6) -> Response:
    """The labels of all parcels the run booked, in one PDF."""
    async with tenancy.acting_for(who.company_id) as session:
        await bulk.got(session, run_id)
        found = [s.id for _, s in await bulk.results(session, run_id) if s is not None and s.awb and s.state in READY]
    if not found:
        raise NotFound("no parcel of this run has a label yet")
    return pdf(await labels.printed(who.company_id, found, layout, actor=who.actor), "labels.pdf")


READY = (State.pickup_pending, State.pickup_failed, State.picked_up, State.in_transit)


# --- reading --------------------------------------------------------------------------------------------------------


@router.get("/shipments")
async def list_shipments(who: Reads, wanted: Annotated[ShipmentList, Query()]) -> pages.Page[ShipmentOut]:
    """Shipments, newest first."""
    async with tenancy.acting_for(who.company_id) as session:
        rows, following = await queries.page_of(session, wanted, after=wanted.after, limit=wanted.limit)
    return pages.Page(items=[shipment_out(row) for row in rows], next=following)


@router.get("/shipments/{shipment_id}")
async def get_shipment(who: Reads, shipment_id: UUID) -> ShipmentWholeOut:
    async with tenancy.acting_for(who.company_id) as session:
        return await whole_out(session, await queries.got(session, shipment_id))


# --- acting on one --------------------------------------------------------------------------------------------------


@router.post("/shipments/{shipment_id}/cancel")
async def cancel(who: Writes, shipment_id: UUID) -> ShipmentOut:
    """Cancel before pickup. The charge comes back when the courier's tracking confirms it."""
    return shipment_out(await cancelling.ask(who.company_id, shipment_id, actor=who.actor))


@router.post("/shipments/{shipment_id}/confirm")
async def confirm(who: Writes, shipment_id: UUID, typed: TypedAwb) -> ShipmentOut:
    """An unconfirmed booking exists at the courier: this is its AWB."""
    async with tenancy.acting_for(who.company_id) as session:
        shipment = await booking.settle_with_awb(
            session, shipment_id, awb=typed.awb, carrier=typed.carrier, actor=who.actor
        )
        await session.flush()
        return shipment_out(shipment)


@router.put("/shipments/{shipment_id}/awb")
async def correct_awb(who: Writes, shipment_id: UUID, typed: TypedAwb) -> ShipmentOut:
    """The AWB typed for an unconfirmed booking was wrong; this is the right one. 409 once anything was scanned."""
    async with tenancy.acting_for(who.company_id) as session:
        shipment = await retyping.correct(session, shipment_id, awb=typed.awb, actor=who.actor)
        await session.flush()
        return shipment_out(shipment)


@router.delete("/shipments/{shipment_id}/awb")
async def withdraw_awb(who: Writes, shipment_id: UUID) -> ShipmentOut:
    """The AWB typed for an unconfirmed booking was wrong, and there is no parcel: money and units come back."""
    async with tenancy.acting_for(who.company_id) as session:
        shipment = await retyping.withdraw(session, shipment_id, actor=who.actor)
        await session.flush()
        return shipment_out(shipment)


@router.post("/shipments/{shipment_id}/void")
async def void(who: Writes, shipment_id: UUID) -> ShipmentOut:
    """An unconfirmed booking does not exist at the courier: money and units come back."""
    async with tenancy.acting_for(who.company_id) as session:
        return shipment_out(await booking.void(session, shipment_id, actor=who.actor))


@router.patch("/shipments/{shipment_id}/status")
async def typed_status(who: Writes, shipment_id: UUID, typed: TypedProgress) -> ShipmentWholeOut:
    """Say how a parcel fares whose courier nobody tracks."""
    async with tenancy.acting_for(who.company_id) as session:
        shipment = await queries.got(session, shipment_id)
        scan = tracking.typed_progress(shipment, typed.progress, typed.remark)
        await tracking.take_scans(session, shipment_id, [scan], via="person", pod=Pod())
        await session.flush()
        return await whole_out(session, await queries.got(session, shipment_id))


@router.post("/shipments/{shipment_id}/track", status_code=202)
async def track_now(who: Writes, shipment_id: UUID) -> ShipmentOut:
    """Ask the courier now instead of at the next check."""
    async with tenancy.acting_for(who.company_id) as session:
        shipment = await queries.got(session, shipment_id)
        await jobs.track_one(session, shipment)
        return shipment_out(shipment)


# --- paper ----------------------------------------------------------------------------------------------------------


@router.get("/shipments/{shipment_id}/label.pdf", response_class=Pdf)
async def label(who: Reads, shipment_id: UUID, layout: Layout = Layout.thermal_4x6) -> Response:
    """The label: the courier's own where it gave one, else ours, where that will do. Every print is recorded."""
    return pdf(await labels.printed(who.company_id, [shipment_id], layout, actor=who.actor), f"label-{shipment_id}.pdf")


@router.get("/shipments/{shipment_id}/papers/{kind}.pdf", response_class=Pdf)
async def paper(who: Reads, shipment_id: UUID, kind: Paper) -> Response:
    """A paper that the parcel's courier, a marketplace's, makes besides the label: its `invoice` to the buyer, the
    `bare-label` without it, the `forms` a state wants. Every print is recorded."""
    return pdf(await papers.got(who.company_id, shipment_id, kind, actor=who.actor), f"{kind.value}-{shipment_id}.pdf")


@router.post("/shipments/{shipment_id}/forms", status_code=204)
async def forms_done(who: Writes, shipment_id: UUID, done: FormsDone) -> None:
    """A booking was refused for want of a state's forms (`forms_needed`), and they are filled in now: the courier is
    told. Book again afterwards."""
    filled = [FilledForm(form.name, form.number) for form in done.forms]
    await papers.forms_done(who.company_id, shipment_id, filled, actor=who.actor)


@router.post("/shipments/labels", response_class=Pdf)
async def many_labels(who: Reads, want: PrintLabels) -> Response:
    """Labels of up to 500 shipments in one PDF, in the order given."""
    return pdf(await labels.printed(who.company_id, want.shipment_ids, want.layout, actor=who.actor), "labels.pdf")


@router.post("/shipments/packing-slips", response_class=Pdf)
async def many_slips(who: Reads, want: ShipmentIds, layout: SlipLayout = SlipLayout.a4) -> Response:
    return pdf(await labels.packing_slips(who.company_id, want.shipment_ids, layout), "packing-slips.pdf")


@router.get("/manifests")
async def list_manifests(who: Reads, wanted: Annotated[pages.Keyset, Query()]) -> pages.Page[ManifestOut]:
    async with tenancy.acting_for(who.company_id) as session:
        rows, following = await manifests.page_of(session, after=wanted.after, limit=wanted.limit)
    return pages.Page(items=[manifest_out(row) for row in rows], next=following)


@router.post("/manifests", status_code=201)
async def create_manifest(who: Writes, want: ShipmentIds) -> ManifestOut:
    """Open a manifest of shipments of one courier and one pickup address."""
    async with tenancy.acting_for(who.company_id) as session:
        return manifest_out(await manifests.create(session, want.shipment_ids))


@router.get("/manifests/{manifest_id}")
async def get_manifest(who: Reads, manifest_id: UUID) -> ManifestOut:
    async with tenancy.acting_for(who.company_id) as session:
        return manifest_out(await manifests.got(session, manifest_id))


@router.post("/manifests/{manifest_id}/add")
async def add_to_manifest(who: Writes, manifest_id: UUID, want: ShipmentIds) -> ManifestOut:
    async with tenancy.acting_for(who.company_id) as session:
        return manifest_out(await manifests.add(session, manifest_id, want.shipment_ids))


@router.post("/manifests/{manifest_id}/remove")
async def remove_from_manifest(who: Writes, manifest_id: UUID, want: ShipmentIds) -> ManifestOut:
    async with tenancy.acting_for(who.company_id) as session:
        return manifest_out(await manifests.remove(session, manifest_id, want.shipment_ids))


@router.post("/manifests/{manifest_id}/close")
async def close_manifest(who: Writes, manifest_id: UUID) -> ManifestOut:
    async with tenancy.acting_for(who.company_id) as session:
        return manifest_out(await manifests.close(session, manifest_id))


@router.post("/manifests/{manifest_id}/handover")
async def hand_over_manifest(who: Writes, manifest_id: UUID, given: HandOver) -> ManifestOut:
    async with tenancy.acting_for(who.company_id) as session:
        return manifest_out(await manifests.hand_over(session, manifest_id, to=given.to))


@router.get("/manifests/{manifest_id}/manifest.pdf", response_class=Pdf)
async def manifest_pdf(who: Reads, manifest_id: UUID) -> Response:
    return pdf(await manifests.pdf(who.company_id, manifest_id), "manifest.pdf")


@router.get("/manifests/{manifest_id}/hand-overs")
async def list_hand_overs(who: Reads, manifest_id: UUID) -> list[HandOverOut]:
    """What a courier that keeps the list itself (a marketplace's) has waiting where these parcels are: asked now."""
    found = await collecting.hand_overs(who.company_id, manifest_id)
    return [HandOverOut.model_validate(each) for each in found]


@router.get("/manifests/{manifest_id}/courier-manifest.pdf", response_class=Pdf)
async def courier_manifest_pdf(who: Reads, manifest_id: UUID) -> Response:
    """The courier's own list of what waits, for its driver to sign."""
    return pdf(await collecting.paper(who.company_id, manifest_id), "courier-manifest.pdf")


@router.get("/pickups")
async def list_pickups(who: Reads) -> list[PickupOut]:
    async with tenancy.acting_for(who.company_id) as session:
        return [pickup_out(row) for row in await pickups.recent(session)]


@router.post("/pickups", status_code=201)
async def ask_pickup(who: Writes, want: AskPickup) -> PickupOut:
    """Ask a courier to come on a day."""
    return pickup_out(await pickups.request(who.company_id, place_id=want.place_id, courier=want.courier, on=want.on))


@router.get("/shipping/preferences")
async def get_preferences(who: Reads) -> Preferences:
    async with tenancy.acting_for(who.company_id) as session:
        return await preferences.of(session)


@router.put("/shipping/preferences")
async def put_preferences(who: Annotated[Member, May("company:write")], wanted: Preferences) -> Preferences:
    """The box you pack most orders in, used where an order has no size of its own."""
    async with tenancy.acting_for(who.company_id) as session:
        return await preferences.put(session, wanted)


# --- shapes ---------------------------------------------------------------------------------------------------------


def quote_out(made: Quote) -> QuoteOut:
    return QuoteOut(
        id=made.id,
        order_id=made.order_id,
        place_id=made.place_id,
        weight_grams=made.weight_grams,
        length_mm=made.length_mm,
        breadth_mm=made.breadth_mm,
        height_mm=made.height_mm,
        expires_at=made.expires_at,
        options=quoting.options_of(made),
    )


SAME = (
    "id", "number", "order_id", "order_number", "state", "flow", "courier", "carrier", "service", "service_name",
    "awb", "zone", "payment", "weight_grams", "length_mm", "breadth_mm", "height_mm", "city", "pincode", "created_at",
    "booked_at", "picked_up_at", "delivered_at", "moved_at", "last_location", "last_checked_at", "next_check_at",
    "reason_code", "reason", "manifest_id", "pickup_on",
)  # fmt: skip


def shipment_facts(shipment: Shipment) -> dict[str, Any]:
    return {name: getattr(shipment, name) for name in SAME} | {
        "to_collect_paise": shipment.to_collect_paise.paise,
        "declared_paise": shipment.declared_paise.paise,
        "charge_paise": shipment.charge_paise.paise,
        "labels_printed": shipment.labels_printed or 0,
        "last_location": shipment.last_location or "",
        "tracking_url": queries.tracking_url(shipment),
    }


def shipment_out(shipment: Shipment) -> ShipmentOut:
    return ShipmentOut(**shipment_facts(shipment))


async def whole_out(session: AsyncSession, shipment: Shipment) -> ShipmentWholeOut:
    pod = queries.pod_of(shipment)
    return ShipmentWholeOut(
        **shipment_facts(shipment),
        ship_to=booking.receiver(shipment),
        charge=shipment.charge,
        scans=[scan_out(scan) for scan in await queries.scans_of(session, shipment.id)],
        proof_of_delivery=dict(pod) if pod else None,
    )


def scan_out(scan: ScanRow) -> ScanOut:
    return ScanOut(
        at=scan.at,
        status=scan.status,
        progress=scan.progress,
        location=scan.location,
        remark=scan.remark,
        via=scan.via,
    )


def run_out(run_id: UUID, total: int, found: Sequence[tuple[BulkItem, Shipment | None]]) -> BulkRunOut:
    items = [item_out(item, shipment) for item, shipment in found]
    done = sum(item.state not in ("waiting", "preparing", "booking") for item in items)
    return BulkRunOut(id=run_id, total=total, done=done, finished=done == total, items=items)


def item_out(item: BulkItem, shipment: Shipment | None) -> BulkItemOut:
    """A booked order's state is its shipment's."""
    state = item.state
    if shipment is not None:
        settled = (State.booking, State.unconfirmed, State.refused)
        state = shipment.state if shipment.state in settled else "booked"
    return BulkItemOut(
        order_id=item.order_id,
        state=state,
        shipment_id=item.shipment_id,
        awb=shipment.awb if shipment else None,
        code=item.code or (shipment.reason_code if shipment else None),
        message=item.message or (shipment.reason if shipment else None),
    )


def manifest_out(manifest: Manifest) -> ManifestOut:
    return ManifestOut(
        id=manifest.id,
        number=manifest.number,
        state=manifest.state,
        courier=manifest.courier,
        carrier=manifest.carrier,
        place_id=manifest.place_id,
        parcels=manifest.parcels,
        weight_grams=manifest.weight_grams,
        to_collect_paise=manifest.to_collect_paise.paise,
        created_at=manifest.created_at,
        closed_at=manifest.closed_at,
        handed_over_at=manifest.handed_over_at,
        handed_over_to=manifest.handed_over_to,
    )


def pickup_out(row: Pickup) -> PickupOut:
    return PickupOut(
        id=row.id,
        place_id=row.place_id,
        courier=row.courier,
        on=row.on_day,
        parcels=row.parcels,
        state=row.state,
        token=row.token,
        error=row.error,
    )
