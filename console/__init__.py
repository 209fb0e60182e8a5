"""The web page of the fleet and the shop: its read API (`api`), its static files (`static/`), and who may see it.

It writes nothing and reads only through the rooms' queries, each request with a reader of its own, so that it can
neither block nor change what is collected. Every request that is not local is refused until sign-in is configured.
"""
