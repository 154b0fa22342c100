"""Times as people read them."""


def milliseconds(seconds: float) -> str:
    """85 ms, 1.2 s."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
