"""What loading and recomputing cost here, measured on what was done."""

from __future__ import annotations

from onefill.settings import Settings

DECAY = 0.9  # weight that an observation keeps when the next one comes: about the last ten count


class Line:
    """Seconds of a transfer as start + bytes / bandwidth, by least squares over the latest transfers."""

    def __init__(self) -> None:
        self.weight = self.x = self.y = self.xx = self.xy = 0.0
        self.latest: float | None = None

    def observe(self, nbytes: int, seconds: float, now: float) -> None:
        x = float(nbytes)
        for name, value in (("weight", 1.0), ("x", x), ("y", seconds), ("xx", x * x), ("xy", x * seconds)):
            setattr(self, name, DECAY * getattr(self, name) + value)
        self.latest = now

    def seconds(self, nbytes: int) -> float | None:
        """Expected seconds; None before the first observation."""
        if not self.weight:
            return None
        spread = self.weight * self.xx - self.x * self.x
        # All of one size tell nothing about the slope: then time grows with the bytes.
        if spread > 1e-6 * self.xx * self.weight:
            slope = (self.weight * self.xy - self.x * self.y) / spread
            start = (self.y - slope * self.x) / self.weight
            if slope > 0 and start >= 0:
                return start + slope * nbytes
        return self.y / self.x * nbytes if self.x else self.y / self.weight


class Rate:
    """Tokens a second of prefill."""

    def __init__(self) -> None:
        self.tokens = self.elapsed = 0.0

    def observe(self, tokens: int, seconds: float) -> None:
        self.tokens = DECAY * self.tokens + tokens
        self.elapsed = DECAY * self.elapsed + seconds

    def seconds(self, tokens: int) -> float | None:
        """Expected seconds; None before the first observation."""
        return tokens * self.elapsed / self.tokens if self.tokens else None


STALE_S = 30.0  # a load this long ago says nothing about the store now: the next one measures again


class Judge:
    """Load or recompute, and how long a load may take.

    A load pays off when it is expected to take less time than the prefill of its tokens. Once begun it
    may take as long as that prefill would: then the request has lost at most as much again.
    """

    def __init__(self, chunk_tokens: int, chunk_bytes: int, settings: Settings):
        self.chunk_tokens, self.chunk_bytes = chunk_tokens, chunk_bytes
        self.always = settings.load_when == "always"
        self.min_tokens = settings.min_load_tokens
        self.timeout_s, self.floor_s = settings.load_timeout_ms / 1000, settings.load_floor_ms / 1000
        self.loads, self.prefill = Line(), Rate()

    def worth(self, chunks: int, now: float) -> bool:
        """Whether to load this many chunks."""
        tokens = chunks * self.chunk_tokens
        if not chunks or tokens < self.min_tokens:
            return False
        if self.always:
            return True
        load, compute = self.loads.seconds(chunks * self.chunk_bytes), self.prefill.seconds(tokens)
        if load is None or compute is None or now - (self.loads.latest or 0.0) > STALE_S:
            return True
        return load < compute

    def patience(self, chunks: int) -> float:
        """Seconds that a load of this many chunks may take."""
        compute = self.prefill.seconds(chunks * self.chunk_tokens)
        return self.timeout_s if compute is None else min(self.timeout_s, max(self.floor_s, compute))
