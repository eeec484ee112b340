"""Tables of what is found in one photo by itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pyarrow as pa

from longderm.schema.table import STRINGS, table

#: One colour of a lesion, named as dermatologists do.
COLOUR = pa.struct(
    [
        ("name", pa.string()),
        ("share", pa.float64()),
        ("lightness", pa.float64()),
        ("a", pa.float64()),
        ("b", pa.float64()),
    ]
)

#: Columns of the ISIC 2024 challenge that one photo gives ("SLICE-3D", Kurtansky et al. 2024,
#: doi 10.1038/s41597-024-03743-w): name -> (unit, definition). "Inside" is the lesion, "outside" the ring of
#: skin around it, both without hair and glare; L*, a*, b* of CIE 1976 under D65.
TBP_COLUMNS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "tbp_lv_A": ("Lab", "mean a* inside"),
        "tbp_lv_Aext": ("Lab", "mean a* outside"),
        "tbp_lv_B": ("Lab", "mean b* inside"),
        "tbp_lv_Bext": ("Lab", "mean b* outside"),
        "tbp_lv_C": ("Lab", "chroma of the mean colour inside, hypot(a*, b*)"),
        "tbp_lv_Cext": ("Lab", "chroma of the mean colour outside"),
        "tbp_lv_H": ("degrees", "hue angle of the mean colour inside, atan2(b*, a*)"),
        "tbp_lv_Hext": ("degrees", "hue angle of the mean colour outside"),
        "tbp_lv_L": ("Lab", "mean L* inside"),
        "tbp_lv_Lext": ("Lab", "mean L* outside"),
        "tbp_lv_areaMM2": ("mm2", "area_mm2 by its ISIC name: area of the lesion"),
        "tbp_lv_area_perim_ratio": ("1", "perimeter squared over area: 12.57 for a disc, more for a jagged border"),
        "tbp_lv_color_std_mean": ("Lab", "mean over L*, a*, b* of the standard deviation inside"),
        "tbp_lv_deltaA": ("Lab", "mean a* inside minus outside"),
        "tbp_lv_deltaB": ("Lab", "mean b* inside minus outside"),
        "tbp_lv_deltaL": ("Lab", "mean L* inside minus outside"),
        "tbp_lv_deltaLB": ("Lab", "contrast to the skin around, hypot(deltaL, deltaB)"),
        "tbp_lv_eccentricity": ("1", "eccentricity by its ISIC name: 0 for a disc, below 1"),
        "tbp_lv_minorAxisMM": ("mm", "short_diam_mm by its ISIC name: extent across the longest diameter"),
        "tbp_lv_perimeterMM": ("mm", "perimeter_mm by its ISIC name: length of the smoothed border"),
        "tbp_lv_radial_color_std_max": (
            "Lab",
            "greatest, of eight rings of equal width around the centre, of the mean standard deviation of L*, a*, b*",
        ),
        "tbp_lv_stdL": ("Lab", "standard deviation of L* inside"),
        "tbp_lv_stdLExt": ("Lab", "standard deviation of L* outside"),
        "tbp_lv_symm_2axis": (
            "1",
            "share of the lesion that does not meet its mirror image, about the axis at right angles to its most"
            " symmetric one",
        ),
        "tbp_lv_symm_2axis_angle": ("degrees", "direction of the most symmetric axis, 0 to 180, from +x towards +y"),
        "clin_size_long_diam_mm": ("mm", "greatest distance of two border points"),
    }
)

PHOTO_TABLES = [
    table(
        "previews",
        "result",
        ("photo_id",),
        "Reduced copies of photos for people to look at.",
        [
            ("photo_id", pa.string(), "the photo"),
            ("preview_object", pa.string(), "content hash of the JPEG"),
            ("preview_scale", pa.float64(), "preview pixels per native pixel"),
        ],
    ),
    table(
        "scales",
        "result",
        ("photo_id",),
        "The scale that a photo is measured by: the stated one, else one read from a ruler in it.",
        [
            ("photo_id", pa.string(), "the photo"),
            ("px_per_mm", pa.float64(), "pixels per millimetre on the skin; null: no size in mm is claimed"),
            ("px_per_mm_source", pa.string(), "dicom_pixel_spacing, metadata or ruler; null without a scale"),
            ("px_per_mm_error", pa.float64(), "relative standard error of the scale; null where it is not stated"),
            ("ruler_px_per_mm", pa.float64(), "pixels per millimetre read from a ruler in the photo, or null"),
            ("ruler_error", pa.float64(), "relative standard error of that reading"),
            ("ruler_reason", pa.string(), "why no scale is read from a ruler, or null"),
            ("caveats", STRINGS, "short codes: scale_contradicts_ruler where both are known and disagree"),
        ],
    ),
    table(
        "quality",
        "result",
        ("photo_id",),
        "Whether a photo is fit to be analysed.",
        [
            ("photo_id", pa.string(), "the photo"),
            ("score", pa.float64(), "0 (useless) to 1"),
            ("reasons", STRINGS, "what lowers it, in words"),
            (
                "expected_error",
                pa.float64(),
                "how far measures and outline are expected to be off, 0 to 1, in units of how lesions differ",
            ),
            ("edge_blur", pa.float64(), "of the sharper edges, standard deviation in 1/512 of the longer side"),
            ("noise", pa.float64(), "standard deviation in grey levels on a copy of 512 pixels"),
            ("seams", pa.float64(), "how much steeper the photo is across the seams of JPEG's squares than elsewhere"),
            ("busy_fraction", pa.float64(), "share of pixels unlike their neighbour"),
            ("lightest", pa.float64(), "L* of the field of view's lightest parts, over 100"),
            ("dark_fraction", pa.float64(), "share of the field of view that is too dark"),
            ("bright_fraction", pa.float64(), "share of the field of view that is as good as clipped"),
            ("clipped_fraction", pa.float64(), "share of the field of view with a channel at its upper end"),
            ("glare_fraction", pa.float64(), "share of the field of view in specular glare"),
            ("hair_fraction", pa.float64(), "share of the field of view under hair"),
            (
                "corner_fraction",
                pa.float64(),
                "share of the photo outside the field of view: its dark corners and black borders",
            ),
            (
                "skin_fraction",
                pa.float64(),
                "share of the field of view with a colour that skin or lesions have",
            ),
            ("lesion_fraction", pa.float64(), "share of the photo that the lesion covers; 0 where none is found"),
            ("cut_share", pa.float64(), "share of the lesion's border on the edge of the field of view"),
            ("lost_fraction", pa.float64(), "share of the lesion beyond the photo's edge, were it a disc"),
            ("hidden_fraction", pa.float64(), "share of the lesion under hair and glare"),
            ("contrast", pa.float64(), "distance of the lesion's mean Lab colour from that of the skin around it"),
            ("ink_fraction", pa.float64(), "share of the photo under a pen's ink"),
            ("ruler_fraction", pa.float64(), "share of the photo under the ruler whose scale was read"),
            ("sticker_fraction", pa.float64(), "share of the photo under stickers"),
            ("black_border_fraction", pa.float64(), "share of the photo in dark bars along its edges"),
            (
                "dark_corner_fraction",
                pa.float64(),
                "share of the photo outside the field of view, black borders left out",
            ),
        ],
    ),
    table(
        "masks",
        "result",
        ("photo_id",),
        "Where the lesion is in a photo.",
        [
            ("photo_id", pa.string(), "the photo"),
            ("found", pa.bool_(), "a lesion was found"),
            ("confidence", pa.float64(), "0 to 1"),
            ("reason", pa.string(), "why none was found, or what makes it doubtful"),
            ("touches_border", pa.bool_(), "the lesion is cut by the edge of the field of view"),
            (
                "area_error",
                pa.float64(),
                "error of the mask's area as a share, at most 3: over photos like those of the fit, nine of ten"
                " experts' outlines have an area within a factor of 1 + area_error; null where no lesion was found, the"
                " photo is not dermoscopic, or the release does not say",
            ),
            ("mask_object", pa.string(), "content hash of the 1-bit PNG on the native grid"),
            ("model", pa.string(), "kind and version of the release that drew it"),
        ],
    ),
    table(
        "structures",
        "result",
        ("photo_id",),
        "Dermoscopic structures in a photo: calibrated probability that experts mark each (ISIC 2018 task 2)."
        " Null where the photo is not dermoscopic, or the release in use is no network.",
        [
            ("photo_id", pa.string(), "the photo"),
            ("pigment_network", pa.float64(), "probability of a pigment network, 0 to 1"),
            ("globules", pa.float64(), "probability of globules or dots, 0 to 1"),
            ("streaks", pa.float64(), "probability of streaks, 0 to 1"),
            ("negative_network", pa.float64(), "probability of a negative network, 0 to 1"),
            ("milia_like_cyst", pa.float64(), "probability of milia-like cysts, 0 to 1"),
            ("model", pa.string(), "kind and version of the release that saw them; null where none looked"),
        ],
    ),
    table(
        "measures",
        "result",
        ("photo_id",),
        "What is measured of the lesion in one photo.",
        [
            ("photo_id", pa.string(), "the photo"),
            ("area_px", pa.float64(), "area of the mask in native pixels"),
            ("area_mm2", pa.float64(), "area; null without a scale"),
            ("perimeter_mm", pa.float64(), "length of the smoothed border; null without a scale"),
            ("clin_size_long_diam_mm", pa.float64(), "longest diameter; null without a scale"),
            ("short_diam_mm", pa.float64(), "diameter across the longest; null without a scale"),
            ("long_diam_px", pa.float64(), "longest diameter in native pixels"),
            ("eccentricity", pa.float64(), "of the ellipse with the same second moments, 0 to 1"),
            ("border_irregularity", pa.float64(), "perimeter squared over 4 pi area; 1 for a disc"),
            (
                "asymmetry_shape",
                pa.float64(),
                "non-overlap on mirroring about the perpendicular axes with least of it, 0 to 1",
            ),
            ("asymmetry_colour", pa.float64(), "mean Lab distance between mirrored halves"),
            ("colour_count", pa.int32(), "how many of the six dermoscopic colours cover at least 3%"),
            ("colour_variegation", pa.float64(), "spread of Lab inside the lesion"),
            ("delta_lightness", pa.float64(), "mean L* of the lesion minus the trimmed mean of the skin ring"),
            ("delta_a", pa.float64(), "mean a* of the lesion minus the trimmed mean of the skin ring"),
            ("delta_b", pa.float64(), "mean b* of the lesion minus the trimmed mean of the skin ring"),
            ("dark_fraction", pa.float64(), "share of the lesion that is dark brown, blue-grey or black"),
            (
                "ita_deg",
                pa.float64(),
                "individual typology angle of the skin ring, atan2(L* - 50, b*) in degrees, in the photo's own colours",
            ),
            (
                "ita_class",
                pa.string(),
                "very light, light, intermediate, tan, brown or dark, by ita_deg (Chardon 1991, Del Bino 2006)",
            ),
            (
                "melanin_index",
                pa.float64(),
                "of the skin ring, 100*log10(1/R_linear_srgb), in the photo's own colours",
            ),
            (
                "colours",
                pa.list_(COLOUR),
                "clusters of the lesion's colours, largest share first: name (white, red, light_brown, dark_brown,"
                " blue_grey, black or skin), share of the lesion, mean Lab",
            ),
            (
                "border_width_px",
                pa.float64(),
                "distance over which the border goes from 10% to 90% of the way from lesion to skin, median over the"
                " border, native pixels: small for a sharp border",
            ),
            ("border_width_mm", pa.float64(), "the same in mm; null without a scale"),
            (
                "border_width_spread",
                pa.float64(),
                "interquartile range of that width over its median: large for a border sharp here and fading there",
            ),
            *(
                (name, pa.float64(), text if unit == "1" else f"{text}; {unit}")
                for name, (unit, text) in TBP_COLUMNS.items()
                if name.startswith("tbp_lv_")
            ),
            ("model", pa.string(), "kind and version of the release that drew the mask"),
        ],
    ),
]
