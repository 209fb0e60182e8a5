"""Fleet mode: thousands of virtual trucks in one process, an event loop over their sockets.

The same topics, numbering, reports, resends and ledger as the real agent's, for sizing and load; the agent itself runs
in full mode (`simulator.trucks`). mqtt5: packets. connection: one socket. ledger: what was sampled and what was
acknowledged. truck: what one truck says and does. loop: all of them.
"""
