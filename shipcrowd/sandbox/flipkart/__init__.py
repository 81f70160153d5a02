"""A stand-in for Flipkart's marketplace: sign-in, the Seller API v3, and notifications, over sellers held in memory.

`state` holds what a seller is, `placing` makes sellers and shipments, `trade` is what can happen to a shipment and
`claims` to a return. `search`, `fulfilment`, `selfship`, `returns` and `listings` answer the API, `wire` writes its
shapes, `papers` its PDFs, `limits` counts calls, `oauth` signs in, `notices` tells the seller, `web` is the HTTP face.
`desk`, `desk_http`, `desk_client` and `desk_page` drive it. Where Flipkart's documents, its SDK and what was seen on
the wire differ, the `dialect` knob speaks the other way.
"""
