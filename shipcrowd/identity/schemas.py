"""What identity's routes take and answer. Nothing here carries a hash, and a password only ever comes in."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from shipcrowd.identity import passwords
from shipcrowd.identity.permissions import Role

# No control characters: PostgreSQL stores no NUL, and a name with a line break forges log and CSV lines.
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Name = Annotated[Line, Field(max_length=120)]
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        max_length=254,
        pattern=r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+\.[^@\s.]+$",
    ),
]
NewPassword = Annotated[SecretStr, Field(min_length=passwords.SHORTEST, max_length=passwords.LONGEST)]
PresentPassword = Annotated[SecretStr, Field(min_length=1, max_length=passwords.LONGEST)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, min_length=1, max_length=15)]


class In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Out(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class Registration(In):
    company_name: Name
    name: Name
    email: Email
    password: NewPassword


class Login(In):
    email: Email
    password: PresentPassword
    company_id: UUID | None = None
    """Which of the person's companies to act for; the first joined when none is named."""


class SwitchCompany(In):
    company_id: UUID


class PasswordChange(In):
    present: PresentPassword
    password: NewPassword


class NewMember(In):
    """For someone without an account, `password` is the first one; who has one keeps name and password."""

    email: Email
    name: Name
    role: Role
    password: NewPassword


class RoleChange(In):
    role: Role


class NewKey(In):
    name: Name
    scopes: Annotated[tuple[Annotated[str, Field(max_length=40)], ...], Field(min_length=1, max_length=100)]


class CompanyChange(In):
    """Only the fields sent are changed; null clears one."""

    name: Name | None = None
    legal_name: Name | None = None
    gstin: Code | None = None
    pan: Code | None = None
    state: Annotated[Line, Field(max_length=60)] | None = None


class SignedInOut(Out):
    """A browser is signed in; its cookie is set beside this. `csrf_token` goes with every request that changes
    something."""

    user_id: UUID
    company_id: UUID
    role: Role
    csrf_token: str
    expires_at: datetime


class PersonOut(Out):
    id: UUID
    name: str
    email: str


class WorkplaceOut(Out):
    company_id: UUID
    name: str
    role: Role


class Me(Out):
    """Who asks. For an API key there is no person, no role and no CSRF token."""

    user: PersonOut | None
    company_id: UUID
    role: Role | None
    permissions: tuple[str, ...]
    csrf_token: str | None
    companies: tuple[WorkplaceOut, ...]


class TeamMemberOut(Out):
    user_id: UUID
    name: str
    email: str
    role: Role
    joined_at: datetime
    locked_until: datetime | None
    disabled: bool


class KeyOut(Out):
    id: UUID
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class IssuedKeyOut(KeyOut):
    token: str
    """The whole key. It is shown now and never again."""


class CompanyOut(Out):
    id: UUID
    name: str
    legal_name: str | None
    gstin: str | None
    pan: str | None
    state: str | None
    status: str
    created_at: datetime
