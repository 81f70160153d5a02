import asyncio

import pytest

from shipcrowd.identity import passwords, service, signin
from shipcrowd.identity.member import Member
from shipcrowd.identity.permissions import Role
from shipcrowd.identity.service import AlreadyMember, LastOwner, NoSuchMember, RoleBeyondYours
from shipcrowd.kernel import audit
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.pincodes.gstin import InvalidGstin, InvalidPan

from .conftest import PASSWORD


async def roles(company_id):
    async with acting_for(company_id) as session:
        members, _ = await service.team(session)
    return {member.person.id: member.role for member in members}


async def change(seller, user_id, role, by=None):
    async with acting_for(seller.company_id) as session:
        await service.change_role(session, by=by or seller.owner, user_id=user_id, role=role)


async def remove(seller, user_id, by=None):
    async with acting_for(seller.company_id) as session:
        await service.remove_member(session, by=by or seller.owner, user_id=user_id)


async def test_someone_new_joins_and_can_sign_in(seller, new_colleague):
    user_id, email = await new_colleague(seller, Role.packer)
    assert await roles(seller.company_id) == {seller.user_id: Role.owner, user_id: Role.packer}
    assert await signin.authenticate(email=email, password=PASSWORD, address="198.51.100.1") == user_id


async def test_someone_with_an_account_joins_and_keeps_name_and_password(seller, new_seller):
    other = await new_seller("Nilgiri Teas")
    attackers = await passwords.hashed("another-password-entirely", email=seller.email)
    async with acting_for(other.company_id) as session:
        user_id = await service.add_member(
            session, by=other.owner, email=seller.email.upper(), name="Someone", role=Role.viewer,
            password_hash=attackers,
        )  # fmt: skip
        joined = await service.member(session, user_id)
    assert user_id == seller.user_id
    assert (joined.person.name, joined.person.email) == ("Asha Iyer", seller.email)
    assert await signin.authenticate(email=seller.email, password=PASSWORD, address="198.51.100.2") == user_id


async def test_nobody_joins_twice(seller, new_colleague):
    user_id, email = await new_colleague(seller, Role.packer)
    with pytest.raises(AlreadyMember):
        await new_colleague(seller, Role.owner, email=email)
    assert (await roles(seller.company_id))[user_id] is Role.packer


async def test_two_who_add_the_same_new_person_at_one_moment_make_one_person(seller, new_seller, new_colleague, email):
    other = await new_seller("Nilgiri Teas")
    one, two = await asyncio.gather(
        new_colleague(seller, Role.picker, email=email), new_colleague(other, Role.packer, email=email)
    )
    assert one == two


@pytest.mark.parametrize("act", ["demote", "remove"])
async def test_the_last_owner_stays(seller, new_colleague, act):
    await new_colleague(seller, Role.admin)
    before = await roles(seller.company_id)
    with pytest.raises(LastOwner):
        await (change(seller, seller.user_id, Role.admin) if act == "demote" else remove(seller, seller.user_id))
    assert await roles(seller.company_id) == before
    async with acting_for(seller.company_id) as session:
        assert not {"member.removed", "member.role_changed"} & {
            entry.action for entry in await audit.of(session, f"user:{seller.user_id}")
        }


@pytest.mark.parametrize("act", ["demote", "remove"])
async def test_two_owners_who_throw_each_other_out_at_one_moment_leave_one(new_seller, new_colleague, act):
    for _ in range(5):
        seller = await new_seller()
        other, _ = await new_colleague(seller, Role.owner)
        they = Member.person(seller.company_id, other, Role.owner)
        if act == "demote":
            race = (change(seller, other, Role.viewer), change(seller, seller.user_id, Role.viewer, by=they))
        else:
            race = (remove(seller, other), remove(seller, seller.user_id, by=they))
        answers = await asyncio.gather(*race, return_exceptions=True)
        assert sorted(type(answer).__name__ for answer in answers) == ["LastOwner", "NoneType"]
        assert list((await roles(seller.company_id)).values()).count(Role.owner) == 1


async def test_an_owner_may_leave_when_there_is_another(seller, new_colleague):
    other, _ = await new_colleague(seller, Role.owner)
    await remove(seller, seller.user_id)
    assert await roles(seller.company_id) == {other: Role.owner}


@pytest.mark.parametrize("act", ["make", "demote", "remove"])
async def test_an_admin_neither_makes_nor_unmakes_an_owner(seller, new_colleague, act):
    admin_id, _ = await new_colleague(seller, Role.admin)
    await new_colleague(seller, Role.owner)
    viewer, _ = await new_colleague(seller, Role.viewer)
    admin = Member.person(seller.company_id, admin_id, Role.admin)
    before = await roles(seller.company_id)
    acts = {
        "make": lambda: change(seller, viewer, Role.owner, by=admin),
        "demote": lambda: change(seller, seller.user_id, Role.viewer, by=admin),
        "remove": lambda: remove(seller, seller.user_id, by=admin),
    }
    with pytest.raises(RoleBeyondYours):
        await acts[act]()
    assert await roles(seller.company_id) == before


