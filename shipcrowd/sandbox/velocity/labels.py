"""Labels and manifests as real PDFs of one 4 × 6 inch page, behind links that expire like S3's."""

from datetime import datetime, timedelta
from urllib.parse import quote

from shipcrowd.kernel import clock
from shipcrowd.sandbox.pdf import document
from shipcrowd.sandbox.velocity.state import Parcel, Velocity

HOST = "velocity-shazam-prod.s3.ap-south-1.amazonaws.com"


def link(world: Velocity, parcel: Parcel) -> str | None:
    if parcel.label_key is None or parcel.booked_at is None:
        return None
    name = quote(f'inline; filename="{parcel.awb}_shipping_label.pdf"', safe="")
    return (
        f"https://{HOST}/{parcel.label_key}?response-content-disposition={name}"
        "&response-content-type=application%2Fpdf&X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Date={parcel.booked_at:%Y%m%dT%H%M%SZ}&X-Amz-Expires={world.knobs.label_link_seconds}"
        f"&X-Amz-SignedHeaders=host&X-Amz-Signature={parcel.label_key[::-1]}"
    )


def expired(signed_at: str, seconds: str) -> bool:
    """Whether a link made at `signed_at` for `seconds` is past; True for one that cannot be read."""
    try:
        made = datetime.strptime(f"{signed_at}+0000", "%Y%m%dT%H%M%SZ%z")
        return clock.now() > made + timedelta(seconds=int(seconds))
    except ValueError:
        return True


def pdf(parcel: Parcel) -> bytes:
    """The label."""
    cash = f"COD  Rs {parcel.cod:.2f}" if parcel.cod else "PREPAID"
    rows = [
        (18, parcel.carrier.name if parcel.carrier else ""),
        (26, parcel.awb or ""),
        (16, cash),
        (12, f"To: {parcel.to_name}"),
        (12, f"{parcel.to_city} {parcel.to_pincode}"),
        (10, f"Order {parcel.order_id}"),
        (10, f"Weight {parcel.applied_kg} kg"),
        (10, f"From: {parcel.warehouse.name}, {parcel.warehouse.city} {parcel.warehouse.zip}"),
        (8, "SANDBOX LABEL - NOT FOR SHIPPING"),
    ]
    return document([rows])
