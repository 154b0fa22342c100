"""What the headers of an answer say, without anything that is a secret or names a person."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

INSTANCE = ("x-served-by", "x-backend", "x-backend-server", "x-upstream", "x-instance",
            "x-instance-id", "x-server", "x-server-id", "x-served-from", "x-hostname", "x-pod",
            "x-node", "x-container-id", "server", "via")  # fmt: skip
"""Headers that tell the servers behind a balancer apart; only a hash of them is kept."""

_STICKY = re.compile(
    r"AWSALB|AWSALBCORS|AWSALBTG|SERVERID|SERVER_?USED|SRV|SRVNAME|BIGipServer.*|ARRAffinity.*|GCLB|"
    r"__cflb|INGRESSCOOKIE|route|lb|sticky|_[0-9a-f]{5}|KUBE_AFFINITY",
    re.I,
)
"""Cookies by which balancers keep a client at one server: AWS, HAProxy's manual, F5, Azure, Google,
Cloudflare, ingress-nginx, nginx sticky, Traefik."""

_NODE = re.compile(r"[^;]{8,}[.!~][A-Za-z0-9_-]{1,20}")
"""JSESSIONID=ABC123.node1 names the server behind the dot (Tomcat's jvmRoute)."""

_CDN = {
    "cf-ray": "Cloudflare", "cf-cache-status": "Cloudflare", "x-amz-cf-id": "CloudFront",
    "x-fastly-request-id": "Fastly", "x-akamai-request-id": "Akamai", "x-vercel-id": "Vercel",
    "x-azure-ref": "Azure Front Door", "x-varnish": "Varnish",
}  # fmt: skip

_DIRECTIVES = ("public", "private", "no-store", "no-cache", "must-revalidate", "immutable")
_AGES = ("max-age", "s-maxage")


@dataclass(frozen=True, slots=True)
class Page:
    """The headers of a page that matter for caches, balancers and compression.

    ``fresh_for`` is in seconds, None when nothing says how long a copy is good; ``age`` is that
    of a copy from a cache. ``cookies`` are names, ``sticky`` those of them that balancers set.
    """

    kind: str
    encoding: str
    directives: tuple[str, ...]
    fresh_for: float | None
    age: float | None
    tagged: bool
    vary: tuple[str, ...]
    cookies: tuple[str, ...]
    sticky: tuple[str, ...]
    cdn: str


def page(headers: Mapping[str, str], cookies: Mapping[str, str | None]) -> Page:
    """Read the headers of an answer (lower-case names) and the cookies that it sets."""
    parts = [part.strip().lower() for part in headers.get("cache-control", "").split(",")]
    ages = {part.partition("=")[0]: part.partition("=")[2] for part in parts}
    fresh = next((number(ages[name]) for name in reversed(_AGES) if name in ages), None)
    return Page(
        kind=_word(headers.get("content-type", "").partition(";")[0]),
        encoding=_word(headers.get("content-encoding", "")),
        directives=tuple(d for d in _DIRECTIVES if d in parts),
        fresh_for=fresh,
        age=number(headers.get("age", "")),
        tagged="etag" in headers,
        vary=tuple(_word(v) for v in headers.get("vary", "").split(",")[:8] if v.strip()),
        cookies=tuple(sorted(map(_safe, cookies)))[:20],
        sticky=tuple(sorted(_safe(n) for n, v in cookies.items() if _pins(n, v or "")))[:20],
        cdn=next((name for header, name in _CDN.items() if header in headers), ""),
    )


def instance(headers: Mapping[str, str]) -> str:
    """A hash of what tells one server from another; empty when nothing does."""
    found = [f"{name}={headers[name]}" for name in INSTANCE if name in headers]
    return digest("\n".join(found).encode()) if found else ""


def digest(data: bytes) -> str:
    """Eight hexadecimal digits by which equal things are known, and nothing else."""
    return hashlib.sha256(data).hexdigest()[:8]


def number(text: str) -> float | None:
    """A whole number of seconds, None when it is none."""
    text = text.strip().strip('"')
    return float(text) if text.isdigit() and len(text) < 12 else None


def retry_after(text: str) -> float | None:
    """Seconds until we may come back: a number or a date; None without or when unreadable."""
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    if (seconds := number(text)) is not None or not text:
        return seconds
    try:
        when = parsedate_to_datetime(text)
        return max(0.0, (when.astimezone(UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None


def _pins(name: str, value: str) -> bool:
    known = _STICKY.fullmatch(name) is not None
    return known or (name.upper() == "JSESSIONID" and _NODE.fullmatch(value) is not None)


def _word(text: str) -> str:
    return _safe(text.strip().lower())


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_./+*-]", "?", text)[:40]
