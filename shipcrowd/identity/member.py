"""Who is asking, once it is known: a person in a company, or a program with a company's key."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from shipcrowd.identity.permissions import PERMISSIONS, ROLE_PERMISSIONS, Role


@dataclass(frozen=True)
class Member:
    """The asker of one request. Exactly one of `user_id` and `api_key_id` is set; a program has no role."""

    company_id: UUID
    user_id: UUID | None
    api_key_id: UUID | None
    role: Role | None
    permissions: frozenset[str]

    @classmethod
    def person(cls, company_id: UUID, user_id: UUID, role: Role) -> "Member":
        return cls(company_id, user_id, None, role, ROLE_PERMISSIONS[role])

    @classmethod
    def program(cls, company_id: UUID, api_key_id: UUID, scopes: Iterable[str]) -> "Member":
        # A scope that no longer exists opens nothing.
        return cls(company_id, None, api_key_id, None, PERMISSIONS.intersection(scopes))

    @property
    def actor(self) -> str:
        """`user:<id>` or `api_key:<id>`, as the audit trail names it."""
        return f"user:{self.user_id}" if self.user_id else f"api_key:{self.api_key_id}"

    def may(self, permission: str) -> bool:
        return permission in self.permissions
