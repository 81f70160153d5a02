"""A stand-in for Velocity Shipfast, the courier aggregator: booking, labels, tracking, returns, cancelling, reports.

`state` holds accounts, warehouses and parcels, `lanes` says what is carried where and for how much, `booking` takes
orders, `journey` moves parcels, `replies` gives them the documented shapes, `labels` draws PDFs, `web` is the HTTP
face, `hooks` the webhooks. Those are not documented by the vendor; both shapes seen in the wild can be sent.
"""
