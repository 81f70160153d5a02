"""Labels and manifests as real PDFs of one 4 × 6 inch page, behind links that expire like S3's."""

from datetime import datetime, timedelta
from urllib.parse import quote

from shipcrowd.kernel import clock
from shipcrowd.sandbox.velocity.state import Parcel, Velocity

HOST = "velocity-shazam-prod.s3.ap-south-1.amazonaws.com"
WIDTH, HEIGHT = 288, 432  # points: 4 × 6 inch


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
    """The label. Its fonts know Latin letters only, so other scripts come out as question marks, as on many a label."""
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
    return one_page(rows)


def one_page(rows: list[tuple[int, str]]) -> bytes:
    """A PDF of one page with lines of text, each (size in points, text)."""
    y, parts = HEIGHT - 40, ["0.5 w 12 12 264 408 re S"]
    for size, text in rows:
        parts.append(f"BT /F1 {size} Tf 24 {y} Td ({_escaped(text)}) Tj ET")
        y -= size + 16
    stream = "\n".join(parts).encode("latin-1")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>".encode(),
        f"<< /Length {len(stream)} >>\nstream\n".encode() + stream + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    out, offsets = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), list[int]()
    for index, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{index} 0 obj\n".encode() + body + b"\nendobj\n"
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    for offset in offsets:
        out += f"{offset:010} 00000 n \n".encode()
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(out)


def _escaped(text: str) -> str:
    plain = text.encode("latin-1", "replace").decode("latin-1")
    return plain.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
