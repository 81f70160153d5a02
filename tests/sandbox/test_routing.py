import httpx2
import pytest

from shipcrowd.sandbox.app import HOSTS, InProcess, route_through, sandbox, stand_in

ROUTED = [
    (
        "https://my-shop.myshopify.com/admin/api/2026-10/graphql.json",
        "http://127.0.0.1:8100/my-shop.myshopify.com/admin/api/2026-10/graphql.json",
    ),
    (
        "https://shazam.velocity.in/custom/api/v1/auth-token",
        "http://127.0.0.1:8100/shazam.velocity.in/custom/api/v1/auth-token",
    ),
    (
        "https://velocity-labels.s3.ap-south-1.amazonaws.com/abc?X-Amz-Expires=60",
        "http://127.0.0.1:8100/velocity-labels.s3.ap-south-1.amazonaws.com/abc?X-Amz-Expires=60",
    ),
    (
        "https://api.flipkart.net/sellers/v3/shipments?orderIds=OD1",
        "http://127.0.0.1:8100/api.flipkart.net/sellers/v3/shipments?orderIds=OD1",
    ),
    (
        "https://sellingpartnerapi-eu.amazon.com/orders/2026-01-01/orders?maxResultsPerPage=5",
        "http://127.0.0.1:8100/sellingpartnerapi-eu.amazon.com/orders/2026-01-01/orders?maxResultsPerPage=5",
    ),
]


@pytest.mark.parametrize(("url", "routed"), ROUTED)
def test_a_vendors_url_is_sent_to_the_sandbox_with_its_host_in_front(url, routed):
    assert route_through("http://127.0.0.1:8100/")(url) == routed


def test_a_url_that_is_the_sandboxs_already_is_left_alone():
    assert route_through("http://127.0.0.1:8100")(ROUTED[0][1]) == ROUTED[0][1]


@pytest.mark.parametrize(
    "url",
    [
        "https://api.razorpay.com/v1/orders",
        "https://my-shop.myshopify.com.evil.example/admin",
        "https://evil.example/my-shop.myshopify.com",
        "http://my-shop.myshopify.com/admin",
        "https://my-shop.myshopify.com:8443/admin",
        "https://127.0.0.1/admin",
    ],
)
def test_what_has_no_stand_in_never_leaves_the_machine(url):
    with pytest.raises(ValueError, match="no stand-in"):
        route_through("http://127.0.0.1:8100")(url)


async def test_in_process_an_unknown_host_cannot_be_reached(desk):
    async with httpx2.AsyncClient(transport=InProcess(sandbox(desk))) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("https://api.razorpay.com/v1/orders")


def test_every_host_has_exactly_one_stand_in():
    for host in (
        "a.myshopify.com",
        "shazam.velocity.in",
        "shazam.stagingvelocity.in",
        "storage.googleapis.com",
        "api.flipkart.net",
        "sandbox-api.flipkart.net",
        "sellingpartnerapi-eu.amazon.com",
        "tortuga-prod-eu.s3-eu-west-1.amazonaws.com",
        "api.amazon.com",
        "sellercentral.amazon.in",
        "velocity-labels.s3.ap-south-1.amazonaws.com",
    ):
        assert sum(bool(pattern.fullmatch(host)) for pattern, _ in HOSTS) == 1
    assert stand_in("myshopify.com") is None
