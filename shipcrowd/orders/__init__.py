"""Orders: taken in from channels or typed by hand, kept true to their source, and told as a timeline.

Not here: how a store is reached (channels), parcels and couriers (shipping), stock (inventory).
"""
