"""Of what kind the site is that a shopper came from."""

import pytest

from contract.click_records import read_click
from contract.referrers import referrer_class
from tests.contract.examples import RECEIVED_MS, click

PAGE = "https://www.shop.example/laptops"


@pytest.mark.parametrize(
    ("referrer", "expected"),
    [
        (None, "direct"),
        ("https://shop.example/cart", "internal"),
        ("https://www.google.co.uk/", "search"),
        ("https://search.yahoo.co.jp/search", "search"),
        ("android-app://com.google.android.gm", "other"),
        ("https://mail.google.com/mail", "mail"),
        ("https://web.de/", "mail"),
        ("https://t.co/abc", "social"),
        ("https://lm.facebook.com/l.php", "social"),
        ("https://x.com/", "social"),
        ("https://x.example.com/", "other"),
        ("https://google.evil.example.com/", "other"),
        ("https://user:secret@duckduckgo.com:8443/?q=x", "search"),
        ("not a URL", "other"),
    ],
)
def test_the_class_of_a_referrer(referrer: str | None, expected: str) -> None:
    assert referrer_class(referrer, PAGE) == expected


def test_a_link_from_a_newsletter_is_mail_though_it_has_no_referrer() -> None:
    assert referrer_class(None, PAGE, "Email") == "mail"


def test_an_event_that_comes_by_http_is_given_its_class_and_one_without_a_page_is_not() -> None:
    def class_of(**fields: str) -> object:
        event = read_click({"event_id": "a", **fields}, received_ms=RECEIVED_MS, seen={"is_bot": False})
        return event.record.get("referrer_class")

    assert class_of(page=PAGE, referrer_url="https://bing.com/") == "search"
    assert class_of(page=PAGE) == "direct"
    assert class_of() is None
    assert (
        read_click(click(page=PAGE, referrer_class="other"), received_ms=RECEIVED_MS).record["referrer_class"]
        == "other"
    )
