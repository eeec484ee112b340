"""Report snippets as pathologists write them, made up for these tests, and what each states.

Keys: `mm` the thicknesses as (value, qualifier), with the specimen as a third where there are several; `ulc`, `reg`,
`situ`, `mar` states; `mit` (per mm2 or None, qualifier); `nodes` (positive, examined, state); `dist` distances to
margins (value, direction); `sub` the present subtypes. A key that is left out must be not stated, or empty.
"""

from __future__ import annotations

from typing import Any

Case = tuple[str, dict[str, Any]]

ENGLISH: tuple[Case, ...] = (
    (
        "Malignant melanoma, superficial spreading type, Breslow thickness 1.2 mm, Clark level IV, no ulceration, "
        "mitotic rate 3/mm2. Regression absent. Margins clear: 4 mm lateral, 0.4 mm to the deep margin.",
        {
            "mm": [(1.2, "=")],
            "ulc": "absent",
            "mit": (3, "="),
            "reg": "absent",
            "mar": "absent",
            "dist": [(4, "lateral"), (0.4, "deep")],
            "sub": ["superficial_spreading"],
        },
    ),
    ("Breslow thickness: at least 0.9 mm (transected at the deep margin).", {"mm": [(0.9, ">=")], "mar": "present"}),
    ("Breslow depth <0.5 mm. Ulceration: not identified.", {"mm": [(0.5, "<")], "ulc": "absent"}),
    ("Melanoma, 2.1 mm in thickness, ulcerated.", {"mm": [(2.1, "=")], "ulc": "present"}),
    (
        "A 0.8 mm thick melanoma without ulceration or regression.",
        {"mm": [(0.8, "=")], "ulc": "absent", "reg": "absent"},
    ),
    ("Tumor thickness approximately 3.5 mm; ulceration present (2 mm wide).", {"mm": [(3.5, "~")], "ulc": "present"}),
    ("Breslow's thickness 800 µm.", {"mm": [(0.8, "=")]}),
    ("Breslow thickness 1200 um, Clark IV.", {"mm": [(1.2, "=")]}),
    ("Breslow thickness 0.12 cm.", {"mm": [(1.2, "=")]}),
    (
        "Previous melanoma 2.1 mm in 2015. Now melanoma in situ, no invasion.",
        {"situ": "present"},
    ),
    (
        "Clinical history: melanoma of the back, Breslow 2.1 mm, ulcerated.\n"
        "Microscopy: Scar without residual melanoma. Margins free.",
        {"mar": "absent"},
    ),
    (
        "History of nodular melanoma (Breslow 4.0 mm, ulcerated, 2009). Current lesion: Breslow thickness 0.6 mm.",
        {"mm": [(0.6, "=")]},
    ),
    ("Depth of excision 8 mm. Breslow thickness 0.7 mm.", {"mm": [(0.7, "=")]}),
    ("Skin ellipse 30 x 12 mm, thickness 8 mm. Melanoma, Breslow 1.1 mm.", {"mm": [(1.1, "=")]}),
    (
        "Macroscopic: Skin ellipse measuring 42 x 18 x 9 mm with an ulcerated nodule 12 mm in diameter.\n"
        "Microscopic: Nodular melanoma, Breslow thickness 5.4 mm, ulceration present.",
        {"mm": [(5.4, "=")], "ulc": "present", "sub": ["nodular"]},
    ),
    ("Distance to deep margin 0.4 mm.", {"dist": [(0.4, "deep")], "mar": "absent"}),
    ("The lesion measures 7 mm in diameter; Breslow 0.45 mm.", {"mm": [(0.45, "=")]}),
    ("Sections of 4 µm. Breslow thickness, measured from the granular layer, is 1.9 mm.", {"mm": [(1.9, "=")]}),
    ("Ulceration cannot be excluded. Breslow 1.0 mm.", {"mm": [(1.0, "=")], "ulc": "uncertain"}),
    ("Possible ulceration; thickness cannot be measured.", {"ulc": "uncertain"}),
    ("No definite ulceration.", {"ulc": "uncertain"}),
    ("Neither ulceration nor regression is seen.", {"ulc": "absent", "reg": "absent"}),
    ("Non-ulcerated melanoma.", {"ulc": "absent"}),
    ("Regression present but no ulceration.", {"ulc": "absent", "reg": "present"}),
    ("No regression, ulceration present.", {"ulc": "present", "reg": "absent"}),
    ("No lymphovascular invasion, perineural invasion, or ulceration.", {"ulc": "absent"}),
    ("Ulcerated melanoma without regression.", {"ulc": "present", "reg": "absent"}),
    ("There is no evidence of ulceration.", {"ulc": "absent"}),
    (
        "Tumor (Breslow) thickness: 1.4 mm\nUlceration: Absent\nMitotic rate: <1/mm2\nRegression: Present, <75%\n"
        "Deep margin: Uninvolved by melanoma\n",
        {"mm": [(1.4, "=")], "ulc": "absent", "mit": (1, "<"), "reg": "present", "mar": "absent"},
    ),
    ("Ulceration:\nNot identified\nBreslow thickness:\n2.25 mm\n", {"ulc": "absent", "mm": [(2.25, "=")]}),
    ("Ulceration ....... yes\nRegression ....... no\n", {"ulc": "present", "reg": "absent"}),
    ("Mitoses 5/10 HPF.", {"mit": (None, "=")}),
    ("Mitotic rate: 0/mm2.", {"mit": (0, "=")}),
    ("No mitoses identified.", {"mit": (0, "=")}),
    ("Dermal mitotic rate less than 1 per mm².", {"mit": (1, "<")}),
    ("Mitotic index: at least 6 mitoses per square millimetre.", {"mit": (6, ">=")}),
    ("Occasional dermal mitoses are seen.", {"mit": (None, "=")}),
    ("Sentinel lymph nodes: 1 of 3 positive.", {"nodes": [(1, 3, "present")]}),
    ("Sentinel node biopsy (left axilla): two nodes, both negative for melanoma.", {"nodes": [(0, 2, "absent")]}),
    ("Metastatic melanoma in one of four lymph nodes.", {"nodes": [(1, 4, "present")]}),
    ("No metastasis in 2 sentinel lymph nodes.", {"nodes": [(0, 2, "absent")]}),
    ("Sentinel lymph node biopsy is recommended.", {}),
    ("SLN 0/2, non-sentinel nodes 0/7.", {"nodes": [(0, 2, "absent"), (0, 7, "absent")]}),
    ("Melanoma extends to the deep margin.", {"mar": "present"}),
    ("The margins are not involved.", {"mar": "absent"}),
    (
        "Incompletely excised melanoma in situ, lentigo maligna type.",
        {"mar": "present", "situ": "present", "sub": ["lentigo_maligna"]},
    ),
    ("Lentigo maligna melanoma, Breslow 0.3 mm.", {"mm": [(0.3, "=")], "sub": ["lentigo_maligna_melanoma"]}),
    (
        "Acral lentiginous melanoma of the heel, Breslow 2.8 mm, ulcerated.",
        {"mm": [(2.8, "=")], "ulc": "present", "sub": ["acral_lentiginous"]},
    ),
    ("Desmoplastic melanoma, 4.4 mm thick.", {"mm": [(4.4, "=")], "sub": ["desmoplastic"]}),
    ("No desmoplastic component. SSM, 0.5 mm Breslow.", {"mm": [(0.5, "=")], "sub": ["superficial_spreading"]}),
    (
        "A) Left arm: melanoma, Breslow 0.6 mm, no ulceration.\nB) Back: melanoma, Breslow 3.2 mm, "
        "ulceration present.\n",
        {"mm": [(0.6, "=", "A"), (3.2, "=", "B")], "ulc": "present"},
    ),
    ("Breslow thickness 0.8-1.0 mm.", {"mm": [(1.0, "<=")]}),
    ("Satellite 0.3 mm in size, 1.5 mm from the tumour. Breslow 2.0 mm.", {"mm": [(2.0, "=")]}),
    ("Breslow: 1.3", {"mm": [(None, "=")]}),
    ("Breslow thickness cannot be determined. Closest margin 2 mm.", {"dist": [(2, None)], "mar": "absent"}),
    ("pT2a. Peripheral margin 6 mm, deep margin 3 mm.", {"dist": [(6, "lateral"), (3, "deep")], "mar": "absent"}),
    ("Benign intradermal naevus. No atypia.", {}),
    (
        "Invasive malignant melanoma, Breslow 2.35 mm (Clark IV), with ulceration measuring 1.5 "
        "mm. 7 mitoses per mm2. No microsatellites.",
        {"mm": [(2.35, "=")], "ulc": "present", "mit": (7, "=")},
    ),
    (
        "Breslow's depth is 1.8mm. Ulceration is present. Regression is not identified.",
        {"mm": [(1.8, "=")], "ulc": "present", "reg": "absent"},
    ),
    (
        "The tumour has a maximum Breslow thickness of 0.55 mm and is excised with a peripheral margin of 3.2 mm.",
        {"mm": [(0.55, "=")], "dist": [(3.2, "lateral")], "mar": "absent"},
    ),
    ("Thin melanoma (0.4mm), radial growth phase.", {}),
    (
        "Breslow thickness: 1.1mm   Ulceration: No   Mitoses: 2/mm^2   Clark: III",
        {"mm": [(1.1, "=")], "ulc": "absent", "mit": (2, "=")},
    ),
    (
        "The epidermis is ulcerated. The tumour extends to a depth of 3.0 mm (Breslow).",
        {"ulc": "present", "mm": [(3.0, "=")]},
    ),
    ("Ulceration: focally present.", {"ulc": "present"}),
    ("Ulceration - none seen", {"ulc": "absent"}),
    (
        "No ulceration or regression is seen. There are 4 mitoses/mm2.",
        {"ulc": "absent", "reg": "absent", "mit": (4, "=")},
    ),
    ("Mitotic count: 12 per 10 high power fields.", {"mit": (None, "=")}),
    ("Mitotic figures: none seen.", {"mit": (0, "=")}),
    ("Mitoses: not identified", {"mit": (0, "=")}),
    ("Lymph nodes: 0/14 involved.", {"nodes": [(0, 14, "absent")]}),
    (
        "Three sentinel lymph nodes, one of which contains a 0.3 mm metastatic deposit.",
        {"nodes": [(None, None, "present")]},
    ),
    ("One sentinel lymph node, negative for metastatic melanoma.", {"nodes": [(0, 1, "absent")]}),
    (
        "Previous excision (2018): superficial spreading melanoma, Breslow 1.4 mm. Re-excision: no "
        "residual melanoma, scar only.",
        {},
    ),
    ("The patient had a melanoma of 3.0 mm thickness removed 5 years ago. This specimen: dysplastic naevus.", {}),
    ("Melanoma in situ is not seen.", {"situ": "absent"}),
    (
        "Lentigo maligna, excision margins clear by 5 mm.",
        {"sub": ["lentigo_maligna"], "mar": "absent", "dist": [(5, None)]},
    ),
    (
        "Suspicious for desmoplastic melanoma; Breslow thickness not less than 3.0 mm.",
        {"sub_state": "uncertain", "mm": [(3.0, ">=")]},
    ),
    ("Deep margin: 1.5 mm; nearest lateral margin: 4 mm.", {"dist": [(1.5, "deep"), (4, "lateral")], "mar": "absent"}),
    (
        "Specimen 1: Breslow 0.9 mm, non-ulcerated.\nSpecimen 2: Breslow 0.3 mm, non-ulcerated.",
        {"mm": [(0.9, "=", "1"), (0.3, "=", "2")], "ulc": "absent"},
    ),
    ("Breslow thickness 1.0 mm. Summary: melanoma, Breslow thickness 1.0 mm.", {"mm": [(1.0, "=")]}),
    ("Extensive regression (>75%). Thickness of the residual tumour 0.6 mm.", {"reg": "present", "mm": [(0.6, "=")]}),
    ("Breslow thickness > 4 mm.", {"mm": [(4, ">")]}),
    ("Sentinel node biopsy performed 3/12/2019. Node negative.", {"nodes": [(None, None, "absent")]}),
    ("Breslow 1.2 mm; previous biopsy showed Breslow 0.8 mm.", {"mm": [(1.2, "=")]}),
    ("Compared with the earlier biopsy (Breslow 1.1 mm) the thickness is now 1.6 mm.", {}),
    ("Mother had melanoma. Breslow 0.9 mm.", {"mm": [(0.9, "=")]}),
    ("Family history: melanoma (mother, ulcerated, 4 mm).\nDiagnosis: Compound naevus.", {}),
    ("Melanoma, Breslow 0,8 mm, at least pT1b.", {"mm": [(0.8, "=")]}),
    ("Ulceration is not excluded.", {"ulc": "uncertain"}),
    ("Traumatic ulceration cannot be ruled out.", {"ulc": "uncertain"}),
    ("Ulceration: N/A", {}),
    ("Ulceration: cannot be assessed.", {"ulc": "uncertain"}),
    (
        "Tumour infiltrating lymphocytes: brisk. Tumour regression: absent. Ulceration: absent. "
        "Microsatellites: absent. LVI: absent. Mitotic rate: 1/mm2.",
        {"reg": "absent", "ulc": "absent", "mit": (1, "=")},
    ),
    ("Breslow 1.2 mm with satellite 0.4 mm.", {"mm": [(1.2, "=")]}),
    ("Breslow thickness 1.2 mm (previously reported as 1.0 mm).", {"mm": [(1.2, "=")]}),
    ("The melanoma is 1.2 mm in greatest thickness and 8 mm in greatest dimension.", {"mm": [(1.2, "=")]}),
    (
        "Breslow thickness of 2 mm. Clearance: deep 5 mm, lateral 10 mm.",
        {"mm": [(2, "=")], "dist": [(5, "deep"), (10, "lateral")], "mar": "absent"},
    ),
    ("Deep margin involved. Lateral margins clear.", {"mar": "present"}),
    ("Melanoma arising in a nevus; nevus depth 2.0 mm, Breslow 0.7 mm.", {"mm": [(0.7, "=")]}),
    (
        "BRESLOW THICKNESS: 3.4 MM. ULCERATION: PRESENT. MITOSES: 5/MM2.",
        {"mm": [(3.4, "=")], "ulc": "present", "mit": (5, "=")},
    ),
    ("Thickness (Breslow): 0.95mm; Level: III; Mitoses: 2-3/mm2", {"mm": [(0.95, "=")], "mit": (3, "<=")}),
    ("Recommend re-excision with 1 cm margin. Breslow 0.9 mm.", {"mm": [(0.9, "=")]}),
    ("Wide local excision with 2 cm margins is advised.", {}),
    ("Recommend wide excision with a margin of 10 mm.", {}),
    (
        (
            "CLINICAL INFORMATION\n"
            "62M. Pigmented lesion L calf, changing. Previous melanoma R shoulder 2011 (Breslow 0.9 mm).\n"
            "\n"
            "MACROSCOPIC DESCRIPTION\n"
            "Skin ellipse 28 x 11 mm excised to a depth of 7 mm. Central brown lesion 9 x 7 mm, 2 mm "
            "from nearest margin.\n"
            "\n"
            "MICROSCOPIC DESCRIPTION\n"
            "Sections show an asymmetrical melanocytic proliferation with pagetoid spread. The\n"
            "tumour invades the reticular dermis. There is no ulceration. Two dermal mitoses per\n"
            "mm2 are seen. Early regression is noted at the edge. No lymphovascular invasion.\n"
            "The lesion is clear of the lateral margin by 3.4 mm and of the deep margin by 4 mm.\n"
            "\n"
            "DIAGNOSIS\n"
            "Left calf, excision: MALIGNANT MELANOMA, SUPERFICIAL SPREADING TYPE.\n"
            "Breslow thickness 1.15 mm, Clark level IV. pT2a.\n"
        ),
        {
            "mm": [(1.15, "=")],
            "ulc": "absent",
            "mit": (2, "="),
            "reg": "present",
            "mar": "absent",
            "dist": [(3.4, "lateral"), (4, "deep")],
            "sub": ["superficial_spreading"],
        },
    ),
    (
        (
            "SYNOPTIC REPORT - MELANOMA OF THE SKIN\n"
            "Procedure: Excision\n"
            "Tumor site: Back\n"
            "Histologic type: Nodular melanoma\n"
            "Maximum tumor (Breslow) thickness (mm): 3.7 mm\n"
            "Ulceration: Present\n"
            "  Extent of ulceration (mm): 4 mm\n"
            "Anatomic (Clark) level: IV\n"
            "Mitotic rate: 9 mitoses per mm2\n"
            "Microsatellite(s): Not identified\n"
            "Lymphovascular invasion: Not identified\n"
            "Neurotropism: Not identified\n"
            "Tumor regression: Not identified\n"
            "Margins: All margins negative for invasive melanoma\n"
            "  Distance from closest peripheral margin: 8 mm\n"
            "Regional lymph nodes: 1/4 sentinel nodes positive\n"
        ),
        {
            "mm": [(3.7, "=")],
            "ulc": "present",
            "mit": (9, "="),
            "reg": "absent",
            "mar": "absent",
            "dist": [(8, "lateral")],
            "nodes": [(1, 4, "present")],
            "sub": ["nodular"],
        },
    ),
    (
        "Malignant melanoma; Breslow, 0.92 mm; ulceration, absent; mitoses, 1 per mm2.",
        {"mm": [(0.92, "=")], "ulc": "absent", "mit": (1, "=")},
    ),
    ("Metastatic melanoma in lymph node, 22 mm, extranodal extension present.", {"nodes": [(None, None, "present")]}),
    ("Residual melanoma in situ at the 3 o'clock margin.", {"situ": "present", "mar": "present"}),
)

