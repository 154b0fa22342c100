"""What a test does when the server it needs is not installed."""

import pytest

from tests.servers import postgres_binaries


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_a_missing_server_skips_on_a_laptop_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    """Either way the line that installs it is shown."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr("tests.servers.find_postgres", list)
    with pytest.raises(outcome, match="apt-get install postgresql-15"):
        postgres_binaries(15)
