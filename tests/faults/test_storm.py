"""The storm: nothing that was taken is lost or doubled, and everything settles, whatever fails meanwhile.

`ENDCAP_STORM_FAULTS` (default 4) and `ENDCAP_STORM_STORIES` (default 60) say how long it lasts, `ENDCAP_STORM_SEED`
which one it is; a night of it is 4,000 faults and 60,000 stories. `-o log_cli=true --log-level=INFO`
shows how far it is.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.company import Company, until
from tests.faults.inbox import Inbox, mails
from tests.faults.storm import Plan, Storm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]
log = logging.getLogger(__name__)
SEED = int(os.environ.get("ENDCAP_STORM_SEED", "7"))
STORIES = int(os.environ.get("ENDCAP_STORM_STORIES", "60"))
FAULTS = int(os.environ.get("ENDCAP_STORM_FAULTS", "4"))


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.close()


@pytest.fixture
def company(inbox: Inbox) -> Iterator[Company]:
    made = Company(more=inbox.environment)
    try:
        made.found()
        yield made
    finally:
        made.clear()


def faults(company: Company, plan: Plan) -> Counter[str]:
    """One after the other, a moment apart: a process is killed, or stands still for a while, or the code is replaced as
    by a new version: asked to stop, drained, started again. How many there were of each kind.
    """
    draw = plan.draws("faults")
    done: Counter[str] = Counter()
    began = time.monotonic()
    for _ in range(FAULTS):
        victim = draw.choice(("web", "worker", "temporal", "postgres"))
        pause_s = draw.uniform(0.5, 3)
        time.sleep(pause_s)  # when it happens is part of the plan
        how = draw.random()
        if how < 0.15:
            for part in ("worker", "web"):
                os.kill(company.pid(part), signal.SIGTERM)
            done["replaced"] += 1
        elif how < 0.4:
            pid = company.pid(victim)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(draw.uniform(1, 4))
            os.kill(pid, signal.SIGCONT)
            done[f"{victim} stood still"] += 1
        else:
            company.kill(victim)
            done[f"{victim} killed"] += 1
        log.info("%d of %d faults after %.0f s", sum(done.values()), FAULTS, time.monotonic() - began)
    return done


def every_mail_out(company: Company) -> list[dict[str, Any]]:
    """The mails whose time has come, once each is sent or withdrawn."""

    def over() -> list[dict[str, Any]] | None:
        found = mails(company.access()["database_url"])
        assert not [one for one in found if one["state"] == "failed"]
        return found if all(one["state"] in ("sent", "withdrawn") for one in found) else None

    return until(over, 240.0)


def test_everything_settles_and_nothing_is_lost_or_doubled(company: Company, inbox: Inbox) -> None:
    plan = Plan(SEED, STORIES)
    storm = Storm(company, plan)
    done: Counter[str] = Counter()
    began = time.monotonic()
    storm.run(lambda: done.update(faults(company, plan)))
    raged_s = time.monotonic() - began
    deadline = time.monotonic() + 240 + STORIES
    for again in itertools.count():
        storm.settle_once(again)
        log.info("settling for the %d. time after %.0f s", again + 1, time.monotonic() - began)
        left = [(one["id"], one["state"]) for one in storm.open_journeys()]
        if not left:
            break
        assert time.monotonic() < deadline, left
    assert {told.outcome for told in storm.planned()} <= {"accepted", "duplicate", "refused"}
    for told in storm.planned():  # whoever sends it all again changes nothing
        outcome = company.report(told.id, told.kind, at=told.at, **told.data)
        assert outcome == ("refused" if told.outcome == "refused" else "duplicate"), told
    for key, (quantity, _, answer) in storm.orders.items():
        assert answer["journey_id"] == f"bopis:web:{key}"
        moved = [one for one in company.journey(key)["movements"] if one["kind"] == "handed_over"]
        assert sum(one["quantity"] for one in moved) <= quantity
    assert storm.wrong_promotions() == []
    assert storm.open_journeys() == []
    written = every_mail_out(company)
    assert {one["message_id"] for one in written if one["state"] == "sent"} <= {number for number, _ in inbox.came}
    # A mail server cannot be asked whether it has a mail: one in hand when the worker or its database dies goes again,
    # under the Message-ID by which its reader's program knows it.
    assert inbox.repeated <= sum(
        how for what, how in done.items() if what.startswith(("worker", "postgres", "replaced"))
    )
    assert "rules hold" in company.run("audit")
    figures = {"stories": Counter(kind for kind, _ in plan.stories), "faults": done, "raged for s": round(raged_s)}
    figures |= {"until settled s": round(time.monotonic() - began), "calls": company.calls}
    figures |= {"mails": len(written), "mails sent again": inbox.repeated}
    print(figures | {"facts": len(storm.told), "sent again": company.sent_again})  # noqa: T201  `pytest -s` shows it
