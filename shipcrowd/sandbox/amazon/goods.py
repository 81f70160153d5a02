"""A seller's listings and the stock behind them: the seller's own, or Amazon's."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

SEED_GOODS = (
    ("KURTA-BLU-M", "Cotton kurta, blue, M", "699.00", 350, "KURTA"),
    ("KURTA-BLU-L", "Cotton kurta, blue, L", "699.00", 380, "KURTA"),
    ("BOT-1L-BLU", "Steel bottle, 1 L, blue", "499.00", 420, "BOTTLE"),
    ("CHAI/250 g", "Masala chai, 250 g", "275.00", 280, "TEA"),
    ("LAMP-BRASS", "Brass lamp, medium", "2450.00", 1850, "LAMP"),
)
"""SKU, title, price in rupees, grams, product type. One SKU holds a slash and a space, as sellers' SKUs do."""

FBA_GOODS = (("MAT-YOGA-FBA", "Yoga mat, 6 mm", "899.00", 1100, "SPORT_EQUIPMENT"),)


@dataclass
class Change:
    """An accepted change of a listing that does not show yet."""

    due: datetime
    quantity: int | None
    lead_days: int | None = None
    clears_lead: bool = False


@dataclass(eq=False)
class Listing:
    sku: str
    asin: str
    title: str
    price: Decimal
    grams: int
    product_type: str
    created_at: datetime
    updated_at: datetime
    by_amazon: bool = False  # FBA: the stock lies at Amazon
    fnsku: str | None = None
    quantity: int = 0  # the seller's, or what FBA can fulfil
    lead_days: int | None = None
    inbound: int = 0
    reserved: int = 0
    unfulfillable: int = 0
    changes: list[Change] = field(default_factory=list[Change])

    def settle(self, now: datetime) -> bool:
        """Let due changes show; whether any did."""
        due = [change for change in self.changes if change.due <= now]
        self.changes = [change for change in self.changes if change.due > now]
        for change in due:
            self.quantity = self.quantity if change.quantity is None else change.quantity
            if change.clears_lead or change.lead_days is not None:
                self.lead_days = change.lead_days
            self.updated_at = change.due
        return bool(due)
