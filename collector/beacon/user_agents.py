"""What a User-Agent says: device type, browser, operating system, and whether a robot sent it.

ua-parser knows browsers and systems, crawler-user-agents the robots; both are maintained lists, and a newer one knows
more. A program's HTTP library (curl, requests) is no robot here: it posts events on purpose, as a shop's server does.
"""

import re
from functools import lru_cache
from typing import NamedTuple

_TABLET = re.compile(r"iPad|Tablet|PlayBook|Silk/|Kindle|Android(?!.*Mobile)")
_MOBILE = re.compile(r"Mobile|iPhone|iPod|Phone|Opera Mini|BlackBerry")
_TELEVISION = re.compile(r"SmartTV|SMART-TV|Smart TV|Apple ?TV|GoogleTV|BRAVIA|Web0S|NetCast|CrKey|AFT[A-Z]")
_DESKTOP_SYSTEMS = frozenset({"Windows", "Mac OS X", "Linux", "Ubuntu", "Chrome OS", "Fedora", "Debian", "FreeBSD"})
_LONGEST = 1024
_HTTP_LIBRARY = "http-library"
_REMEMBERED = 4096


class UserAgent(NamedTuple):
    """device_type: desktop, mobile, tablet or tv. Each None where the User-Agent does not tell.

    is_library: an HTTP library, or nothing at all, where a browser would say its name.
    """

    device_type: str | None
    browser: str | None
    os: str | None
    is_bot: bool
    is_library: bool


@lru_cache(maxsize=_REMEMBERED)
def read_user_agent(text: str) -> UserAgent:
    """What one User-Agent says. The first call loads the lists (0.5 s); a new text takes under a millisecond."""
    import ua_parser

    text = text[:_LONGEST]
    found = ua_parser.parse(text)
    spider = found.device is not None and found.device.family == "Spider"
    if spider or _crawlers(False).search(text):
        return UserAgent(None, None, None, True, False)
    if not text or _crawlers(True).search(text):
        return UserAgent(None, None, None, False, True)
    browser = found.user_agent.family if found.user_agent else None
    system = found.os.family if found.os else None
    return UserAgent(_device_type(text, system), browser, system, False, False)


def _device_type(text: str, system: str | None) -> str | None:
    if _TELEVISION.search(text):
        return "tv"
    if _TABLET.search(text):
        return "tablet"
    if _MOBILE.search(text):
        return "mobile"
    return "desktop" if system in _DESKTOP_SYSTEMS else None


@lru_cache(maxsize=2)
def _crawlers(libraries: bool) -> re.Pattern[str]:
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA

    chosen = [each for each in CRAWLER_USER_AGENTS_DATA if (each.get("tags") == [_HTTP_LIBRARY]) is libraries]
    return re.compile("|".join(each["pattern"] for each in chosen))
