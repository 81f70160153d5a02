"""A company's places: where parcels are picked up and where they return to, and which courier accounts know them.

Registering a place with a courier is done above, by `shipping`; here stands how it went. Stock in a place is
`inventory`, work inside one is `warehouse`.
"""
