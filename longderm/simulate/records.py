"""What is known of each simulated photo: the row of the truth, and what the two makers write into their files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from longderm.simulate.devices import Device
from longderm.simulate.plans import PatientPlan

#: Invented names: unmistakable, so that a leak of one is found by a search.
FAMILY_NAMES = (
    "Quillfeather",
    "Thistlewick",
    "Marrowgate",
    "Umberdale",
    "Fennimoor",
    "Ashkettle",
    "Brambleforth",
    "Oxlethorpe",
)
GIVEN_NAMES = {
    "female": ("Odessa", "Perpetua", "Zenobia", "Isaura", "Leocadia", "Wilhelma"),
    "male": ("Barnaby", "Crispin", "Evander", "Lysander", "Ptolemy", "Thaddeus"),
}

#: Who issues maker A's patient numbers.
ISSUER = "ALDERMERE HOSPITAL"


def number_of(*parts: object) -> int:
    """A stable 64-bit number of some parts: opaque names and identifiers come from it."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(f"longderm simulate/{text}".encode()).digest()[:8])


def uid_of(*parts: object) -> str:
    """A DICOM UID derived from some parts, under the root for UUIDs."""
    text = "/".join(str(part) for part in parts)
    return f"2.25.{int.from_bytes(hashlib.sha256(f'longderm uid/{text}'.encode()).digest()[:16])}"


@dataclass(frozen=True)
class Person:
    """The identity a patient has at the clinic: all of it invented."""

    source_id: str
    name: str
    sex: str
    birth_year: int
    skin: str

    def age_at(self, day: date) -> int:
        """Age in years, rounded to 5 as the ISIC archive does."""
        return 5 * round((day.year - self.birth_year) / 5)


def person_of(plan: PatientPlan) -> Person:
    """The invented identity of a patient."""
    number = number_of(plan.seed, plan.index, "person")
    source_id = f"H{number % 10**7:07d}" if plan.maker == "a" else f"{number % 90 + 10}-{number // 100 % 10**6:06d}"
    given = GIVEN_NAMES[plan.sex][number // 7 % 6]
    return Person(
        source_id,
        f"{FAMILY_NAMES[number % 8]}^{given}",
        plan.sex,
        plan.birth_year,
        ("I", "II", "III", "IV", "V", "VI")[plan.skin - 1],
    )


@dataclass
class PhotoRecord:
    """One photo: who, what, when, how, and where its file lies. `truth` holds the rest of its truth row."""

    person: Person
    lesion: str | None  # the source's lesion id
    tracking_uid: str | None
    site: str | None
    laterality: str | None
    day: date
    modality: str
    device: Device
    px_per_mm_stated: float | None
    key: tuple[object, ...]  # names, UIDs and choices derive from it
    visit_key: tuple[object, ...]
    path: str = ""
    truth: dict[str, Any] = field(default_factory=dict)
