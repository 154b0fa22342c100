"""What to look at: targets from the command line and from the environment."""

from scaledoctor.targets.options import OPTIONS, Given, Option, targets
from scaledoctor.targets.target import HOST, Reach, Target

__all__ = ["HOST", "OPTIONS", "Given", "Option", "Reach", "Target", "targets"]
