"""Making sellers, and placing shipments with them. What the desk leaves out is drawn from invented buyers and goods."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart import notices, trade
from shipcrowd.sandbox.flipkart.schemas import Kind, Many, NewItem, NewLocation, NewSeller, NewShipment
from shipcrowd.sandbox.flipkart.state import (
    MOST_SELLERS,
    MOST_SHIPMENTS,
    App,
    Item,
    Listing,
    Location,
    PostalAddress,
    Seller,
    Shipment,
    StockAt,
    World,
)
from shipcrowd.sandbox.people import BUYERS, GOODS, Good

DISPATCH_WITHIN = timedelta(hours=24)


def make_seller(world: World, new: NewSeller) -> Seller:
    """A seller with places, and with a listing of each good in stock at the first of them."""
    if len(world.sellers) >= MOST_SELLERS:
        raise trade.CannotHappen(f"the sandbox keeps at most {MOST_SELLERS} sellers")
    own = App(world.hexadecimal(32), world.hexadecimal(32), f"{new.name} self access")
    places = [_location(world, one) for one in new.locations]
    made = Seller(world.hexadecimal(16), new.name, own, {one.id: one for one in places})
    own.seller = made
    world.apps[own.id] = own
    world.sellers[made.id] = made
    for good in GOODS:
        stock = {place.id: StockAt(new.stock if place is places[0] else 0) for place in places}
        made.listings[good.sku] = _listing(world, good, stock)
    return made


def _location(world: World, new: NewLocation) -> Location:
    code = f"LOC{world.hexadecimal(32)}"
    phone = f"98450{world.digits(5)}"
    place = PostalAddress(
        new.name, "", "Plot 9, Industrial Area", "", "", new.city, new.state, new.state_code, new.pincode, phone
    )
    return Location(code, new.name, place)


def _listing(world: World, good: Good, stock: dict[str, StockAt] | None) -> Listing:
    fsn = (good.sku.encode("ascii", "ignore").decode().replace("-", "")[:3] or "XYZ") + world.hexadecimal(13).upper()
    price = int(Decimal(good.price))
    sizes = (28.0, 20.0, 9.0, good.grams / 1000)
    title = f"{good.title} {good.variant}".strip()
    code = f"LST{fsn}{world.hexadecimal(6).upper()}"
    return Listing(good.sku, fsn, code, title, good.hsn, good.gst_percent, price + price // 5, price, sizes, stock)


def place(world: World, seller: Seller, new: NewShipment) -> Shipment:
    """One shipment of a new order (or of `order_id`); raises CannotHappen for a location the seller does not have."""
    _room(seller, 1)
    places = seller.locations
    if new.location_id is not None and new.location_id not in places:
        raise trade.CannotHappen(f"{seller.name} has no location {new.location_id}")
    at = new.placed_at or clock.now()
    order_id = new.order_id or f"OD{world.digits(18)}"
    wanted = new.items or _drawn(world, seller, lines=2 if new.kind is Kind.partly_cancelled else 1)
    items = _items(world, seller, wanted, new.kind, order_id, at)
    made = Shipment(
        id=world.uuid(),
        location=places[new.location_id] if new.location_id else next(iter(places.values())),
        kind="SELF" if new.kind is Kind.self_ship else "EXPRESS" if new.express else "NORMAL",
        items=items,
        buyer=_buyer(world, new.pincode),
        dispatch_after=new.dispatch_after or at,
        dispatch_by=new.dispatch_by or at + DISPATCH_WITHIN,
        created_at=at,
        updated_at=at,
        mps=new.mps,
        form=new.form,
        quoted_sku=new.quoted_sku,
        hold=new.kind is Kind.on_hold,
    )
    if made.hold:
        for item in items:
            item.held = item.quantity
    seller.shipments[made.id] = made
    seller.revision += 1
    if not new.silent:
        notices.created(world, seller, made)
    if new.kind is Kind.partly_cancelled:
        first = items[0]
        units = max(first.quantity - 1, 1)
        trade.cancel(world, seller, made, [(first, units)], by="buyerCancellation", reason="changed_mind")
    return made


def place_many(world: World, seller: Seller, many: Many) -> int:
    """Shipments of the past, at even distances; how many. All, or none."""
    _room(seller, many.count)
    end = clock.now()
    gap = timedelta(hours=many.over_hours) / many.count
    for number in range(many.count):
        at = end - gap * (many.count - 1 - number)
        place(
            world,
            seller,
            NewShipment(
                kind=many.kinds[number % len(many.kinds)], placed_at=at, dispatch_by=end + DISPATCH_WITHIN, silent=True
            ),
        )
    return many.count


def _room(seller: Seller, wanted: int) -> None:
    if len(seller.shipments) + wanted > MOST_SHIPMENTS:
        raise trade.CannotHappen(f"the sandbox keeps at most {MOST_SHIPMENTS} shipments of a seller")


def _drawn(world: World, seller: Seller, *, lines: int) -> Sequence[NewItem]:
    known = [one for one in seller.listings.values() if one.status == "ACTIVE" and not one.archived]
    chosen = world.random.sample(known, k=min(lines, len(known)))
    if not chosen:
        raise trade.CannotHappen(f"{seller.name} lists nothing")
    least = 1 if lines == 1 else 2  # of what is to be cancelled in part there must be two
    return [NewItem(sku=one.sku, quantity=world.random.randint(least, 3)) for one in chosen]


def _items(
    world: World, seller: Seller, wanted: Sequence[NewItem], kind: Kind, order_id: str, at: datetime
) -> list[Item]:
    groups: dict[int, str] = {}
    made: list[Item] = []
    for new in wanted:
        listing = seller.listings.get(new.sku)
        if listing is None:
            listing = _listing(world, Good(new.sku, new.sku, "", new.price or "499.00", 500, None, 18), None)
            seller.listings[new.sku] = listing
        own = f"grp{world.digits(17)}"
        unit = Decimal(new.price) if new.price is not None else Decimal(listing.selling_price)
        made.append(
            Item(
                id=world.digits(17),
                order_id=order_id,
                group_id=own if new.group is None else groups.setdefault(new.group, own),
                ordered_at=at,
                cod=kind is Kind.standard_cod,
                listing=listing,
                quantity=new.quantity,
                selling_price=unit * new.quantity,
                shipping=Decimal(new.shipping),
                discount=Decimal(new.discount),
                service_profile="FBF" if kind is Kind.fbf else "NON_FBF",
                replacement=new.replacement,
            )
        )
    return made


def _buyer(world: World, pincode: str | None) -> PostalAddress:
    drawn = world.random.choice(BUYERS)
    to = PostalAddress(
        drawn.first_name,
        drawn.last_name,
        drawn.address1,
        drawn.address2,
        "",
        drawn.city,
        drawn.province,
        f"IN-{drawn.province_code}",
        drawn.zip,
        "".join(sign for sign in drawn.phone if sign.isdigit())[-10:],
    )
    return replace(to, pincode=pincode) if pincode else to
