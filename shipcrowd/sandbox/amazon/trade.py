"""What happens to orders: buyers place and regret them, sellers confirm and cancel them, Amazon ships its own."""

from datetime import datetime, time, timedelta
from decimal import Decimal

from shipcrowd.kernel import clock
from shipcrowd.sandbox.amazon import publish
from shipcrowd.sandbox.amazon.goods import FBA_GOODS, SEED_GOODS, Listing
from shipcrowd.sandbox.amazon.orders import EASY_SHIP, EasyShip, Item, Order, Package, Person, Status
from shipcrowd.sandbox.amazon.schemas import NewAmazonOrder, NewSeller, OrderKind
from shipcrowd.sandbox.amazon.state import MARKETPLACES, Amazon, Seller
from shipcrowd.sandbox.people import BUYERS

COD_FEE = Decimal(10)


class CannotTrade(Exception):
    """The present state does not allow this."""


# --- sellers --------------------------------------------------------------------------------------------------


def make_seller(world: Amazon, new: NewSeller) -> Seller:
    """A seller with goods in stock; raises CannotTrade for an id that is taken or a marketplace nobody knows."""
    seller_id = new.seller_id or "A" + world.code(13, "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789")
    if seller_id in world.sellers:
        raise CannotTrade(f"there is a seller {seller_id} already")
    if not new.marketplaces or any(one not in MARKETPLACES for one in new.marketplaces):
        raise CannotTrade(f"the marketplaces of the sandbox are {', '.join(MARKETPLACES)}")
    seller = Seller(seller_id, new.name, new.marketplaces)
    for sku, title, price, grams, kind in SEED_GOODS:
        add_listing(world, seller, sku, title, price, grams, kind, quantity=new.stock)
    for sku, title, price, grams, kind in FBA_GOODS:
        add_listing(world, seller, sku, title, price, grams, kind, quantity=new.stock, by_amazon=True)
    for number in range(1, new.goods + 1):
        add_listing(world, seller, f"SKU-{number:05}", f"Article {number}", "199.00", 250, "HOME", quantity=new.stock)
    world.sellers[seller_id] = seller
    return seller


def add_listing(
    world: Amazon,
    seller: Seller,
    sku: str,
    title: str,
    price: str,
    grams: int,
    kind: str,
    *,
    quantity: int,
    by_amazon: bool = False,
) -> Listing:
    capital = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    now = world.now()
    listing = Listing(
        sku=sku,
        asin="B0" + world.code(8, capital),
        title=title,
        price=Decimal(price),
        grams=grams,
        product_type=kind,
        created_at=now,
        updated_at=now,
        by_amazon=by_amazon,
        fnsku="X00" + world.code(7, capital) if by_amazon else None,
        quantity=quantity,
    )
    seller.listings[sku] = listing
    return listing


# --- placing --------------------------------------------------------------------------------------------------


def place(world: Amazon, seller: Seller, new: NewAmazonOrder) -> Order:
    """A new order, announced; raises CannotTrade for a SKU the seller does not list."""
    fba = new.kind is OrderKind.fba
    easy_ship = new.kind in (OrderKind.easy_ship, OrderKind.easy_ship_cod)
    cod = new.kind in (OrderKind.cod, OrderKind.easy_ship_cod)
    items = _items(world, seller, new, fba=fba)
    now = world.now()
    placed = new.placed_at or now
    flags = (
        ("AMAZON_EASY_SHIP", easy_ship),
        ("AMAZON_BUSINESS", new.business),
        ("PRIME", new.prime or fba),
        ("FBM_SHIP_PLUS", new.ship_plus),
    )
    order = Order(
        id=_order_id(world),
        seller_id=seller.id,
        marketplace=seller.marketplaces[0],
        created_at=placed,
        updated_at=placed,
        status="PENDING" if new.pending else "UNSHIPPED",
        fulfilled_by="AMAZON" if fba else "MERCHANT",
        items=items,
        person=_person(world, new),
        ship_by=_days(placed, 0, 1),
        deliver_by=_days(placed, 2, 6),
        cod=cod,
        gift_card=Decimal(new.gift_card),
        cod_fee=COD_FEE if cod else Decimal(0),
        shipping_fee=Decimal(new.shipping_fee),
        programs=tuple(name for name, has in flags if has),
        service="NEXT_DAY" if new.prime else "STANDARD",
        personal=new.personal_data,
        reference=new.reference,
        easy_ship=EasyShip() if easy_ship else None,
        broken=new.broken,
    )
    seller.orders[order.id] = world.orders[order.id] = order
    seller.changes += 1
    publish.order_changed(world, order, "Order placed" if new.pending else "Order moved from Pending to Unshipped")
    if new.cancel_reason:
        ask_to_cancel(world, order, new.cancel_reason)
    return order


def _items(world: Amazon, seller: Seller, new: NewAmazonOrder, *, fba: bool) -> list[Item]:
    if new.lines:
        wanted = [(line.sku, line.quantity) for line in new.lines]
    else:
        able = [one.sku for one in seller.listings.values() if one.by_amazon == fba][:20]
        if not able:
            raise CannotTrade("the seller lists nothing of that kind")
        wanted = [(world.random.choice(able), world.random.randint(1, 2))]
    items: list[Item] = []
    for sku, quantity in wanted:
        listing = seller.listings.get(sku)
        if listing is None:
            raise CannotTrade(f"the seller does not list {sku}")
        if listing.by_amazon != fba:
            raise CannotTrade(f"{sku} is {'not ' if fba else ''}fulfilled by Amazon")
        items.append(Item(world.digits(14), listing.asin, sku, listing.title, quantity, listing.price))
    return items


