"""What travels between PostgreSQL and Temporal. Ids and instants only: no personal data, and nothing that a page
could not read from a table.

A workflow never works out what is true; it is given a `Situation`, as recorded, by every message and by every step.
The same shape starts it, carries it over continue-as-new and rebuilds it when Temporal's database is lost.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel


class Due(BaseModel):
    """An instant at which something happens by itself; `at` was worked out on the calendar when it was recorded."""

    name: str
    at: datetime


class Situation(BaseModel):
    """What a workflow needs to go on.

    `subject` is a journey's id, or the number of a case or approval. `seq` is the last message of this target that the
    situation includes: a workflow that has not heard it yet waits for it, one that has heard a later one ignores this.
    `dues` are sorted by instant. `operations` are payment operations that were recorded and not yet carried out.
    `asked` tells what is asked of people now and what they have answered.
    """

    subject: str
    state: str
    ended: bool = False
    seq: int = 1
    dues: tuple[Due, ...] = ()
    clock_offset_s: int = 0
    operations: tuple[str, ...] = ()
    case_id: int | None = None
    decision_id: int | None = None  # recorded and neither applied nor refused
    decision_needs_approval: bool = False
    approval_id: int | None = None
    verdict: str | None = None  # approved | rejected | expired | superseded
    offer_id: int | None = None  # what the customer is asked
    # What others left for this journey under a stock lock: "found" (units turned up or came and are held for it, or
    # will not come), "doubted" (a unit it was promised may be gone), "counted" (a count that it waits for is over),
    # "unneeded" (an order gives up what a transfer brings), "answered" (what a return asked without a case). The step
    # `attend` takes them up.
    attention: tuple[str, ...] = ()
    suspended: bool = False
    # Said by the relay where it begins a workflow: steps of due instants are first tried by the worker that holds it.
    # Workflows that were begun before it was said have histories without.
    dues_here: bool = False


class Message(StrEnum):
    """Why the workflow is told. Past tense: each has happened and is recorded."""

    ORDER_PLACED = "OrderPlaced"
    PICK_RECORDED = "PickRecorded"
    HAND_OVER_RECORDED = "HandOverRecorded"
    PUT_AWAY_RECORDED = "PutAwayRecorded"
    CANCEL_RECORDED = "CancelRecorded"
    WINDOW_EXTENDED = "WindowExtended"
    CUSTOMER_ANSWERED = "CustomerAnswered"
    STOCK_FOUND = "StockFound"
    UNIT_DOUBTED = "UnitDoubted"
    DECISION_RECORDED = "DecisionRecorded"
    DECISION_UNDONE = "DecisionUndone"
    VERDICT_RECORDED = "VerdictRecorded"
    VERIFIED = "Verified"
    CUSTOMER_ARRIVED = "CustomerArrived"
    RENEWAL_ASKED = "RenewalAsked"
    SALE_STOPPED = "SaleStopped"
    SHIPMENT_RECORDED = "ShipmentRecorded"
    GOODS_CAME = "GoodsCame"
    PLACE_CHANGED = "PlaceChanged"
    TIME_SKIPPED = "TimeSkipped"
    RESUMED = "Resumed"
    COUNT_OPENED = "CountOpened"
    COUNT_BEGUN = "CountBegun"
    COUNT_SUBMITTED = "CountSubmitted"
    COUNT_CANCELLED = "CountCancelled"
    COUNT_ENDED = "CountEnded"  # one that somebody else waits for
    RETURN_OPENED = "ReturnOpened"
    RETURN_RECORDED = "ReturnRecorded"
    TRANSFER_REQUESTED = "TransferRequested"
    TRANSFER_CHANGED = "TransferChanged"
    TRANSFER_SHIPPED = "TransferShipped"
    TRANSFER_RECEIVED = "TransferReceived"
    TRANSFER_CANCELLED = "TransferCancelled"
    GOODS_WILL_NOT_COME = "GoodsWillNotCome"
    GOODS_NOT_NEEDED = "GoodsNotNeeded"
    PROMOTION_DEFINED = "PromotionDefined"
    PROMOTION_CHANGED = "PromotionChanged"
    PROMOTION_ENDED = "PromotionEnded"  # called off, ended early, or over
    PRICES_TRIED = "PricesTried"
    CLAIM_SENT = "ClaimSent"
    CLAIM_ANSWERED = "ClaimAnswered"
    CLAIM_SETTLED = "ClaimSettled"
    CASE_OPENED = "CaseOpened"
    CASE_CHANGED = "CaseChanged"
    CASE_CLOSED = "CaseClosed"
    APPROVAL_OPENED = "ApprovalOpened"
    APPROVAL_ASKED = "ApprovalAsked"
    APPROVAL_CLOSED = "ApprovalClosed"
    BULK_ENDED = "BulkEnded"


class Told(BaseModel):
    """The one signal, `tell`. A workflow ignores a `seq` that it has seen."""

    seq: int
    message: Message
    situation: Situation


class Step(BaseModel):
    """The input of a step. (subject, the step's name, occurrence) is its key: taken once, answered again from the
    record.

    `at` is the workflow's time. `occurrence` is a due instant, a decision's or operation's id, or a counter carried
    along.
    """

    subject: str
    occurrence: str
    at: datetime
    due: str | None = None
    decision_id: int | None = None
    approval_id: int | None = None
    operation_id: str | None = None
    reason: str | None = None
