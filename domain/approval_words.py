"""The sentences that an approver reads: the same in the console, behind a link, and in both parts of a mail. Pure.

What is asked, what follows from each verdict and from silence, and what of it lasts. Kinds without words of their own
have general ones.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from domain.case import CaseOption, MoneyEffect
from domain.words import capital, money, more, words

_GOES_AHEAD = {
    "adjustment": "The book is corrected at once.",
    "claim": "It goes to the vendor, with its papers.",
    "count": "The book is set to what was counted.",
    "policy_change": "Whatever is decided from then on goes by it.",
    "promotion": "Its prices go out to every channel in time for its start.",
    "refund": "The money goes back to the customer at once.",
    "return_override": "The goods may come back although policy refused them.",
    "write_off": "What is open is given up, and booked as a loss.",
    "transfer": "What {from} can promise of it by then is reserved there, and is to be sent.",
}
_REJECTED = {
    "appeasement": (
        "The customer, who has accepted it, does not get it: what is missing is refunded, and the rest of the order"
        " goes on."
    ),
    "adjustment": "Nothing is adjusted: what was parked as count pending is available again, and {reader}.",
    "claim": "It does not go out; what it claims belongs to the next claim.",
    "count": "Nothing is posted: somebody else counts again, and {reader}.",
    "policy_change": "Policy stays as it is, and {reader}.",
    "promotion": "It is a draft again, and no price of it goes out: {reader}.",
    "return_override": "What was refused stays refused, and the customer is told; {reader}.",
    "transfer": "The transfer ends here: nothing is reserved, nothing is sent.",
}
_EXPIRED = {
    "appeasement": "what is missing is refunded to the customer",
    "claim": "what it claims belongs to the next claim",
    "count": "it is counted again",
    "promotion": "it is a draft again",
    "return_override": "what was refused stays refused",
    "transfer": "nothing is sent",
}
_EXPIRED_ALONE = {  # where no case waits for it
    "refund": "a case asks what becomes of the return",
    "write_off": "it stays owed",
}
_LASTS = {
    "adjustment": "The entry in the books; another one can correct it.",
    "appeasement": "The substitute that the customer gets, and the message about it.",
    "claim": "The mail to the vendor, and the claim in the books.",
    "count": "The entry in the books; another count can correct it.",
    "policy_change": "What was decided by it; the change itself can be asked for the other way round.",
    "promotion": "What customers have bought at its prices; the promotion can be ended at any time.",
    "refund": "Money that has gone back to the customer, and the message about it.",
    "return_override": "Goods that have come back by then, and their refund.",
    "transfer": "Goods that have left by then; until then it can be called off.",
    "write_off": "What was given up is not owed any more.",
}
NEVER_BY_SILENCE = "It is never approved by silence."
_AMOUNTS = {  # what the amount of a request is; of others it is simply the amount
    "adjustment": "Value at cost",
    "claim": "Claimed",
    "count": "Differences at cost",
    "promotion": "Given at forecast",
    "transfer": "Value at cost",
    "write_off": "Given up",
}
_WITHOUT_AMOUNT = frozenset({"policy_change"})
_TOWARDS_US = ("refund", "given back", "difference back")  # labels that say already which way the money goes


class Asked(Protocol):
    """What of an approval the sentences need."""

    @property
    def kind(self) -> str: ...
    @property
    def case_id(self) -> int | None: ...
    @property
    def requester(self) -> str: ...
    @property
    def requester_name(self) -> str: ...
    @property
    def quorum(self) -> int: ...
    @property
    def agreed(self) -> int: ...
    @property
    def next_role(self) -> str | None: ...
    @property
    def deadline_at(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def paused_at(self) -> datetime | None: ...
    @property
    def option(self) -> CaseOption | None: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...


class Around(NamedTuple):
    """A sentence around an instant, which each page and mail writes in its own way: before it, it, and after it."""

    before: str
    at: datetime
    after: str


def is_person(requester: str) -> bool:
    """Whether whoever asked is a person, who reads what they are written; systems, customers and policies ask, too."""
    return requester != "endcap" and not requester.startswith(("key:", "customer:"))


def requester_words(requester: str) -> str:
    """Whoever asked and is nobody who works here: `key:oms` → `the system oms`."""
    if requester.startswith("key:"):
        return f"the system {requester.removeprefix('key:')}"
    if requester.startswith("customer:"):
        return "the customer"
    return {"endcap": "Endcap, by policy"}.get(requester, requester)


class Named(Protocol):
    """A request by its kind and its subject, as in a list."""

    @property
    def kind(self) -> str: ...
    @property
    def subject(self) -> str: ...


class Priced(Protocol):
    """A request by its kind and what it is about in money."""

    @property
    def kind(self) -> str: ...
    @property
    def amount_minor(self) -> int: ...
    @property
    def currency(self) -> str: ...


def amount_words(approval: Priced) -> str:
    """`71.20 USD`; empty for a kind that is about no money."""
    return "" if approval.kind in _WITHOUT_AMOUNT else money(approval.amount_minor, approval.currency)


def amount_name(approval: Priced) -> str:
    return _AMOUNTS.get(approval.kind, "Amount")


def headline(approval: Priced, *, begins: bool = True) -> str:
    """`Refund of 71.20 USD`, `Policy change`; within a sentence, where it does not begin one, `refund of 71.20 USD`."""
    kind, amount = words(approval.kind), amount_words(approval)
    return f"{kind if begins else kind.lower()} of {amount}" if amount else kind if begins else kind.lower()


def asked_for(approval: Named) -> str:
    """`Refund: cancel order W-1`, and `Transfer T-1: A to B` without saying transfer twice."""
    kind = words(approval.kind)
    says_itself = approval.subject.lower().startswith(kind.lower().split()[0])
    return approval.subject if says_itself else f"{kind}: {approval.subject}"


def in_short(approval: Named) -> str:
    """The subject where the kind is said just before it: `T-1: A to B` of a transfer."""
    kind = words(approval.kind)
    said_twice = approval.subject.lower().startswith(f"{kind.lower()} ")
    return approval.subject[len(kind) + 1 :] if said_twice else approval.subject


def effect_words(effect: MoneyEffect) -> str:
    """`Refund: 71.20 USD`. A label that says which way the money goes needs no sign beside it."""
    label = words(effect.label)
    amount = abs(effect.amount_minor) if any(one in label.lower() for one in _TOWARDS_US) else effect.amount_minor
    return f"{label}: {money(amount, effect.currency)}"


def if_approved(approval: Asked) -> str:
    """What the reader's agreement brings about, and when."""
    missing = approval.quorum - approval.agreed - 1
    if approval.option:
        what = f"“{approval.option.label}” is carried out"
        last = f"{what} at once."
    else:
        what = "the request is carried out"
        last = _GOES_AHEAD.get(approval.kind, "The request is carried out at once.")
        last = last.replace("{from}", str(approval.facts.get("from", "the place that has the goods")))
    return f"Your word is recorded. Once {more(missing)} agreed, {what}." if missing > 0 else last


