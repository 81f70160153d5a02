"""What the scripts add: the keyboard, ticking many, parts of a page swapped in, and runs that show their progress."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visitor
from tests.console.world import World

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def shown(visitor: Visitor) -> list[str]:
    return await visitor.page.locator("table.orders .number strong").all_inner_texts()


async def test_the_keyboard_moves_ticks_opens_and_searches(desk: Visitor, day: World) -> None:
    page = desk.page
    await desk.sign_in(day)
    for key in ("j", "j", "x", "j", "x"):
        await page.keyboard.press(key)
    assert await page.locator("[data-ticked]").inner_text() == "2 ticked"
    assert await page.locator("tr:has(input[name=order_id]:checked) .number strong").all_inner_texts() == [
        "#KH2479",
        "#KH2478",
    ]
    await desk.picture("ticked")
    await page.keyboard.press("Escape")
    assert not await page.locator(".bulkbar").is_visible()
    await page.keyboard.press("k")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/orders/{day.orders['#KH2479']}")
    await page.keyboard.press("g")
    await page.keyboard.press("o")
    await page.wait_for_url("**/orders")
    await page.keyboard.press("?")
    assert await page.get_by_role("dialog", name="Keyboard").is_visible()
    await desk.picture("keys")
    await page.keyboard.press("Escape")
    await page.keyboard.press("/")
    await page.keyboard.type("KH2470")
    await page.keyboard.press("Enter")
    await expect(page.locator("table.orders tbody tr")).to_have_count(1)
    assert await shown(desk) == ["#KH2470"] and "text=KH2470" in page.url
    assert desk.complaints == []


async def test_a_tab_and_a_filter_swap_the_list_and_the_address_can_be_shared(desk: Visitor, day: World) -> None:
    page = desk.page
    await desk.sign_in(day)
    # A mark that a whole new page would lose.
    await page.evaluate("window.sameDocument = true")
    await page.get_by_role("link", name="Delivered").click()
    await page.wait_for_url("**state=delivered")
    assert await shown(desk) == ["#KH2464", "#KH2463"]
    await page.get_by_text("Filters").click()
    await page.get_by_label("Payment").select_option("cod")
    await page.wait_for_url("**payment=cod**")
    assert await shown(desk) == ["#KH2463"]
    assert await page.evaluate("window.sameDocument") is True
    await page.go_back()
    await expect(page.locator("table.orders tbody tr")).to_have_count(2)
    await page.reload()
    assert await shown(desk) == ["#KH2464", "#KH2463"]
    assert desk.complaints == []


async def test_shift_and_a_click_tick_all_between(desk: Visitor, day: World) -> None:
    page = desk.page
    await desk.sign_in(day)
    boxes = page.locator("input[name=order_id]")
    await boxes.nth(1).click()
    await boxes.nth(5).click(modifiers=["Shift"])
    assert await page.locator("[data-ticked]").inner_text() == "5 ticked"
    await page.locator("[data-all]").click()
    assert await page.locator("[data-ticked]").inner_text() == "24 ticked"


@pytest.mark.usefixtures("worker")
async def test_an_order_is_priced_and_booked_and_the_label_appears_by_itself(desk: Visitor, day: World) -> None:
    page = desk.page
    await desk.sign_in(day)
    await desk.goto(f"/orders/{day.orders['#KH2479']}")
    panel = page.locator("#ship")
    await panel.get_by_role("button", name="Compare prices").click()
    await page.get_by_text("The parcel's weight and size are needed").wait_for()
    for label, typed in (("Length", "30"), ("Breadth", "24"), ("Height", "6")):
        await panel.get_by_label(label).first.fill(typed)
    await panel.get_by_role("button", name="Compare prices").click()
    await panel.locator(".option").nth(2).wait_for()
    assert await page.locator(".flash.bad").count() == 0
    await panel.locator(".option", has_text="Fastest").get_by_role("button", name="Book").click()
    await page.get_by_role("button", name="Print label").wait_for()
    parcel = page.locator("#parcels")
    assert "Waiting for pickup" in await parcel.inner_text() and "Bluedart" in await parcel.inner_text()
    await desk.picture("order-booked")
    async with desk.context.expect_page() as opened:
        await page.get_by_role("button", name="Print label").click()
    await (await opened.value).close()
    assert desk.complaints == []


@pytest.mark.usefixtures("worker")
async def test_many_orders_are_shipped_and_the_run_counts_up_to_its_end(desk: Visitor, day: World) -> None:
    page = desk.page
    await desk.sign_in(day)
    for number in ("#KH2480", "#KH2479"):
        await desk.goto(f"/orders/{day.orders[number]}")
        for label, typed in (("Length", "30"), ("Breadth", "24"), ("Height", "6")):
            await page.locator("#ship").get_by_label(label).first.fill(typed)
        await page.get_by_role("button", name="Only save weight and size").click()
        await page.get_by_text("Weight and size are kept").wait_for()
    await desk.goto("/orders")
    for number in ("#KH2480", "#KH2479", "#KH2474"):
        await page.get_by_label(f"Tick {number}").check()
    await page.get_by_role("button", name="Ship cheapest").click()
    await page.wait_for_url("**/bulk/*")
    await page.get_by_text("3 of 3 done · 2 booked · 1 not booked · finished").wait_for()
    await desk.picture("bulk")
    assert await page.get_by_role("button", name="Print 2 labels").is_visible()
    assert desk.complaints == []


async def test_on_a_phone_the_menu_opens_and_an_order_is_one_tap_away(phone: Visitor, day: World) -> None:
    page = phone.page
    await phone.sign_in(day)
    assert not await page.get_by_role("link", name="Wallet", exact=True).is_visible()
    await page.locator("[data-menu] summary").tap()
    await phone.picture("menu")
    await page.get_by_role("link", name="Shipments").tap()
    await page.wait_for_url("**/shipments")
    await phone.goto("/orders")
    await page.get_by_label("Tick #KH2480").check()
    assert await page.get_by_role("button", name="Ship cheapest").is_visible()
    await phone.picture("ticked")
    await page.locator("tr", has_text="#KH2479").locator(".buyer").tap()
    await page.wait_for_url(f"**/orders/{day.orders['#KH2479']}")
    assert phone.complaints == []


async def test_everything_a_seller_does_first_works_without_scripts(without_scripts: Visitor, day: World) -> None:
    page = without_scripts.page
    await without_scripts.sign_in(day)
    await page.get_by_role("searchbox").fill("KH2479")
    await page.get_by_role("button", name="Search").click()
    assert await shown(without_scripts) == ["#KH2479"]
    await page.get_by_role("link", name="#KH2479").click()
    for label, typed in (("Length", "30"), ("Breadth", "24"), ("Height", "6")):
        await page.locator("#ship").get_by_label(label).first.fill(typed)
    await page.get_by_role("button", name="Compare prices").click()
    await page.locator(".option.cheapest").get_by_role("button", name="Book").click()
    await page.get_by_text("is being booked with").first.wait_for()
    await page.goto(without_scripts.site + "/orders")
    await page.get_by_label("Tick #KH2480").check()
    await page.get_by_role("button", name="Hold").click()
    await page.get_by_text("1 order held").wait_for()
