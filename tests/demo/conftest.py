"""The slice of real data that the demo's tests share, cut once."""

from pathlib import Path

import pytest

from demo import folder
from demo.baskets import Assortment
from demo.slice import Slice, cut
from demo.source import Sales, read_sales


@pytest.fixture(scope="session")
def whole() -> Slice:
    """The demo's retailer."""
    return cut()


@pytest.fixture(scope="session")
def data_folder(whole: Slice, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The retailer as `endcap load` gets it."""
    target = tmp_path_factory.mktemp("retailer")
    folder.write(whole, target)
    return target


@pytest.fixture(scope="session")
def assortment(data_folder: Path) -> Assortment:
    """What it sells."""
    return folder.assortment(data_folder)


@pytest.fixture(scope="session")
def sales(assortment: Assortment) -> Sales:
    """A year of its stores."""
    return read_sales(tuple(assortment.regions))