def effects(option: CaseOption | None) -> Sequence[str]:
    """What carrying it out does to money and customer, as sentences."""
    if option is None:
        return ()
    customer = option.consequence.customer
    found = [f"{effect_words(one)}." for one in option.consequence.money]
    return (*found, f"The customer: {capital(customer)}") if customer else tuple(found)


def if_rejected(approval: Asked) -> str:
    reader = (
        f"{approval.requester_name} reads your reason"
        if is_person(approval.requester)
        else "your reason is kept with the request"
    )
    if approval.kind in _REJECTED:
        return _REJECTED[approval.kind].format(reader=reader)
    if approval.case_id:
        return "Nothing is changed; the case goes back to its owner with your reason and the other ways out."
    if approval.kind == "refund":
        return "Nothing is paid yet: a case asks its owner what becomes of the return, with your reason."
    if approval.kind == "write_off":
        return f"It stays owed and can be claimed on; {reader}."
    return f"Nothing happens; {reader}."


def expired(approval: Asked) -> str:
    """What follows when nobody answers at all, as a clause; empty where nothing does."""
    if approval.kind in _EXPIRED:
        return _EXPIRED[approval.kind]
    if approval.case_id:
        return "the case goes back to its owner"
    return _EXPIRED_ALONE.get(approval.kind, "")


def if_silent(approval: Asked) -> Around:
    if approval.paused_at:
        who = approval.requester_name if is_person(approval.requester) else "somebody"
        return Around("The clock stands since ", approval.paused_at, f", until {who} has answered. {NEVER_BY_SILENCE}")
    if approval.next_role:
        role = words(approval.next_role).lower()
        return Around("At ", approval.deadline_at, f" it goes to {role} as well. {NEVER_BY_SILENCE}")
    then = expired(approval)
    return Around("At ", approval.expires_at, f" it expires{f' and {then}' if then else ''}. {NEVER_BY_SILENCE}")


def lasting(approval: Asked) -> str:
    """What cannot be undone."""
    if approval.option and approval.option.reversible:
        return "Nothing: this can be taken back."
    return _LASTS.get(approval.kind, "What was carried out after an approval.")


def whom_to_ask(approval: Asked) -> str:
    """Who answers a question about it: whoever asked, where that is a person."""
    return approval.requester_name if is_person(approval.requester) else "regional operations"


# What the templates of pages and mails call them by.
_WORDS = (asked_for, effect_words, effects, expired, if_approved, if_rejected, if_silent, lasting, whom_to_ask)
FILTERS = {one.__name__: one for one in (amount_name, amount_words, headline, in_short, *_WORDS)}
