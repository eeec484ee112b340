"""The courses of monitored lesions that nobody has sorted by what they became: melanomas and naevi overlap.

What is known, and is kept by rank if not by the digit:

- Of 779 monitored lesions excised for change, nearly 60% enlarged asymmetrically, 27% changed their structure and 17%
  their pigment in places; both of these more often melanomas than naevi, and more than a quarter of the melanomas were
  taken for benign (Salerni et al. 2012, J Am Acad Dermatol 67:e17).
- Melanomas found by monitoring may be featureless, above all within 4.5 months (Kittler et al. 2006,
  doi 10.1001/archderm.142.9.1113); slow ones lose their network, get new colours and become disorganised over years,
  three quarters with little growth (Terushkin et al. 2012, Br J Dermatol 166:1213).
- Growing naevi, of the young above all, have a rim of globules and enlarge evenly (Kittler et al. 2000, Arch Dermatol
  136:316; Bajaj et al. 2015, doi 10.1001/jamadermatol.2015.2231). Darker or lighter as a whole, other globules and
  signs of irritation are common and not significant (Menzies et al. 2001, doi 10.1001/archderm.137.12.1583).

No table of strengths is published: ranges and shares are assumptions within that order; paces are as everywhere. The
shares of melanomas were set on pilot lesions, of seeds that no report uses, so that three months part melanomas from
growing naevi about as well as published for real malignant change (AUROC 0.84). In the courses of archives
(`longderm.simulate.history.USUAL`) every change is visible and growing naevi change nothing else: the pilot's pairs
were told apart without an error, which is too easy to measure a score by.
"""

from __future__ import annotations

from longderm.simulate.history import KIND_COURSES, Courses

#: Growing and changing naevi may push out one side a little, and get a spot of pigment.
_BENIGN_ONE_SIDED, _BENIGN_SPOT = (0.1, 0.4), (0.1, 0.3)

MONITORED = Courses(
    features={
        "growing_nevus": {
            **KIND_COURSES["growing_nevus"],
            "darkening": (-0.3, 0.4),
            "network_loss": (0.1, 0.4),
            "asymmetry": _BENIGN_ONE_SIDED,
            "new_colour": _BENIGN_SPOT,
            "redness": (0.1, 0.3),
        },
        "changing_nevus": {
            **KIND_COURSES["changing_nevus"],
            "asymmetry": _BENIGN_ONE_SIDED,
            "new_colour": _BENIGN_SPOT,
        },
        "irritated_nevus": {**KIND_COURSES["irritated_nevus"], "new_colour": _BENIGN_SPOT},
        "melanoma_in_situ": {
            "asymmetry": (0.2, 0.9),
            "new_colour": (0.1, 0.6),
            "network_loss": (0.1, 0.7),
            "streaks": (0.1, 0.5),
            "darkening": (-0.1, 0.4),
            "regression": (0.1, 0.4),
        },
        "melanoma_invasive": {
            "asymmetry": (0.2, 1.0),
            "new_colour": (0.2, 0.9),
            "network_loss": (0.2, 0.9),
            "streaks": (0.1, 0.8),
            "darkening": (-0.1, 0.5),
            "regression": (0.1, 0.7),
            "redness": (0.1, 0.4),
        },
    },
    shares={
        "growing_nevus": {
            "darkening": 0.5,
            "network_loss": 0.2,
            "asymmetry": 0.25,
            "new_colour": 0.05,
            "redness": 0.1,
        },
        "changing_nevus": {"network_loss": 0.6, "asymmetry": 0.2, "new_colour": 0.1},
        "irritated_nevus": {"darkening": 0.5, "new_colour": 0.1},
        "melanoma_in_situ": {
            "asymmetry": 0.8,
            "new_colour": 0.5,
            "network_loss": 0.65,
            "streaks": 0.35,
            "darkening": 0.5,
            "regression": 0.35,
        },
        "melanoma_invasive": {
            "asymmetry": 0.9,
            "new_colour": 0.7,
            "network_loss": 0.8,
            "streaks": 0.5,
            "darkening": 0.5,
            "regression": 0.5,
            "redness": 0.4,
        },
    },
    made_visible=False,
)
