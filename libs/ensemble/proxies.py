"""HTTP proxies of the environment: never for this machine itself, and named where a request fails behind one."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_LOOPBACK: Final = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1", "[::1]")


def exempt_loopback(environment: MutableMapping[str, str] = os.environ) -> None:
    """Exempt this machine from the proxies of the environment, for this process and its children."""
    exempt = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    names = [name for name in map(str.strip, exempt.split(",")) if name]
    all_names = ",".join([*names, *(name for name in _LOOPBACK if name not in names)])
    environment["no_proxy"] = environment["NO_PROXY"] = all_names


def proxy_variable(url: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the variable that sends requests for this URL through a proxy, or an empty string."""
    parts = urlsplit(url)
    scheme = next((name for name in (parts.scheme, "all") if getproxies().get(name)), None)
    if scheme is None or proxy_bypass(parts.hostname or ""):
        return ""
    names = (f"{scheme}_proxy", f"{scheme}_PROXY".upper())
    return next((name for name in names if environment.get(name)), "the system's settings")
