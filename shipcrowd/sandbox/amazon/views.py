"""What stands behind Amazon's stand-in, in the desk's words."""

from decimal import Decimal

from shipcrowd.sandbox.amazon.goods import Listing
from shipcrowd.sandbox.amazon.lwa import alive
from shipcrowd.sandbox.amazon.orders import Order
from shipcrowd.sandbox.amazon.parcels import STATUS, Parcel
from shipcrowd.sandbox.amazon.schemas import (
    AmazonItemView,
    AmazonOrderView,
    AmazonPackageView,
    AmazonParcelView,
    FeedView,
    ListingView,
    SellerView,
)
from shipcrowd.sandbox.amazon.state import Amazon, Feed, Seller


def seller(world: Amazon, it: Seller) -> SellerView:
    grant = it.grants.get(world.app.client_id)
    connected = grant is not None and alive(grant, world.now())
    return SellerView(
        id=it.id,
        name=it.name,
        marketplaces=it.marketplaces,
        participating=it.participating,
        suspended=it.suspended,
        personal_data=it.personal_data,
        connected=connected,
        authorized_at=grant.granted_at if grant and connected else None,
        orders=len(it.orders),
        listings=len(it.listings),
        subscriptions=tuple(
            f"{one.type} → {one.destination.queue_arn or 'EventBridge'}"
            for one in world.subscriptions.values()
            if one.seller is it
        ),
    )


def order(it: Order) -> AmazonOrderView:
    return AmazonOrderView(
        id=it.id,
        seller_id=it.seller_id,
        status=it.status,
        kind=it.fulfilled_by,
        programs=it.programs,
        cod=it.cod,
        to_collect=f"{it.total - it.gift_card if it.cod else Decimal(0):.2f}",
        total=f"{it.total:.2f}",
        created_at=it.created_at,
        updated_at=it.updated_at,
        pincode=it.person.pincode,
        personal_data=it.personal,
        cancel_requested=any(one.cancel_reason for one in it.items),
        items=tuple(
            AmazonItemView(
                id=one.id,
                sku=one.sku,
                asin=one.asin,
                title=one.title,
                quantity=one.quantity,
                shipped=one.shipped,
                unit_price=f"{one.unit_price:.2f}",
                cancel_reason=one.cancel_reason,
            )
            for one in it.items
        ),
        packages=tuple(
            AmazonPackageView(
                reference=one.reference, carrier=one.carrier, tracking=one.tracking, status=one.status, items=one.items
            )
            for one in it.packages
        ),
        easy_ship_status=it.easy_ship.status if it.easy_ship else None,
        easy_ship_tracking=it.easy_ship.tracking if it.easy_ship else None,
    )


def listing(it: Listing) -> ListingView:
    return ListingView(
        sku=it.sku,
        asin=it.asin,
        title=it.title,
        by_amazon=it.by_amazon,
        quantity=it.quantity,
        waiting=tuple(change.quantity for change in it.changes),
        lead_days=it.lead_days,
        inbound=it.inbound,
        reserved=it.reserved,
    )


def feed(it: Feed) -> FeedView:
    return FeedView(
        id=it.id,
        seller_id=it.seller.id,
        type=it.type,
        status=it.status,
        created_at=it.created_at,
        result_document=it.result.id if it.result else None,
    )


def parcel(it: Parcel) -> AmazonParcelView:
    return AmazonParcelView(
        shipment_id=it.shipment_id,
        tracking_id=it.tracking_id,
        seller_id=it.seller_id,
        service=it.service,
        order_id=it.order_id,
        cod=f"{it.cod:.2f}",
        status=STATUS[it.events[-1].code],
        events=tuple(one.code for one in it.events),
        ndr=tuple(it.ndr),
        cancelled=it.cancelled,
    )
