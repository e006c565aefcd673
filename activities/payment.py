"""Payment operations: the provider is asked outside any transaction, and what it answered is recorded in one."""

from temporalio import activity

from activities.taking import patient
from domain import exchanges
from domain.errors import Malformed
from domain.messages import Situation, Step
from domain.payments import PaymentOutcome
from ledger import outcomes, payments, situations
from ledger.engine import Database
from ledger.payments import OperationRow
from ledger.returns import collecting, exchange_payments
from ports.payment import PaymentPort, PaymentRequest

PENDING = frozenset({"requested", "unknown"})


class PaymentActivities:
    """One attempt at a time; the pause between attempts belongs to the journey, which goes on meanwhile."""

    def __init__(self, database: Database, provider: PaymentPort) -> None:
        self._database = database
        self._provider = provider

    @activity.defn(name="payment.carry_out")
    @patient
    async def carry_out(self, step: Step) -> Situation:
        """Ask the provider for the operation `step.operation_id` under its own key, and record the outcome.

        The operation was written before this call, so a worker that dies here leaves it pending and it is asked again.
        `step.occurrence` names the attempt: an unknown outcome must not be the recorded answer to the next attempt.
        """
        if step.operation_id is None:
            raise Malformed("A payment step names its operation.")
        async with self._database.read() as conn:
            operation = await payments.operation(conn, step.operation_id)
            if operation.state not in PENDING:
                return await situations.recorded(conn, step.subject)
        if operation.tender == exchanges.TENDER:  # one journey pays another: no provider has a part in it
            return await exchange_payments.carry_out(self._database, step)
        if exchanges.is_difference(operation.reference):
            async with self._database.read() as conn:
                paid_by = await collecting.paid_by_return(conn, operation)
            if paid_by is not None:
                return await self._difference(step, operation, paid_by)
        outcome = await self._ask(operation, operation.kind, operation.reference)
        return await outcomes.record_outcome(self._database, step, outcome)

    async def _difference(self, step: Step, operation: OperationRow, paid_by: str) -> Situation:
        """What a replacement costs beyond its return: charged once the customer has agreed, or given back."""
        ask = await collecting.begin(self._database, operation, paid_by)
        if ask.kind == "here":
            return await collecting.end_here(self._database, step, paid_by)
        if ask.kind == "decline":
            refused = PaymentOutcome("declined", error=collecting.NOT_AGREED)
            return await outcomes.record_outcome(self._database, step, refused)
        outcome = await self._ask(operation, ask.kind, ask.reference)
        if ask.kind == "charge":
            return await collecting.record_outcome(self._database, step, outcome, paid_by)
        return await outcomes.record_outcome(self._database, step, outcome)

    async def _ask(self, operation: OperationRow, kind: str, reference: str) -> PaymentOutcome:
        return await self._provider.carry_out(
            PaymentRequest(
                operation_id=operation.id,
                kind=kind,
                payment_reference=reference,
                tender=operation.tender,
                amount_minor=operation.amount_minor,
                currency=operation.currency,
            )
        )
