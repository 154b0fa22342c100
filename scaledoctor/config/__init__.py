"""scaledoctor.toml: what to look at, how to judge it, and what to leave out."""

from scaledoctor.config.find import find, load
from scaledoctor.config.model import Config, Ignore
from scaledoctor.config.thresholds import tuned

__all__ = ["Config", "Ignore", "find", "load", "tuned"]
