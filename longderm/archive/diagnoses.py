"""Diagnoses of events: only terms of a known vocabulary enter the store, for a free text may name somebody."""

from __future__ import annotations

import re

#: Words of dermatopathology, in the terms of the ISIC archive, HAM10000 and PAD-UFES-20 among others.
_WORDS = frozenset(
    # one text, for a list of words is easier to read without quotes
    """
    a ack acral actinic adenoma akiec amelanotic an and angiokeratoma angioma animal appendage atypical basal bcc
    benign bkl blue borderline bowen bowens carcinoma cell cells cherry clark classic cockade collision combined
    common compound congenital cutaneous cyst deep degree dermal dermatitis dermatofibroma desmoplastic df
    differentiated disease disorder dysplasia dysplastic early eczema ephelis epidermal excised excision features
    fibroma fibrous folliculitis freckle from fungoides grade granuloma halo hemangioma high hutchinson
    hyperkeratosis hyperpigmentation in incomplete inflammatory intermediate intradermal intraepidermal invasive
    irritated junctional kaposi keloid keratinizing keratoacanthoma keratosis lentiginous lentigo lesion level
    lichen lichenoid low malformation maligna malignant margin margins mel melanocytic melanocytosis melanoma
    melanosis merkel metastases metastasis metastatic micro miescher mild mixed moderate mole mycosis naevi naevus
    neoplasm neurofibroma nev nevi nevoid nevus no nodular none nos not nv of on or other papillomatous partial
    pending persistent pigmented pilar planus plaque porokeratosis poroma post proliferation psoriasis pyogenic
    recurrent recurring reed regressing regression residual sarcoma scar scc sebaceous seborrheic seborrhoeic sek
    severe severely simplex situ skin solar solitary speckled spilus spindle spitz spitzoid spreading squamous stage
    subungual superficial suspicious the thin traumatised traumatized trichoepithelioma tumor tumour type ulcerated
    ulceration uncertain undetermined unknown unna unspecified urticaria vasc vascular verruca vulgaris wart well
    with without
    """.split()  # noqa: SIM905
)

#: A diagnosis in more characters is a report.
_MAX_LENGTH = 80


def diagnosis_text(text: str | None) -> str | None:
    """A diagnosis in lower case where it holds words of the vocabulary only; else None."""
    lowered = (text or "").lower()
    if not lowered or len(lowered) > _MAX_LENGTH or not re.fullmatch(r"[a-z ,()/_'-]+", lowered):
        return None
    return lowered if set(re.findall(r"[a-z]+", lowered.replace("'s", "s"))) <= _WORDS else None
