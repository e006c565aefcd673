"""Time-outs and retries of every step, named once. It decides how often to try, never what a failure means."""

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import unsafe

with unsafe.imports_passed_through():
    from domain.errors import leaves

# One ledger transaction. A worker that is killed keeps its step from the others for this long.
STEP_TIMEOUT = timedelta(seconds=15)
# The same where the worker that holds the workflow takes the step by itself (`Follower.try_here`). Less than a workflow
# task is given, so that the task waits for it and need not be prolonged.
HERE_TIMEOUT = timedelta(seconds=5)
# A step that does not succeed there at once is left to Temporal, which knows how to wait.
ONCE = RetryPolicy(maximum_attempts=1)
# The provider's answer (a fraction of it) and the transaction that records it.
PAYMENT_TIMEOUT = timedelta(seconds=40)

# Temporal compares exact class names, never base classes: each refusal is listed, and a test proves the list complete.
NOT_RETRYABLE: tuple[str, ...] = tuple(leaves())

# What a schedule starts has time until the next turn, which looks at everything again.
SCHEDULED_TIMEOUT = timedelta(minutes=10)
SCHEDULED_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=5),
    maximum_interval=timedelta(minutes=2),
    maximum_attempts=10,
    non_retryable_error_types=list(NOT_RETRYABLE),
)

# No limit of attempts: while PostgreSQL is away a step waits for it. What is neither a refusal nor an outage is given
# up by the activity itself after a few attempts (`activities.taking`).
STEP_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=30),
    non_retryable_error_types=list(NOT_RETRYABLE),
)

# Between two attempts at a payment whose outcome is unknown; the last one is kept for as long as it takes.
PAYMENT_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (2, 5, 15, 60, 300, 900))

# When nothing can be done about a failure but to look again.
LOOK_AGAIN = timedelta(minutes=15)


def payment_pause(attempts: int) -> timedelta:
    """How long to wait after `attempts` (from 1) of one operation without an answer."""
    return PAYMENT_PAUSES[min(attempts, len(PAYMENT_PAUSES)) - 1]
