"""Other machines: node_exporter, and Prometheus with the machine that is meant."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from scaledoctor.errors import ScaledoctorError
from scaledoctor.targets.address import url_target
from scaledoctor.targets.target import Target

KINDS = ("node-exporter", "prometheus")
HINT = "use http://host:9090?instance=db1:9100&minutes=15"
MOST_MINUTES = 60


def node_exporter_target(url: str) -> Target:
    """Build a target from the address of a node_exporter; its host is part of the name.

    Raises:
        ScaledoctorError: not an http URL; the message never repeats it.

    """
    target = url_target("node-exporter", url)
    return replace(target, name=f"node-exporter:{urlsplit(url).hostname}")


def prometheus_target(url: str) -> Target:
    """Build a target from Prometheus' address; ``instance`` and ``minutes`` may follow a ?.

    Raises:
        ScaledoctorError: not such a URL; the message never repeats it.

    """
    target = url_target("prometheus", url)
    asked = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    if asked.keys() - {"instance", "minutes"} or "" in asked.values():
        raise ScaledoctorError("--prometheus: behind the ? only instance and minutes", HINT)
    minutes = asked.get("minutes", "5")
    if not minutes.isdecimal() or not 1 <= int(minutes) <= MOST_MINUTES:
        raise ScaledoctorError(f"--prometheus: minutes is a number from 1 to {MOST_MINUTES}", HINT)
    name = f"prometheus:{asked['instance']}" if "instance" in asked else "prometheus"
    return replace(target, name=name)


def with_others(found: Sequence[Target]) -> list[Target]:
    """Tell those that tell about a machine which machines the other targets run on."""
    machines = tuple(dict.fromkeys(t.machine for t in found if t.kind not in KINDS and t.machine))
    return [replace(t, names=machines) if t.kind in KINDS else t for t in found]
