"""How a worker asks carriers about parcels: one question to the port, its answer in the ledger's words."""

from domain.tracking import TransferTracked
from ledger.transfer.following import Answered, Ask, Asked
from ports.tracking import TrackingAwayError, TrackingPort


def asking(port: TrackingPort) -> Ask:
    """A carrier that gives no answer is asked again later; why it gave none stands beside its parcel."""

    async def ask(one: Asked) -> Answered:
        try:
            news = await port.ask(one.tracking, one.carrier)
        except TrackingAwayError as away:
            return Answered(error=str(away))
        if news is None:
            return Answered(error="the carrier has no such parcel")
        told = TransferTracked(
            tracking=one.tracking, status=news.status, expected_at=news.expected_at, carrier=one.carrier
        )
        return Answered(told, news.at)

    return ask
