"""Virtual trucks and shoppers, and the ledger of what they sent.

The trucks run the real agent on a simulated sensor, the shoppers post to the real beacon; nothing here stands in for
a part of the product. Imports contract and agent.
"""
