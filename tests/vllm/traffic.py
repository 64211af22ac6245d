"""A seeded workload of interleaved chats, shared documents and unrelated requests, and a driver
that sends it through one door with the `openai` client, so many requests at a time.

The order of requests is fixed by the seed; a turn waits for its session's turn before, since it
carries that answer.
"""

import dataclasses
import statistics
import threading
import time

import openai

import lab


@dataclasses.dataclass
class Turn:
    session: int
    text: str
    output_tokens: int


@dataclasses.dataclass
class Session:
    system: str
    turns: list
    model: str = "tiny"
    salt: str | None = None
    chat: bool = True


@dataclasses.dataclass
class Result:
    session: int
    turn: int
    prompt_tokens: int = 0
    cached_tokens: int = 0
    ttft_s: float = 0.0
    total_s: float = 0.0
    reason: dict | None = None
    replica: str | None = None
    error: str | None = None
    began: bool = False


def interleaved(rng, sessions, active):
    """Indices of sessions in the order of their requests: `active` of them go on side by side."""
    waiting = list(range(len(sessions)))
    left = {index: len(session.turns) for index, session in enumerate(sessions)}
    running, order = [], []
    while waiting or running:
        while waiting and len(running) < active:
            running.append(waiting.pop(0))
        index = rng.choice(running)
        order.append(index)
        left[index] -= 1
        if not left[index]:
            running.remove(index)
    return order


def fleet_workload(seed, chats=28, turns=7, unrelated=16, active=18):
    """28 chats of 7 turns, half of them about one of four shared documents, and 16 requests that
    share nothing: 212 requests. What is in use at a time just fits into two caches of 400 blocks, so
    a prefix kept twice or a cache worn out by new prompts costs hits."""
    rng = lab.rng(seed)
    documents = [lab.words(rng, 420) for _ in range(4)]
    sessions = []
    for index in range(chats):
        system = "You are a helpful assistant. " + lab.words(rng, 60)
        if index % 2 == 0:
            system = "Answer from this document. " + rng.choice(documents)
        asked = [Turn(index, lab.words(rng, rng.randint(30, 90)), 24) for _ in range(turns)]
        sessions.append(Session(system, asked))
    for index in range(chats, chats + unrelated):
        text = lab.words(rng, rng.randint(100, 220))
        sessions.append(Session("", [Turn(index, text, 24)], chat=False))
    shuffled = list(range(len(sessions)))
    rng.shuffle(shuffled)
    sessions = [sessions[index] for index in shuffled]
    return sessions, interleaved(rng, sessions, active)


class Driver:
    """Sends a workload through one URL."""

    def __init__(self, url, sessions, order, concurrency=4, stream=True):
        self.client = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0, timeout=120)
        self.sessions, self.order, self.stream = sessions, order, stream
        self.concurrency = concurrency
        self.history = [[] for _ in sessions]
        self.results = []
        self.next = 0
        self.turn_done = [0] * len(sessions)
        self.changed = threading.Condition()

    def run(self):
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self.concurrency)]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.seconds = time.monotonic() - start
        return self.results

    def _work(self):
        while True:
            with self.changed:
                if self.next == len(self.order):
                    return
                place = self.next
                self.next += 1
                session = self.order[place]
                turn = self.order[:place].count(session)
                self.changed.wait_for(lambda: self.turn_done[session] == turn)
            result = Result(session, turn)
            try:
                self._ask(session, turn, result)
            except Exception as error:  # a story counts errors, whatever they are
                result.error = f"{type(error).__name__}: {error}"
            with self.changed:
                self.results.append(result)
                self.turn_done[session] = turn + 1
                self.changed.notify_all()

    def _ask(self, index, turn, result):
        session = self.sessions[index]
        asked = session.turns[turn]
        extra = {"ignore_eos": True}
        if session.salt:
            extra["cache_salt"] = session.salt
        common = dict(
            model=session.model, max_tokens=asked.output_tokens, temperature=0, extra_body=extra
        )
        if self.stream:
            common |= dict(stream=True, stream_options={"include_usage": True})
        said = self.history[index]
        if session.chat:
            messages = [{"role": "system", "content": session.system}] if session.system else []
            messages += [*said, {"role": "user", "content": asked.text}]
            call = self.client.chat.completions.with_raw_response.create
            arguments = dict(messages=messages)
        else:
            prompt = session.system + "".join(said) + asked.text
            call = self.client.completions.with_raw_response.create
            arguments = dict(prompt=prompt)
        start = time.monotonic()
        raw = call(**arguments, **common)
        if "x-onefill-reason" in raw.headers:
            result.reason = lab.receipt(raw.headers)
            result.replica = raw.headers["x-onefill-replica"]
        text = self._read(raw.parse(), session.chat, start, result)
        if session.chat:
            said += [{"role": "user", "content": asked.text}, {"role": "assistant", "content": text}]
        else:
            said += [asked.text, text]

    def _read(self, answer, chat, start, result):
        chunks = answer if self.stream else [answer]
        text = ""
        for chunk in chunks:
            result.began = True
            if chunk.choices:
                if not result.ttft_s:
                    result.ttft_s = time.monotonic() - start
                choice = chunk.choices[0]
                part = choice.text if not chat else (choice.delta if self.stream else choice.message).content
                text += part or ""
            if chunk.usage:
                result.prompt_tokens = chunk.usage.prompt_tokens
                details = chunk.usage.prompt_tokens_details
                result.cached_tokens = (details.cached_tokens or 0) if details else 0
        result.total_s = time.monotonic() - start
        return text


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def summary(results):
    """Figures of one run."""
    answered = [each for each in results if not each.error]
    prompt = sum(each.prompt_tokens for each in answered)
    cached = sum(each.cached_tokens for each in answered)
    ttft = [each.ttft_s for each in answered]
    return {
        "requests": len(results),
        "errors": len(results) - len(answered),
        "prompt_tokens": prompt,
        "hit_ratio": cached / max(1, prompt),
        "computed": prompt - cached,
        "ttft_p50_ms": 1e3 * statistics.median(ttft) if ttft else float("nan"),
        "ttft_p95_ms": 1e3 * percentile(ttft, 0.95),
    }
