"""How a page is connected: kept connections, and clients tied to one server."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.http import Replies
from scaledoctor_checks.app._replies import FEWEST, SOURCE, counted, middle
from scaledoctor_checks.app._words import milliseconds
from scaledoctor_checks.app.http_answers import SYMPTOM


@check("http.no-reuse", step=Step.POOL)
def no_reuse(replies: Replies, /, *, share: float = 0.9, cost: float = 0.25) -> Iterator[Finding]:
    """Every request needs a new connection.

    Why: it costs a round trip, with TLS two or three, and on the server an accept and perhaps a
    fork; ports in TIME_WAIT pile up.
    How measured: up to 20 GET requests that would have kept their connection; those after the
    first that had to connect again. Fires at ``share`` of at least 5; low, or medium where
    connecting takes ``cost`` of the time to the first byte.
    Fix: keep-alive in the server and in what stands before it.
    When to ignore: a page that is asked once by each client.
    References: RFC 9112, 9.3; nginx manual, keepalive_timeout; HAProxy manual, http-keep-alive.
    """
    found = [reply for reply in counted(replies) if reply.status and not reply.fresh]
    again = [reply for reply in found if reply.connect is not None]
    if len(found) < FEWEST or len(again) < share * len(found):
        return
    connect = middle(again, lambda r: (r.connect or 0.0) + (r.tls or 0.0))
    first = middle(again, lambda r: r.first_byte)
    part = connect / max(connect + first, 1e-6)
    said = sum(reply.closed for reply in again)
    yield Finding(
        subject=replies.path,
        summary=(
            f"{len(again)} of {len(found)} requests for {replies.path} had to connect anew: "
            f"{milliseconds(connect)} each, {part:.0%} of the time to the first byte"
        ),
        severity=Severity.MEDIUM if part >= cost else Severity.LOW,
        evidence=(
            Evidence("connected anew", len(again) / len(found), "share", share, SOURCE),
            Evidence("time to connect, TLS included", connect, "s", source=SOURCE),
            Evidence("share of the time to the first byte", part, "share", cost, SOURCE),
            Evidence("answers with Connection: close", float(said), "requests", source=SOURCE),
        ),
        fixes=(
            Fix(
                "Keep connections open between requests",
                (
                    "# nginx: keepalive_timeout 65s; HAProxy: no option httpclose",
                    "# gunicorn: --keep-alive 5 with -k gthread (sync workers cannot)",
                ),
                language="text",
                risk="idle connections take file descriptors: about 10 kB each in nginx",
                verify="curl -sv URL URL 2>&1 | grep 'Re-using existing connection'",
                undo="keepalive_timeout 0;",
            ),
        ),
        impact=part * SYMPTOM,
    )


@check("http.sticky-cookie", step=Step.SCALE_OUT)
def sticky_cookie(replies: Replies, /) -> Iterator[Finding]:
    """Clients are tied to one server by a cookie.

    Why: load follows users instead of free servers, a new server gets no old users, and a server
    that goes takes its sessions with it: scaling out helps late and unevenly.
    How measured: cookies by the names that balancers give them (AWSALB, SERVERID, route and
    others), and, where servers show in a header, whether requests with the cookie all meet one
    server while those without meet several; 5 of each at least.
    Fix: keep sessions in Redis or the database, then switch persistence off.
    When to ignore: connections that live long anyway (web sockets), a cache that gains by it.
    References: HAProxy manual, "cookie"; AWS, sticky sessions; nginx manual, sticky.
    """
    with_cookie = [r.instance for r in replies.replies if r.cookie and r.instance]
    without = [r.instance for r in replies.replies if not r.cookie and r.instance]
    seen = min(len(with_cookie), len(without)) >= FEWEST
    tied = seen and len(set(with_cookie)) == 1 and len(set(without)) > 1
    named = replies.page.sticky if replies.page else ()
    if not named and not tied:
        return
    cookie = named[0] if named else "a cookie"
    meets = f"with it {len(with_cookie)} requests met one server, without it {len(set(without))}"
    yield Finding(
        subject=replies.path,
        summary=f"{replies.path}: {cookie} ties a client to one server"
        + (f"; {meets}" if tied else ""),
        severity=Severity.LOW,
        confidence=Confidence.HIGH if tied else Confidence.MEDIUM,
        evidence=(
            Evidence("cookie", cookie, source=SOURCE),
            Evidence("servers met with it", float(len(set(with_cookie))), "servers", 1.0, SOURCE),
            Evidence("servers met without it", float(len(set(without))), "servers", source=SOURCE),
        ),
        fixes=(
            Fix(
                "Keep sessions outside of the servers, then let the balancer choose",
                (
                    "# Django: SESSION_ENGINE = 'django.contrib.sessions.backends.cache'",
                    "# express-session: store: new RedisStore(...)",
                    "# then HAProxy: no cookie line; AWS: stickiness.enabled=false",
                ),
                language="text",
                risk="a session that is still in one server's memory is lost at the change",
                verify="curl -sI URL | grep -i set-cookie",
                undo="the old cookie line",
            ),
        ),
        kind=Kind.RISK,
    )
