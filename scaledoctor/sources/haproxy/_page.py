"""The stats page: its CSV, and the process's line above the tables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from scaledoctor.errors import Unavailable
from scaledoctor.sources._http import Http
from scaledoctor.sources.haproxy._csv import check_header

DEFAULT_PATH = "/haproxy?stats"
"""Where the page is when ``stats uri`` does not say."""

NOBODY = ";scope=scaledoctor:nobody"
"""Limits the page to proxies with that in their name: 20 characters at most, of those that a
proxy's name may have, or HAProxy shows all of them: 20 MB for 10,000 servers."""

HEAD = 20_000
"""Characters of the page in which the process's line stands; style sheet included, 9,000."""

_FIELDS: Mapping[str, str] = {
    "Version": r"HAProxy version ([\w.+~-]+)",
    "Pid": r"<b>pid = </b> *(\d+)",
    "Nbthread": r"nbthread = (\d+)",
    "Maxconn": r"<b>maxconn = </b> *(\d+)",
    "MaxconnReached": r"<b>reached = </b> *(\d+)",
    "CurrConns": r"current conns = (\d+)",
    "Idle_pct": r"idle = (\d+) *%",
}
_UPTIME = re.compile(r"<b>uptime = </b> *(\d+)d (\d+)h(\d+)m(\d+)s")


def paths(url: str) -> tuple[str, str]:
    """Path and query of the CSV and of the page; what stands behind a ``;`` is ours to choose."""
    parts = urlsplit(url)
    path = parts.path.partition(";")[0]
    if parts.query:
        path += "?" + parts.query.partition(";")[0]
    base = path or DEFAULT_PATH
    return f"{base};csv", f"{base};norefresh"


@dataclass
class Page:
    """The page behind one URL."""

    http: Http

    async def greet(self) -> None:
        """Ask for the CSV of no proxy at all.

        Raises:
            Unreachable: as :meth:`Http.get`.
            Unavailable: what answers is no stats page of HAProxy.

        """
        answer = await self.http.get(paths(self.http.url)[0] + NOBODY)
        check_header(answer.text, answer.looks)

    async def stat(self) -> str:
        """The CSV of all proxies."""
        answer = await self.http.reading(paths(self.http.url)[0])
        check_header(answer.text, answer.looks)
        return answer.text

    async def info(self) -> Mapping[str, str]:
        """The process's line, with the names that ``show info`` gives its values."""
        page = await self.http.reading(paths(self.http.url)[1] + NOBODY)
        text = page.text[:HEAD]
        found = {
            name: match.group(1)
            for name, pattern in _FIELDS.items()
            if (match := re.search(pattern, text))
        }
        if uptime := _UPTIME.search(text):
            days, hours, minutes, seconds = map(int, uptime.groups())
            found["Uptime_sec"] = str(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
        if "Pid" not in found and "Maxconn" not in found:
            raise Unavailable("the stats page does not tell about its process")
        return found
