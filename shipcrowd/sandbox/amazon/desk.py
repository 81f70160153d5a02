"""Amazon's part of the desk: what its buyers, its sellers and Amazon itself do."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

from shipcrowd.sandbox.amazon import feeds_api, lwa, parcels, publish, reports_api, trade, views
from shipcrowd.sandbox.amazon.orders import Order
from shipcrowd.sandbox.amazon.parcels import Parcel
from shipcrowd.sandbox.amazon.queues import Queues
from shipcrowd.sandbox.amazon.schemas import (
    AmazonKnobChange,
    AmazonOrderView,
    AmazonParcelView,
    AmazonStatsView,
    FeedView,
    ListingView,
    NewAmazonOrder,
    NewSeller,
    PrivateApp,
    QueueView,
    SellerView,
    StockChange,
)
from shipcrowd.sandbox.amazon.state import Amazon, App, Secret, Seller
from shipcrowd.sandbox.refusals import NotPossible, Unknown

T = TypeVar("T")

QUEUE = "shipcrowd-amazon"


class AmazonDesk:
    """Drives the stand-in `world`. Not thread-safe: use it from one event loop."""

    def __init__(self, world: Amazon) -> None:
        self.world = world
        world.settlers = [lambda: feeds_api.settle(world), lambda: reports_api.settle(world)]
        self.queues = Queues()

    async def close(self) -> None:
        await self.world.close()
        await self.queues.stop()

    def pass_time(self, seconds: float) -> None:
        """Move Amazon's own clock ahead, and do what is due then. Tokens, links and slots grow old by it."""
        if seconds < 0:
            raise NotPossible("time does not run backwards")
        self.world.ahead += timedelta(seconds=seconds)
        self.world.settle()

    # --- sellers ----------------------------------------------------------------------------------------------

    def create_seller(self, new: NewSeller | None = None) -> SellerView:
        """A seller with goods in stock; raises NotPossible if the id is taken."""
        made = _or_not(lambda: trade.make_seller(self.world, new or NewSeller()))
        return views.seller(self.world, made)

    def sellers(self) -> list[SellerView]:
        return [views.seller(self.world, one) for one in self.world.sellers.values()]

    def set_seller(
        self,
        seller_id: str,
        *,
        participating: bool | None = None,
        suspended: bool | None = None,
        personal_data: bool | None = None,
    ) -> SellerView:
        """Leave the marketplace, suspend the listings, or take the restricted roles from the application."""
        seller = self._seller(seller_id)
        seller.participating = seller.participating if participating is None else participating
        seller.suspended = seller.suspended if suspended is None else suspended
        seller.personal_data = seller.personal_data if personal_data is None else personal_data
        return views.seller(self.world, seller)

    def approve(self, consent_url: str, seller_id: str | None = None) -> str:
        """Press Confirm on Seller Central's consent page at this URL (its own or the sandbox's): the callback URL.

        Raises Unknown for an application or seller that does not exist, NotPossible for a redirect that leads away
        from this machine. Without `seller_id` the first seller confirms.
        """
        query = {name: values[0] for name, values in parse_qs(urlsplit(consent_url).query).items()}
        app = lwa.application(self.world, query.get("application_id", ""))
        seller = self._seller(seller_id) if seller_id else next(iter(self.world.sellers.values()), None)
        if app is None or seller is None:
            raise Unknown("no such application, or no seller")
        if not self.world.postman.reaches(query.get("redirect_uri", "")):
            raise NotPossible("the redirect_uri does not lead to this machine")
        return lwa.callback_url(self.world, app, seller, query["redirect_uri"], query.get("state", ""))

    def appstore_link(self, seller_id: str, login_url: str) -> str:
        """Press Authorize in the Appstore: the product's login page, with what Amazon tells it."""
        return lwa.appstore_link(self.world, self.world.app, self._seller(seller_id), login_url)

    def private_app(self, seller_id: str) -> PrivateApp:
        """An application of the seller's own, authorized by them: what they paste into the product."""
        seller = self._seller(seller_id)
        number = len(self.world.apps)
        client_id = f"amzn1.application-oa2-client.{self.world.code(32, '0123456789abcdef')}"
        secret = Secret("amzn1.oa2-cs.v1." + self.world.code(64, "0123456789abcdef"))
        app = App(client_id, f"amzn1.sp.solution.private-{number}", [secret], name=f"{seller.name}'s own")
        self.world.apps[client_id] = app
        grant = lwa.authorize(self.world, app, seller)
        return PrivateApp(
            seller_id=seller.id, client_id=client_id, client_secret=app.secret, refresh_token=grant.refresh_token
        )

    def refresh_token(self, seller_id: str) -> str:
        """Authorize the product's application by hand, as a developer does for their own account."""
        return lwa.authorize(self.world, self.world.app, self._seller(seller_id)).refresh_token

    def revoke(self, seller_id: str) -> None:
        """The seller disables the application: its tokens die. Raises NotPossible if it had none."""
        if not lwa.revoke(self._seller(seller_id), self.world.app):
            raise NotPossible("the seller has not authorized the application")

    def rotate_secret(self) -> str:
        """Amazon makes a new client secret; it goes to the developer's queue. The old one works seven days more."""
        lwa.rotate(self.world, self.world.app)
        return self.world.app.secret

    def announce_secret_expiry(self) -> None:
        lwa.announce_expiry(self.world, self.world.app)

    # --- orders -----------------------------------------------------------------------------------------------

    def place_order(self, seller_id: str, new: NewAmazonOrder | None = None) -> AmazonOrderView:
        """A buyer places an order; what `new` leaves out is drawn from invented buyers and the seller's goods."""
        seller = self._seller(seller_id)
        return views.order(_or_not(lambda: trade.place(self.world, seller, new or NewAmazonOrder())))

    def orders(self, seller_id: str) -> list[AmazonOrderView]:
        return [views.order(one) for one in self._seller(seller_id).orders.values()]

    def order(self, order_id: str) -> AmazonOrderView:
        return views.order(self._order(order_id))

    def release(self, order_id: str) -> AmazonOrderView:
        """The payment of a pending order came: it may be shipped."""
        return self._do(order_id, lambda order: trade.release(self.world, order))

    def ask_to_cancel(self, order_id: str, reason: str = "Ordered by mistake") -> AmazonOrderView:
        return self._do(order_id, lambda order: trade.ask_to_cancel(self.world, order, reason))

    def cancel(self, order_id: str) -> AmazonOrderView:
        """Amazon cancels: the buyer did not pay, or was quicker than the seller."""
        return self._do(order_id, lambda order: trade.cancel(self.world, order))

    def ship_fba(self, order_id: str) -> AmazonOrderView:
        return self._do(order_id, lambda order: trade.ship_fba(self.world, order))

    def deliver(self, order_id: str) -> AmazonOrderView:
        """The parcels the seller confirmed have arrived."""
        return self._do(order_id, lambda order: trade.deliver(self.world, order))

    def move_easy_ship(self, order_id: str, status: str) -> AmazonOrderView:
        """A scan of Easy Ship's: PickedUp, AtOriginFC, OutForDelivery, Delivered, RejectedByBuyer…"""
        return self._do(order_id, lambda order: trade.move_easy_ship(self.world, order, status))

    def mend(self, order_id: str) -> AmazonOrderView:
        """What the API says of a broken order can be read again."""
        order = self._order(order_id)
        order.broken = False
        trade.touch(self.world, order)
        return views.order(order)

    def resend(self, order_id: str) -> None:
        """The order's notification once more, with its present state."""
        publish.order_changed(self.world, self._order(order_id), "Resent")

    def _do(self, order_id: str, act: Callable[[Order], None]) -> AmazonOrderView:
        order = self._order(order_id)
        _or_not(lambda: act(order))
        return views.order(order)

    # --- stock and feeds --------------------------------------------------------------------------------------

    def set_stock(self, seller_id: str, change: StockChange) -> ListingView:
        """Set a level at Amazon, behind the product's back. FBA's changes are announced."""
        seller = self._seller(seller_id)
        listing = seller.listings.get(change.sku) or trade.add_listing(
            self.world, seller, change.sku, change.sku, "199.00", 250, "HOME", quantity=0, by_amazon=change.by_amazon
        )
        listing.quantity, listing.updated_at, listing.changes = change.quantity, self.world.now(), []
        listing.inbound = listing.inbound if change.inbound is None else change.inbound
        listing.reserved = listing.reserved if change.reserved is None else change.reserved
        if listing.by_amazon:
            publish.fba_stock(self.world, seller, listing)
        return views.listing(listing)

    def listings(self, seller_id: str) -> list[ListingView]:
        seller = self._seller(seller_id)
        for one in seller.listings.values():
            one.settle(self.world.now())
        return [views.listing(one) for one in seller.listings.values()]

    def feeds(self, seller_id: str) -> list[FeedView]:
        self.world.settle()
        return [views.feed(one) for one in self._seller(seller_id).feeds.values()]

    def advance_feeds(self) -> int:
        """Finish every feed and report that runs, without waiting for its time; how many there were."""
        feeds, reports = list(self.world.running_feeds), list(self.world.running_reports)
        for feed in feeds:
            feeds_api.process(self.world, feed)
        for report in reports:
            reports_api.write(self.world, report)
        return len(feeds) + len(reports)

    # --- parcels of Amazon Shipping -----------------------------------------------------------------------------

    def parcels(self, seller_id: str | None = None) -> list[AmazonParcelView]:
        return [views.parcel(one) for one in self.world.parcels.values() if seller_id in (None, one.seller_id)]

    def parcel(self, tracking_id: str) -> AmazonParcelView:
        return views.parcel(self._parcel(tracking_id))

    def move_parcel(self, tracking_id: str, event: str, detail: str | None = None) -> AmazonParcelView:
        """Any event of Amazon Shipping's: PickupDone, OutForDelivery, DeliveryAttempted, Lost…"""
        parcel = self._parcel(tracking_id)
        if event not in parcels.STATUS:
            raise NotPossible(f"Amazon Shipping knows no event {event}")
        parcels.add_event(self.world, parcel, event, detail)
        return views.parcel(parcel)

    def advance_parcel(self, tracking_id: str) -> AmazonParcelView:
        """One step along the good path; nothing at its end, or once it left the path."""
        parcel = self._parcel(tracking_id)
        at = parcel.events[-1].code
        if at in parcels.PATH[:-1]:
            parcels.add_event(self.world, parcel, parcels.PATH[parcels.PATH.index(at) + 1])
        return views.parcel(parcel)

    # --- notifications ----------------------------------------------------------------------------------------

    async def open_queue(self, name: str = QUEUE, *, visibility_seconds: int = 30) -> QueueView:
        """An SQS queue on this machine, with its dead-letter queue; new client secrets go there too.

        Raises NotPossible where moto is not installed.
        """
        made = await self.queues.open(name, visibility_seconds=visibility_seconds)
        self.world.queue_endpoint, self.world.secret_queue = made.endpoint, made.arn
        return made

    # --- settings and looking on ------------------------------------------------------------------------------

    def set_knobs(self, change: AmazonKnobChange) -> None:
        """Change what is given; the rest stays as it is. An explicit null disarms `poison`."""
        for name in change.model_fields_set:
            value = getattr(change, name)
            if value is not None or name == "poison":
                setattr(self.world.knobs, name, value)

    def stats(self) -> AmazonStatsView:
        self.world.settle()
        world = self.world
        letters = [one for one in world.postman.log if one.lane.startswith("amazon ")]
        return AmazonStatsView(
            sellers=len(world.sellers),
            orders=sum(len(one.orders) for one in world.sellers.values()),
            orders_by_status=dict(Counter(o.status for one in world.sellers.values() for o in one.orders.values())),
            requests=dict(sorted(world.requests.items())),
            overdrawn={f"{who} {what}".strip(): count for (who, what), count in sorted(world.overdrawn.items())},
            feeds_by_status=dict(Counter(f.status for one in world.sellers.values() for f in one.feeds.values())),
            subscriptions=len(world.subscriptions),
            notifications=dict(Counter(one.state.value for one in letters)),
            parcels=len(world.parcels),
        )

    # --- finding ----------------------------------------------------------------------------------------------

    def _seller(self, seller_id: str) -> Seller:
        try:
            return self.world.sellers[seller_id]
        except KeyError as error:
            raise Unknown(f"there is no seller {seller_id}") from error

    def _parcel(self, tracking_id: str) -> Parcel:
        for one in self.world.parcels.values():
            if one.tracking_id == tracking_id:
                return one
        raise Unknown(f"there is no parcel {tracking_id}")

    def _order(self, order_id: str) -> Order:
        try:
            return self.world.orders[order_id]
        except KeyError as error:
            raise Unknown(f"there is no order {order_id}") from error


def _or_not(act: Callable[[], T]) -> T:
    """Run it; what the stand-in does not allow becomes NotPossible."""
    try:
        return act()
    except trade.CannotTrade as error:
        raise NotPossible(str(error)) from error
