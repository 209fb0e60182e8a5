"""beacon.js where a browser shows a page later, again, or lets it keep nothing: in a real Chromium with a profile."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from collector.beacon import BeaconSettings
from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.queries.clicks import clicks
from collector.stores.factory import open_store
from contract.ingest_items import Item
from tests.collector.beacon.conftest import serve
from tests.collector.beacon.test_script import CHROMIUM, Shop, shop, visit

__all__ = ["shop", "visit"]
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: apt-get install chromium")
LOADED = "when(function () { return window.milepost && milepost.version; }, function () {"


def prefer(folder: Path, preferences: dict[str, object]) -> None:
    """Settings of the browser that `visit` starts, as its own settings page would write them."""
    (folder / "profile" / "Default").mkdir(parents=True)
    (folder / "profile" / "Default" / "Preferences").write_text(json.dumps(preferences), encoding="utf-8")


def test_a_page_that_is_prepared_ahead_counts_when_it_is_shown(shop: Shop, visit: Callable[[str], None]) -> None:
    """The page leaves half a second after the one prepared behind it has its script and the own view is told."""
    shop.pages["now"] = """<script type="speculationrules">
        {"prerender": [{"source": "list", "urls": ["/shop/next"], "eagerness": "immediate"}]}</script>
      <script async src="BEACON"></script><script>
        function ready() { return window.milepost && !outbox().length && localStorage.getItem('prepared'); }
        when(ready, function () {
          setTimeout(function () { report('left', new Date().toISOString()); location = '/shop/next'; }, 500);
        });
      </script>"""
    shop.pages["next"] = """<script>
        var ahead = document.prerendering;
        document.addEventListener('prerenderingchange', function () { report('activated', ahead); });
        when(function () { return window.milepost && milepost.version; },
             function () { localStorage.setItem('prepared', 'yes'); });
      </script><script async src="BEACON"></script>"""
    visit("now")
    shop.until(lambda: len(shop.events("page_view")) == 2 and {"left", "activated"} <= set(shop.reports))
    now, after = sorted(shop.events("page_view"), key=lambda event: event["timestamp"])
    assert (now["page"][-4:], after["page"][-5:]) == ("/now", "/next")
    assert now["timestamp"] < shop.reports["left"] <= after["timestamp"]
    assert shop.reports["activated"] is True, "Chromium did not prerender, so this has shown nothing"


def test_a_page_that_comes_back_from_the_cache_is_viewed_again(shop: Shop, visit: Callable[[str], None]) -> None:
    shop.pages["first"] = """<script async src="BEACON"></script><script>
        addEventListener('pageshow', function (event) { if (event.persisted) report('restored', true); });
        when(function () { return window.milepost && !outbox().length; }, function () {
          setTimeout(function () { location = '/shop/second'; }, 1300);
        });</script>"""
    shop.pages["second"] = """<script async src="BEACON"></script><script>
        when(function () { return window.milepost && !outbox().length; }, function () { history.back(); });</script>"""
    visit("first")
    shop.until(lambda: shop.reports.get("restored") and len(shop.events("page_view")) >= 3)
    views = sorted(shop.events("page_view"), key=lambda event: event["timestamp"])
    assert [event["page"].rpartition("/")[2] for event in views[:3]] == ["first", "second", "first"]
    left = [event for event in shop.events("page_leave") if event["page"].endswith("/first")]
    assert left
    assert 1 <= left[0]["engaged_seconds"] <= 60


def test_where_the_shopper_forbids_all_storage_events_arrive_as_of_one_session(
    shop: Shop, visit: Callable[[str], None], tmp_path: Path
) -> None:
    prefer(tmp_path, {"profile": {"default_content_setting_values": {"cookies": 2}}})
    shop.pages["denied"] = f"""<script>
        try {{ localStorage.length; report('storage', 'open'); }} catch (error) {{ report('storage', error.name); }}
      </script><script async src="BEACON"></script><script>{LOADED}
        milepost.track('view', {{item_id: 'a'}}); milepost.track('view', {{item_id: 'b'}});
      }});</script>"""
    visit("denied")
    shop.until(lambda: len(shop.events()) == 3 and "storage" in shop.reports)
    assert shop.reports["storage"] == "SecurityError"
    assert len({(event["user_id"], event["session_id"]) for event in shop.events()}) == 1


def test_do_not_track_is_obeyed(shop: Shop, visit: Callable[[str], None], tmp_path: Path) -> None:
    prefer(tmp_path, {"enable_do_not_track": True})
    shop.pages["quiet"] = f"""<script async src="BEACON"></script><script>{LOADED}
        milepost.identify('c1'); milepost.track('view', {{item_id: 'a'}});
        setTimeout(function () {{ report('kept', [navigator.doNotTrack].concat(Object.keys(localStorage))); }}, 300);
      }});</script>"""
    visit("quiet")
    shop.until(lambda: "kept" in shop.reports and len(shop.events()) == 2)
    assert shop.reports["kept"] == ["1"]
    assert not any({"user_id", "session_id", "customer_id"} & event.keys() for event in shop.events())


@pytest.mark.prove
def test_global_privacy_control_is_obeyed(shop: Shop, visit: Callable[[str], None]) -> None:
    """Chromium has no such setting, so the page says what an extension would."""
    shop.pages["quiet"] = """<script>Object.defineProperty(navigator, 'globalPrivacyControl', {value: true});</script>
      <script async src="BEACON"></script>"""
    visit("quiet")
    shop.until(lambda: shop.events("page_view"))
    assert not {"user_id", "session_id"} & shop.events("page_view")[0].keys()


def test_a_full_storage_costs_no_event_and_the_shop_keeps_its_own(shop: Shop, visit: Callable[[str], None]) -> None:
    shop.pages["full"] = f"""<script>
        localStorage.setItem('cart', 'mine');
        for (var size = 1 << 20; size >= 1; size >>= 1) {{
          try {{
            for (var i = 0; ; i++) localStorage.setItem('filler' + size + '.' + i, 'x'.repeat(size));
          }} catch (error) {{}}
        }}</script><script async src="BEACON"></script><script>{LOADED}
        for (var i = 0; i < 50; i++) milepost.track('view', {{item_id: 'i' + i}});
        when(function () {{ return !milepost.debug().waiting; }}, function () {{
          report('after', [localStorage.getItem('cart'), outbox().length, milepost.debug().dropped]);
        }});
      }});</script>"""
    visit("full")
    shop.until(lambda: "after" in shop.reports)
    assert shop.reports["after"] == ["mine", 0, 0]
    assert {event["item_id"] for event in shop.events("view")} == {f"i{n}" for n in range(50)}
    assert len({event["session_id"] for event in shop.events()}) == 1


@pytest.mark.prove
def test_the_outbox_leaves_the_shop_most_of_its_storage(shop: Shop, visit: Callable[[str], None]) -> None:
    shop.writer.mode = "is full"
    shop.pages["long"] = f"""<script async src="BEACON"></script><script>{LOADED}
        for (var i = 0; i < 400; i++) milepost.track('view', {{item_name: 'x'.repeat(2000)}});
        var chars = outbox().reduce(function (sum, key) {{ return sum + localStorage.getItem(key).length; }}, 0);
        report('chars', chars);
        report('waiting', milepost.debug().waiting);
      }});</script>"""
    visit("long")
    shop.until(lambda: "waiting" in shop.reports)
    assert shop.reports["chars"] < 250_000
    assert shop.reports["waiting"] == 401


COOKIE = '<script src="/beacon.js" data-cookie></script>'


@pytest.mark.parametrize("shop", [BeaconSettings(cookie_days=395)], indirect=True)
def test_a_browser_whose_storage_was_cleared_is_the_same_person_by_the_servers_cookie(
    shop: Shop, visit: Callable[[str], None], tmp_path: Path
) -> None:
    """As Safari does after seven days without a visit. The page and the beacon share a host."""
    shop.pages["first"] = f"""{COOKIE}<script>
      milepost.track('view', {{item_id: 'I1'}});
      report('cookies', document.cookie);
      when(function () {{ return milepost.debug().waiting === 0; }}, function () {{ location = '/shop/second'; }});
    </script>"""
    shop.pages["second"] = f"""<script>localStorage.clear(); sessionStorage.clear();</script>
      {COOKIE}<script>milepost.track('view', {{item_id: 'I2'}});</script>"""
    visit("first")
    shop.until(lambda: len(shop.events("view")) == 2)
    shop.until(lambda: len(shop.events("page_view")) == 2)
    items = [item for item in shop.writer.items if isinstance(item.record, dict)]
    assert len({item.record["user_id"] for item in items}) == 2
    assert len({item.seen["browser_id"] for item in items}) == 1
    assert shop.reports["cookies"] == ""  # no script can read it
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    Ingest(store, TrackingPolicy.of()).ingest(items)
    rows = clicks(store, "session")
    assert [row["user_type"] for row in rows] == ["new", "returning"]
    customer = {"event_id": "C", "event_type": "identify", "user_id": rows[1]["user_id"], "customer_id": "C1"}
    Ingest(store, TrackingPolicy.of()).ingest([Item("click", "http:clicks", customer, items[-1].received_ms)])
    assert [row["customer_id"] for row in clicks(store, "session")] == ["C1", "C1"]
    store.close()


@pytest.mark.parametrize("shop", [BeaconSettings(cookie_days=395, sites=("https://shop.example",))], indirect=True)
def test_whoever_forbids_tracking_gets_no_cookie(shop: Shop) -> None:
    event = {"event_id": "1", "event_type": "click", "user_id": "u"}
    page = {"sec-fetch-site": "same-site", "origin": "https://shop.example"}
    with serve(shop.app) as url, httpx.Client(base_url=url, timeout=60) as client:

        def cookie(headers: dict[str, str], record: dict[str, str] = event) -> str | None:
            return client.post("/v1/clicks", json=record, headers={**page, **headers}).headers.get("set-cookie")

        assert cookie({"dnt": "1"}) is None
        assert cookie({"sec-gpc": "1"}) is None
        assert cookie({"sec-fetch-site": "cross-site"}) is None
        assert cookie({}, {"event_id": "2", "event_type": "click"}) is None  # nobody has agreed to be known
        given = str(cookie({}))
        assert re.fullmatch(
            r"milepost_id=[0-9a-f]{32}; Max-Age=34128000; Path=/v1/clicks; HttpOnly; Secure; SameSite=Lax", given
        )
        again = cookie({"cookie": f"other=1; {given.partition(';')[0]}"})
        assert again == given
        answer = client.post("/v1/clicks", json=event, headers=page)
        assert answer.headers["access-control-allow-credentials"] == "true"
