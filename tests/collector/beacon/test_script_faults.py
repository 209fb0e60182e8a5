"""What beacon.js does where a shop, its shopper or the way to the server misbehaves, in a real browser."""

from collections.abc import Callable

import pytest

from tests.collector.beacon.test_script import CHROMIUM, Shop, shop, visit

__all__ = ["shop", "visit"]
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: apt-get install chromium")
LOADED = "when(function () { return window.milepost && milepost.version; }, function () {"
EMPTY = "when(function () { return !outbox().length; }, function () { report('empty', true); });"


def test_one_event_refused_on_the_way_and_a_damaged_line_do_not_hold_up_the_rest(
    shop: Shop, visit: Callable[[str], None]
) -> None:
    shop.pages["proxy"] = f"""<script>
      localStorage.setItem('milepost.event.0.damaged', '{{"event_id": "x"');
      var real = fetch;
      window.fetch = function (url, options) {{
        if (!/culprit/.test(options.body)) return real(url, options);
        return Promise.resolve(new Response('no', {{status: 403}}));
      }};</script><script async src="BEACON"></script><script>{LOADED}
        for (var i = 0; i < 30; i++) milepost.track('click', {{item_id: i === 12 ? 'culprit' : 'i' + i}});
        when(function () {{ return outbox().length < 2 && milepost.debug().rejected.length; }}, function () {{
          milepost.track('click', {{item_id: 'last'}});
          when(function () {{ return !outbox().length; }}, function () {{ report('debug', milepost.debug()); }});
        }});
      }});</script>"""
    visit("proxy")
    shop.until(lambda: shop.reports.get("debug"))
    assert {event["item_id"] for event in shop.events("click")} == {f"i{n}" for n in range(30) if n != 12} | {"last"}
    reasons = [each["reason"] for each in shop.reports["debug"]["rejected"]]
    assert sorted(reasons) == ["HTTP 403", "damaged in storage"]


def test_one_action_of_a_shopper_is_one_event(shop: Shop, visit: Callable[[str], None]) -> None:
    shop.pages["actions"] = f"""
      <label data-milepost-event="click" data-milepost-item-id="label" id="label">agree <input type="checkbox"></label>
      <form data-milepost-event="search" id="form"><input type="search" id="field" value="phone">
        <button id="go"></button></form>
      <div id="host"></div><button id="own" data-milepost-event="view" data-milepost-event-id="same"></button>
      <script async src="BEACON"></script><script>{LOADED}
        document.getElementById('form').onsubmit = function () {{ return false; }};
        var root = document.getElementById('host').attachShadow({{mode: 'open'}});
        root.innerHTML = '<button data-milepost-event="add_to_cart" data-milepost-item-id="shadow">buy</button>';
        root.querySelector('button').click();
        document.getElementById('label').click();
        document.getElementById('field').click();
        document.getElementById('go').click();
        document.getElementById('own').click();
        document.getElementById('own').click();
        for (var i = 0; i < 3; i++) milepost.track('purchase', {{order_id: 'o1', price: '1.299,00 \\u20ac',
          item_name: '\\ud83d\\ude00'.repeat(3000), category: '\\ud83d', lines: [{{item_id: 7, price: '5'}}]}});
        {EMPTY}
      }});</script>"""
    visit("actions")
    shop.until(lambda: shop.reports.get("empty"))
    assert [event["item_id"] for event in shop.events("click")] == ["label"]
    assert [event["search_term"] for event in shop.events("search")] == ["phone"]
    assert [event["item_id"] for event in shop.events("add_to_cart")] == ["shadow"]
    assert len(shop.events("view")) == 2
    (purchase,) = shop.events("purchase")
    assert (purchase["event_id"], purchase["lines"]) == ("purchase-o1", [{"item_id": "7", "price": 5}])
    assert (purchase["item_name"], purchase["category"]) == ("\U0001f600" * 2048, "\ufffd")


def test_routes_of_a_single_page_shop_are_page_views_and_campaigns_are_kept(
    shop: Shop, visit: Callable[[str], None]
) -> None:
    shop.pages["spa"] = f"""<script async src="BEACON" data-spa data-hash-routes data-keep-query="product"></script>
      <script>{LOADED}
        history.pushState(null, '', '/shop/second?product=7');
        setTimeout(function () {{ location.hash = '#/cart?token=1'; setTimeout(function () {{ {EMPTY} }}, 200); }}, 99);
      }});</script>"""
    visit("spa?utm_source=mail&token=secret")
    shop.until(lambda: shop.reports.get("empty"))
    first, second, third = sorted(shop.events("page_view"), key=lambda event: event["timestamp"])
    assert (first["utm_source"], first["page"][-9:]) == ("mail", "/shop/spa")
    assert (second["properties"], second["referrer_url"][-9:]) == ({"product": "7"}, "/shop/spa")
    assert third["page"].endswith("/shop/second#/cart")
    assert "secret" not in str(shop.events())


def test_nothing_is_stored_or_sent_before_consent_and_what_was_held_follows_it(
    shop: Shop, visit: Callable[[str], None]
) -> None:
    shop.pages["consent"] = f"""<script async src="BEACON" data-consent="required"></script><script>{LOADED}
        milepost.track('view', {{item_id: 'before'}});
        setTimeout(function () {{
          report('stored', Object.keys(localStorage).concat(Object.keys(sessionStorage)));
          milepost.consent(true);
          milepost.identify('c1', {{tier: 'gold'}});
          when(function () {{ return milepost.debug().waiting === 0; }}, function () {{
            milepost.consent(false);
            report('left', Object.keys(localStorage).concat(Object.keys(sessionStorage)));
          }});
        }}, 300);
      }});</script>"""
    shop.writer.items.clear()
    visit("consent")
    shop.until(lambda: "left" in shop.reports)
    assert (shop.reports["stored"], shop.reports["left"]) == ([], [])
    (held,), (known,) = shop.events("view"), shop.events("identify")
    assert held["user_id"] == known["user_id"]
    assert (known["customer_id"], known["properties"]) == ("c1", {"tier": "gold"})


def test_without_storage_a_shopper_is_one_user_in_one_session(shop: Shop, visit: Callable[[str], None]) -> None:
    shop.pages["frame"] = f"""<script async src="BEACON"></script><script>{LOADED}
        milepost.track('view', {{}}); milepost.track('view', {{}});
      }});</script>"""
    shop.pages["outer"] = '<iframe sandbox="allow-scripts" src="/shop/frame"></iframe>'
    visit("outer")
    shop.until(lambda: len(shop.events()) == 3)
    assert len({(event["user_id"], event["session_id"]) for event in shop.events()}) == 1
