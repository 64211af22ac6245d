"""Settings of the tier, as they stand in the engine's configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from onefill.client import Tls, address

LOAD_WHEN = ("quicker", "always")
THREADS_MAX = 64


@dataclass(frozen=True)
class Settings:
    url: str
    namespace: str | None = None  # None: derived from the engine's identity
    model_digest: str | None = None  # None: taken from the weights
    generation: str = ""
    token_env: str | None = None
    lookup_timeout_ms: int = 100
    load_timeout_ms: int = 2000
    load_floor_ms: int = 50
    store_timeout_ms: int = 5000
    load_when: str = "quicker"  # or "always"
    min_load_tokens: int = 0
    store_queue_bytes: int = 256 << 20
    ttl_s: float | None = None
    threads: int = 2
    window: bool = True  # share memory with a store on the same machine
    tls_authorities: str | None = None  # None: the system's
    tls_certificate: str | None = None
    tls_key: str | None = None

    @classmethod
    def parse(cls, words: Mapping[str, Any]) -> Settings:
        """Settings from words of the outside; ValueError names every fault at once."""
        known = {each.name for each in fields(cls)}
        faults = [f"{word} is no setting" for word in words if word not in known]
        if "url" not in words:
            faults.append("url is missing")
        else:
            try:
                address(str(words["url"]))
                files = [words.get(f"tls_{each}") for each in ("authorities", "certificate", "key")]
                Tls(*files).files(str(words["url"]))
            except ValueError as error:
                faults.append(str(error))
        for word, value in words.items():
            numeric = word in known and word.endswith(("_ms", "_tokens", "_bytes", "_s"))
            if numeric and value is not None and not _is_amount(value):
                faults.append(f"{word} must be a number of at least 0, not {value!r}")
        if words.get("load_when", "quicker") not in LOAD_WHEN:
            faults.append(f"load_when must be one of {', '.join(LOAD_WHEN)}, not {words['load_when']!r}")
        threads = words.get("threads", 1)
        if not isinstance(threads, int) or not 1 <= threads <= THREADS_MAX:
            faults.append(f"threads must be 1 to {THREADS_MAX}, not {threads!r}")
        if not isinstance(words.get("window", True), bool):
            faults.append(f"window must be true or false, not {words['window']!r}")
        if (env := words.get("token_env")) and env not in os.environ:
            faults.append(f"token_env names {env}, which is not set")
        if faults:
            raise ValueError("OnefillTier: " + "; ".join(faults))
        return cls(**words)

    @property
    def tls(self) -> Tls:
        return Tls(self.tls_authorities, self.tls_certificate, self.tls_key)

    @property
    def token(self) -> str:
        """What proves to the store who comes; empty where it asks nobody."""
        return os.environ[self.token_env] if self.token_env else ""


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


@dataclass(frozen=True)
class Wishes:
    """What one request asks for: {"onefill": {...}} in its kv_transfer_params."""

    store: bool = True
    load: bool = True
    ttl_s: float | None = None

    @classmethod
    def parse(cls, params: Mapping[str, Any] | None) -> Wishes:
        """A wish that makes no sense is left out: a hint never fails a request."""
        words = (params or {}).get("onefill")
        if not isinstance(words, Mapping):
            return cls()
        ttl = words.get("ttl_s")
        return cls(
            store=words.get("store") is not False,
            load=words.get("load") is not False,
            ttl_s=float(ttl) if ttl and _is_amount(ttl) else None,
        )
