"""What a page could spare its server: caches that may not keep it, answers that are not packed."""

from collections.abc import Iterator, Sequence

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.http import Page, Replies, Reply
from scaledoctor_checks.app._replies import SOURCE, counted, middle
from scaledoctor_checks.app._words import milliseconds

_TEXT = ("text/", "application/json", "application/javascript", "application/xml", "image/svg")


def _good(replies: Replies) -> list[Reply]:
    """Whole answers of status 200."""
    return [r for r in counted(replies) if r.status == 200 and not r.conditional]


def _shared(page: Page) -> bool:
    """Whether a shared cache may keep the page and give it to others."""
    return not {"private", "no-store", "no-cache"} & set(page.directives) and bool(page.fresh_for)


@check("http.uncached", step=Step.TIGHTEN)
def uncached(replies: Replies, /, *, same: int = 5, worth: float = 0.05) -> Iterator[Finding]:
    """The same answer is made anew for every request.

    Why: a cache in front would answer in a millisecond and leave the workers alone.
    How measured: up to 20 GET requests, with and without the cookies that the page sets: ``same``
    answers of status 200 at least, all with the same body, none with a new cookie, no lifetime in
    Cache-Control and none from a cache; and the median first byte takes ``worth`` seconds or more.
    Fix: a lifetime of even a few seconds, and a cache that heeds it.
    When to ignore: a page that differs by user and was the same for us because we are nobody.
    References: RFC 9111; RFC 9110, 8.8.3 (ETag).
    """
    found, page = _good(replies), replies.page
    if page is None or len(found) < same or page.cookies:
        return
    bodies = {reply.body for reply in found}
    first = middle(found, lambda r: r.first_byte)
    if len(bodies) != 1 or "" in bodies or page.fresh_for or page.age is not None or first < worth:
        return
    unchanged = any(r.conditional and r.status == 304 for r in replies.replies)
    yield Finding(
        subject=replies.path,
        summary=(
            f"{replies.path} gave the same answer {len(found)} times, each made anew in "
            f"{milliseconds(first)}: no cache may keep it ({_why(page)})"
        ),
        severity=Severity.LOW,
        confidence=Confidence.LOW if "private" in page.directives else Confidence.MEDIUM,
        evidence=(
            Evidence("same answers", float(len(found)), "requests", same, SOURCE),
            Evidence("first byte, median", first, "s", worth, SOURCE),
            Evidence("Cache-Control", _why(page), source=SOURCE),
            Evidence("tells by its ETag that nothing changed", "yes" if unchanged else "no",
                     source=SOURCE),
        ),
        fixes=(_cache(replies.path),),
        kind=Kind.RISK,
    )  # fmt: skip


def _why(page: Page) -> str:
    words: Sequence[str] = [d for d in page.directives if d != "public"]
    return "Cache-Control: " + ", ".join(words) if words else "no lifetime"


def _cache(path: str) -> Fix:
    return Fix(
        f"Give {path} a lifetime, and keep it in front of the application",
        (
            "# the application: Cache-Control: public, max-age=10, stale-while-revalidate=60",
            "proxy_cache_path /var/cache/nginx keys_zone=pages:10m max_size=1g;",
            f"location = {path} {{ proxy_cache pages; proxy_cache_lock on; "
            "proxy_cache_use_stale updating error timeout; proxy_pass http://app; }",
        ),
        language="text",
        risk="everybody gets the same page for that long: never for what differs by user",
        verify="curl -sI URL twice: Age or X-Cache shows a hit",
        undo="remove proxy_cache and reload",
    )


@check("http.cookie-on-cacheable", step=Step.TIGHTEN)
def cookie_on_cacheable(replies: Replies, /) -> Iterator[Finding]:
    """A page that caches may keep sets a cookie.

    Why: most shared caches then do not keep it, so that the lifetime is in vain; one that does
    gives one user's cookie to all others.
    How measured: Set-Cookie next to a lifetime in Cache-Control that is neither private nor
    no-store.
    Fix: set the cookie on another page, or call this one private.
    When to ignore: never with a session cookie.
    References: RFC 9111, 7.3; nginx manual, proxy_cache_valid.
    """
    page = replies.page
    if page is None or not page.cookies or not _shared(page):
        return
    yield Finding(
        subject=replies.path,
        summary=(
            f"{replies.path} may be cached for {page.fresh_for:.0f} s and sets "
            f"{', '.join(page.cookies)}"
        ),
        severity=Severity.LOW,
        evidence=(
            Evidence("lifetime", page.fresh_for or 0.0, "s", source=SOURCE),
            Evidence("cookies", ", ".join(page.cookies), source=SOURCE),
        ),
        fixes=(
            Fix(
                "Do not set cookies where the page is the same for all",
                (
                    f"location = {replies.path} {{ proxy_hide_header Set-Cookie; "
                    "proxy_ignore_headers Set-Cookie; proxy_pass http://app; }",
                ),
                language="text",
                risk="what relies on the cookie from this page must get it elsewhere",
                verify="curl -sI URL | grep -i set-cookie",
                undo="remove the two lines and reload",
            ),
        ),
        kind=Kind.RISK,
    )


@check("http.uncompressed", step=Step.TIGHTEN)
def uncompressed(replies: Replies, /, *, size: int = 10_240) -> Iterator[Finding]:
    """A text is sent unpacked.

    Why: text shrinks to a fifth; on a slow line that is most of the time, and a slow client holds
    its connection for longer.
    How measured: answers of a text type of ``size`` bytes or more without Content-Encoding,
    although we accept gzip. Smaller ones fit into the first round trip (10 segments, RFC 6928).
    Fix: gzip in the server in front.
    When to ignore: where CPU is scarcer than the line, and all clients are near.
    References: RFC 9110, 8.4; RFC 6928.
    """
    page = replies.page
    found = [r for r in replies.replies if r.status == 200 and not r.conditional]
    largest = max((reply.size for reply in found), default=0)
    if page is None or page.encoding or not page.kind.startswith(_TEXT) or largest < size:
        return
    yield Finding(
        subject=replies.path,
        summary=f"{replies.path} sends {largest / 1024:.0f} kB of {page.kind} unpacked",
        severity=Severity.LOW,
        evidence=(Evidence("size", float(largest), "bytes", size, SOURCE),),
        fixes=(
            Fix(
                "Pack text in the server in front",
                (
                    "gzip on; gzip_comp_level 4; gzip_min_length 1024; gzip_proxied any;",
                    "gzip_types text/css application/json application/javascript image/svg+xml;",
                ),
                language="text",
                risk="about 10 ms of CPU per megabyte; not for secrets beside user input (BREACH)",
                verify="curl -sI -H 'Accept-Encoding: gzip' URL | grep -i content-encoding",
                undo="gzip off;",
            ),
        ),
        kind=Kind.RISK,
    )
