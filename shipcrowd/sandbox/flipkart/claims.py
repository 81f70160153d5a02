"""What happens to a return: the goods of a buyer who sends them back, or of a parcel that could not be delivered."""

from datetime import timedelta

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart import notices
from shipcrowd.sandbox.flipkart.schemas import NewReturn, ReturnSource
from shipcrowd.sandbox.flipkart.state import MOST_RETURNS, Item, Return, Seller, Shipment, World, touch
from shipcrowd.sandbox.flipkart.trade import WITH_BUYER, CannotHappen

OPEN = ("created", "approved")
UNDER_WAY = ("PICKUP_COMPLETE", "SHIPPED")
EXPECTED_IN = timedelta(days=7)

STEPS: dict[ReturnSource, tuple[str, ...]] = {
    ReturnSource.customer_return: ("CREATED", "OUT_FOR_PICKUP", "PICKED_UP", "DELIVERED"),
    ReturnSource.courier_return: ("CREATED", "IN_TRANSIT", "DELIVERED"),
}
"""Where the goods are, step by step."""


def open_return(world: World, seller: Seller, shipment: Shipment, new: NewReturn) -> list[Return]:
    """A buyer returns one line; a courier brings the whole parcel back, one return a line."""
    if len(seller.returns) >= MOST_RETURNS:
        raise CannotHappen(f"the sandbox keeps at most {MOST_RETURNS} returns of a seller")
    lines = [item for item in shipment.live if new.sku in (None, item.listing.sku)]
    if not lines:
        raise CannotHappen("nothing of that is in the shipment")
    if new.source is ReturnSource.courier_return:
        if shipment.status not in UNDER_WAY:
            raise CannotHappen(f"{shipment.id} is {shipment.status}; no courier has it")
        if any(item.courier_return for item in shipment.live):
            raise CannotHappen(f"{shipment.id} is coming back already")
        return [_opened(world, seller, shipment, item, item.quantity, new) for item in shipment.live]
    item = lines[0]
    back = sum(it.quantity for it in seller.returns.values() if it.item is item and it.status in (*OPEN, "completed"))
    units = new.quantity or item.quantity - back
    if item.status not in (*WITH_BUYER, "RETURN_REQUESTED", "RETURNED"):
        raise CannotHappen(f"{shipment.id} is {item.status}; the buyer does not have it")
    if not 1 <= units <= item.quantity - back:
        raise CannotHappen(f"{units} of {item.listing.sku} cannot be returned")
    return [_opened(world, seller, shipment, item, units, new)]


def _opened(world: World, seller: Seller, shipment: Shipment, item: Item, units: int, new: NewReturn) -> Return:
    now = clock.now()
    courier = new.source is ReturnSource.courier_return
    made = Return(
        id=world.digits(17),
        shipment=shipment,
        item=item,
        source=new.source,
        quantity=units,
        action=new.action,
        reason="ORDER_NOT_DELIVERED" if courier else new.reason,
        sub_reason="" if courier else new.sub_reason,
        comments=new.comments,
        fulfilment_id=f"SF{world.digits(15)}",
        created_at=now,
        updated_at=now,
        expected_at=now + EXPECTED_IN,
        awb=shipment.awb if courier else None,
        courier=shipment.courier if courier else None,
    )
    if courier:
        item.courier_return = True
    else:
        item.status = "RETURN_REQUESTED"
    seller.returns[made.id] = made
    touch(seller, shipment)
    notices.returned(world, seller, made, "return_created")
    return made


def move(world: World, seller: Seller, it: Return) -> None:
    """One step by Flipkart's drivers; CannotHappen where the seller must act, and at the end."""
    if it.shipment.self_ship and it.source is ReturnSource.customer_return:
        raise CannotHappen(f"return {it.id} is fetched by the seller")
    if it.status not in OPEN:
        raise CannotHappen(f"return {it.id} is {it.status}")
    steps = STEPS[it.source]
    following = steps[steps.index(it.shipment_status) + 1]
    if following == "DELIVERED":
        complete(world, seller, it)
    elif following == "PICKED_UP":
        pick_up(world, seller, it)
    else:
        it.shipment_status = following
        it.awb, it.courier = it.awb or f"FMPR{world.digits(10)}", it.courier or "E-Kart Logistics"
        _changed(world, seller, it, "return_item_tracking_id_update")


def approve(seller: Seller, it: Return) -> None:
    it.status, it.approved_at = "approved", clock.now()
    _touch(seller, it)


def reject(seller: Seller, it: Return) -> None:
    """The buyer keeps it."""
    it.status = "rejected"
    it.item.status = "DELIVERED"
    _touch(seller, it)


def pick_up(world: World, seller: Seller, it: Return) -> None:
    it.shipment_status = "PICKED_UP"
    _changed(world, seller, it, "return_picked_up")


def complete(world: World, seller: Seller, it: Return) -> None:
    it.status, it.shipment_status = "completed", "DELIVERED"
    it.item.status = "RETURNED"
    _changed(world, seller, it, "return_completed")


def cancel(world: World, seller: Seller, it: Return) -> None:
    """The goods stay where they are, or go on to the buyer; raises CannotHappen once they were fetched."""
    if it.status not in OPEN or it.shipment_status in ("PICKED_UP", "DELIVERED"):
        raise CannotHappen(f"return {it.id} is {it.status}, {it.shipment_status}")
    it.status = "cancelled"
    if it.source is ReturnSource.courier_return:
        it.item.courier_return = False
    else:
        it.item.status = "DELIVERED"
    _changed(world, seller, it, "return_cancelled")


def expect(world: World, seller: Seller, it: Return, days: int) -> None:
    """It will come `days` from now."""
    it.expected_at = clock.now() + timedelta(days=days)
    _changed(world, seller, it, "return_expected_date_changed")


def _changed(world: World, seller: Seller, it: Return, event: str) -> None:
    _touch(seller, it)
    notices.returned(world, seller, it, event)


def _touch(seller: Seller, it: Return) -> None:
    it.updated_at = max(it.updated_at, clock.now())
    touch(seller, it.shipment)
