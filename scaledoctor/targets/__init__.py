"""What to look at: targets from the command line and from the environment."""

from scaledoctor.targets.options import OPTIONS, Given, Option, targets
from scaledoctor.targets.target import HERE, HOST, Reach, Target

__all__ = ["HERE", "HOST", "OPTIONS", "Given", "Option", "Reach", "Target", "targets"]
