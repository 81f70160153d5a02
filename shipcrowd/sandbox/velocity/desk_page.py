"""Velocity's part of the desk's page: what it shows, and what its forms do."""

from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.refusals import Unknown
from shipcrowd.sandbox.schemas import NewScan, ParcelView

OPERATIONS = ("*", "auth-token", "serviceability", "forward-order-orchestration", "order-tracking", "cancel-order")
SHOWN = 50
NDR_REASONS = (
    "CUSTOMER NOT AVAILABLE",
    "CUSTOMER REFUSED",
    "INCOMPLETE ADDRESS",
    "PHONE SWITCHED OFF",
    "RESCHEDULE REQUESTED",
)


def context(desk: Desk) -> dict[str, object]:
    """What the page shows of the courier, newest first."""
    return {"parcels": [one for one in desk.parcels() if one.awb][::-1][:SHOWN], "reasons": NDR_REASONS}


def do(desk: Desk, what: str, form: dict[str, str]) -> str:
    """One form of the page; what to tell the person. Raises Unknown for a form there is not."""
    awb = form.get("awb", "")
    match what:
        case "velocity-advance":
            return _tell(desk.advance(awb))
        case "velocity-advance-all":
            return f"{desk.advance_all()} parcels moved one step."
        case "velocity-deliver":
            return _tell(desk.deliver(awb))
        case "velocity-fail":
            return _tell(desk.fail_delivery(awb, form.get("reason", NDR_REASONS[0])))
        case "velocity-rto":
            return _tell(desk.rto(awb))
        case "velocity-scan":
            return _tell(desk.scan(awb, NewScan(status=form.get("status", ""), remark=form.get("remark", ""))))
        case _:
            raise Unknown(f"the desk cannot {what}")


def _tell(parcel: ParcelView) -> str:
    return f"{parcel.awb} is {parcel.status}."
