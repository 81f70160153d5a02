"""The connect form: what is accepted, and what stays secret."""

import pytest
from pydantic import SecretStr, ValidationError

from shipcrowd.integrations.velocity import VelocityCredentials, vendor


@pytest.mark.parametrize("typed", ["+919800000001", "9800000001", "09800000001", "+91 98000 00001"])
def test_the_username_gets_its_country_code(typed):
    credentials = VelocityCredentials(username=typed, password=SecretStr("x"))
    assert credentials.username == "+919800000001"
    assert credentials.channel_id == "27202"


@pytest.mark.parametrize("change", [{"username": "shop@sona.example"}, {"password": ""}, {"channel_id": "no spaces"}])
def test_credentials_that_cannot_work_are_refused(change):
    with pytest.raises(ValidationError):
        VelocityCredentials(**{"username": "9800000001", "password": "x"} | change)


def test_a_blank_channel_means_the_usual_one():
    assert VelocityCredentials(username="9800000001", password=SecretStr("x"), channel_id=" ").channel_id == "27202"


def test_secrets_do_not_show():
    credentials = VelocityCredentials(username="9800000001", password=SecretStr("hush"), token=SecretStr("shh"))
    assert "hush" not in repr(credentials)
    assert "shh" not in repr(credentials)


def test_no_form_asks_for_the_token():
    fields = VelocityCredentials.model_fields
    hidden = {name for name, field in fields.items() if (field.json_schema_extra or {}) == {"form": False}}
    assert hidden == {"token", "token_expires_at"}


def test_the_vendor_declares_its_paces():
    assert vendor.paces["auth"] == (10, 3600)
    assert vendor.paces["serviceability"] == (200, 60)
    assert (vendor.slug, vendor.name, vendor.cancel_batch) == ("velocity", "Velocity Shipfast", 50)
