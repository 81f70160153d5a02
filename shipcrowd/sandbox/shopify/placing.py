"""How a shop comes to be, and how an order is placed in it."""

from collections.abc import Sequence
from decimal import Decimal

from shipcrowd.kernel import clock
from shipcrowd.kernel.money import Money
from shipcrowd.sandbox.people import BUYERS, GOODS, Buyer
from shipcrowd.sandbox.schemas import NewAddress, NewLine, NewOrder, NewShop, Payment
from shipcrowd.sandbox.shopify import payloads, stock
from shipcrowd.sandbox.shopify.goods import InventoryItem, Location, Product, Variant
from shipcrowd.sandbox.shopify.hooks import publish
from shipcrowd.sandbox.shopify.orders import (
    COMPANY_STATE,
    Customer,
    LineItem,
    MailingAddress,
    Order,
    TaxRates,
    Transaction,
)
from shipcrowd.sandbox.shopify.state import Shop, Shopify
from shipcrowd.sandbox.shopify.trade import CannotTrade, new_fo, typed_address

GATEWAYS = {
    Payment.cod: "Cash on Delivery (COD)",
    Payment.prepaid: "razorpay",
    Payment.partial: "Cash on Delivery (COD)",
    Payment.bank: "Bank Deposit",
    Payment.authorized: "shopify_payments",
}


# --- shops ----------------------------------------------------------------------------------------------------


def make_shop(world: Shopify, new: NewShop) -> Shop:
    """A shop with two locations and the invented goods in stock; raises CannotTrade if the domain is taken."""
    domain = new.domain.lower()
    if domain in world.shops:
        raise CannotTrade(f"{domain} exists already")
    shop = Shop(
        id=world.ids(),
        domain=domain,
        name=new.name or domain.split(".")[0].replace("-", " ").title(),
        email=new.email,
        currency=new.currency,
        random=world.random,
    )
    shop.locations = [
        Location(world.ids(), "Peenya warehouse", "Plot 9, Peenya Industrial Area", "Bengaluru", "KA", "560058"),
        Location(world.ids(), "Bhiwandi warehouse", "Gala 4, Kalher", "Bhiwandi", "MH", "421302"),
    ]
    products: dict[str, Product] = {}
    for good in GOODS:
        product = products.setdefault(good.title, Product(world.ids(), good.title))
        item = InventoryItem(world.ids(), good.sku, True, good.hsn, good.grams)
        barcode = f"890{world.random.randrange(10**9, 10**10)}"
        shop.variants.append(Variant(world.ids(), product, item, good.variant, Money.rupees(good.price), barcode))
        shop.level(item, shop.locations[0]).available = new.stock
    shop.products = list(products.values())
    world.shops[domain] = shop
    return shop


# --- orders ---------------------------------------------------------------------------------------------------


def place(world: Shopify, shop: Shop, new: NewOrder) -> Order:
    """A buyer places an order: stock is committed, fulfilment orders are made, webhooks go out."""
    buyer = shop.random.choice(BUYERS)
    ship_to = None if new.no_shipping_address else _address(new.shipping_address, buyer, new)
    bill_to = _address(new.billing_address or new.shipping_address, buyer, new)
    wanted = new.lines or (NewLine(sku=shop.random.choice(GOODS).sku, quantity=shop.random.choice((1, 1, 2))),)
    inside_state = bool(ship_to and ship_to.province_code == COMPANY_STATE)
    lines = [_line(world, shop, line, inside_state) for line in wanted]
    placed = (new.placed_at or clock.now()).replace(microsecond=0)
    email = new.email or f"{_latin(buyer.first_name)}@mail.example"
    phone = None if new.no_phone else bill_to.phone
    order = Order(
        id=world.ids(),
        number=shop.next_number,
        shop=shop,
        currency=new.currency,
        created_at=placed,
        processed_at=placed,
        updated_at=placed,
        lines=lines,
        shipping_address=ship_to,
        billing_address=bill_to,
        customer=Customer(world.ids(), bill_to.first_name, bill_to.last_name, email, phone),
        email=email,
        phone=phone,
        note=new.note,
        tags=sorted(new.tags),
        gateways=[],
        shipping_fee=Money.rupees(new.shipping_fee),
        attributes=dict(new.attributes),
        test=new.test,
    )
    shop.next_number += 1
    _take_payment(world, order, new)
    _route(world, order, new, wanted)
    shop.orders[order.id] = order
    for fo in order.fulfilment_orders:
        for line in fo.lines:
            stock.commit(world, shop, line.line, fo.location, line.total)
    order.indexed.append((clock.now(), order.updated_at))
    publish(world, shop, "orders/create", payloads.order(order))
    if order.financial_status == "PAID":
        publish(world, shop, "orders/paid", payloads.order(order))
    for fo in order.fulfilment_orders:
        publish(world, shop, "fulfillment_orders/order_routing_complete", payloads.fulfilment_order(fo))
    return order


