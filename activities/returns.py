"""Steps of the returns journey: those that every journey has, and no others."""

from activities.journey import JourneyActivities
from ledger.returns import steps


class ReturnActivities(JourneyActivities, noun="returns", steps=steps):
    """Each method is one ledger transaction."""
