"""Whether a host is this machine: the daemon and its programs never talk over the network."""

from __future__ import annotations

import ipaddress


def is_loopback_host(host: str) -> bool:
    """Whether a host, as written in a configuration or an address, is this machine.

    A name other than localhost is not, wherever it points: what it points to may change.
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
