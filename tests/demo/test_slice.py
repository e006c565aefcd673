"""The retailer cut out of the real data: the same each time, whole in itself, accepted by the loader's checks."""

from pathlib import Path

from demo import folder, places
from demo.people import ANA
from demo.slice import COST_SHARE, COVER_DAYS, ITEMS, STORES, Slice, busiest_stores, cut, unit_cost_minor
from demo.source import read_store_baskets
from domain import masterdata
from domain.policy import merge
from ledger.load import parse


class TestChoice:
    def test_cutting_twice_gives_the_same_bytes(self, data_folder: Path, tmp_path: Path) -> None:
        folder.write(cut(), tmp_path)
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == sorted([*(model.file for model in masterdata.FILES), "policies.json"])
        for name in names:
            assert (tmp_path / name).read_bytes() == (data_folder / name).read_bytes(), name

    def test_it_takes_the_busiest_stores_and_as_many_items_as_it_says(self, whole: Slice) -> None:
        store, basket = read_store_baskets()
        assert whole.stores == busiest_stores(store, basket)
        assert (len(whole.stores), len(whole.products)) == (STORES, ITEMS)

    def test_each_region_has_stores_and_ana_has_hers(self, whole: Slice) -> None:
        assert {region.code for region in whole.regions.values()} == {"COL", "DAY", "AKR"}
        assert ANA.locations[0] in {places.store_code(store) for store in whole.stores}

    def test_stores_of_one_region_have_places_of_their_own(self, whole: Slice) -> None:
        found = folder.store_places(whole)
        assert len({place.address for place in found.values()}) == STORES
        assert all(place in whole.regions[store].places for store, place in found.items())


class TestMoney:
    def test_cost_is_the_departments_share_of_the_regular_price(self, whole: Slice) -> None:
        for number, product in whole.products.items():
            price, cost = whole.price_minor[number], whole.cost_minor[number]
            assert 1 <= cost <= price
            assert cost == unit_cost_minor(product, price)
            if price > 100:
                assert abs(cost / price - COST_SHARE.get(product.department, 0.70)) < 0.01

    def test_substitutes_are_of_the_same_type_and_near_in_price(self, whole: Slice) -> None:
        assert len(whole.substitutes) > ITEMS / 2
        for number, others in whole.substitutes.items():
            for other in others:
                assert whole.products[other].product_type == whole.products[number].product_type
                assert abs(whole.price_minor[other] - whole.price_minor[number]) <= 0.35 * whole.price_minor[number]
            away = [abs(whole.price_minor[other] - whole.price_minor[number]) for other in others]
            assert away == sorted(away)


class TestStock:
    def test_every_store_and_item_that_sold_has_stock(self, whole: Slice) -> None:
        keys = [(row.location, row.product) for row in whole.stock]
        assert len(keys) == len(set(keys))
        assert all(row.quantity >= 1 for row in whole.stock)
        assert {row.product for row in whole.stock if row.location == places.DC} == set(whole.products)

    def test_bananas_are_covered_for_two_weeks(self, whole: Slice) -> None:
        sold_in_busy_stores = [row.quantity for row in whole.stock if row.product == 1082185]
        assert min(sold_in_busy_stores) > COVER_DAYS / 7


class TestFiles:
    def test_every_row_passes_the_checks_of_the_loader(self, data_folder: Path) -> None:
        for model in masterdata.FILES:
            if model is masterdata.PriceRow:
                continue  # every store of it sells at the prices of its items
            rows, rejects, read = parse(data_folder / model.file, model)
            assert rejects == []
            assert len(rows) == read > 0

    def test_the_policy_is_one_that_policies_know(self) -> None:
        from demo.policies import POLICIES

        merged = merge([(str(document["version"]), document["values"]) for document in POLICIES])
        assert merged.bands.refund_approval_minor == 2500

    def test_alcohol_has_an_age_limit_and_ice_cream_is_frozen(self, data_folder: Path) -> None:
        items = folder.read(data_folder / "items.csv")
        assert {row["age_limit"] for row in items if row["category"] == "Beers/Ales"} == {"21"}
        assert {row["frozen"] for row in items if "Ice Cream" in row["category"]} == {"true"}
        assert {row["age_limit"] for row in items if row["category"] == "Soup"} == {""}
