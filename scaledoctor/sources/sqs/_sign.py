"""Signature Version 4 of Amazon's APIs, as far as a POST without a query needs it."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key, its secret and, for temporary ones, a token."""

    key: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature is good for."""

    region: str
    service: str
    at: datetime

    @property
    def stamp(self) -> str:
        """The time as the header X-Amz-Date has it; it must be UTC."""
        return f"{self.at:%Y%m%dT%H%M%SZ}"

    @property
    def text(self) -> str:
        """Day, region and service."""
        return f"{self.at:%Y%m%d}/{self.region}/{self.service}/aws4_request"


def signed(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    scope: Scope,
) -> dict[str, str]:
    """Return the headers with Host, X-Amz-Date, the token and Authorization; all are signed."""
    place = urlsplit(url)
    every = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    every |= {"host": place.netloc.rpartition("@")[2], "x-amz-date": scope.stamp}
    if credentials.token:
        every["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(every))
    lines = "".join(f"{name}:{every[name]}\n" for name in sorted(every))
    path = quote(place.path or "/", safe="/-_.~%")
    request = "\n".join((method, path, "", lines, names, _hash(body)))
    text = "\n".join((ALGORITHM, scope.stamp, scope.text, _hash(request.encode())))
    signature = hmac.new(_key(credentials, scope), text.encode(), hashlib.sha256).hexdigest()
    said = f"Credential={credentials.key}/{scope.text}, SignedHeaders={names}"
    return every | {"authorization": f"{ALGORITHM} {said}, Signature={signature}"}


def _key(credentials: Credentials, scope: Scope) -> bytes:
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.text.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
