"""India Post's directory, read from the offline `indian-pincode` package into rows of ours."""

import json
from collections import Counter, defaultdict
from typing import TypedDict

import indian_pincode

from shipcrowd.kernel.db import Wire
from shipcrowd.pincodes.metros import METRO_NAMES, metro
from shipcrowd.pincodes.states import state_code, state_of_pincode


class Row(TypedDict):
    pincode: str
    city: str
    district: str
    state: str


def rows() -> list[Row]:
    """Every delivery pincode once, about 19,600; the army's (9…) are left out: no courier of ours serves them.

    The state comes from our own prefix table, not from the package: its source puts a few head offices in the wrong
    state (Agartala in Telangana, a part of Bikaner in Chhattisgarh), which would put them in the wrong zone. For the
    same reason only districts of that state count. Of several districts, the one that most of the pincode's
    neighbours (same first three digits) lie in is taken.
    """
    districts_of = _districts_by_pincode()
    neighbours: dict[str, Counter[str]] = defaultdict(Counter)
    for pincode, (_, districts) in districts_of.items():
        if len(districts) == 1:
            neighbours[pincode[:3]].update(districts)
    found: list[Row] = []
    for pincode, (state, districts) in districts_of.items():
        around = neighbours[pincode[:3]]
        district = max(districts, key=lambda name: around[name], default="")
        cluster = metro(pincode)
        city = METRO_NAMES[cluster] if cluster else district
        found.append(Row(pincode=pincode, city=city, district=district, state=state))
    return found


def _districts_by_pincode() -> dict[str, tuple[str, list[str]]]:
    """Pincode → its state and the districts of that state it touches."""
    districts_in = {
        state_code(state): set(indian_pincode.list_districts(state)) for state in indian_pincode.list_states()
    }
    known: dict[str, tuple[str, list[str]]] = {}
    for pincode in indian_pincode.get_pincodes():
        state = state_of_pincode(pincode)
        if state is not None:
            here = districts_in[state].intersection(indian_pincode.get_districts(pincode))
            known[pincode] = (state, sorted(_title(name) for name in here))
    return known


def _title(name: str) -> str:
    """`"DADRA AND NAGAR HAVELI"` → `"Dadra and Nagar Haveli"`."""
    return " ".join(word if word == "and" else word.capitalize() for word in name.lower().split())


async def load(connection: Wire) -> int:
    """Write the directory into the `pincodes` table; the number of rows it holds for it. One statement, a fraction
    of a second; running it again changes only what changed in the package. Migrations call it as the table's owner.
    """
    directory = rows()
    await connection.execute(
        """
        INSERT INTO pincodes AS here (pincode, city, district, state)
        SELECT pincode, city, district, state
        FROM jsonb_to_recordset($1::text::jsonb) AS row (pincode text, city text, district text, state text)
        ON CONFLICT (pincode) DO UPDATE
        SET city = excluded.city, district = excluded.district, state = excluded.state
        WHERE (here.city, here.district, here.state) IS DISTINCT FROM (excluded.city, excluded.district, excluded.state)
        """,
        json.dumps(directory),
    )
    return len(directory)
