"""Amazon's published examples of Signature Version 4, and where the key comes from."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from scaledoctor.sdk import Unreachable
from scaledoctor.sources.sqs._credentials import credentials, region
from scaledoctor.sources.sqs._sign import Credentials, Scope, signed

EXAMPLE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SESSION = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPf"
    "IeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7W"
    "Z0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8F"
    "DrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
SCOPE = Scope("us-east-1", "service", datetime(2015, 8, 30, 12, 36, tzinfo=UTC))
HOST = "https://example.amazonaws.com/"


@pytest.mark.parametrize(
    ("method", "headers", "body", "token", "names", "signature"),
    [
        ("GET", {}, b"", "", "host;x-amz-date",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", {}, b"", "", "host;x-amz-date",
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ("POST", {"My-Header1": "value1"}, b"", "", "host;my-header1;x-amz-date",
         "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
        ("POST", {"My-Header1": "VALUE1"}, b"", "", "host;my-header1;x-amz-date",
         "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
        ("POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"Param1=value1", "",
         "content-type;host;x-amz-date",
         "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
        ("POST", {}, b"", SESSION, "host;x-amz-date;x-amz-security-token",
         "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
    ],
    ids=["get-vanilla", "post-vanilla", "post-header-key-sort", "post-header-value-case",
         "post-x-www-form-urlencoded", "post-sts-header-before"],
)  # fmt: skip
def test_published_examples(
    method: str, headers: dict[str, str], body: bytes, token: str, names: str, signature: str
) -> None:
    keys = Credentials(EXAMPLE.key, EXAMPLE.secret, token)
    found = signed(method, HOST, headers, body, keys, SCOPE)
    assert found["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def test_a_port_is_part_of_the_host() -> None:
    found = signed("POST", "http://localhost:4566/", {}, b"", EXAMPLE, SCOPE)
    assert found["host"] == "localhost:4566"


def test_secrets_do_not_show() -> None:
    shown = repr(Credentials("AKIDEXAMPLE", "hush", "hush"))
    assert "hush" not in shown


ENV = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}


def test_the_environment_comes_first(tmp_path: Path) -> None:
    assert credentials({**ENV, "HOME": str(tmp_path)}) == Credentials("k", "s")
    assert credentials({**ENV, "AWS_SESSION_TOKEN": "t"}).token == "t"  # noqa: S105  made up


def test_then_a_profile_of_the_shared_file(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    file = tmp_path / ".aws" / "credentials"
    file.write_text(
        "[default]\naws_access_key_id = d\naws_secret_access_key = 50%off\n"
        "[work]\naws_access_key_id=w\naws_secret_access_key=x\naws_session_token=y\n[bare]\n"
    )
    home = {"HOME": str(tmp_path)}
    assert credentials(home) == Credentials("d", "50%off")
    assert credentials({**home, "AWS_PROFILE": "work"}) == Credentials("w", "x", "y")
    other = {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "work"}
    assert credentials(other).key == "w"
    for profile in ("bare", "gone"):
        with pytest.raises(Unreachable, match=f"profile {profile} of .* has no key"):
            credentials({**home, "AWS_PROFILE": profile})


def test_without_any_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no AWS credentials") as refused:
        credentials({"HOME": str(tmp_path)})
    assert "export AWS_ACCESS_KEY_ID" in refused.value.enable


def test_a_broken_file_shows_nothing_of_itself(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("aws_secret_access_key = hush\n")
    with pytest.raises(Unreachable, match="cannot be read: MissingSectionHeaderError") as refused:
        credentials({"AWS_SHARED_CREDENTIALS_FILE": str(file)})
    assert "hush" not in refused.value.message


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("sqs.eu-west-1.amazonaws.com", "eu-west-1"),
        ("sqs-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("vpce-0a1-b.sqs.ap-southeast-2.vpce.amazonaws.com", "ap-southeast-2"),
        ("eu-central-1.queue.amazonaws.com", "eu-central-1"),
        ("queue.amazonaws.com", "us-east-1"),
        ("localhost", "from-env"),
    ],
)
def test_region(host: str, found: str) -> None:
    assert region(host, {"AWS_REGION": "from-env"}) == found
    assert region("localhost", {"AWS_DEFAULT_REGION": "other"}) == "other"


def test_an_unknown_region_is_said() -> None:
    with pytest.raises(Unreachable, match="localhost does not tell its region"):
        region("localhost", {})
