"""One ``upstream`` block, and nginx's way to write times."""

import re

from scaledoctor.sdk import Redactor
from scaledoctor.sources.nginx_conf._files import Directive
from scaledoctor.sources.nginx_conf.facts import Member, Upstream

_METHODS = frozenset(("least_conn", "ip_hash", "hash", "random", "least_time", "sticky"))
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0,
          "M": 2592000.0, "y": 31536000.0}  # fmt: skip
_TIME = re.compile(r"(\d+)(ms|[smhdwMy]?)")


def seconds(text: str, default: float) -> float:
    """Seconds of a time such as "60", "500ms" or "1m30s"; the default when it is none."""
    parts = _TIME.findall(text)
    if not text or "".join(n + unit for n, unit in parts) != text:
        return default
    return sum(int(n) * _UNITS[unit] for n, unit in parts)


def upstream(block: Directive, redactor: Redactor, stream: bool) -> Upstream:
    """Read its method, its members, and whether it keeps connections."""
    inside = block.block or ()
    method = next((d for d in inside if d.name in _METHODS), None)
    keepalive = next((d.first for d in inside if d.name == "keepalive"), None)
    return Upstream(
        name=block.first,
        place=block.place,
        method=" ".join((method.name, *method.arguments)) if method else "round robin",
        method_place=method.place if method else block.place,
        members=tuple(_member(d, redactor) for d in inside if d.name == "server"),
        keepalive=int(keepalive) if keepalive and keepalive.isdecimal() else None,
        zone=any(d.name == "zone" for d in inside),
        stream=stream,
    )


def _member(directive: Directive, redactor: Redactor) -> Member:
    words = (word.partition("=") for word in directive.arguments[1:])
    given = {name: value for name, _, value in words}
    weight, fails = given.get("weight", ""), given.get("max_fails", "")
    return Member(
        address=redactor.text(directive.first),
        place=directive.place,
        weight=int(weight) if weight.isdecimal() else 1,
        max_fails=int(fails) if fails.isdecimal() else 1,
        fail_timeout=seconds(given.get("fail_timeout", ""), 10.0),
        backup="backup" in given,
        down="down" in given,
        words=tuple(map(redactor.text, directive.arguments[1:])),
    )
