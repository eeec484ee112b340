"""Anatomic sites of simulated lesions, in the words of the ISIC archive and of DICOM (SNOMED CT)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Site:
    """A site: `general` and `first` are ISIC's two levels, `code` and `meaning` SNOMED CT, `body_part` DICOM's
    term, `paired`: it has two sides."""

    general: str
    first: str
    code: str
    meaning: str
    body_part: str
    paired: bool


SITES = {
    "back": Site("posterior torso", "Back", "77568009", "Back", "BACK", False),
    "chest": Site("anterior torso", "Chest", "51185008", "Chest", "CHEST", False),
    "abdomen": Site("anterior torso", "Abdomen", "818983003", "Abdomen", "ABDOMEN", False),
    "upper_arm": Site("upper extremity", "Upper arm", "40983000", "Upper arm", "ARM", True),
    "forearm": Site("upper extremity", "Forearm", "14975008", "Forearm", "FOREARM", True),
    "thigh": Site("lower extremity", "Thigh", "68367000", "Thigh", "THIGH", True),
    "lower_leg": Site("lower extremity", "Lower leg", "30021000", "Lower leg", "LEG", True),
    "neck": Site("head/neck", "Neck", "45048000", "Neck", "NECK", False),
    "face": Site("head/neck", "Face", "89545001", "Face", "FACE", False),
    "sole": Site("palms/soles", "Sole of foot", "57999000", "Sole of foot", "FOOT", True),
    "nail": Site("upper extremity", "Nail", "72651009", "Nail", "FINGER", True),
}

#: How lesions spread over the sites, in the order of `SITES`.
SITE_SHARES = (0.32, 0.12, 0.12, 0.11, 0.07, 0.08, 0.08, 0.04, 0.04, 0.01, 0.01)

#: The whole body, of overview photos.
WHOLE_BODY = Site("", "", "38266002", "Entire body", "WHOLEBODY", False)
