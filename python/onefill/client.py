"""What the plug-ins ask of a store's client, and how one is made from a URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from onefill import _native

PORT = 65433


class Outcome(Protocol):
    """What became of one call: an answer for each key, in the order of the keys."""

    ticket: int
    found: list[bool]  # is there (exists), was copied and checked (get), lies in the store (put)
    corrupt: int  # blocks whose bytes or length were not those that were put
    late: bool  # the deadline came first, or the store could not be reached
    error: str | None
    seconds: float
    nbytes: int  # bytes of blocks that were moved


class Client(Protocol):
    """A store's client. Calls return at once with a ticket; outcomes come out of `poll`.

    The client MUST give each ticket exactly one outcome, about its deadline at the latest, and MUST
    NOT touch a view after that. A view whose key was not found may hold anything. The caller keeps
    views unchanged until the outcome.
    """

    def exists(self, keys: Sequence[bytes], timeout_s: float, lease: bool = True) -> int: ...

    def get(self, keys: Sequence[bytes], views: list[memoryview], timeout_s: float) -> int: ...

    def put(
        self,
        keys: Sequence[bytes],
        views: list[memoryview],
        timeout_s: float,
        ttl_s: float | None = None,
        parents: list[bytes] | None = None,
    ) -> int: ...

    def delete(self, keys: Sequence[bytes], timeout_s: float) -> int: ...

    def touch(self, keys: Sequence[bytes], timeout_s: float) -> int: ...

    def poll(self) -> Sequence[Outcome]: ...

    def wait(self, timeout_s: float) -> None:
        """Until an outcome can be polled, or the time is over."""

    @property
    def reachable(self) -> bool:
        """False for a while after a call went unanswered: calls fail at once then."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Tls:
    """PEM files towards a store at an onefills:// URL."""

    authorities: str | None = None  # None: the system's
    certificate: str | None = None  # shown to the store, with its key
    key: str | None = None

    def files(self, url: str) -> tuple[str | None, tuple[str, str] | None] | None:
        """As the native client takes them; None without TLS. ValueError says what is wrong."""
        if (self.certificate is None) != (self.key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if urlsplit(url).scheme == "onefills":
            return self.authorities, (self.certificate, self.key) if self.certificate else None
        if self != Tls():
            raise ValueError("tls_* are for a url that begins with onefills://")
        return None


NO_TLS = Tls()


def address(url: str) -> str:
    """HOST:PORT of onefill://HOST[:PORT], or of onefills:// (TLS); ValueError says what is wrong."""
    parts = urlsplit(url)
    if parts.scheme not in ("onefill", "onefills") or not parts.hostname:
        raise ValueError(f"url must be onefill://HOST:PORT or onefills://HOST:PORT, not {url!r}")
    if parts.username or parts.password or parts.path.strip("/") or parts.query:
        raise ValueError("url takes host and port only: a token comes from token_env")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or PORT}"


def connect(
    url: str,
    namespace: str,
    token: str = "",
    threads: int = 2,
    window: bool = True,
    tls: Tls = NO_TLS,
) -> _native.Client:
    """A client of the store at `url` whose keys mean something within `namespace` only. With `window` it
    shares memory with a store on this machine."""
    files = tls.files(url)
    return _native.Client(address(url), namespace, token, threads=threads, window=window, tls=files)
