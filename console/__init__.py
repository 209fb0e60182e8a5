"""The web page of the fleet and the shop: its read API and its static files."""
