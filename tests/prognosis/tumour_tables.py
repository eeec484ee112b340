"""Photos of tumours of patients for the tests: drawn here, of nobody."""

from __future__ import annotations

import numpy as np


def tumour_photos(patients=90, size=6, seed=0, *, image=1.0, clinical=1.0, memory=False):
    """A table of photos and their embeddings (rows, size).

    1 to 3 tumours a patient, 1 to 3 photos a tumour. The outcome follows e0 (`image`) and thickness (`clinical`); with
    `memory` it is drawn per patient and the embedding tells nothing but who the patient is.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(patients):
        face, coin = rng.normal(size=size), int(rng.random() < 0.4)
        for tumour in range(rng.integers(1, 4)):
            thickness = rng.normal()
            look = face if memory else rng.normal(size=size)
            odds = -0.6 + image * look[0] + clinical * thickness
            event = coin if memory else int(rng.random() < 1 / (1 + np.exp(-odds)))
            stage = "ABC"[int(np.digitize(thickness, [-0.5, 0.7]))]
            for _ in range(rng.integers(1, 4)):
                photo = look + 0.2 * rng.normal(size=size)
                rows.append((f"P{person:03d}", f"P{person:03d}-{tumour}", thickness, event, stage, photo))
    people, tumours, thickness, event, stage, photos = zip(*rows, strict=True)
    table = {
        "patient_id": np.array(people),
        "lesion_id": np.array(tumours),
        "thickness": np.array(thickness),
        "metastasis_any": np.array(event),
        "stage": np.array(stage),
    }
    return table, np.array(photos)
