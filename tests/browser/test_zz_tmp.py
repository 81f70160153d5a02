
import pytest
pytestmark = pytest.mark.browser
async def test_shot(desk, day):
    await desk.sign_in(day)
    for key in ("j", "x", "j", "x", "j"):
        await desk.page.keyboard.press(key)
    await desk.page.screenshot(path="docs/screenshot.png", caret="initial")