def _order_id(world: Amazon) -> str:
    while True:
        made = f"40{world.random.randrange(2, 9)}-{world.digits(7)}-{world.digits(7)}"
        if made not in world.orders:
            return made


def _person(world: Amazon, new: NewAmazonOrder) -> Person:
    buyer = world.random.choice(BUYERS)
    alias = world.code(14, "abcdefghijklmnopqrstuvwxyz0123456789")
    return Person(
        name=f"{buyer.first_name} {buyer.last_name}",
        email=f"{alias}@marketplace.amazon.in",
        phone=buyer.phone,
        line1=buyer.address1,
        line2=buyer.address2,
        city=buyer.city,
        state=buyer.province,
        pincode=new.pincode or buyer.zip,
        company="Rao Stationers" if new.business else None,
    )


def _days(at: datetime, first: int, last: int) -> tuple[datetime, datetime]:
    """Midnight to the last second, in India, of days after `at`."""
    day = clock.ist(at).date()
    start = datetime.combine(day + timedelta(days=first), time(), clock.IST)
    end = datetime.combine(day + timedelta(days=last), time(23, 59, 59), clock.IST)
    return start, end


# --- later ----------------------------------------------------------------------------------------------------


def touch(world: Amazon, order: Order) -> None:
    """Its time of change moves on, always."""
    order.updated_at = max(world.now(), order.updated_at + timedelta(milliseconds=1))
    world.sellers[order.seller_id].changes += 1


def change(world: Amazon, order: Order, status: Status, why: str) -> None:
    order.status = status
    touch(world, order)
    publish.order_changed(world, order, why)


def release(world: Amazon, order: Order) -> None:
    """Amazon has its payment: a pending order may be shipped."""
    if order.status != "PENDING":
        raise CannotTrade(f"the order is {order.status}")
    change(world, order, "UNSHIPPED", "Order moved from Pending to Unshipped")


def ask_to_cancel(world: Amazon, order: Order, reason: str) -> None:
    """The buyer asks the seller to cancel. The order itself stays as it is."""
    if order.fulfilled_by == "AMAZON" or order.status not in ("UNSHIPPED", "PARTIALLY_SHIPPED"):
        raise CannotTrade(f"the order is {order.status} and fulfilled by {order.fulfilled_by}")
    for item in order.items:
        if item.shipped < item.quantity:
            item.cancel_reason = reason
    touch(world, order)
    publish.order_changed(world, order, "Buyer requested cancellation", kind="BuyerRequestedChange")


def cancel(world: Amazon, order: Order, why: str = "Order was cancelled") -> None:
    if order.status not in ("PENDING_AVAILABILITY", "PENDING", "UNSHIPPED") or any(one.shipped for one in order.items):
        raise CannotTrade(f"the order is {order.status}")
    if order.easy_ship and order.easy_ship.package_id:
        order.easy_ship.status = "LabelCanceled"
    change(world, order, "CANCELLED", why)


def ship_fba(world: Amazon, order: Order) -> None:
    """Amazon packs and ships one of its own."""
    if order.fulfilled_by != "AMAZON" or order.status != "UNSHIPPED":
        raise CannotTrade(f"the order is {order.status} and fulfilled by {order.fulfilled_by}")
    seller = world.sellers[order.seller_id]
    for item in order.items:
        item.shipped = item.quantity
        listing = seller.listings.get(item.sku)
        if listing:
            listing.quantity = max(listing.quantity - item.quantity, 0)
            publish.fba_stock(world, seller, listing)
    change(world, order, "SHIPPED", "Order moved from Unshipped to Shipped")
    publish.fba_shipment(world, order, "S" + world.code(9, "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"), "Shipped")


def confirm(world: Amazon, order: Order, package: Package) -> None:
    """The seller shipped a parcel, or corrects one under the same reference. Quantities were checked before."""
    before = order.package(package.reference)
    if before:
        for item in order.items:
            item.shipped -= before.items.get(item.id, 0)
        order.packages[order.packages.index(before)] = package
    else:
        order.packages.append(package)
    for item in order.items:
        item.shipped += package.items.get(item.id, 0)
    whole = all(item.shipped >= item.quantity for item in order.items)
    status: Status = "SHIPPED" if whole else "PARTIALLY_SHIPPED"
    change(world, order, status, f"Order moved to {status.title().replace('_', '')}")


def deliver(world: Amazon, order: Order) -> None:
    """Every parcel the seller sent has arrived."""
    if not order.packages:
        raise CannotTrade("nothing of this order was shipped by the seller")
    for package in order.packages:
        package.status = "DELIVERED"
    touch(world, order)


def move_easy_ship(world: Amazon, order: Order, status: str) -> None:
    """Easy Ship's own scan. Picked up means shipped, as far as the order goes."""
    if status not in EASY_SHIP:
        raise CannotTrade(f"Easy Ship knows no {status}")
    if order.easy_ship is None or order.easy_ship.package_id is None:
        raise CannotTrade("the order has no scheduled Easy Ship package")
    order.easy_ship.status = status
    now_shipped: Status = order.status
    if EASY_SHIP[status][1] in ("IN_TRANSIT", "DELIVERED") and order.status == "UNSHIPPED":
        now_shipped = "SHIPPED"
        for item in order.items:
            item.shipped = item.quantity
    change(world, order, now_shipped, f"Easy Ship status is {status}")
