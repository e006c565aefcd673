"""What a customer who asks to be forgotten is answered: whose data is erased now, and what still waits for its end."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

Contact = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=320)]


class ErasureRequest(BaseModel):
    """Whom to forget: everybody of an e-mail address, of a telephone number, or the customer of one journey."""

    model_config = ConfigDict(extra="forbid")

    email: Contact | None = Field(None, description="As it was given; capitals make no difference.")
    phone: Contact | None = Field(None, description="As it was given.")
    journey_id: Annotated[str, StringConstraints(min_length=1, max_length=400)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if sum(given is not None for given in (self.email, self.phone, self.journey_id)) != 1:
            raise PydanticCustomError("one_of", "Name exactly one: email, phone or journey_id.")
        return self


class ErasureAnswer(BaseModel):
    """`erased` customers of orders and returns that are over; `waiting` are journeys still under way: their customers
    are erased by themselves once these have ended.
    """

    erased: int
    waiting: list[str]
    at: datetime
