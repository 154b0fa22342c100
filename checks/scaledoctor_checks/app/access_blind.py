"""What an access log does not tell."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.access_log import AccessLog
from scaledoctor_checks.app._log import SOURCE

FORMAT = (
    "log_format timed '$remote_addr - $remote_user [$time_local] \"$request\" $status '",
    '    \'$body_bytes_sent "$http_referer" "$http_user_agent" rt=$request_time \'',
    '    \'urt="$upstream_response_time" ua="$upstream_addr" us="$upstream_status"\';',
    "access_log /var/log/nginx/access.log timed;",
)


@check("access.no-timing", step=Step.IDENTIFY)
def no_timing(log: AccessLog, /) -> Iterator[Finding]:
    """The access log does not say how long requests take.

    Why: without times nobody knows which route is slow; the combined format has none.
    How measured: the columns of the lines that were read.
    Fix: a log_format with request time, upstream time, address and status.
    When to ignore: another log of the same requests has them.
    References: nginx manual, ngx_http_log_module and ngx_http_upstream_module.
    """
    if log.timed or log.upstream_timed:
        return
    yield Finding(
        subject=log.format,
        summary=f"the log's format ({log.format}) has no request times: slow routes stay unseen",
        severity=Severity.INFO,
        evidence=(Evidence("requests read", float(log.requests), "requests", source=SOURCE),),
        fixes=(
            Fix(
                "Log times, and which server answered",
                FORMAT,
                language="text",
                risk="lines become about 60 bytes longer; what reads the old format must be told",
                verify="nginx -t && nginx -s reload; then scaledoctor scan again",
                undo="access_log /var/log/nginx/access.log combined;",
            ),
        ),
        kind=Kind.BLIND_SPOT,
    )


@check("access.unread-lines", step=Step.IDENTIFY)
def unread_lines(log: AccessLog, /, *, share: float = 0.01, fewest: int = 20) -> Iterator[Finding]:
    """A part of the access log was not read.

    Why: what is not read is in no number here.
    How measured: lines that are not of the format that most have; fires at ``share`` of them and
    ``fewest`` lines, as Netdata's web_log warns at 1 %. Fires too when the file is cut, damaged or
    too large for the time that a scan has.
    Fix: one format for each file.
    When to ignore: a log that other programs write to as well.
    References: Netdata, web_log.
    """
    many = log.unread >= max(fewest, share * log.lines)
    if not many and not log.note:
        return
    unread = f"{log.unread} of {log.lines} lines are not of the format {log.format}"
    yield Finding(
        subject=log.format,
        summary="; ".join(words for words in (unread if many else "", log.note) if words),
        severity=Severity.INFO,
        evidence=(
            Evidence("lines not understood", float(log.unread), f"of {log.lines}", share, SOURCE),
        ),
        fixes=(
            Fix(
                "Give each format a file of its own",
                ("access_log /var/log/nginx/shop.access.log timed;  # in the server block",),
                language="text",
                risk="what reads the old file must be told",
                verify="nginx -t && nginx -s reload",
                undo="the old access_log line",
            ),
        ),
        kind=Kind.BLIND_SPOT,
    )
