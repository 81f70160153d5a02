"""Asking a courier to come: a dated request for a place, or the word that it comes with every booking by itself."""

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.couriers.contract import RequestsPickup
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.errors import Conflict, Invalid
from shipcrowd.kernel.outbound import Refused
from shipcrowd.shipping import places
from shipcrowd.shipping.accounts import using
from shipcrowd.shipping.booking import point
from shipcrowd.shipping.models import Pickup, PickupState, Shipment, State

AHEAD = timedelta(days=7)


class NothingToPickUp(Conflict):
    """No booked parcel waits at this place for this courier."""


async def request(company_id: UUID, *, place_id: UUID, courier: str, on: date) -> Pickup:
    """Ask for a visit on an Indian day, today to a week ahead: load, call, record.

    Raises Invalid for the day, NothingToPickUp, locations.PlaceNotFound and the outside failures but Refused, which
    is kept with the request and shown.
    """
    if not clock.today() <= on <= clock.today() + AHEAD:
        raise Invalid(f"a pickup is today or within {AHEAD.days} days", field="on")
    async with tenancy.acting_for(company_id) as session:
        waiting = (
            await session.execute(
                select(Shipment.account_company_id, Shipment.account_id, func.count())
                .where(
                    Shipment.place_id == place_id,
                    Shipment.courier == courier,
                    Shipment.state.in_([State.pickup_pending, State.pickup_failed]),
                )
                .group_by(Shipment.account_company_id, Shipment.account_id)
                .order_by(func.count().desc())
                .limit(1)
            )
        ).one_or_none()
        if waiting is None:
            raise NothingToPickUp
        account_company_id, account_id, parcels = waiting
        place = await places.as_told(session, place_id, account_id=account_id)
    state, token, error = PickupState.with_booking, None, None
    async with using(courier, account_company_id, account_id) as handle:
        if isinstance(handle, RequestsPickup):
            try:
                token = await handle.request_pickup(point(place), on, parcels)
                state = PickupState.confirmed
            except Refused as refusal:
                state, error = PickupState.failed, refusal.message
    async with tenancy.acting_for(company_id) as session:
        made = Pickup(
            company_id=company_id,
            place_id=place_id,
            courier=courier,
            account_company_id=account_company_id,
            account_id=account_id,
            on_day=on,
            parcels=parcels,
            state=state,
            token=token,
            error=error,
        )
        session.add(made)
    return made


async def recent(session: AsyncSession, *, limit: int = 100) -> Sequence[Pickup]:
    """The newest requests first."""
    query = select(Pickup).order_by(Pickup.on_day.desc(), Pickup.id.desc()).limit(limit)
    return (await session.execute(query)).scalars().all()
