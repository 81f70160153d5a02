"""What the platform charges for carrying a parcel: dated rate cards, zones, and the price of one shipment.

The pure heart is `zones` (how far) and `quoting` (how much). Not here: which courier is chosen (shipping), what a
courier charges *us* (its offer says so), moving the money (wallet).
"""
