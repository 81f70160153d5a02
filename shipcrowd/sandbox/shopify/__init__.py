"""A stand-in for Shopify: sign-in, the Admin GraphQL API of 2026-10, and webhooks, over shops held in memory.

`state` holds what a shop is, `trade` what can happen in it (by the API, by a buyer, by the merchant), `queries` and
`mutations` answer GraphQL, `payloads` writes webhook bodies, `web` is the HTTP face. The schema in `schema.graphql`
is written by hand and holds only what a shipping app asks for.
"""
