"""Flipkart's desk: drives what stands behind its stand-in, as buyers, drivers and Flipkart's own people would.

Raises Unknown for what does not exist and NotPossible for what the present state does not allow.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

from shipcrowd.sandbox.flipkart import claims, notices, oauth, placing, trade, views
from shipcrowd.sandbox.flipkart.schemas import (
    Cancellation,
    Dates,
    FlipkartStats,
    Hold,
    KnobChange,
    ListingChange,
    ListingView,
    Many,
    NewReturn,
    NewSeller,
    NewShipment,
    NotificationTarget,
    RefuseItem,
    ReturnView,
    SellerView,
    ShipmentView,
)
from shipcrowd.sandbox.flipkart.state import Item, Refusal, Return, Seller, Shipment, StockAt, World, touch
from shipcrowd.sandbox.refusals import NotPossible, Unknown

T = TypeVar("T")


class FlipkartDesk:
    """Everything behind api.flipkart.net of one sandbox."""

    def __init__(self, world: World) -> None:
        self.world = world

    # --- sellers ----------------------------------------------------------------------------------------------

    def create_seller(self, new: NewSeller | None = None) -> SellerView:
        return views.seller(_or_not(lambda: placing.make_seller(self.world, new or NewSeller())))

    def sellers(self) -> list[SellerView]:
        return [views.seller(one) for one in self.world.sellers.values()]

    def seller(self, seller_id: str) -> SellerView:
        return views.seller(self._seller(seller_id))

    def approve(self, authorize_url: str, seller_id: str) -> str:
        """Sign in as this seller and press Allow on the consent page at this URL: the callback URL.

        Raises NotPossible where the page would show an error.
        """
        query = dict(parse_qsl(urlsplit(authorize_url).query))
        seller = self._seller(seller_id)
        try:
            app = oauth.asking_app(self.world, query)
        except oauth.BadGrant as refusal:
            raise NotPossible(str(refusal)) from refusal
        return oauth.callback_url(self.world, app, seller, query)

    def revoke(self, seller_id: str) -> None:
        """The seller withdraws the application's access: every token and refresh token dies."""
        oauth.revoke(self.world, self._seller(seller_id))

    def set_approved(self, seller_id: str, *, approved: bool) -> SellerView:
        """False: Flipkart does not let the application work for this seller, and every call is a 403."""
        seller = self._seller(seller_id)
        seller.approved = approved
        return views.seller(seller)

    def notify(self, seller_id: str, target: NotificationTarget | None) -> None:
        """Where a seller's notifications go; raises NotPossible for an address that is not on this machine."""
        if target and not self.world.postman.reaches(target.url):
            raise NotPossible("notifications go only to this machine")
        self._seller(seller_id).target = target

    # --- shipments --------------------------------------------------------------------------------------------

    def place(self, seller_id: str, new: NewShipment | None = None) -> ShipmentView:
        """A buyer orders; what `new` leaves out is drawn from invented buyers and goods."""
        seller = self._seller(seller_id)
        return self._shown(seller, _or_not(lambda: placing.place(self.world, seller, new or NewShipment())))

    def place_many(self, seller_id: str, many: Many) -> int:
        """Shipments of the past, without notifications; how many."""
        seller = self._seller(seller_id)
        return _or_not(lambda: placing.place_many(self.world, seller, many))

    def shipments(self, seller_id: str) -> list[ShipmentView]:
        self.world.settle()
        seller = self._seller(seller_id)
        return [self._shown(seller, one) for one in seller.shipments.values()]

    def latest(self, seller_id: str, count: int) -> list[ShipmentView]:
        """The `count` shipments changed last, the latest first."""
        self.world.settle()
        seller = self._seller(seller_id)
        found = heapq.nlargest(count, seller.shipments.values(), key=lambda it: it.updated_at)
        return [self._shown(seller, one) for one in found]

    def shipment(self, seller_id: str, shipment_id: str) -> ShipmentView:
        self.world.settle()
        return self._shown(*self._found(seller_id, shipment_id))

    def hold(self, seller_id: str, shipment_id: str, how: Hold | None = None) -> ShipmentView:
        seller, shipment = self._found(seller_id, shipment_id)
        _or_not(lambda: trade.hold(self.world, seller, shipment, how.quantities if how else {}))
        return self._shown(seller, shipment)

    def release(self, seller_id: str, shipment_id: str) -> ShipmentView:
        seller, shipment = self._found(seller_id, shipment_id)
        _or_not(lambda: trade.release(self.world, seller, shipment))
        return self._shown(seller, shipment)

    def cancel(self, seller_id: str, shipment_id: str, how: Cancellation | None = None) -> ShipmentView:
        """The buyer or the marketplace cancels all of it, or some units."""
        seller, shipment = self._found(seller_id, shipment_id)
        asked = how or Cancellation()
        wanted = _units(shipment, asked.quantities)
        _or_not(
            lambda: trade.cancel(
                self.world,
                seller,
                shipment,
                wanted,
                by=f"{asked.by}Cancellation",
                reason=asked.reason,
                sub_reason=asked.sub_reason,
            )
        )
        return self._shown(seller, shipment)

    def change_dates(self, seller_id: str, shipment_id: str, dates: Dates) -> ShipmentView:
        seller, shipment = self._found(seller_id, shipment_id)
        trade.change_dates(self.world, seller, shipment, dates.dispatch_after, dates.dispatch_by)
        return self._shown(seller, shipment)

    def move(self, seller_id: str, shipment_id: str) -> ShipmentView:
        """One step by Flipkart and its drivers; NotPossible where the seller must act first, and at the end."""
        self.world.settle()
        seller, shipment = self._found(seller_id, shipment_id)
        _or_not(lambda: trade.move(self.world, seller, shipment))
        return self._shown(seller, shipment)

    def move_all(self, seller_id: str) -> int:
        """One step for everything Flipkart can move; how many moved."""
        self.world.settle()
        seller = self._seller(seller_id)
        moved = 0
        for shipment in list(seller.shipments.values()):
            try:
                trade.move(self.world, seller, shipment)
            except trade.CannotHappen:
                continue
            moved += 1
        return moved

    def malform(self, seller_id: str, shipment_id: str, *, malformed: bool = True) -> None:
        """Let a shipment stand in pages and replies as no reader can read it (or well again)."""
        seller, shipment = self._found(seller_id, shipment_id)
        shipment.malformed = malformed
        touch(seller, shipment)

    def refuse(self, seller_id: str, shipment_id: str, how: RefuseItem | None = None) -> None:
        """The next writes to this shipment fail with a code, inside a 200."""
        asked = how or RefuseItem()
        _, shipment = self._found(seller_id, shipment_id)
        shipment.refusal = Refusal(asked.code, asked.message, asked.times)

    def resend(self, seller_id: str, shipment_id: str) -> None:
        """Send `shipment_created` afresh, with the present state."""
        notices.created(self.world, *self._found(seller_id, shipment_id))

    # --- returns ----------------------------------------------------------------------------------------------

    def open_return(self, seller_id: str, shipment_id: str, new: NewReturn | None = None) -> list[ReturnView]:
        """The buyer sends a line back, or the courier the whole parcel (a return for each of its lines)."""
        seller, shipment = self._found(seller_id, shipment_id)
        opened = _or_not(lambda: claims.open_return(self.world, seller, shipment, new or NewReturn()))
        return [views.returned(one) for one in opened]

    def returns(self, seller_id: str) -> list[ReturnView]:
        return [views.returned(one) for one in self._seller(seller_id).returns.values()]

    def move_return(self, seller_id: str, return_id: str) -> ReturnView:
        """One step of its way back; NotPossible where the seller must act, and at its end."""
        seller, it = self._return(seller_id, return_id)
        _or_not(lambda: claims.move(self.world, seller, it))
        return views.returned(it)

    def cancel_return(self, seller_id: str, return_id: str) -> ReturnView:
        seller, it = self._return(seller_id, return_id)
        _or_not(lambda: claims.cancel(self.world, seller, it))
        return views.returned(it)

    def expect_return(self, seller_id: str, return_id: str, days: int) -> ReturnView:
        """Change the date it is expected on, to `days` from now."""
        seller, it = self._return(seller_id, return_id)
        claims.expect(self.world, seller, it, days)
        return views.returned(it)

    # --- listings ---------------------------------------------------------------------------------------------

    def listings(self, seller_id: str) -> list[ListingView]:
        seller = self._seller(seller_id)
        return [views.listing(seller, one) for one in seller.listings.values()]

    def change_listing(self, seller_id: str, sku: str, change: ListingChange) -> ListingView:
        """Change a listing behind the API's back; raises NotPossible for a location the seller does not have."""
        seller = self._seller(seller_id)
        listing = seller.listings.get(sku)
        if listing is None:
            raise Unknown(f"{seller.name} does not list {sku}")
        named = {*(change.inventory or {}), *(change.disabled or ())}
        if named - set(seller.locations):
            raise NotPossible(f"{seller.name} has no location {min(named - set(seller.locations))}")
        if change.locations_missing is not None:
            listing.stock = None if change.locations_missing else listing.stock or {}
        if listing.stock is not None:
            for place, units in (change.inventory or {}).items():
                listing.stock.setdefault(place, StockAt(units)).inventory = units
            for place in change.disabled or ():
                listing.stock.setdefault(place, StockAt(0)).status = "DISABLED"
        if change.active is not None:
            listing.status = "ACTIVE" if change.active else "INACTIVE"
        listing.archived = listing.archived if change.archived is None else change.archived
        return views.listing(seller, listing)

    # --- settings, looking on ---------------------------------------------------------------------------------

    def set_knobs(self, change: KnobChange) -> None:
        """Change what is given; the rest stays as it is."""
        for name, value in change.model_dump(exclude_none=True).items():
            setattr(self.world.knobs, name, frozenset(value) if name == "partner_codes" else value)

    def stats(self) -> FlipkartStats:
        self.world.settle()
        sellers = list(self.world.sellers.values())
        traffic = {one.id: views.traffic(one.calls) for one in sellers}
        return FlipkartStats(
            sellers=len(sellers),
            shipments=sum(len(one.shipments) for one in sellers),
            shipments_by_status=dict(Counter(it.status for one in sellers for it in one.shipments.values())),
            returns_by_status=dict(Counter(it.status for one in sellers for it in one.returns.values())),
            traffic=traffic,
            most_in_a_second=max((one.most_in_a_second for one in traffic.values()), default=0),
            most_in_an_hour=max((one.most_in_an_hour for one in traffic.values()), default=0),
            over_limit=any(one.over_limit for one in traffic.values()),
        )

    # --- finding ----------------------------------------------------------------------------------------------

    def _seller(self, seller_id: str) -> Seller:
        try:
            return self.world.sellers[seller_id]
        except KeyError as error:
            raise Unknown(f"there is no seller {seller_id}") from error

    def _found(self, seller_id: str, shipment_id: str) -> tuple[Seller, Shipment]:
        seller = self._seller(seller_id)
        try:
            return seller, seller.shipments[shipment_id]
        except KeyError as error:
            raise Unknown(f"there is no shipment {shipment_id} at {seller.name}") from error

    def _return(self, seller_id: str, return_id: str) -> tuple[Seller, Return]:
        seller = self._seller(seller_id)
        try:
            return seller, seller.returns[return_id]
        except KeyError as error:
            raise Unknown(f"there is no return {return_id} at {seller.name}") from error

    def _shown(self, seller: Seller, shipment: Shipment) -> ShipmentView:
        return views.shipment(self.world, seller, shipment)


def _units(shipment: Shipment, quantities: dict[str, int]) -> list[tuple[Item, int]]:
    if not quantities:
        return [(item, item.quantity) for item in shipment.live]
    return [(item, quantities[item.listing.sku]) for item in shipment.live if item.listing.sku in quantities]


def _or_not(act: Callable[[], T]) -> T:
    """Run it; what the stand-in does not allow becomes NotPossible."""
    try:
        return act()
    except trade.CannotHappen as error:
        raise NotPossible(str(error)) from error
