"""Every shape of Velocity's errors becomes one code and words a seller understands."""

import pytest

from shipcrowd.integrations.velocity import refusals


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"message": "billing_phone must have 10 digits"}, "validation"),
        (400, {"message": "Validation failed", "errors": {"billing_pincode": ["is required"]}}, "validation"),
        (400, {"error": "Warehouse not found"}, "warehouse_not_found"),
        (400, {"message": "The selected warehouse_id is invalid"}, "warehouse_not_found"),
        (404, {"message": "No such place", "warehouse_id": "WH7QK2"}, "warehouse_not_found"),
        (404, {"message": "Shipment not found"}, "shipment_not_found"),
        (403, {"message": "Account suspended"}, "not_allowed"),
        (422, {"message": "Waybill could not be fetched"}, "awb_not_assigned"),
        (422, {"message": "No courier for this pincode"}, "awb_not_assigned"),  # the first row decides
        (422, {"message": "Pincode is not covered"}, "not_serviceable"),
        (422, {"message": "Non-serviceable lane"}, "not_serviceable"),
        (422, {"message": "Nobody goes there", "pincode": "744301", "available_carriers": []}, "not_serviceable"),
        (422, {"message": "Order creation failed"}, "order_rejected"),
        (422, {"message": "Cancelled orders cannot be shipped"}, "not_cancellable"),  # by keyword, as documented
        (422, {"message": "Duplicate order id"}, "duplicate_order"),
        (409, {"message": "Order already exists with AWB assigned"}, "duplicate_order"),
        (400, {"errors": {"order_id": ["The order id has already been taken."]}}, "duplicate_order"),
        (422, {"message": "AWB already assigned"}, "duplicate_order"),
        (409, {"message": "conflict"}, "order_rejected"),
        (422, {"message": "Wallet balance is low"}, "refused"),
        (418, [], "refused"),
        (200, {"status": 0, "payload": {"error_message": "pincode unserviceable"}}, "not_serviceable"),
    ],
)
def test_an_error_body_finds_its_code(status, body, code):
    assert refusals.refusal(status, body).code == code


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (422, {"message": "Shipment cannot be cancelled"}, "not_cancellable"),
        (422, {"message": "AWB is out for delivery"}, "not_cancellable"),
        (400, {"message": "Not possible", "awb": "143", "current_status": "delivered"}, "not_cancellable"),
        (422, {"message": "Shipment is already cancelled"}, "already_cancelled"),
        (422, {"message": "Cancellation requested before"}, "already_cancelled"),
        (422, {"message": "AWB not found"}, "shipment_not_found"),
        (404, {"message": "Unknown AWB"}, "shipment_not_found"),
        (400, {"message": "awbs is required"}, "validation"),
    ],
)
def test_a_refused_cancellation_finds_its_code(status, body, code):
    assert refusals.refusal(status, body, doing="cancel").code == code


def test_registering_a_warehouse_is_never_answered_with_warehouse_not_found():
    refusal = refusals.refusal(400, {"message": "Invalid warehouse", "errors": {"zip": ["unknown"]}}, doing="warehouse")
    assert refusal.code == "validation"


def test_the_message_names_fields_and_the_parcel_at_fault():
    refusal = refusals.refusal(
        400, {"message": "Check input", "errors": {"zip": ["too short", "no digits"], "city": ""}}
    )
    assert refusal.message == "Velocity did not accept the details: Check input; zip: too short, no digits; city."
    refusal = refusals.refusal(400, {"message": "No", "awb": "A1", "current_status": "delivered"}, doing="cancel")
    assert refusal.message.endswith("No; AWB A1 is delivered.")


def test_the_message_is_one_short_line_without_markup():
    refusal = refusals.refusal(422, {"error": {"message": "<b>Order</b>\n" + "x" * 900}})
    assert "<" not in refusal.message
    assert "\n" not in refusal.message
    assert len(refusal.message) < 400


def test_a_body_that_says_nothing_still_makes_a_sentence():
    assert refusals.refusal(422, {"errors": ["", 3]}).message == "Velocity refused the request: 3."
    assert refusals.refusal(422, None).message == "Velocity refused the request."


def test_every_code_of_the_tables_has_words():
    codes = {code for code, _ in refusals.KEYWORDS} | set(refusals.BY_STATUS.values()) | set(refusals.BESIDE.values())
    assert codes <= set(refusals.WORDS)
