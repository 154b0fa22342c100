"""nginx's configuration as a target: read once, with everything that it includes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from scaledoctor.sdk import Redactor, Target, probe, source
from scaledoctor.sources.nginx_conf._extract import extract
from scaledoctor.sources.nginx_conf._files import read
from scaledoctor.sources.nginx_conf.facts import NginxConf


@dataclass
class NginxConfSession:
    """What the files say."""

    conf: NginxConf


@source("nginx-conf", NginxConfSession)
@asynccontextmanager
async def nginx_conf_files(target: Target, redactor: Redactor) -> AsyncIterator[NginxConfSession]:
    """The main configuration file of nginx, or one that it includes."""
    import asyncio

    # In a thread: a large configuration must not hold up the samples of other targets.
    directives, reader = await asyncio.to_thread(read, Path(target.dsn))
    yield NginxConfSession(extract(directives, redactor, reader.files, reader.missing))


@probe(cost="each file is read once")
async def nginx_conf(files: NginxConfSession) -> NginxConf:
    """Give what was read."""
    return files.conf
