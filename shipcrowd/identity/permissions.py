"""What each role may do: one table. Pure data; the strings are also the scopes of API keys.

A permission is `module:action`. Writing does not imply reading: a role that should do both has both.
"""

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What a person is in one company."""

    owner = "owner"
    admin = "admin"
    manager = "manager"
    member = "member"
    viewer = "viewer"
    warehouse_manager = "warehouse_manager"
    inventory_manager = "inventory_manager"
    picker = "picker"
    packer = "packer"


PERMISSIONS: frozenset[str] = frozenset(
    {
        "orders:read", "orders:write",
        "shipments:read", "shipments:write",
        "wallet:read", "wallet:write",
        "ratecards:read", "ratecards:write",
        "stores:read", "stores:write",
        "couriers:read", "couriers:write",
        "places:read", "places:write",
        "documents:read",
        "pincodes:read",
        "jobs:read", "jobs:write",
        "company:read", "company:write",
        "team:read", "team:write",
        "api_keys:write",
        "audit:read",
    }
)  # fmt: skip
"""Every permission there is."""

ROLE_PERMISSIONS: Mapping[Role, frozenset[str]] = {
    # An owner and an admin may do the same things; only an owner makes, changes or removes an owner.
    Role.owner: PERMISSIONS,
    Role.admin: PERMISSIONS,
    # Runs the business day, but neither chooses the people nor opens doors for programs.
    Role.manager: PERMISSIONS - {"team:write", "api_keys:write", "company:write", "ratecards:write"},
    # Takes orders and ships them; sees what shipping costs.
    Role.member: frozenset(
        {
            "orders:read", "orders:write",
            "shipments:read", "shipments:write",
            "wallet:read",
            "ratecards:read",
            "stores:read",
            "couriers:read",
            "places:read",
            "documents:read",
            "pincodes:read",
            "jobs:read",
            "company:read",
        }
    ),
    # Looks, and changes nothing.
    Role.viewer: frozenset(
        {
            "orders:read", "shipments:read", "wallet:read", "ratecards:read", "stores:read", "couriers:read",
            "places:read", "documents:read", "pincodes:read", "company:read",
        }
    ),
    # Ships what was ordered and keeps the places it ships from; no money.
    Role.warehouse_manager: frozenset(
        {
            "orders:read",
            "shipments:read", "shipments:write",
            "couriers:read",
            "places:read", "places:write",
            "documents:read",
            "pincodes:read",
            "jobs:read",
            "team:read",
            "company:read",
        }
    ),
    Role.inventory_manager: frozenset(
        {
            "orders:read", "shipments:read", "stores:read", "places:read", "places:write", "documents:read",
            "pincodes:read", "jobs:read", "company:read",
        }
    ),
    # On the floor: what to take from where, and the label that goes on it.
    Role.picker: frozenset({"orders:read", "shipments:read", "places:read", "documents:read"}),
    Role.packer: frozenset({"orders:read", "shipments:read", "shipments:write", "places:read", "documents:read"}),
}  # fmt: skip
