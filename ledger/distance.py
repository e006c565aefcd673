"""How far apart places are, as SQL."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, case, func

EARTH_KM = 6371


def distance_km(here: FromClause, there: FromClause) -> ColumnElement[float | None]:
    """The great-circle distance (haversine) of two `location` rows in km; NULL where a coordinate is missing."""
    lat, lon, lat0, lon0 = (func.radians(at.c[name]) for at in (there, here) for name in ("latitude", "longitude"))
    chord: Any = func.pow(func.sin((lat - lat0) / 2), 2) + func.cos(lat) * func.cos(lat0) * func.pow(
        func.sin((lon - lon0) / 2), 2
    )
    # Not least(): it passes over NULL, and a place without coordinates would be at the other end of the world.
    return 2 * EARTH_KM * func.asin(func.sqrt(case((chord > 1, 1.0), else_=chord)))
