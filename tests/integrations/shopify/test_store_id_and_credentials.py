from datetime import UTC, datetime

import pytest
from pydantic import SecretStr, ValidationError

from shipcrowd.channels import contract
from shipcrowd.integrations import shopify
from shipcrowd.integrations.shopify import ShopifyApp, ShopifyCredentials, account, vendor
from shipcrowd.kernel.errors import Invalid


@pytest.mark.parametrize(
    "typed",
    [
        "my-shop",
        "My-Shop",
        "my-shop.myshopify.com",
        "  my-shop.myshopify.com/ ",
        "https://my-shop.myshopify.com/admin",
        "http://MY-SHOP.myshopify.com/admin/orders?x=1#y",
        "https://admin.shopify.com/store/my-shop/orders",
    ],
)
def test_whatever_a_seller_types_of_the_store_becomes_its_domain(typed: str):
    assert vendor.store_id(typed) == "my-shop.myshopify.com"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "www.mehfil.in",
        "my shop",
        "-shop",
        "evil.com/my-shop.myshopify.com",
        "my-shop.myshopify.com.evil.com",
        "a@b.myshopify.com",
        "my-shop.myshopify.com:8080",
        "shöp",
        "my.shop.myshopify.com",
        "my-shop.myshopify.com\n.evil.com",
    ],
)
def test_anything_else_is_refused_with_the_fix(typed: str):
    with pytest.raises(Invalid) as refusal:
        vendor.store_id(typed)
    assert "myshopify.com" in refusal.value.detail
    assert refusal.value.field == "store"
    assert refusal.value.code() == "not_a_shopify_store"


def test_a_pasted_token_never_expires_and_an_oauth_one_does():
    pasted = ShopifyCredentials.model_validate({"access_token": " shpat_pasted ", "app_secret": "  "})
    assert pasted.access_token.get_secret_value() == "shpat_pasted"
    assert pasted.app_secret is None
    assert vendor.expires_at(pasted) is None
    until = datetime(2026, 11, 20, tzinfo=UTC)
    signed_in = ShopifyCredentials(
        kind="expiring", access_token=SecretStr("shpat_oauth"), refresh_token=SecretStr("shprt_1"), expires_at=until
    )
    assert vendor.expires_at(signed_in) == until


def test_an_expiring_token_without_the_means_to_renew_it_is_no_credential():
    with pytest.raises(ValidationError):
        ShopifyCredentials(kind="expiring", access_token=SecretStr("shpat_oauth"))


def test_secrets_do_not_show_when_printed():
    shown = repr(ShopifyCredentials(access_token=SecretStr("shpat_hidden"), app_secret=SecretStr("hush")))
    assert "shpat_hidden" not in shown
    assert "hush" not in shown


def test_webhooks_may_be_signed_with_the_sellers_own_apps_secret_ours_or_the_one_before():
    app = ShopifyApp(client_id="id", client_secret=SecretStr("new"), old_client_secret=SecretStr("old"))
    own = ShopifyCredentials(access_token=SecretStr("shpat_pasted"), app_secret=SecretStr("theirs"))
    assert tuple(vendor.webhook_secrets(app, own)) == ("theirs", "new", "old")
    assert tuple(vendor.webhook_secrets(ShopifyApp(), ShopifyCredentials(access_token=SecretStr("shpat_x1")))) == ()


def test_another_vendors_settings_are_not_taken():
    with pytest.raises(TypeError):
        account.shopify_app(ShopifyCredentials(access_token=SecretStr("shpat_x1")))
    with pytest.raises(TypeError):
        account.shopify_credentials(ShopifyApp())


def test_the_channel_has_the_abilities_it_declares(shop):
    channel = vendor.open(shop.account())
    for ability in (
        contract.SalesChannel,
        contract.AnnouncesDispatch,
        contract.SetsStock,
        contract.ListsProducts,
        contract.CancelsOrders,
        contract.MarksPaid,
        contract.Subscribes,
    ):
        assert isinstance(channel, ability), ability


def test_the_declaration_names_the_vendor():
    assert (vendor.slug, vendor.name, vendor.pasted) == ("shopify", "Shopify", True)
    assert shopify.vendor.paces == {"graphql": (2000.0, 100.0)}
    assert vendor.renew is not None
    assert vendor.sign_in is not None
