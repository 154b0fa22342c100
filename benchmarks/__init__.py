"""Each benchmark has a peer or a limit beside it in the same run."""
