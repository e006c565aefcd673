"""Rows of master data: what one row must look like by itself."""

import datetime as dt

import pytest
from pydantic import ValidationError

from domain.masterdata import (
    FILES,
    CalendarRow,
    EntityRow,
    ItemRow,
    LocationRow,
    MasterRow,
    PersonRow,
    PolicyRow,
    StockRow,
    SubstituteRow,
    columns,
    required_columns,
    unknown_columns,
)

ITEM = {"sku": "1082185", "name": "Bananas", "category": "Fruit", "cost_minor": "62", "price_minor": "100"}
LOCATION = {
    "code": "S0330",
    "name": "Fairlawn",
    "kind": "store",
    "region": "AKR",
    "entity": "EGUS",
    "time_zone": "America/New_York",
}
PERSON = {"id": "ana.ruiz", "email": "ana.ruiz@endcap.example", "name": "Ana Ruiz", "roles": "store_manager"}
STOCK = {"location": "S0330", "sku": "1082185", "quantity": "4", "unit_cost_minor": "62"}


def reason(model: type[MasterRow], cells: dict[str, str]) -> str:
    """The one reason for which a row is refused."""
    with pytest.raises(ValidationError) as refused:
        model.model_validate(cells)
    (problem,) = refused.value.errors()
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"


class TestItem:
    def test_texts_become_numbers_and_flags(self) -> None:
        item = ItemRow.model_validate(ITEM | {"age_limit": "21", "frozen": "true"})
        assert (item.cost_minor, item.price_minor, item.age_limit, item.frozen) == (62, 100, 21, True)

    def test_empty_cells_take_the_default(self) -> None:
        item = ItemRow.model_validate(ITEM | {"age_limit": "", "frozen": "", "base_unit": ""})
        assert (item.age_limit, item.frozen, item.base_unit) == (None, False, "each")

    def test_an_empty_cell_that_is_needed_is_missing(self) -> None:
        assert reason(ItemRow, ITEM | {"price_minor": ""}) == "price_minor: Field required"

    @pytest.mark.parametrize(
        ("cells", "name"),
        [
            ({"sold_by_weight": "true"}, "items sold by weight"),
            ({"serialised": "yes"}, "serialised items"),
            ({"kit_components": "1;2"}, "kits"),
        ],
    )
    def test_a_kind_that_is_not_handled_is_refused_by_name(self, cells: dict[str, str], name: str) -> None:
        told = reason(ItemRow, ITEM | cells)
        assert told.startswith(f"{next(iter(cells))}: {name}")
        assert "not supported yet" in told

    @pytest.mark.parametrize("price", ["-1", "1.50", "abc", str(10**13)])
    def test_a_price_is_a_whole_number_of_minor_units_in_bounds(self, price: str) -> None:
        assert reason(ItemRow, ITEM | {"price_minor": price}).startswith("price_minor: ")

    @pytest.mark.parametrize("sku", ["", " ", "a b", "x" * 41, "-1", "a/b"])
    def test_a_sku_is_a_code(self, sku: str) -> None:
        assert reason(ItemRow, ITEM | {"sku": sku}).startswith("sku: ")

    def test_a_column_that_is_not_known_is_refused(self) -> None:
        assert reason(ItemRow, ITEM | {"colour": "yellow"}) == "colour: Extra inputs are not permitted"


class TestLocation:
    def test_a_store_offers_pickup(self) -> None:
        assert LocationRow.model_validate(LOCATION | {"pickup": "true"}).pickup

    def test_a_dc_does_not(self) -> None:
        assert "not at a dc" in reason(LocationRow, LOCATION | {"kind": "dc", "pickup": "true"})

    def test_half_a_place_is_no_place(self) -> None:
        assert "together" in reason(LocationRow, LOCATION | {"latitude": "41.1"})

    @pytest.mark.parametrize("cells", [{"latitude": "91", "longitude": "0"}, {"latitude": "0", "longitude": "-181"}])
    def test_a_place_is_on_the_earth(self, cells: dict[str, str]) -> None:
        assert reason(LocationRow, LOCATION | cells).split(":")[0] in cells

    def test_a_kind_is_one_of_four(self) -> None:
        assert reason(LocationRow, LOCATION | {"kind": "kiosk"}).startswith("kind: ")

    def test_a_currency_is_three_capitals(self) -> None:
        entity = {"code": "EGUS", "name": "Endcap Grocers US", "currency": "usd", "country": "US"}
        assert reason(EntityRow, entity).startswith("currency: ")


