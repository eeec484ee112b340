"""The pages as files: complete, self-contained, the same for the same input, whole or not there."""

from __future__ import annotations

import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from longderm.errors import AccessError, UsageError
from longderm.report import ReportPaths, write_reports
from longderm.schema import QUARANTINE_REASONS
from tests.report.builder import Archive, clinic, context, identifier

VOID = {"meta", "link", "img", "br", "input", "hr", "stop"}
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\u2028</style>'


class Page(HTMLParser):
    """A page taken apart: its tags must nest, its attributes and text are kept."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> does not close what is open"

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))

    def all(self, attribute: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(attribute)) is not None]


def written(made: Archive, out: Path, **given: object) -> tuple[ReportPaths, dict[str, Page]]:
    paths = write_reports(made.tables(), made.read_object, out, context=context(**given))
    pages = {path.stem: Page(path.read_text("utf-8")) for path in (paths.worklist, *paths.patients)}
    return paths, pages


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    today = {identifier("one"): 700, identifier("two"): 10}
    return written(clinic(), tmp_path_factory.mktemp("report"), simulated=True, as_of_days=today)[1]


def test_every_patient_has_a_page_named_by_pseudonym_and_every_lesion_is_on_it_and_on_the_worklist(
    pages: dict[str, Page],
) -> None:
    made = clinic()
    assert set(pages) == {"worklist", identifier("one"), identifier("two")}
    links = pages["worklist"].all("href")
    for row in made.rows["lesions"]:
        target = f"lesion-{row['lesion_id']}"
        assert target in pages[row["patient_id"]].all("id")
        assert f"patients/{row['patient_id']}.html#{target}" in links


def test_the_links_between_the_pages_lead_somewhere(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for href in page.all("href"):
            if href.startswith("data:"):
                continue
            path, _, anchor = href.partition("#")
            target = name if not path else Path(path).stem
            assert target in pages
            assert not anchor or anchor in pages[target].all("id")


def test_ids_are_unique_on_a_page(pages: dict[str, Page]) -> None:
    for page in pages.values():
        assert len(page.all("id")) == len(set(page.all("id")))


def test_every_abstention_shows_its_reason_on_both_pages(pages: dict[str, Page]) -> None:
    abstained = [row for row in clinic().rows["decisions"] if row["verdict"] == "abstained"]
    assert abstained
    for row in abstained:
        for reason in row["reasons"]:
            assert reason in pages[identifier("one")].words and reason in pages["worklist"].words


def test_no_number_of_an_abstained_or_out_of_scope_comparison_is_shown(pages: dict[str, Page]) -> None:
    words = pages[identifier("one")].words
    assert "+99%" not in words and "0.99" not in words, "abstained"
    assert "0.77" not in words, "out of scope"


def test_the_flagged_change_names_measure_difference_unit_and_mdc(pages: dict[str, Page]) -> None:
    assert "Area grew by 11.2 mm² (from 15.2 to 26.4 mm²)" in pages[identifier("one")].words
    assert "minimal detectable change (MDC) of 2.6 mm²" in pages[identifier("one")].words
    assert "area +11.2 mm² (MDC 2.6 mm²)" in pages["worklist"].words


def test_an_area_stands_with_the_range_in_which_its_border_may_lie(pages: dict[str, Page]) -> None:
    areas = {row["area_mm2"] for row in clinic().rows["measures"] if row["area_mm2"] is not None}
    ranges = [f"{area:.1f} mm² (as the border may lie: {area / 1.25:.1f} to {area * 1.25:.1f})" for area in areas]
    assert any(text in pages[identifier("one")].words for text in ranges)


def test_a_page_asks_the_network_for_nothing(pages: dict[str, Page]) -> None:
    for page in pages.values():
        tags = {tag for tag, _ in page.tags}
        assert not tags & {"script", "iframe", "object", "embed", "form", "base", "audio", "video", "source"}
        assert all(uri.startswith("data:image/") for uri in page.all("src"))
        for href in page.all("href"):
            assert not re.match(r"(?i)[a-z]+:", href) or href == "data:,"
        policy = next(
            a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
        )
        assert policy is not None and policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
        assert not page.all("style"), "the policy forbids style attributes"
        assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]


def test_no_page_holds_a_web_address_or_loads_by_style(tmp_path: Path) -> None:
    made = clinic()
    paths = write_reports(made.tables(), made.read_object, tmp_path, context=context())
    for path in (paths.worklist, *paths.patients):
        text = path.read_text("utf-8")
        assert not re.search(r"(?i)https?://|url\((?!#)|@import", text)


def test_times_are_told_since_the_first_visit_and_never_as_dates(pages: dict[str, Page]) -> None:
    for page in pages.values():
        assert re.findall(r"\b(?:19|20)\d\d-\d\d-\d\d\b", page.words) == ["2024-05-01"], "only the as-of day"
    assert "month 9.2" in pages[identifier("one")].words


def test_todays_day_on_a_patients_own_scale_is_not_told_since_with_the_as_of_date_it_would_date_every_visit(
    tmp_path: Path,
) -> None:
    _, near = written(clinic(), tmp_path / "a", as_of_days={identifier("one"): 700})
    _, far = written(clinic(), tmp_path / "b", as_of_days={identifier("one"): 725})
    assert {name: page.words for name, page in near.items()} == {name: page.words for name, page in far.items()}


def test_the_worklist_tells_quarantine_duplicates_and_the_balance(pages: dict[str, Page]) -> None:
    words = pages["worklist"].words
    for number, reason in enumerate(("truncated", "no_date", "burned_in_annotation")):
        assert QUARANTINE_REASONS[reason] in words
        assert f"longderm find {identifier(f'bad {number}')}" in words
    photos = len(clinic().rows["photos"])
    assert f"{photos + 5} files seen = {photos} photos + 1 duplicate + 3 in quarantine + 1 ignored" in words


def test_overdue_without_the_link_table_is_not_judged(tmp_path: Path) -> None:
    _, pages = written(clinic(), tmp_path)
    assert "not judged: link table not at hand" in pages["worklist"].words


def test_what_the_report_is_not_stands_on_every_page(pages: dict[str, Page]) -> None:
    for page in pages.values():
        assert "it is not a diagnosis" in page.words and "No output is not “no change”" in page.words
        assert "change model 0.1.0" in page.words and "As of 2024-05-01" in page.words
        assert "Simulated data." in page.words
    assert "not yet judged" in pages[identifier("one")].words, "total-body photos"


def test_photos_of_real_people_carry_no_banner(tmp_path: Path) -> None:
    _, pages = written(clinic(), tmp_path, simulated=False)
    assert all("Simulated data" not in page.words for page in pages.values())


SEEN = {
    "pigment_network": 0.915,
    "globules": 0.31,
    "streaks": 0.002,
    "negative_network": 0.03,
    "milia_like_cyst": 0.998,
}


def seen_by_the_way(special_site: str | None = None) -> Archive:
    """One photo measured by a ruler, with the skin's tone and structures."""
    made = Archive()
    patient = made.patient("one")
    made.photo(
        patient,
        made.lesion(patient, "spot", anatom_site_general="anterior torso", special_site=special_site),
        0,
        radius_px=80,
        px_per_mm_source="ruler",
        px_per_mm_error=0.016,
        skin=("intermediate", 33.6),
        structures=SEEN,
    )
    return made


