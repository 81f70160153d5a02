"""Stores at sales channels: connecting them, taking their orders in, telling them how the parcels fare.

`contract` says what a channel must be able to do; each vendor does it in `integrations`. Orders come in by webhook
(`webhooks`, `intake`) and by sweep (`sweeps`), which finds whatever the webhooks missed; both end in `orders`. Parcels
are told back by `announcements`. Not here: an order's own life (`orders`), credentials and their renewal
(`connections`), what a vendor's words mean (its folder in `integrations`).
"""
