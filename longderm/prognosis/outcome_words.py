"""The closed sets of a table of outcomes, and how clinics spell their members (lower case, single spaces)."""

from __future__ import annotations

#: What may happen to a patient after the origin. A recurrence without a site, and a death without a cause, keep what is
#: known: the first counts for recurrence, the second for overall survival only.
EVENT_KINDS = (
    "recurrence_local",
    "recurrence_locoregional",
    "recurrence_distant",
    "recurrence",
    "death_of_melanoma",
    "death_of_other_cause",
    "death",
    "last_follow_up",
)
RECURRENCES = EVENT_KINDS[:4]
DEATHS = EVENT_KINDS[4:7]

#: AJCC 8 pathological stages.
STAGES = ("0", "I", "IA", "IB", "II", "IIA", "IIB", "IIC", "III", "IIIA", "IIIB", "IIIC", "IIID", "IV")

SEX_WORDS = {
    **dict.fromkeys(("m", "male", "man", "männlich", "maennlich"), "male"),
    **dict.fromkeys(("f", "female", "woman", "w", "weiblich"), "female"),
}

#: Spellings of ulceration beside yes and no.
ULCERATION_WORDS = {"ulcerated": True, "not ulcerated": False, "ulzeriert": True, "nicht ulzeriert": False}

_SITE_WORDS = {
    "local": ("local", "lokal", "lokalrezidiv", "local recurrence", "recurrence local"),
    "locoregional": (
        *("locoregional", "loco regional", "regional", "lokoregional", "nodal", "in transit", "satellite"),
        *("locoregional recurrence", "regional recurrence", "in transit metastasis", "recurrence locoregional"),
    ),
    "distant": ("distant", "fern", "fernmetastase", "distant metastasis", "distant recurrence", "recurrence distant"),
}

#: What stands in a column of recurrence sites. None: there was none.
RECURRENCE_WORDS: dict[str, str | None] = {
    **{word: f"recurrence_{site}" for site, words in _SITE_WORDS.items() for word in words},
    **dict.fromkeys(("recurrence", "relapse", "rezidiv", "yes", "ja", "true", "1"), "recurrence"),
    **dict.fromkeys(("no", "nein", "none", "keine", "keines", "false", "0", "no recurrence"), None),
}

_DEATH_WORDS = {
    **dict.fromkeys(
        ("melanoma", "melanom", "dod", "died of melanoma", "died of disease", "death of melanoma", "tumorbedingt"),
        "death_of_melanoma",
    ),
    **dict.fromkeys(
        (
            *("other", "other cause", "other causes", "andere", "andere ursache", "doc", "nicht tumorbedingt"),
            *("died of other cause", "died of other causes", "death of other cause", "death of other causes"),
        ),
        "death_of_other_cause",
    ),
    **dict.fromkeys(("death", "dead", "died", "tot", "verstorben"), "death"),
}

#: What stands in a column of causes of death. None: the patient lives.
DEATH_CAUSE_WORDS: dict[str, str | None] = {
    **_DEATH_WORDS,
    **dict.fromkeys(("alive", "lebt", "lebend"), None),
}

#: What stands in a column of events.
EVENT_WORDS = {
    **_DEATH_WORDS,
    **{word: kind for word, kind in RECURRENCE_WORDS.items() if kind and word not in ("yes", "ja", "true", "1")},
    **dict.fromkeys(
        ("last follow up", "last followup", "censored", "alive", "follow up", "zensiert", "lebt", "letzte kontrolle"),
        "last_follow_up",
    ),
}

#: Whether the patient was dead at the last contact.
VITAL_WORDS = {
    **dict.fromkeys(("alive", "lebt", "lebend", "living"), False),
    **dict.fromkeys(("dead", "died", "deceased", "tot", "verstorben"), True),
}
