"""From findings and uses to one verdict: blame chain, rank, headroom, sentence."""

from scaledoctor.diagnosis.diagnose import diagnose

__all__ = ["diagnose"]
