"""ShipCrowd: shipping for Indian e-commerce sellers. The map, from the top; everything imports downward only.

    cli app worker demo     what is started; `wiring` says which vendors exist and who listens to which event
    console                 the web pages
    integrations            outside systems, each a translation; `sandbox` holds stand-ins for them
    channels                stores: orders come in, parcels and their progress are told back
    shipping                from a quote to an AWB, labels, tracking, manifests
    orders ratecards wallet
    connections couriers ledger locations
    identity                companies, people, API keys; the guard at every route
    documents messaging pincodes
    kernel                  database, tenancy, jobs, events, the way out; knows no shipping words

`.importlinter` holds the code to this drawing.
"""
