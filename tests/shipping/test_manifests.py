"""Manifests: one courier, one place; what is closed is on paper."""

import asyncio

import pytest

from shipcrowd.couriers.contract import Progress
from shipcrowd.kernel import tenancy
from shipcrowd.kernel.money import Money
from shipcrowd.shipping import manifests, news
from tests import make
from tests.make import incoming
from tests.shipping.support import ship, shipment
from tests.shipping.test_tracking import history
from tests.support import drain


async def booked(seller, parcels):
    ids = [
        await ship(seller, order_id) for order_id in await make.orders(seller, *(incoming() for _ in range(parcels)))
    ]
    await drain()
    return ids


async def made(seller, ids):
    async with tenancy.acting_for(seller) as session:
        return (await manifests.create(session, ids)).id


async def seen(seller, manifest_id):
    async with tenancy.acting_for(seller) as session:
        manifest = await manifests.got(session, manifest_id)
        return manifest, [row.id for row in await manifests.shipments_of(session, manifest_id)]


async def closed(seller, manifest_id):
    async with tenancy.acting_for(seller) as session:
        await manifests.close(session, manifest_id)


async def cancelled(seller, shipment_id):
    awb = (await shipment(seller, shipment_id)).awb
    assert await news.tell("velocity", awb, history(Progress.cancelled), via="poll")


async def test_a_manifest_counts_what_is_on_it(script, seller):
    ids = await booked(seller, 3)
    manifest_id = await made(seller, ids[:2])
    async with tenancy.acting_for(seller) as session:
        await manifests.add(session, manifest_id, ids[2:])
        await manifests.remove(session, manifest_id, ids[:1])
    manifest, on_it = await seen(seller, manifest_id)
    assert on_it == ids[1:]
    parcels = [await shipment(seller, shipment_id) for shipment_id in on_it]
    assert manifest.parcels == 2
    assert manifest.weight_grams == sum(parcel.weight_grams for parcel in parcels)
    assert manifest.to_collect_paise == Money.total(parcel.to_collect_paise for parcel in parcels)


async def test_a_cancelled_parcel_leaves_an_open_manifest_and_stays_on_a_closed_one(script, seller):
    ids = await booked(seller, 3)
    manifest_id = await made(seller, ids)
    await cancelled(seller, ids[0])
    await closed(seller, manifest_id)
    manifest, on_it = await seen(seller, manifest_id)
    assert (manifest.parcels, on_it) == (2, ids[1:])
    await cancelled(seller, ids[1])
    manifest, on_it = await seen(seller, manifest_id)
    assert (manifest.parcels, on_it) == (2, ids[1:])


async def test_closing_while_a_parcel_is_cancelled_leaves_a_count_that_is_true(script, seller):
    for _ in range(4):
        ids = await booked(seller, 3)
        manifest_id = await made(seller, ids)
        await asyncio.gather(closed(seller, manifest_id), cancelled(seller, ids[1]))
        manifest, on_it = await seen(seller, manifest_id)
        assert manifest.parcels == len(on_it)


async def test_what_is_closed_takes_and_gives_nothing_more(script, seller):
    ids = await booked(seller, 2)
    manifest_id = await made(seller, ids[:1])
    await closed(seller, manifest_id)
    for change in (manifests.add, manifests.remove):
        with pytest.raises(manifests.ManifestClosed):
            async with tenancy.acting_for(seller) as session:
                await change(session, manifest_id, ids)
    assert (await seen(seller, manifest_id))[1] == ids[:1]


async def test_a_parcel_is_on_one_manifest_only(script, seller):
    ids = await booked(seller, 2)
    await made(seller, ids)
    with pytest.raises(manifests.NotForManifest):
        await made(seller, ids[:1])


async def test_an_empty_manifest_is_not_closed(script, seller):
    (shipment_id,) = await booked(seller, 1)
    manifest_id = await made(seller, [shipment_id])
    await cancelled(seller, shipment_id)
    with pytest.raises(manifests.ManifestEmpty):
        await closed(seller, manifest_id)
