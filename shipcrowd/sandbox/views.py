"""What stands behind the stand-ins, in the desk's words."""

from collections.abc import Callable
from typing import TypeVar

from shipcrowd.sandbox.faults import Fault
from shipcrowd.sandbox.letters import Letter
from shipcrowd.sandbox.schemas import (
    FaultView,
    FulfilmentOrderView,
    FulfilmentView,
    LetterView,
    OrderView,
    ParcelView,
    ScanView,
    ShopView,
    StockView,
)
from shipcrowd.sandbox.shopify.goods import gid
from shipcrowd.sandbox.shopify.orders import Fulfilment, FulfilmentOrder, Order
from shipcrowd.sandbox.shopify.state import Shop
from shipcrowd.sandbox.velocity import journey
from shipcrowd.sandbox.velocity.state import Parcel

T = TypeVar("T")
Act = Callable[[], T]


def shop(it: Shop) -> ShopView:
    return ShopView(
        domain=it.domain,
        name=it.name,
        mode=it.mode,
        access=it.access,
        orders=len(it.orders),
        subscriptions=tuple(f"{one.topic} → {one.uri}" for one in it.subscriptions.values()),
    )


def order(it: Order) -> OrderView:
    return OrderView(
        id=it.id,
        gid=gid("Order", it.id),
        name=it.name,
        shop=it.shop.domain,
        updated_at=it.updated_at,
        financial_status=it.financial_status,
        fulfillment_status=it.fulfillment_status("2026-10"),
        cancelled=it.cancelled_at is not None,
        total=it.current_total.plain(),
        outstanding=it.outstanding.plain(),
        tags=tuple(it.tags),
        fulfilment_orders=tuple(_fulfilment_order(one) for one in it.fulfilment_orders),
        fulfilments=tuple(_fulfilment(one) for one in it.fulfilments),
    )


def _fulfilment_order(it: FulfilmentOrder) -> FulfilmentOrderView:
    return FulfilmentOrderView(
        id=gid("FulfillmentOrder", it.id),
        status=it.status,
        request_status=it.request_status,
        location=it.location.name,
        remaining={one.line.sku: one.remaining for one in it.lines},
    )


def _fulfilment(it: Fulfilment) -> FulfilmentView:
    return FulfilmentView(
        id=gid("Fulfillment", it.id),
        status=it.status,
        display_status=it.display_status,
        company=it.company,
        numbers=it.numbers,
        urls=it.urls,
        events=tuple(one.status for one in it.events),
        skus={line.sku: units for line, units in it.lines},
    )


def stock(it: Shop) -> list[StockView]:
    return [
        StockView(
            sku=level.item.sku,
            location=level.location.name,
            available=level.available,
            on_hand=level.on_hand,
            committed=level.committed,
        )
        for level in it.levels.values()
    ]


def parcel(it: Parcel, order_name: str | None = None) -> ParcelView:
    return ParcelView(
        awb=it.awb,
        order_id=it.order_id,
        courier_order_id=it.courier_order_id,
        shipment_id=it.shipment_id,
        courier=it.carrier.name if it.carrier else None,
        flow=it.flow,
        status=it.status,
        cod_paise=int(it.cod * 100),
        to_pincode=it.to_pincode,
        to_name=it.to_name,
        weight_grams=int(it.weight_kg * 1000),
        order_name=order_name,
        moves=journey.moves(it),
        scans=tuple(
            ScanView(at=one.at, status=one.status, location=one.location, remark=one.remark) for one in it.scans
        ),
    )


def letter(it: Letter) -> LetterView:
    return LetterView(
        lane=it.lane,
        topic=it.topic,
        url=it.url,
        state=it.state.value,
        written_at=it.written_at,
        answers=tuple(it.answers),
    )


def fault(it: Fault) -> FaultView:
    return FaultView(vendor=it.vendor, operation=it.operation, kind=it.kind, times=it.times, probability=it.probability)
