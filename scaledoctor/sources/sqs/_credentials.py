"""Who we are at Amazon, and in which region: the environment, then the shared file."""

import re
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as BrokenFile
from pathlib import Path

from scaledoctor.sdk import Unreachable
from scaledoctor.sources.sqs._sign import Credentials

ENABLE = (
    "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for a role or single sign-on: "
    'eval "$(aws configure export-credentials --format env)"'
)

_REGION = re.compile(r"(?:^|\.)sqs(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d)\.|^([a-z-]+-\d)\.queue\.")
"""In sqs.eu-west-1.amazonaws.com, vpce-1.sqs.eu-west-1.vpce..., eu-west-1.queue.amazonaws.com."""

LEGACY = ("queue.amazonaws.com", "sqs.amazonaws.com")
"""Hosts of us-east-1 that do not say so."""


def credentials(environment: Mapping[str, str]) -> Credentials:
    """The key to sign with.

    Raises:
        Unreachable: there is none, or the file cannot be read.

    """
    key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        return Credentials(key, secret, environment.get("AWS_SESSION_TOKEN", ""))
    home = Path(environment.get("HOME") or environment.get("USERPROFILE") or ".")
    given = environment.get("AWS_SHARED_CREDENTIALS_FILE")
    return _from_file(
        Path(given) if given else home / ".aws" / "credentials",
        environment.get("AWS_PROFILE") or "default",
    )


def _from_file(path: Path, profile: str) -> Credentials:
    file = ConfigParser(interpolation=None)
    try:
        file.read_string(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Unreachable("auth", "no AWS credentials are set", "", ENABLE) from None
    except (OSError, UnicodeDecodeError, BrokenFile) as error:
        words = f"{path} cannot be read: {type(error).__name__}"  # its text may hold the secret
        raise Unreachable("auth", words, "", ENABLE) from None
    section = file[profile] if file.has_section(profile) else {}
    key, secret = section.get("aws_access_key_id"), section.get("aws_secret_access_key")
    if not key or not secret:
        words = f"profile {profile} of {path} has no key"
        raise Unreachable("auth", words, "", ENABLE)
    return Credentials(key, secret, section.get("aws_session_token", ""))


def region(host: str, environment: Mapping[str, str]) -> str:
    """The region of an endpoint, from its name or the environment.

    Raises:
        Unreachable: neither tells.

    """
    match = _REGION.search(host)
    if match:
        return match[1] or match[2]
    if host in LEGACY:
        return "us-east-1"
    found = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not found:
        raise Unreachable("region", f"{host} does not tell its region", "", "export AWS_REGION")
    return found
