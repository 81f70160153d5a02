"""The platform's first rate cards, so that a new installation has prices. Data: once there, the operator retires them
and makes others; seeding again brings nothing back."""

from collections.abc import Mapping
from datetime import date
from typing import Literal

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.couriers.contract import Flow, Mode
from shipcrowd.kernel import clock
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import PLATFORM_COMPANY
from shipcrowd.ratecards.models import ANY, CardStatus, RateCard
from shipcrowd.ratecards.schemas import NewCard
from shipcrowd.ratecards.service import forget_defaults
from shipcrowd.ratecards.terms import CodFee, Terms, ZonePrice
from shipcrowd.ratecards.zones import Zone

SINCE = date(2026, 1, 1)
SUPPLIER_STATE = "KA"

# Rupees for the first 500 g and each further 500 g, by zone; in the middle of what Indian aggregators publish.
SURFACE = {"a": (38, 30), "b": (45, 36), "c": (55, 44), "d": (62, 50), "e": (82, 68)}
AIR = {"a": (44, 38), "b": (56, 48), "c": (78, 68), "d": (92, 82), "e": (118, 104)}
PICKED_UP_AT_BUYERS = {"a": (62, 34), "b": (70, 40), "c": (82, 50), "d": (92, 56), "e": (118, 76)}

RTO_PERCENT = 90
"""What coming back costs of what going out did."""


def default_cards() -> list[NewCard]:
    """One card a mode, for every service of the courier that has none of its own."""
    return [
        _card("Surface", Mode.surface, Flow.forward, SURFACE),
        _card("Air", Mode.air, Flow.forward, AIR),
        _card("Return pickup", ANY, Flow.reverse, PICKED_UP_AT_BUYERS),
    ]


def _card(name: str, mode: Mode | Literal["*"], flow: Flow, rupees: Mapping[str, tuple[int, int]]) -> NewCard:
    return NewCard(
        name=name,
        courier="velocity",
        mode=mode,
        flow=flow,
        effective_from=SINCE,
        terms=Terms(
            volumetric_divisor=5_000,
            slab_grams=500,
            zones={Zone(zone): _price(*prices) for zone, prices in rupees.items()},
            cod=CodFee(flat_paise=40_00, percent_bp=200),
            gst_bp=1_800,
            sac="996812",
            supplier_state=SUPPLIER_STATE,
        ),
    )


def _price(first: int, extra: int) -> ZonePrice:
    return ZonePrice(
        first_paise=first * 100,
        extra_paise=extra * 100,
        rto_first_paise=first * RTO_PERCENT,
        rto_extra_paise=extra * RTO_PERCENT,
    )


async def seed_defaults(session: AsyncSession) -> int:
    """Give the platform's company its first cards; how many were new. The session acts for `PLATFORM_COMPANY`.

    A combination that ever had a card keeps what it has, even if that was retired.
    """
    made = await session.execute(
        insert(RateCard)
        .values(
            [
                {
                    "company_id": PLATFORM_COMPANY,
                    "id": new_id(),
                    "created_at": clock.now(),
                    "version": 1,
                    "status": CardStatus.active.value,
                    "currency": "INR",
                    **card.model_dump(exclude={"terms"}),
                    "terms": card.terms.model_dump(mode="json"),
                }
                for card in default_cards()
            ]
        )
        .on_conflict_do_nothing()
        .returning(RateCard.id)
    )
    forget_defaults()
    return len(made.all())
