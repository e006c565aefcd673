"""What every workflow shares: it holds the situation that PostgreSQL recorded last, and waits for the next one.

A follower never works out what is true. It hears messages, takes steps, and watches the first due instant; each of the
three hands it a `Situation`, and the one with the higher `seq` wins.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception
from temporalio.workflow import unsafe

with unsafe.imports_passed_through():
    from domain.messages import Due, Situation, Step, Told
    from workflows.options import HERE_TIMEOUT, LOOK_AGAIN, NOT_RETRYABLE, ONCE, STEP_RETRY, STEP_TIMEOUT

type StepActivity = Callable[[Any, Step], Awaitable[Situation]]

_AT_LEAST = timedelta(milliseconds=1)


class Follower:
    """Base of all workflows. `situation` is all it knows, so it can be entered with any situation at any time."""

    def __init__(self, situation: Situation, on_due: StepActivity) -> None:
        self.situation = situation
        self._on_due = on_due
        self._dues_here = situation.dues_here
        # Dues whose step was taken and steps taken at the held seq: neither is taken twice for nothing.
        self._dues_taken: set[str] = set()
        self._steps_taken: set[tuple[str, str, int]] = set()
        self._hold(situation)

    # ------------------------------------------------------------------ hearing
    @workflow.signal(name="tell", description="Something about this subject was recorded in PostgreSQL.")
    def tell(self, raw: RawValue) -> None:
        """Take over the situation of a message, unless a later one is held already."""
        # Decoded here on purpose: a signal that the library cannot decode is dropped with a log line, while a failure
        # in a handler is tried again until a worker that knows the message is deployed.
        told: Told = workflow.payload_converter().from_payload(raw.payload, Told)
        if told.seq > self.situation.seq:
            self._hold(told.situation.model_copy(update={"seq": told.seq}))

    @workflow.query(name="situation", description="What this workflow holds to be recorded.")
    def held_situation(self) -> Situation:
        """For people and tests; pages read PostgreSQL."""
        return self.situation

    def _hold(self, situation: Situation) -> None:
        self.situation = situation
        workflow.set_current_details(self.sentence())

    def sentence(self) -> str:
        """What is going on, for people who look into Temporal's own pages."""
        held = self.situation
        due = next(iter(held.dues), None)
        then = f" Next: {due.name.replace('_', ' ')} at {due.at:%Y-%m-%d %H:%M %Z}." if due else ""
        return f"{held.subject} is {held.state.replace('_', ' ')} (message {held.seq}).{then}"

    # ------------------------------------------------------------------ living
    @property
    def over(self) -> bool:
        """True when there is nothing left to wait for."""
        return self.situation.ended

    def now(self) -> datetime:
        """The time of this journey, case or approval: Temporal's clock, plus what the demo has skipped."""
        return workflow.now() + timedelta(seconds=self.situation.clock_offset_s)

    async def live(self, do_next: Callable[[], Awaitable[None]]) -> None:
        """Do the next thing until all is over. A failure never closes a workflow: see `recover`."""
        while not self.over:
            before = self.situation
            try:
                await do_next()
            except Exception as error:
                if is_cancelled_exception(error):
                    raise
                await self.recover(error, before)
        # A message that arrives while the last task completes is heard before the workflow closes.
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def recover(self, error: Exception, before: Situation) -> None:
        """After an unexpected failure: say so, and look again when there is news since `before`, or after a while."""
        workflow.logger.error("%s failed: %s", self.situation.subject, describe(error), exc_info=error)
        workflow.set_current_details(f"{self.sentence()} The last step failed: {describe(error)}. It is tried again.")
        await self._wait_for_news(before)

    async def _wait_for_news(self, before: Situation) -> None:
        await self._wait(lambda: self.situation is not before, until=self.now() + LOOK_AGAIN, why="look again")

    async def next(self) -> None:
        """Take the step of a due instant that has come, or wait for the next message or due instant."""
        await self._go_on_as_new()
        due = next(iter(self.open_dues()), None)
        if due is not None and due.at <= self.now():
            await self._take_due(due)
            return
        held = self.situation
        await self._wait(
            lambda: self.situation is not held, until=due.at if due else None, why=due.name if due else None
        )

    def open_dues(self) -> list[Due]:
        """The due instants whose step was not taken yet, the earliest first."""
        return [due for due in self.situation.dues if occurrence_of(due) not in self._dues_taken]

    async def _take_due(self, due: Due) -> None:
        occurrence = occurrence_of(due)
        await self.step(self._on_due, occurrence=occurrence, here=self._dues_here, due=due.name)
        self._dues_taken.add(occurrence)
        if due in self.situation.dues:
            workflow.logger.error("%s: %s is still due after its step", self.situation.subject, occurrence)

    async def _wait(self, changed: Callable[[], bool], *, until: datetime | None, why: str | None) -> None:
        """Wait for `changed` or the instant `until`, by this subject's clock."""
        if until is None:
            await workflow.wait_condition(changed)
            return
        try:
            await workflow.wait_condition(changed, timeout=max(until - self.now(), _AT_LEAST), timeout_summary=why)
        except TimeoutError:
            return

    async def _go_on_as_new(self) -> None:
        """Begin a fresh history before this one grows too long; the situation is all there is to hand over."""
        if workflow.info().is_continue_as_new_suggested():
            await workflow.wait_condition(workflow.all_handlers_finished)
            workflow.continue_as_new(self.situation.model_copy(update={"dues_here": self._dues_here}))

    # ------------------------------------------------------------------ steps
    async def step(
        self,
        activity: StepActivity,
        *,
        occurrence: str,
        timeout: timedelta = STEP_TIMEOUT,
        heartbeat: timedelta | None = None,
        here: bool = False,
        **details: Any,
    ) -> None:
        """Take one step (one activity, one ledger transaction) and hold the situation that it left.

        The answer counts only where it is the latest: a message with a higher `seq` that came meanwhile includes it,
        and messages up to its own `seq` that are still under way are waited for. Raises `ActivityError` for a refusal,
        RuntimeError when the same step would be taken again although nothing has changed since.

        `here`: by the worker that holds the workflow, where that succeeds at once; a refusal is an `ApplicationError`
        then.
        """
        key = (activity.__qualname__, occurrence, self.situation.seq)
        if key in self._steps_taken:
            raise RuntimeError(f"{key[0]} ({occurrence}) was taken and changed nothing")
        step = Step(subject=self.situation.subject, occurrence=occurrence, at=self.now(), **details)
        result = await self.try_here(activity, step) if here else None
        if result is None:
            result = await workflow.execute_activity_method(
                activity,
                step,
                start_to_close_timeout=timeout,
                heartbeat_timeout=heartbeat,
                retry_policy=STEP_RETRY,
                summary=occurrence,
            )
        self._steps_taken.add(key)
        await workflow.wait_condition(lambda: self.situation.seq >= result.seq)
        if self.situation.seq == result.seq:
            self._hold(result)

    async def try_here(self, activity: StepActivity, step: Step) -> Situation | None:
        """Take a step within the workflow's own task: no task of an activity has to be written, handed out and
        answered, and no second one of the workflow follows it. None when it did not succeed at once: whatever the
        reason, Temporal then has it tried until it does. Raises `ApplicationError` for a refusal.
        """
        try:
            answer: Situation = await workflow.execute_local_activity_method(
                activity, step, start_to_close_timeout=HERE_TIMEOUT, retry_policy=ONCE, summary=step.occurrence
            )
        except FailureError as error:  # the library gives the step's own failure here, not wrapped in an ActivityError
            # Without a request to cancel the workflow it was its worker that let the step go, because it is to stop.
            if workflow.cancellation_reason() is not None or is_refusal(error):
                raise
            workflow.logger.info("%s: %s is left to Temporal: %s", step.subject, step.occurrence, describe(error))
            return None
        return answer


def is_refusal(error: FailureError) -> bool:
    """Whether the ledger has refused the step: the same would be refused again."""
    cause = error if isinstance(error, ApplicationError) else error.cause
    return isinstance(cause, ApplicationError) and (cause.non_retryable or cause.type in NOT_RETRYABLE)


def occurrence_of(due: Due) -> str:
    """A due instant as the key of its step: two that fall on one instant stay apart by name."""
    return f"{due.name}@{due.at.isoformat()}"


def describe(error: BaseException) -> str:
    """The kinds of errors along the chain of causes. Their texts stay in the log: they may quote rows."""
    names = []
    current: BaseException | None = error
    while current is not None:
        names.append(str(getattr(current, "type", None) or type(current).__name__))
        current = current.__cause__
    return " from ".join(names)
