"""From a tree of directives to what the checks need: inheritance as nginx does it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from scaledoctor.sdk import Redactor
from scaledoctor.sources.nginx_conf._files import Directive
from scaledoctor.sources.nginx_conf._upstreams import seconds, upstream
from scaledoctor.sources.nginx_conf.facts import Log, NginxConf, Pass, Setting, Upstream

_PASSES: Mapping[str, str] = {
    "proxy_pass": "http",
    "fastcgi_pass": "fastcgi",
    "uwsgi_pass": "uwsgi",
    "scgi_pass": "scgi",
    "grpc_pass": "grpc",
    "memcached_pass": "memcached",
}
_PREFIX: Mapping[str, str] = {"http": "proxy", "stream": "proxy"}
_BLOCKS = frozenset(("http", "stream", "server", "location", "if", "limit_except"))
_TARGET = re.compile(r"(?:\w+://)?(unix:[^:;]+|[^/]+)")
_COMBINED = "combined"


@dataclass(frozen=True, slots=True)
class _Level:
    """What a block inherits: directives by name, the Connection header, the names around it."""

    settings: Mapping[str, Directive] = field(default_factory=dict)
    connection: Directive | None = None
    where: str = ""
    stream: bool = False

    def inside(self, block: "Iterable[Directive]", where: str, stream: bool) -> "_Level":
        """The level of a block: its own directives replace the inherited ones of that name."""
        headers = [d for d in block if d.name == "proxy_set_header"]
        sent = next((d for d in headers if d.first.lower() == "connection"), None)
        return replace(
            self,
            settings={**self.settings, **{d.name: d for d in block if d.block is None}},
            # proxy_set_header is inherited only into a block that has none itself.
            connection=sent if headers else self.connection,
            where=where,
            stream=stream,
        )

    def text(self, name: str, default: str = "") -> str:
        """The first argument of a directive that holds here."""
        found = self.settings.get(name)
        return found.first if found else default


@dataclass
class _Found:
    """What is gathered on the way."""

    redactor: Redactor
    upstreams: list[Upstream] = field(default_factory=list)
    passes: list[tuple[Directive, _Level]] = field(default_factory=list)
    idle: dict[str, str] = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)
    logs: list[Directive] = field(default_factory=list)

    def walk(self, block: Iterable[Directive], level: _Level) -> None:
        """Gather from one block and the blocks inside it."""
        for directive in block:
            if directive.name == "upstream" and directive.block is not None:
                self.upstreams.append(upstream(directive, self.redactor, level.stream))
            elif directive.name in _PASSES:
                self.passes.append((directive, level))
            elif directive.name == "map" and len(directive.arguments) == 2:
                self.idle[directive.arguments[1]] = _without(directive)
            elif directive.name == "log_format":
                self.formats[directive.first] = " ".join(directive.arguments[1:])
            elif directive.name == "access_log":
                self.logs.append(directive)
            elif directive.name in _BLOCKS and directive.block is not None:
                stream = level.stream or directive.name == "stream"
                where = _where(directive, level.where)
                self.walk(directive.block, level.inside(directive.block, where, stream))


def extract(
    directives: Iterable[Directive], redactor: Redactor, files: int, missing: Iterable[str]
) -> NginxConf:
    """Gather upstreams, passes and limits."""
    top = list(directives)
    found = _Found(redactor)
    found.walk(top, _Level().inside(top, "", False))
    events = [d for e in top if e.name == "events" for d in e.block or ()]
    return NginxConf(
        files=files,
        missing=tuple(map(redactor.text, missing)),
        processes=_setting(top, "worker_processes"),
        connections=_setting(events, "worker_connections"),
        nofile=_setting(top, "worker_rlimit_nofile"),
        upstreams=tuple(found.upstreams),
        passes=tuple(_pass(directive, level, found) for directive, level in found.passes),
        logs=tuple(_logs(found)),
    )


def _setting(block: Iterable[Directive], name: str) -> Setting | None:
    return next((Setting(d.first, d.place) for d in block if d.name == name), None)


def _where(block: Directive, above: str) -> str:
    if block.name == "server":
        names = [d for d in block.block or () if d.name in ("server_name", "listen")]
        named = min(names, key=lambda d: d.name != "server_name", default=None)
        return f"server {named.first}" if named else "server"
    if block.name == "location":
        return f"{above} location {' '.join(block.arguments)}".strip()
    return above


def _without(block: Directive) -> str:
    """What a map gives for an empty value: a request without that header."""
    rows = {d.name: d.first for d in block.block or ()}
    return rows.get("", rows.get("default", ""))


def _pass(directive: Directive, level: _Level, found: _Found) -> Pass:
    protocol = "stream" if level.stream else _PASSES[directive.name]
    prefix = _PREFIX.get(protocol, protocol)
    read = "proxy_timeout" if level.stream else f"{prefix}_read_timeout"
    sent, known = _connection(level, found)
    tries = level.text(f"{prefix}_next_upstream_tries")
    return Pass(
        protocol=protocol,
        target=found.redactor.text(_target(directive.first)),
        where=found.redactor.text(level.where),
        place=directive.place,
        connect_timeout=seconds(level.text(f"{prefix}_connect_timeout"), 60.0),
        read_timeout=seconds(level.text(read), 600.0 if level.stream else 60.0),
        retries=level.text(f"{prefix}_next_upstream") != "off",
        tries=int(tries) if tries.isdecimal() else 0,
        tries_seconds=seconds(level.text(f"{prefix}_next_upstream_timeout"), 0.0),
        http_version=level.text("proxy_http_version"),
        connection=sent,
        connection_known=known,
        keep_conn=level.text("fastcgi_keep_conn") == "on",
    )


def _connection(level: _Level, found: _Found) -> tuple[str | None, bool]:
    """The Connection header of an ordinary request, and whether that is known."""
    if level.connection is None:
        return None, True
    value = level.connection.arguments[1] if len(level.connection.arguments) > 1 else ""
    if "$" not in value:
        return value, True
    return found.idle.get(value), value in found.idle


def _target(text: str) -> str:
    found = _TARGET.match(text)
    return "" if found is None or "$" in found[1] else found[1].rpartition("@")[2]


def _logs(found: _Found) -> Iterator[Log]:
    for directive in found.logs:
        path, *rest = directive.arguments or ("off",)
        name = next((word for word in rest if "=" not in word), _COMBINED)
        fields = found.formats.get(name, "")
        if path != "off":
            upstream = "$upstream_addr" in fields and "$upstream_response_time" in fields
            yield Log(path, directive.place, upstream)
