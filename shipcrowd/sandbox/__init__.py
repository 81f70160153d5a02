"""Stand-ins for the outside systems, so that the whole product runs on a laptop and in tests without a network.

Each stand-in speaks its vendor's wire format as the vendor's documents describe it: sign-in and token expiry, paging,
rate limits, error bodies, signed webhooks, state that changes over time, and faults on demand. `desk` drives them:
place an order, scan a parcel, fail a delivery. `app` is all of them as one ASGI app, `client` the desk over HTTP.

It is written from the vendors' documents and imports nothing of ours but the kernel's clock, money and errors. It
must never share code with `integrations`: two independent readings, so that a disagreement fails a test.
It is not a mock for unit tests of our own modules, it keeps nothing on disk, and it never calls anything outside
this machine.
"""
