"""Rows of simulated lesions through the pipeline: the same again, gone on with, and judged by the evolution bench."""

from __future__ import annotations

import json

import pytest

from longderm.bench.evolution import BENIGN_MIX, EVOLVING, GROWING, OURS, RESTING, report, report_specs
from longderm.bench.series_measuring import SeriesSpec, differences_of, measured_rows
from longderm.change.evolution import EITHER_WAY, INPUTS, RISING, EvolutionModel
from longderm.errors import UsageError
from longderm.models import load_release

SPECS = [SeriesSpec("series", 9, 1, "growing_nevus", 2), SeriesSpec("series", 9, 2, "melanoma", 2)]


def test_a_run_goes_on_where_it_was_cut_off_and_refuses_the_rows_of_another(tmp_path):
    release, path = load_release("change", "0.1.0"), tmp_path / "rows.jsonl"
    first = measured_rows(path, {"seed": 9}, SPECS[:1], release)
    path.write_text(path.read_text() + '{"name": "half a li')  # killed while it wrote
    both = measured_rows(path, {"seed": 9}, SPECS, release, resume=True)
    assert both[0] == first[0] and [row["name"] for row in both] == [spec.name for spec in SPECS]
    assert [json.loads(line)["name"] for line in path.read_text().splitlines()[1:]] == [s.name for s in SPECS]
    assert measured_rows(tmp_path / "again.jsonl", {"seed": 9}, SPECS[:1], release) == first
    (pair,) = first[0]["pairs"]
    assert (pair["withheld"] is None) == ("deltas" in pair)
    assert {row["drawn"] for row in both} == {"growing_nevus", both[1]["drawn"]} and both[1]["malignant"]
    with pytest.raises(UsageError, match="another run"):
        measured_rows(path, {"seed": 10}, SPECS, release, resume=True)


def row(stratum, drawn, colour, area, withheld=None):
    deltas = {name: [0.1, 1.0] for name in (*RISING, *EITHER_WAY)} | {
        "colour_local": [colour, 1.0],
        "area": [area, 1.0],
    }
    pair = {"interval_days": 91, "withheld": withheld, "score": 0.5, "deltas": deltas}
    return {"stratum": stratum, "drawn": drawn, "pairs": [pair]}


def test_the_report_tells_ours_and_size_apart_and_counts_what_was_withheld():
    model = EvolutionModel({**dict.fromkeys(INPUTS, 0.0), "colour_local": 1.0}, 0.0, dict.fromkeys(INPUTS, 0.0))
    rows = [row(EVOLVING, "melanoma_invasive", 1.0 + 0.1 * n, 0.5 - 0.1 * n) for n in range(4)]
    rows += [row(GROWING, "growing_nevus", 0.1 * n, 1.0 + n) for n in range(4)]
    rows += [row(EVOLVING, "melanoma_in_situ", 0.0, 9.0, "mixed_polarisation"), row(RESTING, "melanoma_invasive", 0, 0)]
    told = report(rows, model)
    assert told["melanoma_against_growing"][OURS]["auroc"][0] == 1.0
    assert told["melanoma_against_growing"]["area"]["auroc"][0] == 0.0
    assert told["size_alone_best_either_way"] == 1.0  # turned round, size would tell everything
    assert told["withheld"][EVOLVING] == {"issued": 4, "mixed_polarisation": 1}
    assert told["controls"]["melanoma against benign as monitored"]["auroc"] is None
    assert differences_of(rows[0]["pairs"][0])["colour_local"] == 1.0


def test_a_run_that_stops_early_has_as_many_melanomas_as_growing_naevi():
    specs = report_specs(300, 21)
    counts = {
        stratum: sum(spec.stratum == stratum for spec in specs) for stratum in (EVOLVING, GROWING, RESTING, BENIGN_MIX)
    }
    assert counts == {EVOLVING: 150, GROWING: 150, RESTING: 38, BENIGN_MIX: 38}
    early = [spec.stratum for spec in specs[:40]]
    assert early.count(EVOLVING) == early.count(GROWING)
    assert len({spec.name for spec in specs}) == len(specs)
