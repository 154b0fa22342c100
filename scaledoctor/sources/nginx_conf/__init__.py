"""nginx's configuration, its includes too: upstreams, what is passed to them, worker limits."""

from scaledoctor.sources.nginx_conf._files import Place
from scaledoctor.sources.nginx_conf.facts import Log, Member, NginxConf, Pass, Setting, Upstream

__all__ = ["Log", "Member", "NginxConf", "Pass", "Place", "Setting", "Upstream"]
