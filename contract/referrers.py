"""Of what kind the site is that a shopper came from: a function of the event alone.

No library that is still kept up does this, so the table below names the common hosts; a country's own domain
(google.de) and subdomains count as their site.
"""

import re
from functools import lru_cache

CLASSES = ("direct", "internal", "search", "social", "mail", "other")

_HOST = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#@]*@)?([^/:?#]+)")
_SEARCH = """
    google bing duckduckgo yahoo yandex baidu ecosia qwant startpage brave naver seznam sogou kagi ask aol
    swisscows mojeek
"""
_SOCIAL = """
    facebook instagram twitter x t.co linkedin lnkd.in pinterest reddit tiktok youtube youtu.be vk whatsapp telegram
    t.me threads mastodon bsky snapchat tumblr weibo xing quora discord news.ycombinator.com messenger fb.me
"""
_MAIL = """
    mail outlook gmail protonmail proton gmx web.de live.com zoho fastmail t-online roundcube posteo mailbox
"""
_KIND = {
    **dict.fromkeys(_SOCIAL.split(), "social"),
    **dict.fromkeys(_SEARCH.split(), "search"),
    **dict.fromkeys(_MAIL.split(), "mail"),
}
_MAIL_LABELS = frozenset({"mail", "webmail", "outlook"})
_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "gov", "net", "org"})
_MAIL_MEDIA = frozenset({"email", "e-mail", "mail", "newsletter"})


def referrer_class(referrer_url: object, page: object, utm_medium: object = None) -> str:
    """One of CLASSES.

    Args:
        referrer_url: the page before, or what came instead of a text.
        page: the event's own page; a referrer on the same host is internal.
        utm_medium: says `mail` where the link's maker said so, since mail programs send no referrer.
    """
    if isinstance(utm_medium, str) and utm_medium.lower() in _MAIL_MEDIA:
        return "mail"
    if not isinstance(referrer_url, str) or not referrer_url:
        return "direct"
    return _class_of(_host(referrer_url), _host(page) if isinstance(page, str) else "")


@lru_cache(maxsize=4096)
def _host(url: str) -> str:
    found = _HOST.match(url)
    return found[1].lower().removeprefix("www.") if found else ""


@lru_cache(maxsize=4096)
def _class_of(host: str, own: str) -> str:
    if not host:
        return "other"
    if host == own:
        return "internal"
    labels = host.split(".")
    if any(label in _MAIL_LABELS for label in labels[:-2]):
        return "mail"  # mail.google.com is no search
    for start in range(len(labels) - 1):
        if kind := _KIND.get(".".join(labels[start:])):
            return kind
    return _KIND.get(_site(labels), "other")


def _site(labels: list[str]) -> str:
    """`google` of news.google.co.uk."""
    ending = 2 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 1
    return labels[-ending - 1] if len(labels) > ending else ""
