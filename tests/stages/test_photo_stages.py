"""What is found in one photo: its scale and where it comes from, what covers it, structures by one look."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import asdict
from importlib import resources

import numpy as np
import pytest
import torch

from longderm.imaging import Segmentation, find_scale, find_structures, measure, read_ruler, segment
from longderm.models import load_release
from longderm.models.lesion_network import Architecture, LesionNetwork
from longderm.models.releases import write_hashes
from longderm.models.weights import write_networks
from longderm.photo import Photo
from longderm.schema import RESULT_COLUMNS
from longderm.settings import Settings
from longderm.simulate.close_up import draw_close_up
from longderm.stages import Place, current_tables, find_work, run_photo_batch
from longderm.stages import photo as photo_stages
from longderm.stages import work as work_module
from longderm.stages.photo import mask_row, measures_row, photo_work, read_mask, read_measures, read_scaled, scale_row
from longderm.stages.place import rows_to_table
from longderm.store import Store

STRUCTURES = ("pigment_network", "globules", "streaks", "negative_network", "milia_like_cyst")


@pytest.fixture(scope="module")
def with_network(tmp_path_factory) -> Settings:
    """Settings under which a small untrained network is the segmentation's release."""
    registry = tmp_path_factory.mktemp("release") / "registry"
    shutil.copytree(str(resources.files("longderm.registry")), registry)
    folder = registry / "segmentation" / "9.0.0"
    folder.mkdir()
    torch.manual_seed(0)
    small = LesionNetwork(Architecture(widths=(8, 8, 16, 16, 24), blocks=(1, 1, 1, 1), decoder=(8, 8, 8, 8))).eval()
    drawing = {"level": 0.5, "overlap_weights": [0.0] * 21, "presence_slope": 1.0, "presence_offset": 0.0}
    drawing |= dict.fromkeys(("min_presence", "min_overlap", "doubtful_overlap"), 0.0) | {"clinical_max_cut_share": 1.0}
    config = {
        "network": {"side_px": 64, "architectures": write_networks([small], folder)},
        "drawing": drawing,
        "structures": {"names": STRUCTURES, "slope": [1.0] * 5, "offset": [0.0] * 5, "levels": [0.5] * 5},
    }
    (folder / "config.json").write_text(json.dumps(config))
    write_hashes(folder)
    return Settings(registry_dir=registry, segmentation_version="9.0.0")


def test_a_photo_is_measured_by_its_stated_scale_else_by_its_ruler_else_not_in_mm(monitored):
    tables = {name: rows.to_pylist() for name, rows in current_tables(Store(monitored), Settings()).items()}
    stated = {row["photo_id"]: row for row in tables["photos"]}
    scales = {row["photo_id"]: row for row in tables["scales"]}
    for photo_id, row in scales.items():
        if stated[photo_id]["px_per_mm"] is not None:
            assert row["px_per_mm"] == pytest.approx(stated[photo_id]["px_per_mm"], rel=1e-5)
            assert row["px_per_mm_source"] == stated[photo_id]["px_per_mm_source"]
        else:
            assert row["px_per_mm"] == row["ruler_px_per_mm"]
            assert row["px_per_mm_source"] == (None if row["ruler_px_per_mm"] is None else "ruler")
        assert (row["ruler_px_per_mm"] is None) == (row["ruler_reason"] is not None)
    measured = [row for row in tables["measures"] if row["area_px"] is not None]
    assert measured
    for row in measured:
        px_per_mm = scales[row["photo_id"]]["px_per_mm"]
        if px_per_mm is None:
            assert row["area_mm2"] is None and row["tbp_lv_areaMM2"] is None and row["border_width_mm"] is None
        else:
            assert row["area_mm2"] == pytest.approx(row["area_px"] / px_per_mm**2, rel=1e-4)
    assert {row["photo_id"] for row in tables["structures"]} == set(scales)
    for row in tables["structures"]:
        dermoscopic = stated[row["photo_id"]]["modality"] == "dermoscopic"
        assert all((row[name] is not None) == dermoscopic for name in (*STRUCTURES, "model"))


def test_another_reading_of_rulers_makes_what_hangs_on_scales_pending(monitored, monkeypatch):
    before = find_work(Store(monitored), Settings())
    monkeypatch.setitem(work_module.CODE_VERSIONS, "scales", work_module.CODE_VERSIONS["scales"] + 1)
    pending = find_work(Store(monitored), Settings()).pending
    for stage in ("scales", "measures", "alignments", "changes", "decisions", "trajectories"):
        assert set(pending[stage]) == set(before.expected[stage]) != set()
    assert not any(pending[stage] for stage in ("previews", "quality", "masks", "structures"))