class TestCalendar:
    def test_a_weekday_has_hours(self) -> None:
        row = CalendarRow.model_validate({"location": "S0330", "day": "Sun", "opens": "06:00", "closes": "22:30"})
        assert (row.weekday, row.date, row.opens, row.closes) == (6, None, dt.time(6), dt.time(22, 30))

    def test_midnight_at_the_end_of_the_day_is_written_24_00(self) -> None:
        row = CalendarRow.model_validate({"location": "S0330", "day": "mon", "opens": "00:00", "closes": "24:00"})
        assert row.closes == dt.time(0)

    def test_a_date_without_hours_is_closed(self) -> None:
        row = CalendarRow.model_validate({"location": "S0330", "day": "2026-12-25", "reason": "Christmas Day"})
        assert (row.weekday, row.date, row.reason) == (None, dt.date(2026, 12, 25), "Christmas Day")

    @pytest.mark.parametrize(
        ("cells", "told"),
        [
            ({"day": "monday"}, "a day is mon"),
            ({"day": "2026-02-30"}, "a day is mon"),
            ({"day": "mon", "opens": "06:00"}, "together"),
            ({"day": "mon", "opens": "25:00", "closes": "26:00"}, "HH:MM"),
            ({"day": "mon", "opens": "09:00", "closes": "09:00"}, "opens as it closes"),
            ({"day": "2026-12-24", "opens": "09:00", "closes": "14:00"}, "not supported yet"),
        ],
    )
    def test_what_is_no_day_or_no_hours_is_refused(self, cells: dict[str, str], told: str) -> None:
        with pytest.raises(ValidationError, match=told):
            CalendarRow.model_validate({"location": "S0330"} | cells)


class TestPerson:
    def test_lists_are_parted_by_semicolons(self) -> None:
        cells = {"roles": "store_manager; finance", "locations": "S0330;S0331", "aliases": "pos:11;wms:ana"}
        person = PersonRow.model_validate(PERSON | cells)
        assert person.roles == ("store_manager", "finance")
        assert person.locations == ("S0330", "S0331")
        assert person.aliases == ("pos:11", "wms:ana")

    def test_nobody_is_without_a_role(self) -> None:
        assert reason(PersonRow, PERSON | {"roles": ";"}).startswith("roles: ")

    def test_an_unknown_role_is_refused_with_the_known_ones(self) -> None:
        told = reason(PersonRow, PERSON | {"roles": "boss"})
        assert told.startswith("roles.0: no such role")
        assert "store_manager" in told

    @pytest.mark.parametrize("email", ["ana", "ana@x", "ana ruiz@x.example", "a@x.example,b@x.example"])
    def test_an_address_is_one_address(self, email: str) -> None:
        assert reason(PersonRow, PERSON | {"email": email}).startswith("email: ")

    def test_an_alias_names_its_system(self) -> None:
        assert reason(PersonRow, PERSON | {"aliases": "11"}).startswith("aliases.0: ")


class TestStock:
    def test_stock_opens_as_available(self) -> None:
        assert StockRow.model_validate(STOCK).bucket == "available"

    @pytest.mark.parametrize("quantity", ["0", "-3", "1.5", ""])
    def test_a_quantity_is_a_whole_number_above_zero(self, quantity: str) -> None:
        assert reason(StockRow, STOCK | {"quantity": quantity}).startswith("quantity: ")

    @pytest.mark.parametrize("bucket", ["reserved", "staged", "in_transit", "shelf"])
    def test_promised_or_moving_stock_has_no_opening(self, bucket: str) -> None:
        assert reason(StockRow, STOCK | {"bucket": bucket}).startswith("bucket: ")

    def test_an_item_is_no_substitute_for_itself(self) -> None:
        assert "itself" in reason(SubstituteRow, {"sku": "1", "substitute": "1", "rank": "1"})


class TestPolicy:
    def test_a_document_says_why_and_from_when(self) -> None:
        policy = PolicyRow.model_validate(
            {
                "version": "2026-1",
                "effective_from": "2026-01-01T00:00:00Z",
                "reason": "scaled to our prices",
                "values": {"bands": {"refund_approval_minor": 2500}},
            }
        )
        assert policy.scope.entity is None

    @pytest.mark.parametrize(
        "broken",
        [{"reason": ""}, {"effective_from": "2026-01-01T00:00:00"}, {"values": {}}, {"scope": {"store": "S0330"}}],
    )
    def test_a_document_without_them_is_refused(self, broken: dict[str, object]) -> None:
        whole = {
            "version": "2026-1",
            "effective_from": "2026-01-01T00:00:00Z",
            "reason": "scaled to our prices",
            "values": {"bands": {}},
        }
        with pytest.raises(ValidationError):
            PolicyRow.model_validate(whole | broken)


class TestColumns:
    @pytest.mark.parametrize("model", FILES)
    def test_every_key_is_a_required_column_or_has_a_default(self, model: type[MasterRow]) -> None:
        assert set(model.key_fields) <= set(columns(model))
        assert set(required_columns(model)) <= set(columns(model))

    def test_unknown_columns_are_named(self) -> None:
        assert unknown_columns(ItemRow, ["sku", "color", "name"]) == ("color",)