# --- making an order ------------------------------------------------------------------------------------------


def _address(typed: NewAddress | None, buyer: Buyer, new: NewOrder) -> MailingAddress:
    if typed:
        return typed_address(typed)
    return MailingAddress(
        buyer.first_name,
        buyer.last_name,
        None,
        buyer.address1,
        buyer.address2 or None,
        buyer.city,
        buyer.province,
        buyer.province_code,
        new.pincode or buyer.zip,
        "India",
        "IN",
        None if new.no_phone else buyer.phone,
    )


def _line(world: Shopify, shop: Shop, new: NewLine, inside_state: bool) -> LineItem:
    variant = shop.variant(new.sku)
    good = next((good for good in GOODS if good.sku == new.sku), None)
    price = new.price or (variant.price.plain() if variant else "100.00")
    return LineItem(
        id=world.ids(),
        sku=new.sku,
        title=variant.product.title if variant else new.sku,
        variant_title=variant.title if variant else None,
        quantity=new.quantity,
        unit_price=Money.rupees(price),
        discount=Money.rupees(new.discount),
        grams=new.grams if new.grams is not None else (variant.item.grams if variant else 500),
        requires_shipping=new.requires_shipping,
        tax_rates=_tax(good.gst_percent if good else 18, inside_state),
        variant=variant,
        properties=dict(new.properties),
    )


def _tax(percent: int, inside_state: bool) -> TaxRates:
    if inside_state:
        return (("CGST", Decimal(percent) / 200), ("SGST", Decimal(percent) / 200))
    return (("IGST", Decimal(percent) / 100),)


def _take_payment(world: Shopify, order: Order, new: NewOrder) -> None:
    named = new.gateway or GATEWAYS[new.payment]

    def add(kind: str, status: str, gateway: str, manual: bool, amount: Money) -> None:
        order.transactions.append(Transaction(world.ids(), kind, status, gateway, manual, amount))
        if gateway not in order.gateways:
            order.gateways.append(gateway)

    match new.payment:
        case Payment.prepaid:
            add("SALE", "SUCCESS", named, False, order.total)
        case Payment.authorized:
            add("AUTHORIZATION", "SUCCESS", named, False, order.total)
        case Payment.partial:
            online = min(Money.rupees(new.paid_online), order.total)
            add("SALE", "SUCCESS", "razorpay", False, online)
            add("SALE", "PENDING", named, True, order.total - online)
        case Payment.cod | Payment.bank:
            add("SALE", "PENDING", named, True, order.total)


def _route(world: Shopify, order: Order, new: NewOrder, wanted: Sequence[NewLine]) -> None:
    """One fulfilment order for each location the lines ship from."""
    shop = order.shop
    by_location: dict[int, list[tuple[LineItem, int]]] = {}
    places = {place.name: place for place in shop.locations}
    for asked, line in zip(wanted, order.lines, strict=True):
        if line.requires_shipping:
            place = places.get(asked.location or "", shop.locations[0])
            by_location.setdefault(place.id, []).append((line, line.quantity))
    for place in shop.locations:
        if place.id in by_location:
            fo = new_fo(world, order, place, by_location[place.id], like=None)
            fo.method = new.delivery_method
            if new.third_party:
                fo.request_status = "SUBMITTED"
            if new.scheduled_for:
                fo.status, fo.fulfill_at = "SCHEDULED", new.scheduled_for


def _latin(name: str) -> str:
    return name.lower() if name.isascii() else "buyer"