async def test_a_program_gives_no_role_that_may_do_more_than_itself(seller, new_colleague):
    program = Member.program(seller.company_id, new_id(), {"team:write", "orders:read", "shipments:read"})
    viewer, _ = await new_colleague(seller, Role.viewer)
    for role in (Role.owner, Role.admin, Role.manager, Role.member):
        with pytest.raises(RoleBeyondYours):
            await change(seller, viewer, role, by=program)
    assert (await roles(seller.company_id))[viewer] is Role.viewer


async def test_another_companys_people_are_not_here(seller, new_seller):
    stranger = await new_seller("Nilgiri Teas")
    with pytest.raises(NoSuchMember):
        await change(seller, stranger.user_id, Role.viewer)
    with pytest.raises(NoSuchMember):
        await remove(seller, stranger.user_id)
    assert await roles(stranger.company_id) == {stranger.user_id: Role.owner}


async def test_what_happens_to_a_member_is_audited_without_personal_data(seller, new_colleague):
    user_id, email = await new_colleague(seller, Role.picker)
    await change(seller, user_id, Role.packer)
    await change(seller, user_id, Role.packer)
    await remove(seller, user_id)
    async with acting_for(seller.company_id) as session:
        entries = list(reversed(await audit.of(session, f"user:{user_id}")))
    assert [(entry.action, entry.details) for entry in entries] == [
        ("member.added", {"role": "picker"}),
        ("member.role_changed", {"from": "picker", "to": "packer"}),
        ("member.removed", {"role": "packer"}),
    ]
    assert {entry.actor for entry in entries} == {seller.owner.actor}
    assert email not in repr([vars(entry) for entry in entries])


async def test_the_team_is_listed_newest_first_page_by_page(seller, new_colleague):
    joined = [seller.user_id] + [(await new_colleague(seller, Role.picker))[0] for _ in range(4)]
    seen, after = [], None
    while True:
        async with acting_for(seller.company_id) as session:
            page, after = await service.team(session, after=after, limit=2)
        seen += [member.person.id for member in page]
        if after is None:
            break
    assert seen == joined[::-1]


async def test_a_company_changes_its_details_and_the_fields_are_audited(seller):
    async with acting_for(seller.company_id) as session:
        row = await service.change_company(
            session, by=seller.owner, changes={"gstin": "27AAPFU0939F1ZV", "pan": "AAPFU0939F", "state": "Maharashtra"}
        )
    assert (row.name, row.gstin, row.pan) == ("Kaveri Handlooms", "27AAPFU0939F1ZV", "AAPFU0939F")
    async with acting_for(seller.company_id) as session:
        entry = (await audit.of(session, f"company:{seller.company_id}"))[0]
        assert entry.details == {"fields": ["gstin", "pan", "state"]}
        row = await service.change_company(session, by=seller.owner, changes={"state": None})
    assert (row.state, row.gstin) == (None, "27AAPFU0939F1ZV")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"gstin": "27AAPFU0939F1ZX"}, InvalidGstin),
        ({"pan": "12345"}, InvalidPan),
        ({"gstin": "27AAPFU0939F1ZV", "pan": "AAGCB7383J"}, InvalidPan),
        ({"name": None}, Invalid),
        ({"status": "approved"}, Invalid),
        ({"state": "Kerala", "company_id": str(new_id())}, Invalid),
    ],
)
async def test_details_that_cannot_be_right_change_nothing(seller, changes, refusal):
    with pytest.raises(refusal):
        async with acting_for(seller.company_id) as session:
            await service.change_company(session, by=seller.owner, changes=changes)
    async with acting_for(seller.company_id) as session:
        row = await service.company(session)
    assert (row.name, row.gstin, row.pan, row.state, row.status) == (
        "Kaveri Handlooms", None, None, None, "registered",
    )  # fmt: skip


async def test_two_modules_write_their_settings_at_one_moment_and_neither_is_lost(seller):
    async def put(section, values):
        async with acting_for(seller.company_id) as session:
            await service.put_settings(session, section=section, values=values)

    await asyncio.gather(*(put(f"module{n}", {"on": n}) for n in range(8)))
    await put("module3", {"off": True})
    async with acting_for(seller.company_id) as session:
        stored = (await service.company(session)).settings
    assert stored == {f"module{n}": {"on": n} for n in range(8)} | {"module3": {"off": True}}


async def test_a_companys_row_is_its_own(seller, new_seller):
    stranger = await new_seller("Nilgiri Teas")
    async with acting_for(stranger.company_id) as session:
        assert (await service.company(session)).name == "Nilgiri Teas"
        assert await session.get(service.Company, (seller.company_id, seller.company_id)) is None
