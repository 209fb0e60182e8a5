"""What beacon.js does where a shop's own scripts get in its way, in a real browser."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.collector.beacon.test_script import CHROMIUM, Shop, shop, visit
from tests.collector.beacon.test_script_faults import EMPTY, LOADED

__all__ = ["shop", "visit"]
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: apt-get install chromium")
MODULE = Path(__file__).parents[3] / "collector/beacon/script/bundle/beacon.mjs"


def test_what_a_shop_reads_from_its_page_and_clears_afterwards_is_counted_once(
    shop: Shop, visit: Callable[[str], None]
) -> None:
    """A thank-you page: the order's number with line breaks around it, then the cart goes, and all storage with it. A
    history that is rewritten all the time is one page; a clock that jumps changes no engaged time."""
    shop.pages["thanks"] = f"""<p id="order">
         4711\t/ A
      </p><script async src="BEACON" data-spa></script><script>{LOADED}
        var order = document.getElementById('order').textContent;
        milepost.track('purchase', {{order_id: order, item_name: ' \\n ', category: 'a\\u0000b'}});
        milepost.track('purchase', {{order_id: order}});
        localStorage.clear();
        sessionStorage.clear();
        for (var i = 0; i < 100; i++) history.pushState(null, '', 'route-' + i % 7);
        history.pushState(null, '', 'last');
        var real = Date.now;
        Date.now = function () {{ return real() - 60000; }};
        setTimeout(function () {{ history.pushState(null, '', 'left'); }}, 1500);
        setTimeout(function () {{ {EMPTY} }}, 1800);
      }});</script>"""
    visit("thanks")
    shop.until(lambda: shop.reports.get("empty") and shop.events("page_leave") and len(shop.events("page_view")) == 3)
    (purchase,) = shop.events("purchase")
    assert (purchase["event_id"], purchase["order_id"]) == ("purchase-4711 / A", "4711 / A")
    assert ("item_name" in purchase, purchase["category"]) == (False, "a b")
    assert {event["page"].rpartition("/")[2] for event in shop.events("page_view")} == {"thanks", "last", "left"}
    (left,) = shop.events("page_leave")
    assert (left["page"].rpartition("/")[2], 1 <= left["engaged_seconds"] < 59) == ("last", True)


def test_started_twice_it_counts_once_and_a_middle_click_on_a_link_is_a_click(
    shop: Shop, visit: Callable[[str], None]
) -> None:
    """A component that is mounted twice, beside the tag. The middle button opens links; on a button it does nothing."""
    exported = r"export\{([\w$]+) as VERSION,([\w$]+) as start\};?"
    module, found = re.subn(exported, r"window.module = {start: \2};", MODULE.read_text("utf-8"))
    assert found == 1
    shop.pages["twice"] = f"""
      <a href="#p" id="link" data-milepost-event="view" data-milepost-item-id="i1"><b id="inside">Phone</b></a>
      <button id="button" data-milepost-event="add_to_cart">Buy</button>
      <script async src="BEACON"></script><script type="module">{module}</script><script>
      when(function () {{ return window.module && window.milepost && milepost.version; }}, function () {{
        var options = {{endpoint: milepost.debug().endpoint}};
        report('same', module.start(options) === milepost && module.start(options, [['click', {{}}]]) === milepost);
        function middle(id) {{
          document.getElementById(id).dispatchEvent(
            new MouseEvent('auxclick', {{button: 1, bubbles: true, composed: true, cancelable: true}}));
        }}
        middle('inside');
        middle('button');
        {EMPTY}
      }});</script>"""
    visit("twice")
    shop.until(lambda: shop.reports.get("empty"))
    assert shop.reports["same"] is True
    assert sorted(event["event_type"] for event in shop.events()) == ["click", "page_view", "view"]
    assert [event["item_id"] for event in shop.events("view")] == ["i1"]
