"""Posting waits for the store's till: what it sold before a line was counted is no difference."""

from datetime import datetime, timedelta

from domain.case import CaseOption
from domain.words import local
from ledger import case, feed
from ledger.count import posting
from ledger.count.sheet import Sheet


async def post_when_the_feed_allows(sheet: Sheet, cause: str, at: datetime) -> str:
    """Post, or set the next look; after policy's time somebody is asked. The count and its cases are locked."""
    policy, detail = sheet.policy.count, sheet.row["detail"]
    if detail.get("feed_waived") or await posting.feed_has_passed(sheet):
        await sheet.answer_asks("the till has told what it sold", at)
        return await posting.post(sheet, cause, at)
    begun = datetime.fromisoformat(detail.setdefault("feed_wait_from", at.isoformat()))
    sheet.due("feed", at + timedelta(seconds=policy.feed_look_s))
    if at < begun + timedelta(seconds=policy.feed_wait_s):
        return "" if at > begun else "Posting waits for what the till sold before it was counted."
    if sheet.row["asks"].get("case_id"):
        return ""
    ref = await _ask_about_feed(sheet, begun, at)
    return f"The till is silent; case {ref.id} asks whether to post without it."


async def _ask_about_feed(sheet: Sheet, begun: datetime, at: datetime) -> case.CaseRef:
    last = max(sheet.lines[key]["counted_at"] for key in posting.settled_rounds(sheet))
    zone = sheet.place.hours.time_zone
    ref = await sheet.open_case(
        "sync_gap",
        at,
        facts={
            "count": sheet.row["key"],
            "counted_at": last.isoformat(),
            "waits_since": begun.isoformat(),
            "told_until": await feed.told_until(sheet.tx.conn, sheet.location),
        },
        options=(
            CaseOption(
                id="wait_on",
                label="Wait on; the feed is being mended",
                rank=1,
                because="what the till sold before the count is not a difference",
                reversible=True,
            ),
            CaseOption(
                id="post_anyway",
                label="Post without the feed",
                rank=2,
                because="a sale that comes late is taken back out of the difference by itself",
                confirms=("nothing_is_missing",),
            ),
            CaseOption(id="count_again", label="Have it counted again", rank=3, reversible=True),
        ),
        text=f"The till of {sheet.place.name} has not told what it sold until {local(last, zone)}.",
    )
    sheet.row["asks"] = {"case_id": ref.id}
    return ref
