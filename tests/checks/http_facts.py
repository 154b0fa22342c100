"""Answers of a page as facts, with the values that do not matter filled in."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scaledoctor.sources._fetch import Reply
from scaledoctor.sources._page import Page
from scaledoctor.sources.http import Replies

PAGE = Page(
    kind="text/html", encoding="gzip", directives=(), fresh_for=None, age=None, tagged=False,
    vary=(), cookies=(), sticky=(), cdn="",
)  # fmt: skip

GOOD = Reply(status=200, first_byte=0.02, seconds=0.021, size=5000, instance="aa", body="b0")


def reply(**changes: Any) -> Reply:
    """A good answer on a kept connection."""
    return replace(GOOD, **changes)


def page(**changes: Any) -> Page:
    """A packed HTML page that says nothing about caches."""
    return replace(PAGE, **changes)


def replies(
    answers: Sequence[Reply], page: Page | None = PAGE, path: str = "/shop", stopped: str = ""
) -> Replies:
    """What a page answered."""
    return Replies(path, tuple(answers), page, stopped)


def healthy(count: int = 20) -> list[Reply]:
    """Every fifth on a new connection, every second with the cookies, bodies that differ."""
    return [
        reply(
            fresh=i % 5 == 0, connect=0.001 if i % 5 == 0 else None, cookie=i % 2 == 1,
            instance="ab"[i // 5 % 2], body=f"b{i}",
        )
        for i in range(count)
    ]  # fmt: skip
