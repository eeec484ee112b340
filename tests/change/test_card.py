"""The card of a change release says what is known of it, and keeps silent of what is not."""

from __future__ import annotations

import json

import pytest

from longderm.change.card import change_card
from longderm.models.cards import plain_figure, skin_tone_lines, with_skin_tones, without_front_matter
from longderm.models.kinds import card_summary, card_title
from longderm.models.releases import packaged_registry


@pytest.fixture
def config():
    """The numbers of a packaged release, without what they hold besides the noise."""
    kept = json.loads((packaged_registry() / "change" / "0.1.0" / "config.json").read_text())
    return {name: value for name, value in kept.items() if name != "in_distribution"}


def test_a_card_begins_with_front_matter_and_its_name_is_found_behind_it(config, tmp_path):
    (tmp_path / "card.md").write_text(change_card("change/9.0.0", config, {"sensitivity": 0.7}))
    text = (tmp_path / "card.md").read_text()
    assert text.startswith("---\nlicense: apache-2.0\n") and card_title(tmp_path) == "change/9.0.0"
    assert card_summary(tmp_path).startswith("Synthetic. Every number")
    for heading in ("## Intended use", "## Limits", "- sensitivity: 0.7", "states no range"):
        assert heading in text
    for absent in ("## The network", "## By skin tone", "## Reliability", "## Melanoma-like evolution"):
        assert absent not in text


def test_a_network_is_told_with_the_runs_that_led_to_it(config):
    held = {"held_auroc": 0.912, "held_hottest_inside": 0.87, "held_auroc_symmetry": 0.8}
    trained = {"training": {"passes": 9, "seed": 4}, "held_out": held, "photos": 77, "parameters": 1_690_000}
    told = change_card("change/9.0.0", config | {"network": trained}, {})
    assert all(words in told for words in ("1.69 million", "77 photos", "--passes 9", "0.912", "87%", "symmetry 0.800"))
    assert "--start" not in told
    unheld = change_card("change/9.0.0", config | {"network": trained | {"held_out": {}}}, {})
    assert "1.69 million" in unheld and "left out" not in unheld
    later = {"passes": 0, "seed": 5, "simulated_patients": 3, "start": "c0ffee00" + 56 * "1"}
    told = change_card("c/1", config | {"network": trained | {"training": later, "earlier": [trained["training"]]}}, {})
    first, second = (line for line in told.splitlines() if line.startswith("- `longderm train change"))
    assert "--passes 9" in first and "--start EARLIER" in second and "c0ffee00" in second
    assert "--simulated-patients 3" in second and "the reasons alone" in second and "the reasons alone" not in first


def test_what_benchmarks_found_has_sections_of_its_own(config):
    groups = [{"told": 0.05, "observed": 0.02, "pairs": 50}, {"told": 0.9, "observed": 0.96, "pairs": 50}]
    figures = {
        "sensitivity": 0.7,
        "semi_synthetic": {"pairs": 4400, "auroc": [0.98, 0.97, 0.99]},
        "reliability": {
            "pairs": 100, "slope": [1.1, 0.9, 1.3], "intercept": [0.0], "brier": 0.05, "calibration_error": 0.03,
            "groups": groups,
        },
        "by_skin_tone": {
            "photos": {"light": {"photos": 40, "auroc": [0.9, 0.8, 1.0]}, "tan or darker": {"photos": 6}},
            "simulated": {"VI": {"lesions": 80, "auroc": None}},
        },
    }  # fmt: skip
    told = change_card("change/9.0.0", config, figures)
    assert "4,400 pairs" in told and "- auroc: 0.980 (0.970 to 0.990)" in told
    assert "| 0.900 | 50 | 0.960 |" in told and "1.100 (0.900 to 1.300)" in told
    assert "| light | 40 | 0.900 (0.800 to 1.000) |" in told and "| tan or darker | 6 | too few |" in told
    assert "| VI | 80 | - |" in told and "**Simulated** lesions" in told
    assert "- semi_synthetic" not in told and "- sensitivity: 0.7" in told


def test_melanoma_like_evolution_is_told_with_its_source(config):
    head = {
        "source": {"lesions": 88, "seed": 5, "distributions": "abcdef0123"},
        "weights": {"area": 0.1, "delta_a": -0.7},
    }
    told = change_card("change/9.0.0", config | {"evolution": head}, {})
    for words in ("**simulated** lesions", "each of 88", "abcdef01)", "delta_a -0.70, area 0.10"):
        assert words in told


def test_a_section_by_skin_tone_stands_before_the_limits_and_is_replaced_in_place():
    card = "# a/1\n\nWhat it is.\n\n## Measured\n\nMuch.\n\n## Where it fails\n\nHere.\n"
    once = with_skin_tones(card, ["first"])
    assert [line for line in once.splitlines() if line.startswith("## ")] == [
        "## Measured",
        "## By skin tone",
        "## Where it fails",
    ]
    again = with_skin_tones(once, ["second"])
    assert "first" not in again and again == once.replace("first", "second")
    assert with_skin_tones("# a/1\n\nNo more.\n", ["x"]).endswith("No more.\n\n## By skin tone\n\nx\n")


def test_front_matter_is_left_out_only_where_it_is_whole():
    assert without_front_matter("---\na: 1\n---\n# b/1\n") == "# b/1\n"
    assert without_front_matter("---\na: 1\n") == "---\na: 1\n"
    assert without_front_matter("# b/1\n\n---\n") == "# b/1\n\n---\n"


def test_figures_are_written_alike_and_groups_without_them_are_too_few():
    assert [plain_figure(v) for v in ([0.5, 0.25, 0.75], 0.125, 3, None)] == [
        "0.500 (0.250 to 0.750)",
        "0.125",
        "3",
        "-",
    ]
    groups = {"a": {"dice_mean": 0.9, "photos": 30}, "b": {"photos": 2}, "none": {"photos": 0}}
    lines = skin_tone_lines(groups, "tone")
    assert lines == ["| tone | photos | dice mean |", "|---|---|---|", "| a | 30 | 0.900 |", "| b | 2 | too few |"]
