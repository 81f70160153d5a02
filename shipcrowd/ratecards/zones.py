"""How far a parcel travels, as couriers in India price it: zones A to E. Pure.

A same city · B same state · C metro to metro · D rest of India · E a remote state at either end. What is true is
asked in that order with E right after A, so that Guwahati → Dibrugarh is E; a card may ask B before E.
"""

from collections.abc import Collection
from enum import StrEnum

from shipcrowd.pincodes.metros import Metro
from shipcrowd.pincodes.schemas import Place
from shipcrowd.pincodes.states import NORTH_EAST


class Zone(StrEnum):
    a = "a"
    b = "b"
    c = "c"
    d = "d"
    e = "e"


REMOTE = NORTH_EAST | {"JK", "LA", "AN", "LD"}
"""States every courier counts as remote."""

SOMETIMES_REMOTE = frozenset({"KL", "HP"})
"""States that only some couriers count as remote; a card says so."""

E_FIRST = (Zone.a, Zone.e, Zone.b, Zone.c)
B_FIRST = (Zone.a, Zone.b, Zone.e, Zone.c)


def zone(
    origin: Place | None,
    destination: Place | None,
    *,
    b_before_e: bool = False,
    kl_hp_in_e: bool = False,
    metros: Collection[Metro] = tuple(Metro),
) -> Zone:
    """The zone between two places. A place nobody knows is as far as can be: E.

    `metros` are the metropolitan areas the card counts for zone C; every area counts as one city for zone A.
    """
    if origin is None or destination is None:
        return Zone.e
    remote = REMOTE | SOMETIMES_REMOTE if kl_hp_in_e else REMOTE
    holds = {
        Zone.a: _same_city(origin, destination),
        Zone.b: origin.state == destination.state,
        Zone.c: origin.metro in metros and destination.metro in metros,
        Zone.e: origin.state in remote or destination.state in remote,
    }
    return next((step for step in (B_FIRST if b_before_e else E_FIRST) if holds[step]), Zone.d)


def _same_city(origin: Place, destination: Place) -> bool:
    if origin.pincode == destination.pincode:
        return True
    if origin.metro or destination.metro:
        return origin.metro is destination.metro
    # Several states have a district of the same name: Aurangabad, Bilaspur, Pratapgarh.
    return bool(origin.district) and (origin.district, origin.state) == (destination.district, destination.state)
