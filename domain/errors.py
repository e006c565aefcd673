"""Every refusal of Endcap by name. Each leaf has a stable `code`; the web maps its `family` to a status, activities
let it escape as non-retryable.
"""

from typing import ClassVar, Literal

Family = Literal["malformed", "forbidden", "missing", "conflict", "busy"]


class DomainError(Exception):
    """A refusal that a person or a system can act on; the text says what is wrong and what to do."""

    code: ClassVar[str]
    family: ClassVar[Family]

    def __init__(self, detail: str, *, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer


class Malformed(DomainError):
    """The request cannot be understood as it stands; sending it again changes nothing."""

    code = "malformed"
    family = "malformed"


class UnknownSku(DomainError):
    code = "unknown_sku"
    family = "malformed"


class UnknownLocation(DomainError):
    code = "unknown_location"
    family = "malformed"


class UnknownCategory(DomainError):
    code = "unknown_category"
    family = "malformed"


class UnknownChannel(DomainError):
    """A channel to which no prices can be published."""

    code = "unknown_channel"
    family = "malformed"


class UnsupportedItem(DomainError):
    code = "unsupported_item"
    family = "malformed"


class WrongCurrency(DomainError):
    code = "wrong_currency"
    family = "malformed"


class SumsDisagree(DomainError):
    code = "sums_disagree"
    family = "malformed"


class UnknownLine(DomainError):
    code = "unknown_line"
    family = "malformed"


class IdempotencyMismatch(DomainError):
    code = "idempotency_mismatch"
    family = "malformed"


class ReceiptMismatch(DomainError):
    """The same system reported this till receipt before, with other lines."""

    code = "receipt_mismatch"
    family = "malformed"


class NotRecordable(DomainError):
    """The database refuses what a fact says: a figure beyond its bounds, or a row that breaks a rule of the ledger."""

    code = "not_recordable"
    family = "malformed"


class StepMismatch(DomainError):
    """A step was taken before under the same key with other input: a programming error, never retried."""

    code = "step_mismatch"
    family = "conflict"


class UnknownOption(DomainError):
    code = "unknown_option"
    family = "malformed"


class OptionNotAllowed(DomainError):
    code = "option_not_allowed"
    family = "forbidden"


class NotAllowed(DomainError):
    code = "not_allowed"
    family = "forbidden"


class OwnRequest(DomainError):
    code = "own_request"
    family = "forbidden"


class ProofTooOld(DomainError):
    """The amount is one for which somebody has to prove anew who they are."""

    code = "proof_too_old"
    family = "forbidden"


class SignInNeeded(DomainError):
    """The amount is above what a link alone may decide."""

    code = "sign_in_needed"
    family = "forbidden"


class NotFound(DomainError):
    code = "not_found"
    family = "missing"


class StateConflict(DomainError):
    """The recorded state does not allow this request."""

    code = "state_conflict"
    family = "conflict"


class AlreadyClaimed(DomainError):
    code = "already_claimed"
    family = "conflict"


class AlreadyDecided(DomainError):
    code = "already_decided"
    family = "conflict"


class UndoTooLate(DomainError):
    """What was decided is being carried out, or has ended; the text says which."""

    code = "undo_too_late"
    family = "conflict"


class SelfHealed(DomainError):
    """The cause went away before the decision was recorded."""

    code = "self_healed"
    family = "conflict"


class StaleVersion(DomainError):
    code = "stale_version"
    family = "conflict"


class ApprovalExpired(DomainError):
    code = "approval_expired"
    family = "conflict"


class ApprovalSuperseded(DomainError):
    code = "approval_superseded"
    family = "conflict"


class CountedElsewhere(DomainError):
    """Another device counts this sheet; the text says whose and since when."""

    code = "counted_elsewhere"
    family = "conflict"


class SameCounter(DomainError):
    """A recount is done by somebody who has not counted the line before."""

    code = "same_counter"
    family = "forbidden"


class CountPendingLeft(DomainError):
    """Units wait for this count; it cannot be called off."""

    code = "count_pending_left"
    family = "conflict"


class HoldEnded(DomainError):
    """The part of a hold that was asked for is not open; the text says what became of it."""

    code = "hold_ended"
    family = "conflict"


class NotEnoughStock(DomainError):
    """A hold that cannot be promised as policy wants it; the text says what is short."""

    code = "not_enough_stock"
    family = "conflict"


class NothingOffered(DomainError):
    """The way out that was chosen is no longer there."""

    code = "option_gone"
    family = "conflict"


class OfferAnswered(DomainError):
    """The customer, or silence, has answered before; the text says what and when."""

    code = "offer_answered"
    family = "conflict"


class OfferExpired(DomainError):
    code = "offer_expired"
    family = "conflict"


class OfferWithdrawn(DomainError):
    """What was offered is no longer needed, or no longer there; the text says which."""

    code = "offer_withdrawn"
    family = "conflict"


class AlreadyReturned(DomainError):
    """These units were returned before: units of a sale come back once, and are refunded once."""

    code = "already_returned"
    family = "conflict"


class PromotionOverlap(DomainError):
    """An exclusive promotion would overlap with another one in item, channel, place and time."""

    code = "promotion_overlap"
    family = "conflict"


class AlreadyPublished(DomainError):
    """Channels have been told of the prices, so the definition can no longer change."""

    code = "already_published"
    family = "conflict"


class AmbiguousReference(DomainError):
    code = "ambiguous_reference"
    family = "conflict"


class Busy(DomainError):
    """Too much at once; the same request may be sent again after a while."""

    code = "busy"
    family = "busy"


class StorageFull(DomainError):
    """The disk is full; the same request may be sent again once there is room."""

    code = "storage_full"
    family = "busy"


def leaves() -> dict[str, type[DomainError]]:
    """Every refusal by class name; what activities list as non-retryable and tests prove complete."""
    found: dict[str, type[DomainError]] = {}
    pending = list(DomainError.__subclasses__())
    while pending:
        leaf = pending.pop()
        found[leaf.__name__] = leaf
        pending.extend(leaf.__subclasses__())
    return dict(sorted(found.items()))