def test_a_network_looks_once_at_a_photo_for_outline_and_structures(monitored, with_network, monkeypatch):
    looks: Counter[str] = Counter()

    def counted(name, see):
        def look(*args):
            looks[name] += 1
            return see(*args)

        return look

    for module in ("longderm.stages.photo", "longderm.imaging.segmentation", "longderm.imaging.structures"):
        monkeypatch.setattr(f"{module}.see", counted(module, photo_stages.see))
    place = Place(str(monitored), str(monitored.with_name("store.link")), with_network)
    batch = photo_work(find_work(Store(monitored), with_network))
    close_up = next(item for item in batch if item.photo["modality"] == "dermoscopic")
    others = [item for item in batch if item.photo["modality"] == "clinical"][:1]
    result = run_photo_batch([close_up, *others], place)
    assert looks == {"longderm.stages.photo": 1 + len(others)}
    first, *rest = result.rows["structures"]
    assert first["model"] == "segmentation/9.0.0" and all(0 <= first[name] <= 1 for name in STRUCTURES)
    assert all(set(row) == {"photo_id", "fingerprint"} for row in rest), "nothing is seen in other modalities"
    failures = [row["failure"] for rows in result.rows.values() for row in rows if row.get("failure")]
    assert not failures


def test_measure_gives_the_structures_that_the_look_for_its_mask_saw(with_network):
    release = load_release("segmentation", "9.0.0", with_network.registry_dir)
    photo = Photo.from_array(draw_close_up(3, 1).pixels)
    drawn = segment(photo, release)
    assert measure(photo, drawn).structures == find_structures(photo, release).as_dict()
    clinical = Photo.from_array(photo.pixels, modality="clinical")
    assert measure(clinical, segment(clinical, release)).structures is None


@pytest.mark.parametrize("version", ["0.6.0", "0.5.0", "0.4.0", "0.3.0"])
def test_a_mask_comes_back_from_the_store_as_it_was_drawn(version, tmp_path):
    scene = draw_close_up(3, 1)
    drawn = segment(Photo.from_array(scene.pixels), load_release("segmentation", version))
    store = Store.create(tmp_path / "store", key_id="key-1")
    row = {"photo_id": "a", "fingerprint": "f", **mask_row(drawn, store)}
    store.append("masks", rows_to_table("masks", [row]), "run")
    (kept,) = Store(store.root).table("masks").to_pylist()
    again = read_mask(kept, scene.mask.shape, store)
    assert again.area_error == drawn.area_error and (drawn.area_error is None) == (version == "0.3.0")
    np.testing.assert_array_equal(again.mask, drawn.mask)
    assert (again.confidence, again.model) == (drawn.confidence, drawn.model)


def test_measures_and_scales_come_back_from_their_rows_as_they_were():
    scene = draw_close_up(3, 1)
    photo = Photo.from_array(scene.pixels, px_per_mm=20.0, px_per_mm_source="metadata", px_per_mm_error=0.01)
    drawn = Segmentation(np.asarray(scene.mask), 1.0, True, None, False, "by-hand")
    measured = measure(photo, drawn)
    row = measures_row(measured)
    assert set(row) | {"model"} == set(RESULT_COLUMNS["measures"])
    assert read_measures(row | {"failure": None}) == measured
    assert asdict(measured)["colours"], "colours were named"
    bare = Photo.from_array(scene.pixels)
    scale = scale_row(find_scale(photo, read_ruler(bare)))
    assert read_scaled(bare, scale | {"failure": None}).meta == photo.meta
    assert read_scaled(photo, {"failure": "failed:ValueError"}).meta == photo.meta, "the stated scale stands"


def test_an_issued_result_says_that_its_mm_rest_on_a_ruler_and_only_then(monitored):
    tables = {name: rows.to_pylist() for name, rows in current_tables(Store(monitored), Settings()).items()}
    source = {row["photo_id"]: row["px_per_mm_source"] for row in tables["scales"]}
    pairs = {row["pair_id"]: (row["baseline_photo_id"], row["followup_photo_id"]) for row in tables["alignments"]}
    assert "ruler" in source.values() and pairs
    for row in tables["decisions"]:
        if row["verdict"].startswith("issued"):
            told = any("scale read from a ruler" in reason for reason in row["reasons"])
            sources = {source[photo_id] for photo_id in pairs[row["pair_id"]]}
            assert told == ("ruler" in sources and None not in sources)
