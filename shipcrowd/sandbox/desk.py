"""The desk: drives everything behind the stand-ins, as the buyers, merchants, drivers and accountants there would.

It is held in memory and not thread-safe: use it from one event loop. `client.DeskClient` is the same over HTTP.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

from shipcrowd.kernel import clock
from shipcrowd.sandbox import views
from shipcrowd.sandbox.amazon.desk import AmazonDesk
from shipcrowd.sandbox.amazon.state import Amazon, Secret
from shipcrowd.sandbox.amazon.state import App as AmazonApp
from shipcrowd.sandbox.faults import Faults
from shipcrowd.sandbox.flipkart.desk import FlipkartDesk
from shipcrowd.sandbox.flipkart.state import App as FlipkartApp
from shipcrowd.sandbox.flipkart.state import World as Flipkart
from shipcrowd.sandbox.letters import Postman
from shipcrowd.sandbox.refusals import NotPossible, Unknown
from shipcrowd.sandbox.schemas import (
    Access,
    FaultView,
    Knobs,
    LetterView,
    Mode,
    NewEdit,
    NewFault,
    NewOrder,
    NewScan,
    NewShop,
    OrderView,
    ParcelView,
    ShopView,
    StatsView,
    StockView,
    WebhookTarget,
)
from shipcrowd.sandbox.shopify import hooks as shopify_hooks
from shipcrowd.sandbox.shopify import oauth, payloads, placing, trade
from shipcrowd.sandbox.shopify.goods import gid
from shipcrowd.sandbox.shopify.orders import App, FulfilmentOrder, Order
from shipcrowd.sandbox.shopify.state import Shop, Shopify, ShopifyKnobs
from shipcrowd.sandbox.velocity import hooks as velocity_hooks
from shipcrowd.sandbox.velocity import journey
from shipcrowd.sandbox.velocity.state import Parcel, Velocity, VelocityKnobs

T = TypeVar("T")


@dataclass(frozen=True)
class Credentials:
    """What the product needs to be told to work with this sandbox. None of it protects anything."""

    shopify_client_id: str = "sandbox-client-id"
    shopify_client_secret: str = "sandbox-client-secret"  # noqa: S105 - a stand-in's
    velocity_username: str = "+919000000000"
    velocity_password: str = "sandbox-password"  # noqa: S105 - a stand-in's
    amazon_client_id: str = "amzn1.application-oa2-client.sandbox"
    amazon_client_secret: str = "amzn1.oa2-cs.v1.sandbox"  # noqa: S105 - a stand-in's
    amazon_application_id: str = "amzn1.sp.solution.sandbox"
    flipkart_app_id: str = "sandbox-flipkart-app"
    flipkart_app_secret: str = "sandbox-flipkart-secret"  # noqa: S105 - a stand-in's


class Desk:
    """Everything behind the stand-ins of one sandbox."""

    def __init__(self, *, seed: int = 1, credentials: Credentials | None = None) -> None:
        self.credentials = credentials or Credentials()
        self.faults = Faults(seed)
        self.postman = Postman(seed)
        app = App(self.credentials.shopify_client_id, self.credentials.shopify_client_secret)
        # Repeatable sequences, no secrets.
        self.shopify = Shopify(app, self.postman, random.Random(seed))  # noqa: S311
        accounts = {self.credentials.velocity_username: self.credentials.velocity_password}
        self.velocity = Velocity(self.postman, random.Random(seed + 1), accounts)  # noqa: S311
        application = AmazonApp(
            self.credentials.amazon_client_id,
            self.credentials.amazon_application_id,
            [Secret(self.credentials.amazon_client_secret)],
        )
        self.amazon = AmazonDesk(Amazon(application, self.postman, random.Random(seed + 2)))  # noqa: S311
        partner = FlipkartApp(self.credentials.flipkart_app_id, self.credentials.flipkart_app_secret, "ShipCrowd")
        self.flipkart = FlipkartDesk(Flipkart(partner, self.postman, random.Random(seed + 3)))  # noqa: S311

    async def close(self) -> None:
        await self.postman.close()
        await self.amazon.close()

    async def drain(self) -> None:
        """Send every webhook that is due."""
        journey.settle(self.velocity)
        self.amazon.world.settle()
        self.flipkart.world.settle()
        await self.postman.drain()

    # --- shops ------------------------------------------------------------------------------------------------

    def create_shop(self, domain: str, new: NewShop | None = None) -> ShopView:
        """A shop with goods in stock; raises NotPossible if the domain is taken."""
        made = new.model_copy(update={"domain": domain}) if new else NewShop(domain=domain)
        return views.shop(_or_not(lambda: placing.make_shop(self.shopify, made)))

    def shops(self) -> list[ShopView]:
        return [views.shop(shop) for shop in self.shopify.shops.values()]

    def approve(self, authorize_url: str) -> str:
        """Press Install on the consent page at this URL (the shop's own or the sandbox's): the callback URL.

        Raises Unknown for a shop or an app that does not exist, NotPossible for a redirect that is not allowed.
        """
        parts = urlsplit(authorize_url)
        query = dict(parse_qsl(parts.query))
        host = next(
            (one for one in (parts.hostname or "", parts.path.split("/")[1]) if one in self.shopify.shops), None
        )
        app = self.shopify.apps.get(query.get("client_id", ""))
        if host is None or app is None:
            raise Unknown("no such shop or app")
        if not self.postman.reaches(query.get("redirect_uri", "")):
            raise NotPossible("the redirect_uri does not lead to this machine")
        return oauth.callback_url(self.shopify, self.shopify.shops[host], app, query)

    def custom_token(self, domain: str, scopes: Sequence[str]) -> tuple[str, str]:
        """An access token made in the shop's admin, and the secret its webhooks are signed with."""
        app, token = oauth.custom_token(self.shopify, self._shop(domain), frozenset(scopes))
        return token, app.client_secret

    def uninstall(self, domain: str) -> None:
        """The merchant removes the app: tokens die, app/uninstalled goes out, subscriptions are gone."""
        shop = self._shop(domain)
        shop.tokens = {value: one for value, one in shop.tokens.items() if one.app is not self.shopify.app}
        shop.refreshes = {value: one for value, one in shop.refreshes.items() if one.app is not self.shopify.app}
        shopify_hooks.publish(self.shopify, shop, "app/uninstalled", payloads.shop(shop))
        shop.subscriptions = {
            number: one for number, one in shop.subscriptions.items() if one.app is not self.shopify.app
        }

    def set_shop(self, domain: str, *, mode: Mode | None = None, access: Access | None = None) -> ShopView:
        """Freeze, lock or close a shop (402, 423, 404), or take away protected customer data."""
        shop = self._shop(domain)
        shop.mode, shop.access = mode or shop.mode, access or shop.access
        return views.shop(shop)

    def drain_bucket(self, domain: str) -> None:
        """Leave the app no points at this shop: the next query is THROTTLED."""
        shop = self._shop(domain)
        for bucket in shop.buckets.values():
            bucket.level, bucket.at = 0.0, clock.now()

    def privacy(self, domain: str, topic: str, order_name: str | None = None) -> None:
        """Send a compliance webhook: `customers/data_request`, `customers/redact` or `shop/redact`.

        Raises Unknown for another topic, NotPossible when the app has no address for it (`set_compliance_url`).
        """
        shop = self._shop(domain)
        if topic not in shopify_hooks.COMPLIANCE_TOPICS:
            raise Unknown(f"{topic} is no compliance topic")
        body: dict[str, object] = {"shop_id": shop.id, "shop_domain": shop.domain}
        if topic != "shop/redact":
            about = self._order(domain, order_name) if order_name else None
            buyer = about.customer if about else None
            orders = [about.id] if about else []
            body["customer"] = {"id": buyer.id, "email": buyer.email, "phone": buyer.phone} if buyer else None
            body["orders_requested" if topic == "customers/data_request" else "orders_to_redact"] = orders
            if topic == "customers/data_request":
                body["data_request"] = {"id": self.shopify.ids()}
        _or_not(lambda: shopify_hooks.publish_compliance(self.shopify, shop, topic, body))

    def set_compliance_url(self, url: str | None) -> None:
        self.shopify.app.compliance_url = url

    # --- orders -----------------------------------------------------------------------------------------------

    def place_order(self, domain: str, new: NewOrder | None = None) -> OrderView:
        """A buyer places an order; what `new` leaves out is drawn from invented buyers and goods."""
        return views.order(placing.place(self.shopify, self._shop(domain), new or NewOrder()))

    def orders(self, domain: str) -> list[OrderView]:
        return [views.order(one) for one in self._shop(domain).orders.values()]

    def order(self, domain: str, name: str) -> OrderView:
        """By its name (`#1001` or `1001`) or its numeric id."""
        return views.order(self._order(domain, name))

    def edit_order(self, domain: str, name: str, change: NewEdit) -> OrderView:
        order = self._order(domain, name)
        _or_not(lambda: trade.edit(self.shopify, order, change))
        return views.order(order)

    def cancel_order(self, domain: str, name: str, reason: str = "CUSTOMER") -> OrderView:
        order = self._order(domain, name)
        _or_not(lambda: trade.cancel(self.shopify, order, reason=reason, restock=True, refund=True))
        return views.order(order)

    def delete_order(self, domain: str, name: str) -> None:
        trade.delete(self.shopify, self._order(domain, name))

    def hold_order(self, domain: str, name: str, reason: str = "OTHER", note: str = "") -> OrderView:
        """The merchant holds every open fulfilment order."""
        order = self._order(domain, name)
        for fo in _open(order):
            trade.hold(self.shopify, fo, reason=reason, note=note)
        return views.order(order)

    def release_order(self, domain: str, name: str) -> OrderView:
        order = self._order(domain, name)
        for fo in order.fulfilment_orders:
            if fo.status == "ON_HOLD":
                trade.release(self.shopify, fo)
        return views.order(order)

    def fulfil_elsewhere(self, domain: str, name: str, awb: str, company: str = "Other") -> OrderView:
        """The merchant ships all that is left by hand, behind the product's back."""
        order = self._order(domain, name)
        asked = [(fo, [(part, part.remaining) for part in fo.lines if part.remaining]) for fo in _open(order)]
        _or_not(lambda: trade.fulfil(self.shopify, asked, company=company, numbers=[awb], urls=[]))
        return views.order(order)

    def resend_webhook(self, domain: str, name: str, topic: str = "orders/updated") -> int:
        """Send an order's webhook afresh (a new delivery of its present state); to how many subscriptions."""
        shop, order = self._shop(domain), self._order(domain, name)
        before = len(self.postman.log)
        shopify_hooks.publish(self.shopify, shop, topic, payloads.order(order))
        return len(self.postman.log) - before

    def stock(self, domain: str) -> list[StockView]:
        return views.stock(self._shop(domain))

    # --- parcels ----------------------------------------------------------------------------------------------

    def parcels(self, order_id: str | None = None) -> list[ParcelView]:
        """All parcels at the courier, or those booked under one of the seller's order ids."""
        journey.settle(self.velocity)
        names = {
            number: order.name
            for shop in self.shopify.shops.values()
            for order in shop.orders.values()
            for fulfilment in order.fulfilments
            for number in fulfilment.numbers
        }
        return [
            views.parcel(one, names.get(one.awb or ""))
            for one in self.velocity.parcels
            if order_id in (None, one.order_id)
        ]

    def parcel(self, awb: str) -> ParcelView:
        journey.settle(self.velocity)
        return views.parcel(self._parcel(awb))

    def scan(self, awb: str, new: NewScan) -> ParcelView:
        """Any scan, also one that makes no sense: couriers send those too."""
        parcel = self._parcel(awb)
        journey.scan(self.velocity, parcel, new.status, location=new.location, remark=new.remark, at=new.at)
        return views.parcel(parcel)

    def advance(self, awb: str) -> ParcelView:
        """One step along the good path; nothing at its end."""
        parcel = self._parcel(awb)
        journey.advance(self.velocity, parcel)
        return views.parcel(parcel)

    def advance_all(self) -> int:
        """One step for every parcel under way; how many moved."""
        return sum(journey.advance(self.velocity, one) is not None for one in list(self.velocity.parcels))

    def deliver(self, awb: str) -> ParcelView:
        """All remaining steps to delivered; raises NotPossible when that does not lie ahead."""
        parcel = self._parcel(awb)
        _or_not(lambda: journey.deliver(self.velocity, parcel))
        return views.parcel(parcel)

    def fail_delivery(self, awb: str, reason: str = "CUSTOMER NOT AVAILABLE") -> ParcelView:
        """Out for delivery, and in vain; raises NotPossible when it never can be."""
        parcel = self._parcel(awb)
        _or_not(lambda: journey.fail(self.velocity, parcel, reason))
        return views.parcel(parcel)

    def rto(self, awb: str, *, all_the_way: bool = False) -> ParcelView:
        """Start its way back; with `all_the_way` it also arrives. Raises NotPossible unless it was picked up."""
        parcel = self._parcel(awb)
        _or_not(lambda: journey.send_back(self.velocity, parcel))
        if all_the_way:
            journey.walk_to(self.velocity, parcel, "RTO DELIVERED")
        return views.parcel(parcel)

    def weigh(self, awb: str, grams: int, where: str = "Hub") -> ParcelView:
        """The courier weighs a parcel and announces what its scale says."""
        parcel = self._parcel(awb)
        velocity_hooks.weighed(self.velocity, parcel, grams, where)
        return views.parcel(parcel)

    def remit_cod(self, utr: str) -> list[str]:
        """The courier pays out the cash of all delivered parcels not paid yet; their AWBs."""
        due = [one for one in self.velocity.parcels if one.cod and one.first("DELIVERED") and one.utr is None]
        for one in due:
            one.utr, one.remitted_on = utr, clock.today()
        if due:
            velocity_hooks.remitted(self.velocity, due, utr, clock.today())
        return [one.awb for one in due if one.awb]

    def velocity_webhook(self, target: WebhookTarget | None) -> None:
        """Where the courier's webhooks go; raises NotPossible for an address that is not on this machine."""
        if target and not self.postman.reaches(target.url):
            raise NotPossible("webhooks go only to this machine")
        self.velocity.webhook = target

    # --- trouble and settings ---------------------------------------------------------------------------------

    def add_fault(self, new: NewFault) -> FaultView:
        return views.fault(
            self.faults.add(
                new.vendor,
                new.operation,
                new.kind,
                times=new.times,
                probability=new.probability,
                retry_after=new.retry_after,
                seconds=new.seconds,
            )
        )

    def armed_faults(self) -> list[FaultView]:
        return [views.fault(one) for one in self.faults.armed()]

    def clear_faults(self) -> None:
        self.faults.clear()

    def set_knobs(self, knobs: Knobs) -> None:
        """Change what is given; the rest stays as it is."""
        owners: dict[str, object] = {
            "letters": self.postman.knobs,
            "shopify": self.shopify.knobs,
            "velocity": self.velocity.knobs,
        }
        for name, value in knobs.model_dump(exclude_none=True).items():
            owner, attribute = KNOB_OWNERS[name]
            setattr(owners[owner], attribute, frozenset(value) if name in KNOB_SETS else value)
        if knobs.bucket_size is not None or knobs.restore_rate is not None:
            for shop in self.shopify.shops.values():
                shop.buckets.clear()

    # --- looking on -------------------------------------------------------------------------------------------

    def letters(self, limit: int = 100) -> list[LetterView]:
        """The webhooks written last, newest first, and what was answered to them."""
        return [views.letter(one) for one in list(self.postman.log)[::-1][:limit]]

    def retry_webhooks(self) -> int:
        """Do not wait for the next try of those that failed; how many wait."""
        return self.postman.retry_now()

    def stats(self) -> StatsView:
        journey.settle(self.velocity)
        orders = [order for shop in self.shopify.shops.values() for order in shop.orders.values()]
        parcels = [one for one in self.velocity.parcels if one.awb]
        return StatsView(
            shops=len(self.shopify.shops),
            orders=len(orders),
            fulfilments_by_awb={
                number: one.display_status for order in orders for one in order.fulfilments for number in one.numbers
            },
            parcels=len(parcels),
            parcels_by_order=dict(Counter(one.order_id for one in parcels)),
            parcels_by_status=dict(Counter(one.status for one in parcels)),
            letters=dict(Counter(one.state.value for one in self.postman.log)),
        )

    # --- finding ----------------------------------------------------------------------------------------------

    def _shop(self, domain: str) -> Shop:
        try:
            return self.shopify.shops[domain.lower()]
        except KeyError as error:
            raise Unknown(f"there is no shop {domain}") from error

    def _order(self, domain: str, name: str) -> Order:
        wanted = name.lstrip("#")
        for order in self._shop(domain).orders.values():
            if wanted in (str(order.number), str(order.id)) or name == gid("Order", order.id):
                return order
        raise Unknown(f"there is no order {name} at {domain}")

    def _parcel(self, awb: str) -> Parcel:
        try:
            return self.velocity.by_awb[awb]
        except KeyError as error:
            raise Unknown(f"there is no parcel {awb}") from error


def _open(order: Order) -> list[FulfilmentOrder]:
    return [fo for fo in order.fulfilment_orders if fo.status in ("OPEN", "IN_PROGRESS")]


def _or_not(act: views.Act[T]) -> T:
    """Run it; what a stand-in does not allow becomes NotPossible."""
    try:
        return act()
    except (trade.CannotTrade, journey.CannotMove, shopify_hooks.NoComplianceUrl) as error:
        raise NotPossible(str(error)) from error


KNOB_SETS = frozenset(("withhold_scopes", "unserviceable", "prepaid_only"))
KNOB_OWNERS: dict[str, tuple[str, str]] = {
    **{name: ("letters", name) for name in ("duplicate", "reorder", "lose", "delay_seconds")},
    "webhook_timeout_seconds": ("letters", "timeout_seconds"),
    "webhook_retry_seconds": ("letters", "retry_seconds"),
    **{name: ("shopify", name) for name in ShopifyKnobs.__dataclass_fields__ if name in Knobs.model_fields},
    **{name: ("velocity", name) for name in VelocityKnobs.__dataclass_fields__ if name in Knobs.model_fields},
}
"""Knob → whose it is, and its name there. A test holds this to every field of `Knobs`."""