def test_a_visit_tells_the_scales_source_the_skin_and_the_structures(tmp_path: Path) -> None:
    _, pages = written(seen_by_the_way(), tmp_path)
    words = pages[identifier("one")].words
    assert "scale of a ruler in the photo (95%: ±3.1%)" in words
    assert "skin intermediate (ITA 34°)" in words
    assert "structures, probability: milia-like cysts >99%, pigment network 92%, others <50%" in words


def test_what_is_not_known_of_a_visit_or_out_of_scope_is_not_told(tmp_path: Path, pages: dict[str, Page]) -> None:
    plain = pages[identifier("one")].words
    assert "scale as stated" in plain
    assert "ITA" not in plain and "structures, probability" not in plain
    assert "scale as stated" not in pages[identifier("two")].words, "its photos have no scale"
    _, face = written(seen_by_the_way("face"), tmp_path)
    assert not any(told in face[identifier("one")].words for told in ("scale of a ruler", "ITA", "globules"))


def test_a_scale_that_its_ruler_contradicts_is_a_caveat_on_the_page(tmp_path: Path) -> None:
    made = seen_by_the_way()
    made.rows["scales"][0]["caveats"] = ["scale_contradicts_ruler"]
    _, pages = written(made, tmp_path)
    assert "the stated scale and a ruler in the photo contradict each other" in pages[identifier("one")].words


def test_hostile_text_is_shown_and_does_nothing(tmp_path: Path) -> None:
    made = clinic()
    for row in made.rows["lesions"]:
        row["anatom_site_general"] = HOSTILE
    for table, column in {
        "decisions": "reasons",
        "trajectories": "reasons",
        "quality": "reasons",
        "photos": "caveats",
    }.items():
        for row in made.rows[table]:
            row[column] = [HOSTILE]
    for table, column in {
        "events": "diagnosis", "quarantine": "detail", "photos": "device", "patients": "sex", "files": "reason",
    }.items():  # fmt: skip
        for row in made.rows[table]:
            row[column] = HOSTILE
    _, pages = written(made, tmp_path, longderm_version=HOSTILE, models={HOSTILE: HOSTILE})
    for page in pages.values():
        assert not {"script"} & {tag for tag, _ in page.tags}
        assert all(uri.startswith("data:image/") for uri in page.all("src"))
        assert "alert(1)" in page.words


