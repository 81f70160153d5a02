"""What stands behind Flipkart's stand-in, in the desk's words."""

from datetime import timedelta
from decimal import Decimal

from shipcrowd.sandbox.flipkart import listings
from shipcrowd.sandbox.flipkart.schemas import (
    ItemView,
    ListingView,
    LocationView,
    ReturnView,
    SellerView,
    ShipmentView,
    TrafficView,
)
from shipcrowd.sandbox.flipkart.state import Calls, Listing, Return, Seller, Shipment, World
from shipcrowd.sandbox.flipkart.wire import rupees


def seller(it: Seller) -> SellerView:
    return SellerView(
        id=it.id,
        name=it.name,
        app_id=it.own_app.id,
        app_secret=it.own_app.secret,
        locations=tuple(
            LocationView(id=one.id, name=one.name, pincode=one.address.pincode) for one in it.locations.values()
        ),
        approved=it.approved,
        shipments=len(it.shipments),
        returns=len(it.returns),
        notified_at=it.target.url if it.target else None,
    )


def shipment(world: World, owner: Seller, it: Shipment) -> ShipmentView:
    cash = sum((item.customer_price for item in it.live if item.cod), Decimal(0))
    return ShipmentView(
        id=it.id,
        seller_id=owner.id,
        order_id=it.order_id,
        location_id=it.location.id,
        kind=it.kind,
        fbf=it.fbf,
        status=it.status,
        hold=it.hold,
        updated_at=it.updated_at,
        dispatch_by=it.dispatch_by,
        to_collect=rupees(cash),
        items=tuple(
            ItemView(
                id=item.id,
                sku=item.listing.sku,
                quantity=item.quantity,
                status=item.status,
                customer_price=rupees(item.customer_price),
            )
            for item in it.items
        ),
        awb=it.awb,
        courier=it.courier,
        label_until=it.label_at + timedelta(hours=world.knobs.label_hours) if it.label_at else None,
    )


def traffic(it: Calls) -> TrafficView:
    return TrafficView(
        requests=it.total,
        refused=it.refused,
        most_in_a_second=it.most_in_a_second,
        most_in_an_hour=it.most_in_an_hour,
        over_limit=it.over,
    )


def returned(it: Return) -> ReturnView:
    return ReturnView(
        id=it.id,
        shipment_id=it.shipment.id,
        order_item_id=it.item.id,
        source=it.source,
        quantity=it.quantity,
        status=it.status,
        shipment_status=it.shipment_status,
        awb=it.awb,
    )


def listing(owner: Seller, it: Listing) -> ListingView:
    pending = listings.pending(owner)
    return ListingView(
        sku=it.sku,
        fsn=it.fsn,
        listing_id=it.listing_id,
        mrp=it.mrp,
        selling_price=it.selling_price,
        stock=None if it.stock is None else {place: at.inventory for place, at in it.stock.items()},
        pending={place: units for (sku, place), units in pending.items() if sku == it.sku},
    )
