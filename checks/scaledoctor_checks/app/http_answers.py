"""What a page answers: errors, how soon, and whether it asks us to come back later."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, check
from scaledoctor.sources.http import Replies, Reply
from scaledoctor_checks.app._replies import SOURCE, counted, middle
from scaledoctor_checks.app._words import milliseconds

SYMPTOM = 0.1
"""The impact of what one page shows from outside: any cause found behind it ranks first."""

EACH = 3
"""Answers of an instance below which its median is one answer."""


@check("http.errors", step=Step.SCALE_OUT)
def errors(
    replies: Replies, /, *, several: int = 2, share: float = 0.1, most: float = 0.5
) -> Iterator[Finding]:
    """The page answers with errors, or not at all.

    Why: whoever asks for it now may get the same.
    How measured: up to 20 GET requests over the window; an error is a status of 500 and above, a
    connection that is cut, or no answer within 3 s. One is low; ``several`` that are ``share`` of
    all are medium, ``most`` of all high. Answers 429, and 503 with Retry-After, are not counted.
    Fix: the application's own log says why.
    When to ignore: a page that is under maintenance.
    References: RFC 9110, 15.6.
    """
    found = counted(replies, 1)
    failed = [reply for reply in found if reply.failed]
    if not failed:
        return
    part = len(failed) / len(found)
    severity = Severity.HIGH if part >= most else Severity.MEDIUM
    words = sorted({str(reply.status) if reply.status else reply.error for reply in failed})
    yield Finding(
        subject=replies.path,
        summary=(
            f"{len(failed)} of {len(found)} requests for {replies.path} failed: {', '.join(words)}"
        ),
        severity=severity if len(failed) >= several and part >= share else Severity.LOW,
        confidence=Confidence.HIGH if len(failed) >= several else Confidence.MEDIUM,
        evidence=(
            Evidence("failed", part, "share", share, SOURCE),
            *(Evidence(f"of them {word}", float(_count(failed, word)), "requests", source=SOURCE)
              for word in words),
        ),
        fixes=(
            Fix(
                "Read what the application logged for these requests",
                ("journalctl -u YOUR-APP --since -5min -p err",
                 f"# {replies.path}, user agent scaledoctor"),
                language="shell",
                risk="none: it only reads",
                verify="scaledoctor scan again: no failed requests",
                undo="none needed",
            ),
        ),
        impact=part * SYMPTOM,
    )  # fmt: skip


def _count(failed: list[Reply], word: str) -> int:
    return sum(word in (str(reply.status), reply.error) for reply in failed)


@check("http.slow", step=Step.TIGHTEN)
def slow(
    replies: Replies, /, *, medium: float = 1.0, high: float = 3.0, times: float = 2.0
) -> Iterator[Finding]:
    """The page's first byte comes late.

    Why: nothing can be drawn before it; Google's web vitals call 0.8 s good and 1.8 s poor.
    How measured: up to 20 GET requests, one after the other; median time from the request sent to
    the end of the headers, less the time to connect, which is one round trip. Fires from
    ``medium`` seconds, high from ``high``, which is also where we stop waiting. Needs 5 answers.
    Where the answers name their instances, one that takes ``medium`` and ``times`` as long as the
    next, by medians of 3 answers or more, fires alone. How many more there are is not known.
    Fix: see what the page waits for: the database, another service, a free worker.
    When to ignore: a page that is slow on purpose, such as an export.
    References: web.dev, "Time to First Byte".
    """
    found = counted(replies)
    trip = middle(found, lambda r: r.connect)
    first = middle(found, lambda r: r.first_byte if r.status else r.seconds)
    each = _by_instance(found)
    alone = len(each) > 1 and each[-1] - trip >= medium and each[-1] >= times * each[-2]
    if first - trip < medium and not alone:
        return
    took = sorted(r.first_byte if r.status else r.seconds for r in found)
    yield Finding(
        subject=replies.path,
        summary=_lone(replies.path, each)
        if alone
        else f"{replies.path} takes {milliseconds(first)} to its first byte (median of "
        f"{len(found)}), {milliseconds(trip)} to connect",
        severity=Severity.HIGH if first >= high else Severity.MEDIUM,
        evidence=(
            Evidence("first byte, median", first, "s", medium, SOURCE),
            Evidence(f"first byte, slowest of {len(found)}", took[-1], "s", source=SOURCE),
            Evidence("first byte, fastest", took[0], "s", source=SOURCE),
            Evidence("connect, median", trip, "s", source=SOURCE),
            *((Evidence("instances seen, by median", ", ".join(map(milliseconds, each)),
                        source=SOURCE),) if len(each) > 1 else ()),
            *((Evidence("behind the CDN", replies.page.cdn, source=SOURCE),)
              if replies.page and replies.page.cdn else ()),
        ),
        fixes=(
            Fix(
                "See what it waits for, tier by tier, in the same window",
                ("scaledoctor scan --url URL --access-log FILE --dsn DSN",
                 f"# or profile the handler of {replies.path}"),
                language="shell",
                risk="none: it only reads",
                verify=f"the median is below {medium:g} s",
                undo="none needed",
            ),
        ),
        impact=SYMPTOM,
    )  # fmt: skip


def _by_instance(found: list[Reply]) -> list[float]:
    """The median first byte of each instance that answered three times or more, in order."""
    names = {reply.instance for reply in found if reply.instance}
    groups = [[r for r in found if r.instance == name] for name in names]
    return sorted(middle(g, lambda r: r.first_byte) for g in groups if len(g) >= EACH)


def _lone(path: str, each: list[float]) -> str:
    return (
        f"one of at least {len(each)} instances behind {path} takes {milliseconds(each[-1])} to "
        f"the first byte, the next {milliseconds(each[-2])}"
    )


@check("http.rate-limited", step=Step.SCALE_OUT)
def rate_limited(replies: Replies, /) -> Iterator[Finding]:
    """The server refuses requests and asks to come back later.

    Why: 503 with Retry-After is a server that sheds load: others are refused as well. 429 is a
    limit for this client, perhaps a tight one: we asked at most four times a second.
    How measured: the status of up to 20 GET requests; the first such answer was also the last.
    Fix: capacity for what is shed; a limit per user rather than for everybody.
    When to ignore: a limit that holds for scanners on purpose.
    References: RFC 6585, 4; RFC 9110, 10.2.3 and 15.6.4.
    """
    refused = [reply for reply in replies.replies if reply.refused]
    if not refused:
        return
    last, asked = refused[-1], len(replies.replies)
    sheds = last.status == 503
    later = f", back in {last.retry_after:.0f} s" if last.retry_after is not None else ""
    yield Finding(
        subject=replies.path,
        summary=(
            f"{replies.path} refuses requests with HTTP {last.status}{later}, after {asked - 1} "
            "that it answered: " + ("it sheds load" if sheds else "a limit for this client")
        ),
        severity=Severity.HIGH if sheds else Severity.LOW,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("status", float(last.status), source=SOURCE),
            Evidence("Retry-After", "none" if last.retry_after is None else last.retry_after, "s",
                     source=SOURCE),
            Evidence("answered before", float(asked - 1), "requests", source=SOURCE),
        ),
        fixes=(
            Fix(
                "See which limit it is, and for whom it is meant",
                ("# nginx: limit_req_zone $binary_remote_addr ... rate=...; limit_req burst=... ;",
                 "# behind a balancer every client has its address: use the real one (realip)",
                 "# HAProxy: stick-table ... http_req_rate; server maxconn with timeout queue"),
                language="text",
                risk="a wider limit lets more load through to what it protects",
                verify="scaledoctor scan again: no refusals",
                undo="the old limit",
            ),
        ),
        impact=SYMPTOM if sheds else 0.0,
    )  # fmt: skip
