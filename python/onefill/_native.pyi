from collections.abc import Sequence

from typing_extensions import Buffer

class Outcome:
    """What came of a call: one answer for each key, in the order of the keys."""

    ticket: int
    found: list[bool]
    corrupt: int
    late: bool
    error: str | None
    seconds: float
    nbytes: int

class Client:
    """A client of one namespace of a store.

    Calls return a ticket at once; outcomes come out of `poll`, one for each ticket, about its
    deadline at the latest. No memory of the caller's is touched after its outcome was given.
    """

    def __init__(
        self,
        address: str,
        namespace: str,
        token: str = "",
        *,
        threads: int = 2,
        window: bool = True,
        tls: tuple[str | None, tuple[str, str] | None] | None = None,
    ) -> None: ...
    def exists(self, keys: Sequence[bytes], timeout_s: float, lease: bool = True) -> int: ...
    def get(self, keys: Sequence[bytes], views: list[Buffer], timeout_s: float) -> int: ...
    def put(
        self,
        keys: Sequence[bytes],
        views: list[Buffer],
        timeout_s: float,
        ttl_s: float | None = None,
        parents: list[bytes] | None = None,
    ) -> int: ...
    def touch(self, keys: Sequence[bytes], timeout_s: float) -> int: ...
    def pin(self, keys: Sequence[bytes], timeout_s: float) -> int: ...
    def unpin(self, keys: Sequence[bytes], timeout_s: float) -> int: ...
    def delete(self, keys: Sequence[bytes], timeout_s: float) -> int: ...
    def poll(self) -> list[Outcome]: ...
    def wait(self, timeout_s: float) -> None: ...
    def fileno(self) -> int: ...
    @property
    def reachable(self) -> bool: ...
    @property
    def windows(self) -> int: ...
    def close(self) -> None: ...
