"""How pages are written: instants, choices of places, and templates that stay as they were read."""

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import FileSystemLoader

from ledger.reads.places import Place, Visible
from web import pages
from web.console.place_options import place_options
from web.pages import environment, when

FORM = re.compile(r"<form\b(.*?)</form>", re.DOTALL)
NUMBERED = re.compile(r'type="hidden" name="(?:form|adjustment|transfer|count)_id"')


def test_the_two_instants_of_a_repeated_hour_are_told_apart() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold) for fold in (0, 1))
    assert "02:30 CEST" in when(first, "Europe/Berlin")
    assert "02:30 CET<" in when(second, "Europe/Berlin")
    assert 'datetime="2026-10-25T01:30:00+00:00"' in when(second, "Europe/Berlin")


def test_an_instant_is_written_for_each_zone() -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert when(noon, "Asia/Tokyo") == when(noon.astimezone(ZoneInfo("America/New_York")), "Asia/Tokyo")
    assert ["12:00 UTC" in when(noon), "21:00 JST" in when(noon, "Asia/Tokyo")] == [True, True]


def test_a_place_is_chosen_and_its_name_is_text() -> None:
    places = [Place("S1", "North <b>", "store", "R", "E", "UTC"), Place("S2", "South", "store", "R", "E", "UTC")]
    first = '<option value="S1">North &lt;b&gt; (S1)</option>'
    seen = Visible(places)
    assert place_options(seen, "S2") == f'{first}<option value="S2" selected>South (S2)</option>'
    assert place_options(seen, None) == f'{first}<option value="S2">South (S2)</option>'
    assert place_options(Visible([places[0]._replace(name="New")]), None) == '<option value="S1">New (S1)</option>'
    assert place_options(Visible([]), "S1") == ""


def test_a_template_put_in_place_anew_waits_for_the_code_that_knows_it(tmp_path: Path) -> None:
    env = environment()
    env.loader = FileSystemLoader(tmp_path)
    (tmp_path / "one.html").write_text("{{ known }}")
    assert env.get_template("one.html").render(known="now") == "now"
    (tmp_path / "one.html").write_text("{{ not_known_yet }}, and longer")
    assert env.get_template("one.html").render(known="now") == "now"


def test_a_form_with_a_number_of_its_own_is_not_filled_in_again_by_the_way_back() -> None:
    """The page behind *Back* has a new number: with the old figures in it, one press would record them once more."""
    forms = [
        (file.name, form)
        for file in sorted((Path(pages.__file__).parent / "templates").rglob("*.html"))
        for form in FORM.findall(file.read_text())
        if NUMBERED.search(form)
    ]
    assert len(forms) >= 15
    assert [name for name, form in forms if 'autocomplete="off"' not in form.partition("\n")[0]] == []