GERMAN: tuple[Case, ...] = (
    (
        "Superfiziell spreitendes malignes Melanom, Tumordicke nach Breslow 0,8 mm, Clark-Level III, keine Ulzeration, "
        "Mitoserate <1/mm². Abstand zum seitlichen Rand 5 mm. In sano exzidiert.",
        {
            "mm": [(0.8, "=")],
            "ulc": "absent",
            "mit": (1, "<"),
            "mar": "absent",
            "dist": [(5, "lateral")],
            "sub": ["superficial_spreading"],
        },
    ),
    ("Noduläres Melanom, Tumordicke 4,1 mm, ulzeriert.", {"mm": [(4.1, "=")], "ulc": "present", "sub": ["nodular"]}),
    ("Tumordicke mindestens 1,1 mm, Clark-Level mind. IV.", {"mm": [(1.1, ">=")]}),
    ("Mindestens eine Tumordicke von 2,0 mm.", {"mm": [(2.0, ">=")]}),
    ("Tumordicke nach Breslow: ca. 1,5 mm.", {"mm": [(1.5, "~")]}),
    (
        "Breslow-Index 0,35 mm, nicht ulzeriert, keine Regression.",
        {"mm": [(0.35, "=")], "ulc": "absent", "reg": "absent"},
    ),
    ("Ulzeration: nein. Regression: ja. Mitosen: 3 Mitosen/mm².", {"ulc": "absent", "reg": "present", "mit": (3, "=")}),
    ("Ulzeration nicht nachweisbar.", {"ulc": "absent"}),
    ("Fragliche Ulzeration.", {"ulc": "uncertain"}),
    ("Verdacht auf Ulzeration, Tumordicke 1,0 mm.", {"ulc": "uncertain", "mm": [(1.0, "=")]}),
    ("Eine Ulzeration ist nicht auszuschließen.", {"ulc": "uncertain"}),
    ("V. a. noduläres Melanom.", {"sub": [], "sub_state": "uncertain"}),
    ("Weder Ulzeration noch Regression.", {"ulc": "absent", "reg": "absent"}),
    ("Exulzeriertes malignes Melanom mit Regression.", {"ulc": "present", "reg": "present"}),
    ("Z. n. malignem Melanom 2015, Tumordicke 2,1 mm. Aktuell Melanoma in situ.", {"situ": "present"}),
    (
        "Klinische Angaben: Melanom am Rücken, Breslow 1,9 mm, ulzeriert.\nMikroskopie: Narbe, "
        "kein Resttumor. Ränder frei.",
        {"mar": "absent"},
    ),
    ("Zustand nach Exzision eines Melanoms (Tumordicke 1,4 mm).\nJetzt tumorfreies Nachexzidat.", {}),
    (
        "Makroskopie: Hautspindel 35 x 14 mm, Dicke 9 mm, mit ulzeriertem Knoten.\nHistologie: "
        "Melanom, Tumordicke 3,3 mm.",
        {"mm": [(3.3, "=")]},
    ),
    ("Exzisionstiefe 8 mm. Tumordicke 1,25 mm.", {"mm": [(1.25, "=")]}),
    ("Abstand zum tiefen Schnittrand 0,4 mm.", {"dist": [(0.4, "deep")], "mar": "absent"}),
    ("1,2 mm dickes Melanom, SSM-Typ.", {"mm": [(1.2, "=")], "sub": ["superficial_spreading"]}),
    ("Invasionstiefe 900 µm.", {"mm": [(0.9, "=")]}),
    ("Tumordicke: 0,7 mm (gemessen an 3 µm dicken Schnitten).", {"mm": [(0.7, "=")]}),
    ("5 Mitosen/10 HPF.", {"mit": (None, "=")}),
    ("Keine Mitosen.", {"mit": (0, "=")}),
    ("Mitoserate: 2 pro mm2.", {"mit": (2, "=")}),
    ("Einzelne dermale Mitosen.", {"mit": (None, "=")}),
    ("Sentinel-Lymphknoten: 0/2.", {"nodes": [(0, 2, "absent")]}),
    ("Wächterlymphknoten tumorfrei.", {"nodes": [(None, None, "absent")]}),
    ("Metastase in 1 von 3 Lymphknoten.", {"nodes": [(1, 3, "present")]}),
    ("Keine Lymphknotenmetastasen.", {"nodes": [(None, None, "absent")]}),
    ("Eine Sentinel-Lymphknotenbiopsie wird empfohlen.", {}),
    ("Der Tumor erreicht den seitlichen Schnittrand.", {"mar": "present"}),
    ("Die Schnittränder sind tumorfrei.", {"mar": "absent"}),
    ("Nicht in sano exzidiert.", {"mar": "present"}),
    ("Der Tumor erreicht die Schnittränder nicht.", {"mar": "absent"}),
    ("Lentigo maligna, randbildend.", {"mar": "present", "sub": ["lentigo_maligna"]}),
    ("Akrolentiginöses Melanom, TD 2,2 mm.", {"mm": [(2.2, "=")], "sub": ["acral_lentiginous"]}),
    (
        "Präparat 1: Melanom, Tumordicke 0,4 mm.\nPräparat 2: Melanom, Tumordicke 1,7 mm, ulzeriert.",
        {"mm": [(0.4, "=", "1"), (1.7, "=", "2")], "ulc": "present"},
    ),
    (
        "Tumordicke 0,9 mm, seitlicher Sicherheitsabstand 4 mm, zur Tiefe 6 mm.",
        {"mm": [(0.9, "=")], "dist": [(4, "lateral"), (6, "deep")], "mar": "absent"},
    ),
    ("Melanom mit einer Tumordicke von\n1,05 mm ohne\nUlzeration.", {"mm": [(1.05, "=")], "ulc": "absent"}),
    ("Junktionaler Nävus ohne Atypien.", {}),
    (
        "Malignes Melanom vom nodulären Typ, max. Tumordicke 3,2 mm, Clark-Level IV, mit "
        "Ulzeration (Breite 2 mm), 6 Mitosen pro mm².",
        {"mm": [(3.2, "=")], "ulc": "present", "mit": (6, "="), "sub": ["nodular"]},
    ),
    ("Ulzeration: keine. Regression: nicht nachweisbar.", {"ulc": "absent", "reg": "absent"}),
    ("Kein Nachweis einer Ulzeration. Mitoserate unter 1/mm².", {"ulc": "absent", "mit": (1, "<")}),
    ("Tumordicke (nach Breslow) 1,35mm; Clark-Level IV.", {"mm": [(1.35, "=")]}),
    ("Das Melanom misst 9 mm im Durchmesser und hat eine Tumordicke von 0,55 mm.", {"mm": [(0.55, "=")]}),
    ("Seitlicher Abstand minimal 3 mm, basal 5 mm.", {"dist": [(3, "lateral"), (5, "deep")], "mar": "absent"}),
    ("Resektionsränder frei, minimaler Abstand 2,5 mm.", {"mar": "absent", "dist": [(2.5, None)]}),
    ("Zwei Sentinel-Lymphknoten ohne Metastasen.", {"nodes": [(0, 2, "absent")]}),
    ("Ein Sentinel-Lymphknoten mit Mikrometastase (0,4 mm).", {"nodes": [(None, None, "present")]}),
    ("In 2/5 Lymphknoten Metastasen des bekannten Melanoms.", {"nodes": [(2, 5, "present")]}),
    ("Anamnestisch Melanom linker Arm 2012, TD 1,8 mm. Jetzt: Dermatofibrom.", {}),
    ("Ulzeration nicht sicher beurteilbar.", {"ulc": "uncertain"}),
    (
        "Melanoma in situ vom Typ Lentigo maligna, vollständig exzidiert.",
        {"situ": "present", "sub": ["lentigo_maligna"], "mar": "absent"},
    ),
    ("Keine Regression, keine Ulzeration, 0 Mitosen/mm².", {"ulc": "absent", "reg": "absent", "mit": (0, "=")}),
    ("Mit deutlicher Regression, ohne Ulzeration.", {"ulc": "absent", "reg": "present"}),
    (
        "Superfiziell spreitendes Melanom, Tumordicke 0.9 mm, pT1b.",
        {"mm": [(0.9, "=")], "sub": ["superficial_spreading"]},
    ),
    ("Tumordicke weniger als 0,5 mm.", {"mm": [(0.5, "<")]}),
    ("Ausgedehnte Regression bis in eine Tiefe von 1,1 mm. Tumordicke 0,3 mm.", {"mm": [(0.3, "=")], "reg": "present"}),
    (
        "Desmoplastisches Melanom mit einer Invasionstiefe von 6,0 mm, R1.",
        {"mm": [(6.0, "=")], "sub": ["desmoplastic"], "mar": "present"},
    ),
    ("Ulzeration +, Regression -", {"ulc": "present", "reg": "absent"}),
    ("Nachresektion mit 1 cm Sicherheitsabstand empfohlen. Tumordicke 0,9 mm.", {"mm": [(0.9, "=")]}),
    ("Tumordicke 1,2 mm (im Vorbefund 0,9 mm).", {"mm": [(1.2, "=")]}),
    ("Melanommetastase, 12 mm groß, in einem Lymphknoten.", {"nodes": [(None, None, "present")]}),
    ("Lymphknoten (0/3) tumorfrei.", {"nodes": [(0, 3, "absent")]}),
    ("Ulzeration ja, Regression nein.", {"ulc": "present", "reg": "absent"}),
    ("Tumordicke 0,8mm, Ulz. nein.", {"mm": [(0.8, "=")]}),
    ("Keine Ulzeration, Regression vorhanden.", {"ulc": "absent", "reg": "present"}),
    ("Kein Anhalt für Ulzeration oder Regression.", {"ulc": "absent", "reg": "absent"}),
    ("Tumor mit Ulzeration, jedoch ohne Regression.", {"ulc": "present", "reg": "absent"}),
    ("Maximaler vertikaler Tumordurchmesser (Breslow): 2,7 mm.", {"mm": [(2.7, "=")]}),
    ("MELANOM, TUMORDICKE 1,9 MM, ULZERIERT.", {"mm": [(1.9, "=")], "ulc": "present"}),
    ("Zur Tiefe hin knapp (0,2 mm) im Gesunden entfernt.", {"mar": "absent", "dist": [(0.2, "deep")]}),
    (
        "Mitosen: 1/mm²; Ulzeration: fraglich; Regression: fehlt.",
        {"mit": (1, "="), "ulc": "uncertain", "reg": "absent"},
    ),
    ("Tumordicke 1,0 bis 1,2 mm.", {"mm": [(1.2, "<=")]}),
    (
        (
            "Klinische Angaben:\n"
            "Z. n. MM Rücken 2010. Jetzt V. a. MM Unterschenkel links.\n"
            "\n"
            "Makroskopie:\n"
            "Hautexzidat 24 x 10 x 6 mm mit zentralem, 8 mm großem, exulzeriertem Herd.\n"
            "\n"
            "Mikroskopie:\n"
            "Asymmetrisch aufgebauter melanozytärer Tumor mit pagetoidem Muster. Keine Ulzeration.\n"
            "Pro mm² finden sich 2 Mitosen. Im Randbereich Zeichen der Regression. Der Tumor ist\n"
            "seitlich mit mindestens 4 mm und zur Tiefe mit 3 mm Abstand im Gesunden entfernt.\n"
            "\n"
            "Diagnose:\n"
            "Malignes Melanom, superfiziell spreitender Typ, Tumordicke nach Breslow 0,95 mm,\n"
            "Clark-Level IV, pT1b.\n"
        ),
        {
            "mm": [(0.95, "=")],
            "ulc": "absent",
            "mit": (2, "="),
            "reg": "present",
            "mar": "absent",
            "dist": [(4, "lateral"), (3, "deep")],
            "sub": ["superficial_spreading"],
        },
    ),
    (
        "Malignes Melanom (Typ: SSM, TD: 1,4 mm, CL: IV, Ulz.: nein, Mitosen: 2/mm²).",
        {"mm": [(1.4, "=")], "mit": (2, "="), "sub": ["superficial_spreading"]},
    ),
    ("Sentinel-LK-Biopsie: 2 LK, davon 1 mit Metastase.", {"nodes": [(None, None, "present")]}),
    ("Die Läsion ist in toto exzidiert, Schnittränder melanomfrei.", {"mar": "absent"}),
    ("Tumor 0,3 mm vom basalen Schnittrand entfernt.", {"dist": [(0.3, "deep")], "mar": "absent"}),
    (
        "Die vertikale Tumordicke beträgt 2,05 mm; eine Ulzeration liegt nicht vor.",
        {"mm": [(2.05, "=")], "ulc": "absent"},
    ),
)
