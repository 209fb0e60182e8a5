"""What the virtual shop sells, and the devices and places that its shoppers come from."""

from typing import NamedTuple


class CatalogueItem(NamedTuple):
    """One article; price in the shop's currency."""

    item_id: str
    name: str
    category: str
    price: float


class Device(NamedTuple):
    """What a shopper holds in hand. user_agent: of the request, with the name of a {platform} (simulator.people)."""

    device_type: str
    browser: str
    user_agent: str


_ARTICLES: tuple[tuple[str, str, tuple[tuple[str, float], ...]], ...] = (
    (
        "MOB",
        "mobile phones",
        (
            ("Mobile phone, 6.1 inch, 128 GB", 599.0),
            ("Mobile phone, 6.7 inch, 256 GB", 849.0),
            ("Mobile phone, compact, 64 GB", 329.0),
            ("Mobile phone, rugged, 128 GB", 449.0),
            ("Mobile phone, large keys", 79.0),
            ("Mobile phone, folding, 512 GB", 1399.0),
        ),
    ),
    (
        "LAP",
        "laptops",
        (
            ("Laptop, 13 inch, 16 GB", 1099.0),
            ("Laptop, 14 inch, 32 GB", 1549.0),
            ("Laptop, 15 inch, 8 GB", 649.0),
            ("Laptop, 16 inch, 64 GB", 2399.0),
            ("Laptop, 11 inch, for school", 399.0),
        ),
    ),
    (
        "CAM",
        "cameras",
        (
            ("Camera, compact, 20 megapixels", 429.0),
            ("Camera, mirrorless, with lens", 1199.0),
            ("Camera, action, waterproof", 289.0),
            ("Camera, instant film", 99.0),
            ("Camera, bridge, 60x zoom", 479.0),
        ),
    ),
    (
        "ACC",
        "accessories",
        (
            ("Phone case, clear", 14.9),
            ("Screen protector, 2 pieces", 12.5),
            ("Charger, USB-C, 65 W", 39.0),
            ("Charging cable, USB-C, 2 m", 11.9),
            ("Power bank, 20 Ah", 45.0),
            ("Headphones, wireless", 129.0),
            ("Car mount for a phone", 24.9),
            ("Laptop sleeve, 14 inch", 29.0),
            ("Docking station, USB-C", 179.0),
            ("Mouse, wireless", 34.0),
            ("Memory card, 128 GB", 27.5),
            ("Camera battery", 59.0),
            ("Tripod, aluminium", 68.0),
            ("Camera bag", 54.0),
            ("Lens cleaning kit", 16.5),
        ),
    ),
)
ITEMS: tuple[CatalogueItem, ...] = tuple(
    CatalogueItem(f"{prefix}{number:03}", name, category, price)
    for prefix, category, articles in _ARTICLES
    for number, (name, price) in enumerate(articles, start=1)
)
CATEGORIES = tuple(dict.fromkeys(item.category for item in ITEMS))

_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"

DEVICES: tuple[Device, ...] = (
    Device("desktop", "Firefox", "Mozilla/5.0 (X11; {linux}; rv:144.0) Gecko/20100101 Firefox/144.0"),
    Device("desktop", "Chrome", f"Mozilla/5.0 ({{windows}}) {_BLINK} Chrome/142.0.0.0 Safari/537.36"),
    Device("desktop", "Safari", f"Mozilla/5.0 ({{mac}}) {_WEBKIT} Version/18.6 Safari/605.1.15"),
    Device("mobile", "Safari", f"Mozilla/5.0 ({{iphone}}) {_WEBKIT} Version/18.6 Mobile/15E148 Safari/604.1"),
    Device("mobile", "Chrome", f"Mozilla/5.0 (Linux; {{android}}; K) {_BLINK} Chrome/142.0.0.0 Mobile Safari/537.36"),
    Device("tablet", "Safari", f"Mozilla/5.0 ({{ipad}}) {_WEBKIT} Version/18.6 Mobile/15E148 Safari/604.1"),
)

REFERRERS = (
    None,
    "https://www.search.example/",
    "https://news.example/shopping",
    "https://social.example/feed",
    "https://mail.example/newsletter",
)

SEARCHES = ("phone", "laptop", "camera", "charger", "case", "headphones", "usb-c cable", "gift", "memory card")
