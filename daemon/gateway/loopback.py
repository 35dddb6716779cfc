"""Whether an address is on this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine. A name other than localhost is not, wherever it points."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def off_loopback(urls: Iterable[str]) -> list[str]:
    """Those URLs that are not on this machine."""
    return [url for url in urls if not is_loopback(url)]
