"""What the hourly look at running promotions goes by, as data; a part of a promotion's policy."""

from pydantic import BaseModel, ConfigDict, Field

from domain.velocity import Rule

DAY_S = 86_400


class LookPolicy(BaseModel):
    """Surges, cover, proposals, and when people are told. Shares are thousandths."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    past_weeks: int = Field(8, ge=1, le=52)  # whose sales say when customers come, and to which place
    windows_h: tuple[int, ...] = Field((2, 8, 24), max_length=6)  # beside the time since it began
    least_receipts: int = Field(5, ge=1)
    one_in: int = Field(1_000_000, ge=100)  # how rare chance must make it in one window of one look
    # How wrong the forecast of a single place may be: the variation of its error, squared.
    spread_permille: int = Field(100, ge=0, le=5_000)
    short_cover_s: int = Field(2 * DAY_S, gt=0)  # less than this lasts: the place is short
    fill_s: int = Field(4 * DAY_S, gt=0)  # how long what is sent should last
    radius_km: int = Field(100, ge=0)
    least_units: int = Field(6, ge=1)
    rest_s: int = Field(DAY_S, ge=0)  # until goods that were proposed are proposed to the same place again
    override_permille: int = Field(50, ge=0, le=1_000)  # of the units sold
    override_least: int = Field(10, ge=1)  # units; a share of less says nothing
    cap_near_permille: int = Field(900, ge=0, le=1_000)  # of what a vendor pays at most
    margin_near_permille: int = Field(20, ge=0, le=1_000)  # above the floor
    margin_least: int = Field(20, ge=1)  # units sold; a margin of fewer says nothing

    @property
    def rule(self) -> Rule:
        return Rule(self.least_receipts, self.one_in, self.spread_permille / 1000)
