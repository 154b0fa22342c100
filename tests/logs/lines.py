"""Lines of access logs, as the programs write them."""

from collections.abc import Callable, Sequence

from scaledoctor.logs.access.recognise import recognise
from scaledoctor.logs.access.tally import Tally

NGINX = (
    '10.1.2.3 - - [{stamp}] "{request} HTTP/1.1" {status} 512 "https://shop.example/a" '
    '"Mozilla/5.0 (X11)" rt={total} urt="{spent}" ua="{address}" us="{answers}"'
)
HAPROXY = (
    "Nov 25 10:00:00 lb haproxy[14389]: 10.0.1.2:33317 [{stamp}] web~ app/{server} "
    "0/{waited}/0/{spent}/{total} {status} 2750 - - {state} 1/1/1/1/{retries} 0/0 "
    '"{request} HTTP/1.1"'
)


def stamp(second: float = 0.0) -> str:
    """``25/Nov/2026:10:00:00 +0000`` and so many seconds later, within the hour."""
    return f"25/Nov/2026:10:{int(second) // 60:02}:{int(second) % 60:02} +0000"


def nginx(
    request: str = "GET /",
    status: int = 200,
    total: str = "0.010",
    spent: str = "0.009",
    address: str = "10.0.0.1:80",
    answers: str = "",
    second: float = 0.0,
) -> str:
    """A line of nginx with upstream fields."""
    return NGINX.format(
        request=request, status=status, total=total, spent=spent, address=address,
        answers=answers or status, stamp=stamp(second),
    )  # fmt: skip


def haproxy(
    request: str = "GET /",
    status: int = 200,
    total: int = 10,
    spent: int = 9,
    server: str = "s1",
    state: str = "----",
    retries: str = "0",
    waited: int = 0,
    second: int = 0,
) -> str:
    """A line of HAProxy behind syslog."""
    return HAPROXY.format(
        request=request, status=status, total=total, spent=spent, server=server, state=state,
        retries=retries, waited=waited, stamp=f"25/Nov/2026:10:00:{second:02}.123",
    )  # fmt: skip


def many(line: Callable[[int], str], count: int) -> list[str]:
    """Lines of 0 .. count - 1."""
    return [line(i) for i in range(count)]


def tally(lines: Sequence[str]) -> Tally:
    """Recognise lines and add them up."""
    block = "".join(f"{line}\n" for line in lines).encode()
    found = Tally(recognise(block.splitlines()))
    found.add(block)
    return found
