import re

import pytest

from shipcrowd.identity.api import May
from shipcrowd.identity.member import Member
from shipcrowd.identity.permissions import PERMISSIONS, ROLE_PERMISSIONS, Role
from shipcrowd.kernel.ids import new_id

WRITES = {permission for permission in PERMISSIONS if permission.endswith(":write")}


def test_every_role_has_its_permissions_and_they_all_exist() -> None:
    assert set(ROLE_PERMISSIONS) == set(Role)
    for permissions in ROLE_PERMISSIONS.values():
        assert permissions <= PERMISSIONS


def test_a_permission_is_a_module_and_reading_or_writing() -> None:
    assert all(re.fullmatch(r"[a-z_]+:(read|write)", permission) for permission in PERMISSIONS)


@pytest.mark.parametrize(
    ("role", "may_write"),
    [
        (Role.owner, WRITES),
        (Role.admin, WRITES),
        (
            Role.manager,
            {"orders:write", "shipments:write", "wallet:write", "stores:write", "couriers:write", "places:write"}
            | {"jobs:write"},
        ),
        (Role.member, {"orders:write", "shipments:write"}),
        (Role.viewer, set()),
        (Role.warehouse_manager, {"shipments:write", "places:write"}),
        (Role.inventory_manager, {"places:write"}),
        (Role.picker, set()),
        (Role.packer, {"shipments:write"}),
    ],
)
def test_what_each_role_may_change(role: Role, may_write: set[str]) -> None:
    assert ROLE_PERMISSIONS[role] & WRITES == may_write


@pytest.mark.parametrize("role", [Role.picker, Role.packer, Role.warehouse_manager, Role.inventory_manager])
def test_the_warehouse_does_not_see_the_money(role: Role) -> None:
    assert not ROLE_PERMISSIONS[role] & {"wallet:read", "wallet:write", "ratecards:read", "audit:read"}


def test_a_route_cannot_ask_for_a_permission_that_nobody_has() -> None:
    with pytest.raises(ValueError, match="orders:raed"):
        May("orders:raed")


def test_the_mark_of_a_route_says_which_permission_it_asks_for() -> None:
    assert getattr(May("orders:read").dependency, "permission") == "orders:read"  # noqa: B009 - as a route walk reads it


def test_a_program_is_not_given_scopes_that_no_longer_exist() -> None:
    program = Member.program(new_id(), new_id(), ["orders:read", "faxes:write"])
    assert program.permissions == {"orders:read"}
    assert program.actor == f"api_key:{program.api_key_id}"
