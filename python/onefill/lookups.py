"""Which chunks of a waiting request are in the store: asked in batches, decided once, never waited for.

A machine without IO. The scheduler asks for one chunk after the other and hears RETRY until the
store has answered for all of them; then the request is decided: load the leading chunks that are
there, or recompute. Past its soft time-out a request hears only MISS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto


class Answer(Enum):
    MISS = auto()
    HIT = auto()
    RETRY = auto()


class Phase(Enum):
    ASKING = auto()
    LOADING = auto()
    OVER = auto()  # nothing more is loaded for this request


@dataclass
class Wait:
    """A request that waits for answers or for a load."""

    phase: Phase = Phase.ASKING
    until: float | None = None  # set by the first question
    known: dict[bytes, bool | None] = field(default_factory=dict)  # in the order of the chain
    open: int = 0  # questions without an answer


@dataclass(frozen=True)
class Question:
    request: str
    key: bytes


class Lookups:
    """`worth(chunks, now)` decides, `patience(chunks)` gives the seconds that a load may take."""

    def __init__(self, ask_s: float, worth: Callable[[int, float], bool], patience: Callable[[int], float]):
        self.ask_s, self.worth, self.patience = ask_s, worth, patience
        self.waits: dict[str, Wait] = {}
        self.questions: list[Question] = []
        self.absent: list[bytes] = []
        self.declined = self.timed_out = 0  # counted since the last look

    def open(self, request: str, loads: bool) -> None:
        self.waits[request] = Wait(Phase.ASKING if loads else Phase.OVER)

    def close(self, request: str) -> None:
        self.waits.pop(request, None)

    def answer(self, request: str, key: bytes, now: float) -> Answer:
        wait = self.waits.get(request)
        if wait is None or wait.phase is Phase.OVER:
            return Answer.MISS
        is_late = wait.until is not None and now >= wait.until
        if key not in wait.known:
            return self._give_up(wait) if is_late else self._ask(request, wait, key, now)
        if wait.known[key] is False:
            return Answer.MISS
        if wait.open:
            return self._give_up(wait) if is_late else Answer.RETRY
        if wait.phase is Phase.ASKING:  # however late: all is known by now
            self._decide(wait, now)
        elif is_late:
            return self._give_up(wait)
        return Answer.HIT if wait.phase is Phase.LOADING else Answer.MISS

    def take_questions(self) -> list[Question]:
        """What the scheduler asked since the last call."""
        questions, self.questions = self.questions, []
        return questions

    def take_absent(self) -> list[bytes]:
        """Where chains end in the store, by its answers since the last call: one key a request."""
        absent, self.absent = self.absent, []
        return absent

    def settle(self, questions: Sequence[Question], found: Sequence[bool], sure: bool = True) -> None:
        """The store's answers; not `sure` where it did not answer and all counts as absent."""
        for question, there in zip(questions, found, strict=True):
            wait = self.waits.get(question.request)
            if wait is None or wait.known.get(question.key, False) is not None:
                continue
            wait.known[question.key] = there
            wait.open -= 1
            if sure and not wait.open:
                self.absent += [key for key, there in wait.known.items() if not there][:1]

    def failed(self, request: str, keys: Iterable[bytes]) -> None:
        """Chunks that were said to be there and did not come: never tried again for this request."""
        if wait := self.waits.get(request):
            wait.known.update(dict.fromkeys(keys, False))

    def patience_left(self, request: str, chunks: int, now: float) -> float:
        """Seconds that a load for this request may take from now on."""
        wait = self.waits.get(request)
        limit = self.patience(chunks)
        return limit if wait is None or wait.until is None else min(limit, wait.until - now)

    def _ask(self, request: str, wait: Wait, key: bytes, now: float) -> Answer:
        wait.known[key] = None
        wait.open += 1
        if wait.until is None:
            wait.until = now + self.ask_s
        self.questions.append(Question(request, key))
        return Answer.RETRY

    def _decide(self, wait: Wait, now: float) -> None:
        answers = list(wait.known.values())
        chunks = answers.index(False) if False in answers else len(answers)
        if self.worth(chunks, now):
            wait.phase, wait.until = Phase.LOADING, now + self.patience(chunks)
        else:
            wait.phase = Phase.OVER
            self.declined += chunks > 0

    def _give_up(self, wait: Wait) -> Answer:
        wait.phase = Phase.OVER
        self.timed_out += 1
        return Answer.MISS
