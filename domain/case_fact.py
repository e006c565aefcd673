"""The type that the facts of every kind of case are made of."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Facts(BaseModel):
    """The facts of a kind of case; `partial` is the template that shows them, in `templates/cases/facts/`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    partial: ClassVar[str]
