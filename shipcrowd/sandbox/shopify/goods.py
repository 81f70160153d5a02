"""Goods, places and stock of a shop, and how Shopify names things."""

from dataclasses import dataclass, field
from datetime import datetime

from shipcrowd.kernel import clock
from shipcrowd.kernel.money import Money


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


def number_of(gid_text: str, kind: str) -> int | None:
    """The numeric id in a GID of this kind, or None for anything else."""
    head = f"gid://shopify/{kind}/"
    tail = gid_text.removeprefix(head).split("?")[0]
    return int(tail) if gid_text.startswith(head) and tail.isdigit() else None


@dataclass(frozen=True)
class Price:
    """An amount in the shop's currency, which stands for Shopify's MoneyBag."""

    money: Money
    currency: str


@dataclass(eq=False)
class Product:
    id: int
    title: str
    status: str = "ACTIVE"


@dataclass(eq=False)
class InventoryItem:
    id: int
    sku: str
    tracked: bool
    hsn: str | None
    grams: int


@dataclass(eq=False)
class Variant:
    id: int
    product: Product
    item: InventoryItem
    title: str
    price: Money
    barcode: str | None = None

    @property
    def sku(self) -> str:
        return self.item.sku


@dataclass(eq=False)
class Location:
    id: int
    name: str
    address1: str
    city: str
    province_code: str
    zip: str
    is_active: bool = True


@dataclass(eq=False)
class Level:
    """Stock of one item at one location. On hand is what is available plus what orders have committed."""

    id: int
    item: InventoryItem
    location: Location
    available: int = 0
    committed: int = 0
    updated_at: datetime = field(default_factory=clock.now)

    @property
    def on_hand(self) -> int:
        return self.available + self.committed

    def quantity(self, name: str) -> int | None:
        known = {"available": self.available, "on_hand": self.on_hand, "committed": self.committed}
        return known.get(name)
