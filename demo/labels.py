"""The shelf labels of the demo: a system behind the files of a price channel, which takes what lies in `out` and puts
what its labels show into `shown`.

At one store the gateway is stuck: it says that it has taken the prices, and its labels go on showing the old ones.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from ports.price import SENT, SHOWN


class Labels:
    """Those of one folder. `regular` are shelf prices in cents by item, `stuck` is the store whose labels stay."""

    def __init__(self, folder: Path, regular: Mapping[str, int], stuck: str) -> None:
        self.out, self.shown = folder / "out", folder / "shown"
        self.regular, self.stuck = regular, stuck

    def look(self) -> int:
        """Take every file that was not taken yet; returns how many. What is shown is written whole or not at all."""
        if not self.out.is_dir():
            return 0
        self.shown.mkdir(parents=True, exist_ok=True)
        taken = 0
        for path in sorted(self.out.glob("*.csv")):
            target = self.shown / path.name
            if not target.exists():
                draft = target.with_suffix(".part")
                draft.write_text(self._shows(path.read_text(encoding="utf-8")), encoding="utf-8")
                draft.replace(target)
                taken += 1
        return taken

    def _shows(self, content: str) -> str:
        written = io.StringIO()
        writer = csv.DictWriter(written, SHOWN, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        reader = csv.DictReader(io.StringIO(content))
        assert tuple(reader.fieldnames or ()) == SENT  # the adapter's own files
        for row in reader:
            if row["location"] == self.stuck and row["sku"] in self.regular:
                row |= {"price_minor": str(self.regular[row["sku"]]), "deal": ""}
            writer.writerow(row)
        return written.getvalue()
