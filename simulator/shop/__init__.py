"""The demo shop: phones, laptops, cameras; cart and checkout. Many pages, or a single one: real ones for the beacon."""

from simulator.shop.site import ShopSite

__all__ = ["ShopSite"]
