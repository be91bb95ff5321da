"""A small stateful Stripe: enough of the API, the checkout page and the portal to buy, fail, change and cancel.

It speaks HTTP to the real SDK. It is for laptops and tests; nothing is ever charged.
"""
