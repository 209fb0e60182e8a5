"""Orders: what a shop or a warehouse says happened, and the state that follows from it.

The log of events is the truth. `wire` judges what arrives, `state` is a pure function of an order's documents and
events, `service` keeps what was judged and answers with a receipt.
"""
