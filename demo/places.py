"""Names the data set does not have: places for its numbered stores, the people who run them, the customers.

All of it is invented and fixed: the same number always gets the same name. It must not decide anything about stock.
"""

from dataclasses import dataclass

ENTITY = "EGUS"
ENTITY_NAME = "Endcap Grocers US"
CURRENCY = "USD"
DC = "D0001"


@dataclass(frozen=True)
class Place:
    """Where a location stands."""

    name: str
    street: str
    city: str
    postal_code: str
    latitude: float
    longitude: float

    @property
    def address(self) -> str:
        return f"{self.street}, {self.city}, OH {self.postal_code}"


@dataclass(frozen=True)
class Region:
    """A region and the places in it, handed out to its stores in the order of their numbers."""

    code: str
    name: str
    places: tuple[Place, ...]


DC_PLACE = Place("Ohio Valley DC", "1200 Industrial Parkway", "Marysville", "43040", 40.2364, -83.3671)

#: The largest group of stores gets the first region.
REGIONS = (
    Region(
        "COL",
        "Columbus",
        (
            Place("Clintonville", "3600 North High Street", "Columbus", "43214", 40.0342, -83.0146),
            Place("Worthington", "650 High Street", "Worthington", "43085", 40.0931, -83.0180),
            Place("Bexley", "2250 East Main Street", "Bexley", "43209", 39.9690, -82.9377),
            Place("Grove City", "3900 Broadway", "Grove City", "43123", 39.8814, -83.0930),
            Place("Hilliard", "4100 Main Street", "Hilliard", "43026", 40.0334, -83.1585),
        ),
    ),
    Region(
        "DAY",
        "Dayton",
        (
            Place("Oakwood", "2400 Far Hills Avenue", "Dayton", "45419", 39.7253, -84.1741),
            Place("Kettering", "3100 Wilmington Pike", "Kettering", "45429", 39.6895, -84.1688),
            Place("Centerville", "900 South Main Street", "Centerville", "45458", 39.6284, -84.1594),
            Place("Beavercreek", "2700 North Fairfield Road", "Beavercreek", "45431", 39.7092, -84.0633),
            Place("Huber Heights", "7600 Brandt Pike", "Huber Heights", "45424", 39.8439, -84.1247),
        ),
    ),
    Region(
        "AKR",
        "Akron",
        (
            Place("Fairlawn", "2900 West Market Street", "Fairlawn", "44333", 41.1278, -81.6098),
            Place("Cuyahoga Falls", "1700 State Road", "Cuyahoga Falls", "44223", 41.1339, -81.4846),
            Place("Stow", "3600 Darrow Road", "Stow", "44224", 41.1595, -81.4404),
            Place("Hudson", "120 West Streetsboro Street", "Hudson", "44236", 41.2401, -81.4407),
            Place("Medina", "1000 North Court Street", "Medina", "44256", 41.1384, -81.8637),
        ),
    ),
)

_FIRST_TEXT = (
    "Ada Bela Carla Dana Elif Frank Grace Hugo Inga Jonas Kira Liam Mara Noah Olga Pablo Quinn Rosa Samir Tessa "
    "Uma Victor Wanda Xavier Yara Zane Amara Bruno Celia Dmitri Edda Farid Greta Hana Igor Julia Kofi Lena Marco"
)
_LAST_TEXT = (
    "Adler Brandt Castillo Dorsey Ellison Fischer Greene Hoffman Iyer Jensen Keller Lambert Mercer Novak Osborne "
    "Petrov Quigley Ramsey Schultz Tanaka Ueda Vasquez Whitaker Xiong Yates Zimmer Albright Becker Cho Delgado "
    "Emerson Fulton Garner Holt Ibarra Jarvis Klein Lowell Mathis Nguyen Orozco"
)
_FIRST, _LAST = _FIRST_TEXT.split(), _LAST_TEXT.split()


def store_code(store: int) -> str:
    """The location code of a numbered store: S0330."""
    return f"S{store:04d}"


@dataclass(frozen=True)
class Named:
    """Somebody's name and mail address."""

    name: str
    email: str


def customer(household: int) -> Named:
    """The customer behind a household number, the same each time."""
    first = _FIRST[household % len(_FIRST)]
    last = _LAST[(household // len(_FIRST) * 7 + household) % len(_LAST)]
    return Named(f"{first} {last}", f"{first}.{last}.{household}@shoppers.example".lower())


def staff_name(number: int) -> str:
    """The name of a member of staff by a number below 39, each another one."""
    return f"{_FIRST[(number * 11 + 5) % len(_FIRST)]} {_LAST[(number * 17 + 3) % len(_LAST)]}"
