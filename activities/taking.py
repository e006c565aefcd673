"""How a step ends when it cannot be taken: refused, put off, or given up. It takes no step itself."""

from collections.abc import Awaitable, Callable
from functools import wraps

from temporalio import activity
from temporalio.exceptions import ApplicationError

from domain.errors import DomainError
from ledger.outages import is_outage

# A failure that is neither a refusal nor an outage is most likely our own mistake; a few attempts rule out the rest.
UNEXPECTED_ATTEMPTS = 4


def patient[**P, T](method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Wait out an outage for as long as it lasts; give an unexpected failure up, so that a person hears of it.

    Refusals (`DomainError`) go through as they are; the workflow lists them as not to be tried again.
    """

    @wraps(method)
    async def taken(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(*args, **kwargs)
        except (DomainError, ApplicationError):
            raise
        except Exception as error:
            if is_outage(error) or activity.info().attempt < UNEXPECTED_ATTEMPTS:
                raise
            name = type(error).__name__
            raise ApplicationError(f"{name}, {UNEXPECTED_ATTEMPTS} times", type=name, non_retryable=True) from error

    return taken
