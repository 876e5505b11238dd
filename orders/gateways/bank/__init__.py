"""The bank: a stand-in for the payment service, as a process of its own (`python -m orders.gateways.bank`).

It speaks the part of Stripe's API that the adapter uses, misbehaves on request (see `cards`), and
writes its own ledger: a witness that shares no code, no database and no process with the shop.
Only the standard library; nothing here may import Django, the SDK, or the shop.
"""