def test_equal_tables_in_any_row_order_give_equal_bytes(tmp_path: Path) -> None:
    made, turned = clinic(), clinic()
    for rows in turned.rows.values():
        rows.reverse()
    first, _ = written(made, tmp_path / "a")
    second, _ = written(turned, tmp_path / "b")
    for one, other in zip((first.worklist, *first.patients), (second.worklist, *second.patients), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_changed_verdict_changes_the_page(tmp_path: Path) -> None:
    first, _ = written(clinic(), tmp_path / "a")
    made = clinic()
    for row in made.rows["decisions"]:
        row["flagged"] = False
    second, _ = written(made, tmp_path / "b")
    assert first.worklist.read_bytes() != second.worklist.read_bytes()


def test_one_patients_report_leaves_the_other_pages_alone_and_the_worklist_whole(tmp_path: Path) -> None:
    made = clinic()
    paths = write_reports(made.tables(), made.read_object, tmp_path, context=context(), patient_id=identifier("two"))
    assert [path.stem for path in paths.patients] == [identifier("two")]
    assert [path.name for path in (tmp_path / "patients").iterdir()] == [f"{identifier('two')}.html"]
    worklist = Page(paths.worklist.read_text("utf-8"))
    assert identifier("one")[:8] in worklist.words
    assert not any(identifier("one") in href for href in worklist.all("href")), "no link to a page that is not there"


def test_an_unknown_patient_is_a_clear_error(tmp_path: Path) -> None:
    made = clinic()
    with pytest.raises(UsageError, match="is not in this store"):
        write_reports(made.tables(), made.read_object, tmp_path, context=context(), patient_id="nobody")
    assert list(tmp_path.iterdir()) == []


def test_a_patient_id_that_could_leave_the_folder_is_refused(tmp_path: Path) -> None:
    made = Archive()
    made.add("patients", patient_id="../../outside")
    with pytest.raises(UsageError, match="no pseudonym"):
        write_reports(made.tables(), made.read_object, tmp_path / "out", context=context())
    assert not list(tmp_path.rglob("*.html"))


def test_an_empty_store_gives_an_empty_worklist(tmp_path: Path) -> None:
    paths, pages = written(Archive(), tmp_path)
    assert paths.patients == () and "No lesion is flagged." in pages["worklist"].words
    assert write_reports({}, Archive().read_object, tmp_path / "b", context=context()).patients == ()


def test_a_failure_leaves_no_half_page_and_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, _ = written(clinic(), tmp_path)
    before = paths.patients[0].read_bytes()
    monkeypatch.setattr(Path, "replace", _no_space)
    with pytest.raises(AccessError, match="No space left on device"):
        written(clinic(), tmp_path)
    assert paths.patients[0].read_bytes() == before
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]


def _no_space(self: Path, target: Path) -> Path:
    raise OSError(28, "No space left on device")


def test_an_output_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(AccessError, match="choose a folder that can be written") as error:
        written(clinic(), tmp_path / "out")
    assert "\n" not in str(error.value)


def test_a_picture_that_the_store_has_lost_is_said_and_the_rest_stands(tmp_path: Path) -> None:
    made = clinic()
    made.objects.clear()
    _, pages = written(made, tmp_path)
    assert "no picture at hand" in pages[identifier("one")].words
    assert "Area grew by 11.2 mm²" in pages[identifier("one")].words


def test_an_object_that_is_no_picture_is_not_put_into_a_page(tmp_path: Path) -> None:
    made = clinic()
    made.objects = dict.fromkeys(made.objects, b"<svg onload=alert(1)>")
    _, pages = written(made, tmp_path)
    assert len(pages[identifier("one")].all("src")) == 1, "only the colour key"
    assert pages["worklist"].all("src") == []


def test_thousands_of_lesions_stay_quick_and_light(tmp_path: Path) -> None:
    made = Archive()
    for number in range(100):
        patient = made.patient(f"p{number}")
        for spot in range(10):
            one = made.lesion(patient, str(spot))
            photos = [made.photo(patient, one, day) for day in (0, 90)]
            made.pair(one, *photos, flagged=spot == 0, reasons=("because",))
    paths = write_reports(made.tables(), made.read_object, tmp_path, context=context(as_of=date(2024, 5, 1)))
    assert len(paths.patients) == 100
    assert paths.worklist.stat().st_size < 1_000_000
