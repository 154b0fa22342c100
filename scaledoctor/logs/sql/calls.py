"""One execution of one statement, as every SQL log tells it: the seam to the N+1 detector."""

from enum import IntEnum
from typing import NamedTuple


class Unit(IntEnum):
    """How exactly a key tells one request from another, the best last."""

    WINDOW = 0
    """Only user, database and application are known."""
    SESSION = 1
    """A server session; behind a pooler it serves many clients."""
    CLIENT = 2
    """One client's connection, by application_name_add_host."""
    TRACE = 3
    """A trace or request id: exact."""


class Call(NamedTuple):
    """One logical statement: parse, bind and execute are merged before it is made.

    ``template`` indexes the table of templates of whoever reads; ``text`` is the statement as
    logged without its comment, ``parameters`` what DETAIL says of ``$1, $2``, empty when nothing.
    ``tag`` is the request, route or job that the comment names. ``ended`` is seconds since 1970;
    ``seconds`` is the server's time, None where the log has none. ``line`` is the line of code
    that an application log names.
    """

    unit: Unit
    key: bytes
    session: bytes
    application: bytes
    template: int
    text: bytes
    parameters: bytes
    ended: float
    seconds: float | None
    tag: bytes = b""
    line: bytes = b""
