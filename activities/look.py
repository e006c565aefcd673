"""The hourly look at running promotions: each promotion is a ledger transaction of its own."""

import logging

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.taking import patient
from domain.messages import Situation, Step
from ledger.engine import Database
from ledger.look import looking
from ledger.outages import is_outage

logger = logging.getLogger("endcap.look")


class LookActivities:
    """Reads nothing but the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="promotion.look_at_all")
    @patient
    async def look_at_all(self, step: Step) -> Situation:
        """Look at every running promotion that has not had this look yet; the answer says how many, in words.

        A look that fails holds up no other: the rest are looked at, then the step fails, so that it is tried again for
        those that are left. So it is when a worker dies.
        """
        left = await looking.running(self._database, step.occurrence)
        looked, failed = 0, []
        for about in left:
            activity.heartbeat(looked)
            try:
                looked += await looking.look(self._database, about, step.occurrence, step.at) is not None
            except Exception as error:
                if is_outage(error):
                    raise
                logger.exception("the look at %s failed", about)
                failed.append(f"{about}: {type(error).__name__}")
        if failed:
            raise ApplicationError(f"{len(failed)} of {len(left)} looks failed: {'; '.join(failed[:5])}")
        return Situation(subject=step.subject, state=f"{looked} looked at", ended=True)
