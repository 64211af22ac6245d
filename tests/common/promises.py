"""What a story promises: a line each. The run goes on after a broken one, so that one report shows all."""

import sys

from loopback import LOGS

PASSED, FAILED = [], []


def say(*words):
    print(*words, flush=True)


def check(promise, holds, figure=""):
    (PASSED if holds else FAILED).append(promise)
    say(f"{'ok    ' if holds else 'FAILED'} {promise} {figure}")
    return holds


def ending():
    """Says how it went; the status that the program is to end with."""
    say(f"{len(PASSED)} promises kept, {len(FAILED)} broken; logs in {LOGS}")
    return 1 if FAILED else 0


def end():
    sys.exit(ending())
