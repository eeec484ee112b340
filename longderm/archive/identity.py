"""From source identifiers to pseudonyms: patients, lesions and the conflicts between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from longderm.archive.claims import Claims
from longderm.archive.link import LinkTable


@dataclass
class Identities:
    """Patients and lesions known from the link table, and those this intake adds; `save` writes the additions."""

    link: LinkTable
    default_issuer: str | None
    patients: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: (patient, "uid" or "label", name) -> lesions of that name
    lesions: dict[tuple[str, str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    _by_source_id: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _with_uid: set[str] = field(default_factory=set)
    _new_names: set[tuple[str, str, str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        for patient, issuer, source_id in self.link.query("SELECT patient_id, issuer, source_id FROM patients"):
            self._remember(str(patient), str(issuer), str(source_id))
        for patient, kind, name, lesion in self.link.query(
            "SELECT patient_id, kind, name, lesion_id FROM lesion_names"
        ):
            self._name(str(patient), str(kind), str(name), str(lesion))
        self._new_names.clear()

    def patient_of(self, claims: Claims) -> str:
        """The pseudonym of the patient that is claimed (`claims.patient` must be said)."""
        issuer = claims.issuer or self.default_issuer or ""
        return self.link.pseudonym("patient", issuer, claims.patient or "")

    def add_patient(self, claims: Claims) -> str:
        """The same, and remember who it is."""
        patient = self.patient_of(claims)
        self._remember(patient, claims.issuer or self.default_issuer or "", claims.patient or "")
        return patient

    def find_patient(self, source_id: str, issuer: str | None) -> str | None:
        """A known patient by identifier; without an issuer only where one patient alone has it."""
        stated = issuer or self.default_issuer
        found = {p for p in self._by_source_id.get(source_id, ()) if stated is None or self.patients[p][0] == stated}
        if not found and issuer is None:  # the default issuer is a default, not a claim
            found = self._by_source_id.get(source_id, set())
        return next(iter(found)) if len(found) == 1 else None

    def add_lesion(self, patient: str, label: str | None, uid: str | None) -> str | None:
        """The pseudonym of a lesion of `patient`; None where its label alone is that of several lesions.

        The unique identifier decides where there is one. A label finds the lesion that bears it, so that a photo or an
        event that gives the label only belongs to the lesion of a DICOM file that gives both.
        """
        if uid is not None:
            known = self.lesions.get((patient, "uid", uid), set())
            if not known and label is not None:
                # the same label, met before without an identifier
                known = {
                    lesion
                    for lesion in self.lesions.get((patient, "label", label), set())
                    if lesion not in self._with_uid
                }
            lesion = min(known) if known else self.link.pseudonym("lesion", patient, "uid", uid)
            self._name(patient, "uid", uid, lesion)
            if label is not None:
                self._name(patient, "label", label, lesion)
            return lesion
        if label is None:
            return None
        known = self.lesions.get((patient, "label", label), set())
        if len(known) > 1:
            return None
        lesion = next(iter(known)) if known else self.link.pseudonym("lesion", patient, "label", label)
        self._name(patient, "label", label, lesion)
        return lesion

    def save(self, origins: dict[str, str], patients: Collection[str], not_before: dict[str, str | None]) -> None:
        """Write patients with their frozen origins, the lesions' names and the days of future files, all or nothing."""
        if not (patients or origins or not_before or self._new_names):
            return
        with self.link.transaction() as connection:
            connection.executemany(
                "INSERT INTO patients (patient_id, issuer, source_id, origin) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (patient_id) DO UPDATE SET origin = COALESCE(origin, excluded.origin)",
                [(p, *self.patients[p], origins.get(p)) for p in sorted(patients)],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO lesion_names VALUES (?, ?, ?, ?)",
                sorted(self._new_names),
            )
            connection.executemany(
                "UPDATE files SET not_before = ? WHERE file_ref = ?",
                [(day, ref) for ref, day in sorted(not_before.items())],
            )

    def _remember(self, patient: str, issuer: str, source_id: str) -> None:
        self.patients[patient] = (issuer, source_id)
        self._by_source_id[source_id].add(patient)

    def _name(self, patient: str, kind: str, name: str, lesion: str) -> None:
        if lesion not in self.lesions[patient, kind, name]:
            self._new_names.add((patient, kind, name, lesion))
        self.lesions[patient, kind, name].add(lesion)
        if kind == "uid":
            self._with_uid.add(lesion)
