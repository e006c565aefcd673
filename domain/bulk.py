"""One decision for several cases: how many at once, how long it can be called off, and its states."""

from datetime import timedelta
from enum import StrEnum

from domain.errors import StateConflict

MOST_CASES = 500
CHUNK = 20  # cases decided between two looks whether somebody has stopped it
BEGINS_AFTER = timedelta(seconds=20)  # at least; as long as one of its cases alone could be undone


class BulkState(StrEnum):
    WAITING = "waiting"  # it can still be called off as a whole
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


BULK_STATES = tuple(state.value for state in BulkState)
ITEM_STATES = ("pending", "decided", "refused", "left")
ENDED = frozenset({BulkState.DONE, BulkState.STOPPED})

BULK_TRANSITIONS: dict[str, frozenset[str]] = {
    "waiting": frozenset({"running", "done", "stopped"}),
    "running": frozenset({"done", "stopped"}),
    "done": frozenset(),
    "stopped": frozenset(),
}


def check_transition(current: str, wanted: str) -> None:
    """Raise `StateConflict` unless a bulk decision may go from `current` to `wanted`."""
    if wanted not in BULK_TRANSITIONS[current]:
        raise StateConflict(f"This decision for several cases is {current}; it cannot be {wanted} any more.")
