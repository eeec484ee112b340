"""Sources: mapping files, metadata and events tables, path patterns, file lists, and the errors of bad ones."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from intake_runner import AS_OF, Clinic, describe, draw, write_events

from longderm.archive import LinkTable, SourceSpec
from longderm.archive.mapping import read_mapping
from longderm.errors import LongdermError, SourceNotFoundError, UsageError

#: How HAM10000's metadata.csv is described.
HAM10000 = """
[columns]
image = "image_id"
lesion = "lesion_id"
diagnosis = "dx"
site_general = "localization"
[identity]
patient_per_lesion = true
undated_repeat = true
lesion_scope = "archive"
[files]
folder = "images"
ignore = ["masks/*"]
[defaults]
image_type = "dermoscopic"
"""

#: How PAD-UFES-20's metadata.csv is described.
PAD_UFES = """
[columns]
image = "img_id"
sex = "gender"
skin_type = "fitspatrick"
site_general = "region"
[identity]
undated_repeat = true
[defaults]
image_type = "clinical: close-up"
[values.site_general]
"NOSE" = "nose"
"""


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path / "archive")


def mapping_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mapping.toml"
    path.write_text(text)
    return path


def message(tmp_path: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_mapping(mapping_file(tmp_path, text))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_mapping_says_all_of_its_problems_in_one_line(tmp_path: Path) -> None:
    told = message(
        tmp_path,
        '[colums]\nx = 1\n[columns]\npacient = "p"\n'
        '[identity]\nundated_repeat = "yes"\nlesion_scope = "clinic"\nwho = 1\n'
        '[files]\nignore = "x"\n[defaults]\nimage = "a"\n[values]\nsex = "m"\n[events]\nwhen = "d"\n',
    )
    for problem in ("colums", "pacient", "undated_repeat", "lesion_scope", "who", "ignore", "image", "when"):
        assert problem in told


def test_a_mapping_that_is_no_toml_is_told_with_its_place(tmp_path: Path) -> None:
    assert "line 2" in message(tmp_path, '[columns]\nimage = "a\n')
    with pytest.raises(SourceNotFoundError):
        read_mapping(tmp_path / "none.toml")


def test_foreign_columns_and_values_are_translated(clinic: Clinic, tmp_path: Path) -> None:
    draw(clinic.root / "pics/7.jpeg", 1, "JPEG")
    clinic.root.joinpath("metadata.csv").write_text(
        "nr;person;spot;when;sexo;kind;foot\n7;anna;left;2024-03-01;M;D;x\n8;anna;left;2024-03-01;M;D;x\n"
    )
    text = (
        '[columns]\nimage="nr"\npatient="person"\nlesion="spot"\ndate="when"\nsex="sexo"\nimage_type="kind"\n'
        '[values.sex]\nM="female"\n[values.image_type]\nD="dermoscopic"\n[files]\nfolder="pics"\nextension="jpeg"\n'
    )
    found = clinic.run(mapping=mapping_file(tmp_path, text))
    assert clinic.photo("pics/7.jpeg")["modality"] == "dermoscopic"
    assert clinic.current("patients")[0]["sex"] == "female"
    assert found.rows_without_file == 1


def test_a_source_without_patients_and_dates_says_so(clinic: Clinic, tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b", "c")):
        draw(clinic.root / f"images/{name}.jpg", number, "JPEG")
        draw(clinic.root / f"masks/{name}.png", 10 + number)
    (clinic.root / "metadata.csv").write_text(
        "lesion_id,image_id,dx,age,sex,localization\nH1,a,nv,40,male,back\nH1,b,nv,40,male,back\nH2,c,mel,70,female,foot\n"
    )
    clinic.run(mapping=mapping_file(tmp_path, HAM10000))
    assert clinic.counts() == {"files": 7, "photos": 3, "duplicates": 0, "quarantine": 0, "ignored": 4}
    assert clinic.photo("images/a.jpg")["lesion_id"] == clinic.photo("images/b.jpg")["lesion_id"]
    assert len(clinic.current("patients")) == len(clinic.current("lesions")) == 2
    for photo in clinic.current("photos"):
        assert photo["undated_repeat"] is True and photo["acquisition_day"] is None
        assert photo["caveats"] == ["burned_in_not_excluded"]
    with LinkTable.open(clinic.link) as link:
        assert link.origin_of(clinic.photo("images/a.jpg")["patient_id"]) is None


def test_a_name_that_fits_several_files_fits_none(clinic: Clinic) -> None:
    draw(clinic.root / "x/a.png", 1)
    draw(clinic.root / "y/a.png", 2)
    draw(clinic.root / "z/b.png", 3)
    describe(clinic.root, [{"isic_id": "a"}, {"isic_id": "z/b.png"}])
    clinic.run()
    assert clinic.status("x/a.png") == clinic.status("y/a.png") == ("quarantine", "no_patient")
    assert clinic.status("z/b.png") == ("photo", None)


def test_rows_that_contradict_each_other_count_for_nothing_and_equal_ones_for_one(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    draw(clinic.root / "b.png", 2)
    describe(clinic.root, [{"isic_id": "a"}, {"isic_id": "a", "patient_id": "P2"}, {"isic_id": "b"}, {"isic_id": "b"}])
    clinic.run()
    assert clinic.status("a.png") == ("quarantine", "no_patient")
    assert clinic.status("b.png") == ("photo", None)


def test_the_nearest_table_describes_a_folder(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    draw(clinic.root / "wing/a.png", 2)
    describe(clinic.root, [{"isic_id": "a", "acquisition_date": "2024-01-01"}])
    describe(clinic.root / "wing", [{"isic_id": "a", "acquisition_date": "2024-01-31"}])
    clinic.run()
    assert clinic.photo("a.png")["acquisition_day"] == 0
    assert clinic.photo("wing/a.png")["acquisition_day"] == 30


def test_a_table_that_lies_elsewhere_describes_the_whole_archive(clinic: Clinic, tmp_path: Path) -> None:
    draw(clinic.root / "deep/a.png", 1)
    table = describe(tmp_path / "elsewhere", [{"isic_id": "a"}], "list.csv")
    clinic.run(metadata=table)
    assert clinic.status("deep/a.png") == ("photo", None)
    with pytest.raises(SourceNotFoundError):
        clinic.run(metadata=tmp_path / "none.csv")


def test_challenge_era_names_are_known(clinic: Clinic) -> None:
    draw(clinic.root / "ISIC_0000001.jpg", 1, "JPEG")
    (clinic.root / "metadata.csv").write_bytes(
        "\ufeffimage_name,patient_id,lesion_id,acquisition_date,sex,age_approx,anatom_site_general_challenge,benign_malignant\n"
        "ISIC_0000001,IP_1,IL_0000001,2020-01-01,male,45,palms/soles,benign\n".encode()
    )
    clinic.run()
    assert clinic.lesion("ISIC_0000001.jpg")["special_site"] == "acral"
    assert clinic.lesion("ISIC_0000001.jpg")["anatom_site_general"] == "palms/soles"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("a,b\n1,2\n", "isic_id"),
        ("isic_id,lesion_id\na,b\n", "patient_id"),
        ("isic_id,pacient_id\na,b\n", "patient_id"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_in_one_line(clinic: Clinic, text: str, told: str) -> None:
    draw(clinic.root / "a.png", 1)
    (clinic.root / "metadata.csv").write_text(text)
    with pytest.raises(UsageError, match=told) as caught:
        clinic.scan()
    assert "\n" not in str(caught.value) and str(clinic.root) not in str(caught.value)


def test_a_table_in_another_encoding_is_told(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    (clinic.root / "metadata.csv").write_bytes("isic_id,patient_id\na,Müller\n".encode("latin-1"))
    with pytest.raises(UsageError, match="UTF-8"):
        clinic.scan()


def test_a_column_that_the_mapping_names_must_be_there(clinic: Clinic, tmp_path: Path) -> None:
    draw(clinic.root / "a.png", 1)
    describe(clinic.root, [{"isic_id": "a"}])
    with pytest.raises(UsageError, match="'bild'"):
        clinic.scan(mapping=mapping_file(tmp_path, '[columns]\nimage = "bild"\n'))


def test_a_bad_events_table_is_told_before_anything_is_read(clinic: Clinic) -> None:
    draw(clinic.root / "a.png", 1)
    (clinic.root / "events.csv").write_text("patient,what\nP1,excision\n")
    with pytest.raises(UsageError, match=r"patient_id.*date.*event"):
        clinic.scan()


def test_an_empty_or_missing_archive_is_told_without_its_path(clinic: Clinic) -> None:
    with pytest.raises(UsageError, match="no files"):
        clinic.scan()
    with pytest.raises(SourceNotFoundError) as caught:
        SourceSpec.open(clinic.root / "Quill")
    assert "Quill" not in str(caught.value)


def test_a_list_of_files_is_a_source(clinic: Clinic, tmp_path: Path) -> None:
    draw(clinic.root / "P1/L1/2024-01-01.png", 1)
    draw(clinic.root / "P1/L1/2024-02-01.png", 2)
    listed = clinic.root / "list.txt"
    listed.write_text(f"P1/L1/2024-01-01.png\n\n{clinic.root}/P1/L1/2024-02-01.png\nP1/L1/2024-03-01.png\n")
    source = SourceSpec.open(listed)
    assert source.listed is not None and len(source.listed) == 3
    clinic.root, root = listed, clinic.root
    found = clinic.run()
    clinic.root = root
    assert len(found.pending) == 3
    assert Counter(row["status"] for row in clinic.current("files")) == {"photo": 2, "quarantine": 1}
    listed.write_text("\n")
    with pytest.raises(UsageError, match="empty"):
        SourceSpec.open(listed)


def test_folders_that_are_not_part_of_the_archive_are_left_out(clinic: Clinic) -> None:
    draw(clinic.root / "P1/L1/2024-01-01.png", 1)
    draw(clinic.root / "store/objects/x.jpg", 2, "JPEG")
    clinic.run(exclude=(clinic.root / "store",))
    assert clinic.counts()["files"] == 1


def test_links_are_followed_and_circles_are_not(clinic: Clinic, tmp_path: Path) -> None:
    draw(tmp_path / "disk/P1/L1/2024-01-01.png", 1)
    (clinic.root / "P1").symlink_to(tmp_path / "disk/P1")
    (tmp_path / "disk/P1/L1/loop").symlink_to(clinic.root)
    (clinic.root / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    clinic.run()
    assert clinic.status("P1/L1/2024-01-01.png") == ("photo", None)
    assert clinic.status("dangling.png") == ("quarantine", "unreadable")
    assert clinic.counts()["files"] == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_folder_that_may_not_be_listed_is_not_passed_over(clinic: Clinic) -> None:
    draw(clinic.root / "P1/L1/2024-01-01.png", 1)
    closed = clinic.root / "P2"
    closed.mkdir(mode=0o000)
    try:
        clinic.run()
    finally:
        closed.chmod(0o700)
    assert clinic.status("P2") == ("quarantine", "unreadable")


def test_a_folder_that_cannot_be_listed_is_not_passed_over(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(clinic.root / "P1/L1/2024-01-01.png", 1)
    (clinic.root / "P2").mkdir()
    listing = os.scandir

    def refuse(path: str | Path) -> object:
        if Path(path).name == "P2":
            raise PermissionError
        return listing(path)

    monkeypatch.setattr(os, "scandir", refuse)
    clinic.run()
    assert clinic.status("P2") == ("quarantine", "unreadable")


def test_file_names_of_any_bytes_are_taken(clinic: Clinic) -> None:
    folder = Path(os.fsdecode(os.fsencode(clinic.root) + b"/P\xff/L1"))
    draw(folder / "2024-01-01.png", 1)
    clinic.run()
    assert clinic.counts()["photos"] == 1


def test_the_events_table_may_have_its_own_names(clinic: Clinic, tmp_path: Path) -> None:
    draw(clinic.root / "P1/L1/2024-01-01.png", 1)
    table = tmp_path / "surgery.csv"
    table.write_text("who;where;when;what;dx\nP1;L1;2024-02-01;EXZ;Melanom\nP1;L1;;EXZ;\n")
    text = '[events]\npatient="who"\nlesion="where"\ndate="when"\nevent="what"\ndiagnosis="dx"\n'
    text += '[values.event]\nEXZ="excision"\n[values.diagnosis]\nMelanom="melanoma"\n'
    found = clinic.run(events=table, mapping=mapping_file(tmp_path, text))
    assert (found.unusable_events, found.unclear_diagnoses) == (1, 0)
    (event,) = clinic.current("events")
    assert (event["event_kind"], event["event_day"], event["diagnosis"]) == ("excision", 31, "melanoma")
    assert event["lesion_id"] == clinic.photo("P1/L1/2024-01-01.png")["lesion_id"]


def test_an_event_of_an_unknown_kind_is_another_event(clinic: Clinic) -> None:
    draw(clinic.root / "P1/L1/2024-01-01.png", 1)
    write_events(clinic.root, ["P1,L1,2024-02-01,laser,"])
    clinic.run(AS_OF)
    assert [row["event_kind"] for row in clinic.current("events")] == ["other"]


def test_repeats_of_ham10000_become_photos(shared_data: Path, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path / "unused", tmp_path / "link")
    clinic.root = shared_data / "same_lesion_repeats"
    clinic.run(mapping=mapping_file(tmp_path, HAM10000), batch=500)
    counts = clinic.counts()
    assert counts["photos"] + counts["duplicates"] == 1035 and counts["quarantine"] == 0
    assert len({row["lesion_id"] for row in clinic.current("photos")}) == 450
    assert {row["special_site"] for row in clinic.current("lesions")} == {None, "face"}


def test_clinical_photos_of_pad_ufes_become_photos(shared_data: Path, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path / "unused", tmp_path / "link")
    clinic.root = shared_data / "clinical"
    clinic.run(mapping=mapping_file(tmp_path, PAD_UFES))
    assert clinic.counts() == {"files": 25, "photos": 24, "duplicates": 0, "quarantine": 0, "ignored": 1}
    assert {row["modality"] for row in clinic.current("photos")} == {"clinical"}
    assert {row["fitzpatrick_skin_type"] for row in clinic.current("patients")} <= {
        "I",
        "II",
        "III",
        "IV",
        "V",
        "VI",
        None,
    }
    assert "face" in {row["special_site"] for row in clinic.current("lesions")}


def test_other_photos_without_any_table_end_in_quarantine(shared_data: Path, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path / "unused", tmp_path / "link")
    for name in ("isic_fullsize", "bad_images"):
        clinic.root = shared_data / name
        clinic.run()
        assert clinic.counts()["photos"] == 0
    assert clinic.counts()["files"] == 7 + 45


def test_every_error_of_a_source_is_one_of_ours(tmp_path: Path) -> None:
    for options in ({"mapping": tmp_path / "x"}, {"events": tmp_path / "x"}, {"pattern": "{x}"}):
        with pytest.raises(LongdermError):
            SourceSpec.open(tmp_path, **options)  # type: ignore[arg-type]
