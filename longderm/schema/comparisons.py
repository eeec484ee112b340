"""Tables of what is found between the photos of a lesion: pairs, and all of its visits."""

from __future__ import annotations

import pyarrow as pa

from longderm.schema.table import STRINGS, Column, table

_DELTA_FIELDS = [
    ("measure", pa.string()),
    ("unit", pa.string()),
    ("baseline", pa.float64()),
    ("followup", pa.float64()),
    ("delta", pa.float64()),
    ("mdc", pa.float64()),
    ("exceeds_mdc", pa.bool_()),
]

#: One measured difference of a pair: follow-up minus baseline, and the minimal detectable change (95%).
DELTA = pa.struct(_DELTA_FIELDS)


def _slope(name: str, meaning: str) -> list[Column]:
    """The columns of a slope per month with its 95% interval."""
    column = f"{name}_per_month"
    return [
        (column, pa.float64(), f"{meaning}; null where the visits were not compared"),
        (f"{column}_low", pa.float64(), "lower end of its 95% interval"),
        (f"{column}_high", pa.float64(), "upper end of its 95% interval"),
    ]


COMPARISON_TABLES = [
    table(
        "alignments",
        "result",
        ("pair_id",),
        "The similarity transform of each pair.",
        [
            ("pair_id", pa.string(), "hash of baseline and follow-up photo"),
            ("lesion_id", pa.string(), "the lesion"),
            ("modality", pa.string(), "of both photos"),
            ("baseline_photo_id", pa.string(), "the earlier photo"),
            ("followup_photo_id", pa.string(), "the later photo"),
            ("policy", pa.string(), "previous, first, previous_and_first, or repeat (undated)"),
            ("interval_days", pa.int32(), "days between the visits; null for undated repeats"),
            ("matrix", pa.list_(pa.float64()), "3x3, row by row: baseline to follow-up pixel coordinates"),
            ("accepted", pa.bool_(), "the match was verified"),
            ("confidence", pa.float64(), "0 to 1"),
            ("reason", pa.string(), "why it was refused, or null"),
            ("overlap", pa.float64(), "share of the baseline's field of view seen in the follow-up"),
            ("scale", pa.float64(), "follow-up pixels per baseline pixel"),
            ("rotation_deg", pa.float64(), "rotation of the follow-up against the baseline"),
            (
                "skin_scale",
                pa.float64(),
                "scale that the skin around the lesion tells by itself; null: too little to tell",
            ),
            ("lesion_scale", pa.float64(), "scale that the lesion's texture tells by itself; null: too little to tell"),
            ("residual", pa.float64(), "distance of the fits from either photo, share of the lesion's diameter"),
            ("cautions", pa.list_(pa.string()), "why the scale, and so a change of size, is not certain"),
        ],
    ),
    table(
        "changes",
        "result",
        ("pair_id",),
        "What differs in each aligned pair.",
        [
            ("pair_id", pa.string(), "the pair"),
            ("lesion_id", pa.string(), "the lesion"),
            ("score", pa.float64(), "0 to 1; null where nothing can be said"),
            ("p_value", pa.float64(), "conformal p-value of no change, or null without a calibration"),
            ("reasons", STRINGS, "what changed, or why nothing can be said"),
            ("deltas", pa.list_(DELTA), "measured differences with their minimal detectable change"),
            ("area_change_percent", pa.float64(), "relative change of area in the frame of the alignment"),
            ("area_change_mm2", pa.float64(), "change of area; null without a scale in both photos"),
            ("aligned_object", pa.string(), "content hash of the follow-up warped to the baseline's preview"),
            ("heatmap_object", pa.string(), "content hash of the difference on the baseline's preview"),
            ("model", pa.string(), "kind and version of the release that scored it"),
        ],
    ),
    table(
        "decisions",
        "result",
        ("pair_id",),
        "Whether a pair's result may be issued, and the rule that decided.",
        [
            ("pair_id", pa.string(), "the pair"),
            ("lesion_id", pa.string(), "the lesion"),
            ("verdict", pa.string(), "issued, issued_with_caveat, abstained or out_of_scope"),
            ("rule", pa.string(), "name of the rule that decided"),
            ("reasons", STRINGS, "in words"),
            ("flagged", pa.bool_(), "issued, and the change is above the noise: to be looked at"),
            ("rules_fired", STRINGS, "names of all rules that fired, in the order of the rules"),
            ("flag_rule", pa.string(), "what the change counts as in its protocol, or null where it is not flagged"),
            ("facts", pa.string(), "every value that the rules looked at, as JSON with sorted names; no identifier"),
            ("thresholds", pa.string(), "every threshold of the rules, as JSON with sorted names"),
            ("evolution", pa.float64(), "how melanoma-like the change is, 0 to 1; null where the release cannot tell"),
            ("rules_hash", pa.string(), "SHA-256 of the rules' names, verdicts, meanings, thresholds and sources"),
            ("releases", STRINGS, "the releases it rests on, each as kind/version:digest"),
        ],
    ),
    table(
        "trajectories",
        "result",
        ("lesion_id",),
        "All visits of a lesion.",
        [
            ("lesion_id", pa.string(), "the lesion"),
            ("visits", pa.int32(), "visits with a usable photo"),
            ("first_day", pa.int32(), "day of the first of them"),
            ("last_day", pa.int32(), "day of the last of them"),
            ("growth_mm2_per_month", pa.float64(), "robust slope of the area; null without a scale"),
            ("growth_mm2_per_month_low", pa.float64(), "lower end of its 95% interval"),
            ("growth_mm2_per_month_high", pa.float64(), "upper end of its 95% interval"),
            ("growth_percent_per_month", pa.float64(), "robust slope of the relative area"),
            ("growth_percent_per_month_low", pa.float64(), "lower end of its 95% interval"),
            ("growth_percent_per_month_high", pa.float64(), "upper end of its 95% interval"),
            *_slope("colour_variegation", "robust slope of the variety of colour, Lab units"),
            *_slope("delta_lightness", "robust slope of the lightness against the skin, Lab units"),
            *_slope("structure_energy", "robust slope of the amount of structure, log ratio to the first visit"),
            ("first_flagged_day", pa.int32(), "day of the first flagged visit, or null"),
            ("verdict", pa.string(), "issued, issued_with_caveat, abstained or out_of_scope"),
            ("rule", pa.string(), "name of the rule that decided"),
            ("reasons", STRINGS, "in words"),
            ("rules_fired", STRINGS, "names of all rules that fired, in the order of the rules"),
        ],
    ),
]
