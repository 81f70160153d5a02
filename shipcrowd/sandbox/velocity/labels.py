"""Labels as real PDFs of one 4 × 6 inch page, behind links that expire like S3's."""

import json
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import cast
from urllib.parse import quote

import typst

import shipcrowd
from shipcrowd.kernel import clock
from shipcrowd.sandbox.velocity.state import Parcel, Velocity

HOST = "velocity-shazam-prod.s3.ap-south-1.amazonaws.com"
TEMPLATE = Path(__file__).with_name("label.typ")
FONTS = Path(shipcrowd.__path__[0]) / "documents" / "fonts"
"""The font files `tools/assets.py` brings; the code beside them is not known here. Without them, Latin letters only."""


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
    """The label: one page with the whole address, in whatever script it was given, and the number as a barcode."""
    to = parcel.body
    data = {
        "carrier": parcel.carrier.name if parcel.carrier else "",
        "awb": parcel.awb or "",
        "bars": bars(parcel.awb or ""),
        "payment": f"COD  Rs {parcel.cod:.2f}" if parcel.cod else "PREPAID",
        "to": [
            parcel.to_name,
            str(to.get("billing_address", "")),
            f"{parcel.to_city} {parcel.to_pincode}, {to.get('billing_state', '')}",
            f"Phone {to.get('billing_phone', '')}",
        ],
        "order": parcel.order_id,
        "weight": f"{parcel.applied_kg} kg",
        "sender": f"{parcel.warehouse.name}, {parcel.warehouse.city} {parcel.warehouse.zip}, {parcel.warehouse.phone}",
    }
    # Text travels as data, never as typst source. Its type stub does not know projects given as a mapping yet.
    project = cast("Path", {"main.typ": TEMPLATE.read_bytes(), "data.json": json.dumps(data).encode()})
    made_at = (parcel.booked_at or parcel.created_at).replace(microsecond=0)
    return typst.compile(
        project, font_paths=_fonts(), ignore_system_fonts=True, root=TEMPLATE.parent, timestamp=made_at
    )


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[FONTS])


def bars(text: str) -> list[int]:
    """`text` as Code 39 (ISO/IEC 16388): widths of bars and gaps in turn, in modules, beginning with a bar."""
    widths: list[int] = []
    for sign in f"*{text}*":
        widths += [WIDE if wide == "1" else 1 for wide in CODE_39[sign]] + [1]
    return widths[:-1]


WIDE = 3
CODE_39 = {
    "0": "000110100", "1": "100100001", "2": "001100001", "3": "101100000", "4": "000110001", "5": "100110000",
    "6": "001110000", "7": "000100101", "8": "100100100", "9": "001100100", "A": "100001001", "B": "001001001",
    "C": "101001000", "D": "000011001", "E": "100011000", "F": "001011000", "G": "000001101", "H": "100001100",
    "I": "001001100", "J": "000011100", "K": "100000011", "L": "001000011", "M": "101000010", "N": "000010011",
    "O": "100010010", "P": "001010010", "Q": "000000111", "R": "100000110", "S": "001000110", "T": "000010110",
    "U": "110000001", "V": "011000001", "W": "111000000", "X": "010010001", "Y": "110010000", "Z": "011010000",
    "*": "010010100",
}  # fmt: skip
"""Five bars and four gaps of each sign; 1 is a wide one. AWBs have no other signs; `*` begins and ends."""
