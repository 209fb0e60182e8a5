"""What the virtual shop sells, and the devices and places that its shoppers come from."""

from typing import NamedTuple


class Item(NamedTuple):
    """One article; price in the shop's currency."""

    item_id: str
    name: str
    category: str
    price: float


class Device(NamedTuple):
    """What a shopper holds in hand; user_agent is sent as the request's header."""

    device_type: str
    browser: str
    user_agent: str


ITEMS: tuple[Item, ...] = tuple(
    Item(f"item-{number:03}", name, category, price)
    for number, (name, category, price) in enumerate(
        (
            ("Moka pot, 6 cups", "kitchen", 34.9),
            ("Cast-iron pan, 28 cm", "kitchen", 49.0),
            ("Chef's knife, 20 cm", "kitchen", 79.5),
            ("Enamel kettle", "kitchen", 38.0),
            ("Bread tin", "kitchen", 17.9),
            ("Pepper mill, beech", "kitchen", 27.5),
            ("Wool blanket", "home", 89.0),
            ("Linen curtain, pair", "home", 64.0),
            ("Desk lamp, brass", "home", 112.0),
            ("Door mat, coir", "home", 24.9),
            ("Bookends, cast iron", "home", 31.0),
            ("Wall clock", "home", 45.0),
            ("Trail shoes", "outdoor", 119.0),
            ("Rain jacket", "outdoor", 149.0),
            ("Two-person tent", "outdoor", 229.0),
            ("Head torch", "outdoor", 39.9),
            ("Water bottle, 1 l", "outdoor", 18.5),
            ("Trekking poles, pair", "outdoor", 74.0),
            ("Bicycle pump", "bicycle", 29.0),
            ("Pannier, 20 l", "bicycle", 68.0),
            ("Dynamo light", "bicycle", 54.0),
            ("Bicycle bell", "bicycle", 12.5),
            ("Inner tube, 28 inch", "bicycle", 8.9),
            ("Secateurs", "garden", 42.0),
            ("Watering can, 9 l", "garden", 33.0),
            ("Seed box, spring", "garden", 21.0),
            ("Garden hose, 20 m", "garden", 47.5),
            ("Wooden trains, set", "toys", 58.0),
            ("Building blocks, 100", "toys", 36.0),
            ("Kite, delta", "toys", 26.0),
            ("Jigsaw, 1000 pieces", "toys", 19.9),
        ),
        start=1,
    )
)

_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"

DEVICES: tuple[Device, ...] = (
    Device("desktop", "Firefox", "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"),
    Device("desktop", "Chrome", f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_BLINK} Chrome/142.0.0.0 Safari/537.36"),
    Device(
        "desktop", "Safari", f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT} Version/18.6 Safari/605.1.15"
    ),
    Device(
        "mobile",
        "Safari",
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {_WEBKIT} Version/18.6 Mobile/15E148 Safari/604.1",
    ),
    Device("mobile", "Chrome", f"Mozilla/5.0 (Linux; Android 10; K) {_BLINK} Chrome/142.0.0.0 Mobile Safari/537.36"),
    Device(
        "tablet",
        "Safari",
        f"Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) {_WEBKIT} Version/18.6 Mobile/15E148 Safari/604.1",
    ),
)

LOCATIONS = (
    "München, DE", "Augsburg, DE", "Berlin, DE", "Hamburg, DE", "Köln, DE", "Wien, AT", "Salzburg, AT", "Zürich, CH",
    "Lyon, FR", "Utrecht, NL", "Praha, CZ", "Kraków, PL",
)  # fmt: skip

REFERRERS = (
    None,
    "https://www.search.example/",
    "https://news.example/shopping",
    "https://social.example/feed",
    "https://mail.example/newsletter",
)

SEARCHES = ("lamp", "tent", "gift", "pan", "jacket", "bicycle light", "clock", "toys", "garden")
