"""A release that could not be used is not taken in, whatever its hashes say."""

from __future__ import annotations

import json
import shutil

import pytest

from longderm.errors import RefusedError
from longderm.models.kinds import check_release
from longderm.models.preprocessing import Preprocessing
from longderm.models.releases import packaged_registry, write_hashes
from longderm.settings import PACKAGED_VERSIONS


@pytest.fixture
def altered(tmp_path):
    """Copies the packaged release of a kind, with its config changed and its hashes made anew."""

    def make(kind, change, title=None):
        folder = tmp_path / "release"
        shutil.copytree(packaged_registry() / kind / PACKAGED_VERSIONS[kind], folder)
        card = (folder / "card.md").read_text().splitlines()
        (folder / "card.md").write_text("\n".join([f"# {title or kind + '/9.0.0'}", *card[1:]]))
        config = json.loads((folder / "config.json").read_text())
        change(config)
        (folder / "config.json").write_text(json.dumps(config))
        write_hashes(folder)
        return folder

    return make


def test_a_sound_release_of_each_kind_is_known_by_its_name(altered):
    assert check_release(altered("change", lambda config: None)) == "change/9.0.0"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("weights"), "must hold alpha and bias"),
        (lambda c: c.update(alpha=5.0), "alpha cannot be 5.0"),
        (lambda c: c.update(alpha="x"), "alpha cannot be 'x'"),
        (lambda c: c.update(bias=float("nan")), "bias cannot be nan"),
        (lambda c: c.update(noise={}), "names no measure"),
        (lambda c: c.update(noise=[1]), "noise must be an object"),
        (lambda c: c["noise"]["area"].update(spread=0), "spread of area cannot be 0"),
        (lambda c: c["noise"]["area"].pop("mdc"), "noise of area must hold"),
        (lambda c: c["weights"].update(area=-1.0), "weight of area cannot be -1.0"),
        (lambda c: c["calibration_scores"].append(1.5), "score of the calibration cannot be 1.5"),
        (lambda c: c["evolution"].update(weights=3), "weights of evolution must be an object"),
        (lambda c: c["network"]["architecture"].update(widths=[8, 8, 8, 8]), "does not fit"),
        (lambda c: c.update(network=[]), "does not fit"),
    ],
)
def test_a_change_release_that_could_judge_nothing_is_refused_in_one_line(altered, change, words):
    with pytest.raises(RefusedError, match=words) as caught:
        check_release(altered("change", change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("network", [[], {"architectures": [{"foo": 1}]}, {"architectures": 3}])
def test_a_config_that_describes_no_lesion_network_is_refused(altered, network):
    with pytest.raises(RefusedError, match="does not fit"):
        check_release(altered("segmentation", lambda config: config.update(network=network)))


def test_a_release_with_another_kinds_title_is_refused(altered):
    with pytest.raises(RefusedError, match="does not fit"):
        check_release(altered("change", lambda config: None, title="segmentation/9.0.0"))


@pytest.mark.parametrize(
    "values", [{"crop_px": "x"}, {"resize_px": 0}, {"crop_px": 300}, {"std": [1, 1, 0]}, {"interpolation": "nearest"}]
)
def test_an_encoder_that_could_be_shown_no_photo_is_refused(altered, values):
    with pytest.raises(RefusedError, match="describes no encoder"):
        check_release(altered("encoder", lambda config: config["encoder"]["preprocessing"].update(values)))
    with pytest.raises(ValueError, match=r"no crop|no way|normalised"):
        Preprocessing(**values)
