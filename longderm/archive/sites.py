"""Anatomic sites: the closed vocabulary that may enter the store, and the special sites that are out of scope.

Only words of a known vocabulary pass: a site field is free text in many sources, and free text may hold a name.
"""

from __future__ import annotations

import re
from functools import lru_cache

from longderm.archive.site_codes import SITE_MEANINGS

#: Special sites in the order in which they are looked for: mucosa of the lip is mucosal, skin of the lip is face.
#: Face, acral skin, nails and mucosa have patterns of their own, on which the measures are not valid.
_SPECIAL = (
    ("nail", r"\bnails?\b|\bsubungual\b|\bungual\b"),
    (
        "mucosal",
        r"mucosal?\b|\boral\b|\bmouth\b|\btongue\b|\bgingiva|\bgenital|\bvulval?\b|\bvulvar\b|\blabi(um|a|al)\b|\bpenis\b"
        r"|\bglans\b|\bclitoris\b|\bvagina|\burethra|\bconjunctiva|\banus\b|\banal\b|\bperianal\b|\buvula\b|\bpharynx\b"
        r"|\bvermilion\b|\bscrotum\b|\bprepuce\b",
    ),
    (
        "acral",
        r"\bpalms?\b|\bpalmar\b|\bsoles?\b|\bplantar\b|\bvolar\b|\bthenar\b|\bhypothenar\b|\bacral\b|\bheel\b|\bfingers?\b"
        r"|\btoes?\b|\bthumbs?\b|\bhallux\b|\bdigits?\b",
    ),
    (
        "face",
        r"\bface\b|\bfacial\b|\bcheeks?\b|\bnose\b|\bnasal\b|\bnasi\b|\bnasolabial\b|\bparanasal\b|\binfraalar\b"
        r"|\bforehead\b|\bchin\b|\blips?\b|\beyelids?\b|\beyebrows?\b|\beyelash|\beye\b|\btemples?\b|\btemporal\b"
        r"|\bcanthus\b|\bperiorbital\b|\bperioral\b|\bphiltrum\b|\bjaw(line)?\b|\bglabella\b|\bpreauricular\b",
    ),
)

#: "Palmar area of the wrist" is not the palm.
_NOT_ACRAL = re.compile(r"\bwrist\b|\bankle\b")

#: ISIC's general sites by the words of a site's meaning, in the order in which they are looked for.
_GENERAL = (
    ("oral/genital", _SPECIAL[1][1]),
    ("palms/soles", r"\bpalms?\b|\bpalmar part\b|\bsoles?\b|\bplantar\b|\bthenar\b|\bhypothenar\b|\bheel\b"),
    (
        "head/neck",
        _SPECIAL[3][1]
        + r"|\bhead\b|\bneck\b|\bscalp\b|\bears?\b|\bpinna\b|\bhelix\b|\bantihelix\b|\btragus\b|\bantitragus\b"
        r"|\bconcha\b|\bintertragal\b|\bauricular\b|\bpostauricular\b|\bnuchal\b|\boccipital\b|\bparietal\b|\bsubmental\b"
        r"|\bsubmandibular\b|\bauditory\b",
    ),
    (
        "lower extremity",
        r"\bleg\b|\blower (extremity|limb)\b|\bthigh\b|\bknee\b|\bpopliteal\b|\bankle\b|\bfoot\b|\btoes?\b|\bhip\b",
    ),
    (
        "upper extremity",
        r"\barm\b|\bforearm\b|\bupper (extremity|limb)\b|\belbow\b|\bantecubital\b|\bwrist\b|\bhand\b|\bfingers?\b"
        r"|\bthumb\b|\bshoulder\b",
    ),
    ("lateral torso", r"\bflank\b|\baxilla\b"),
    (
        "posterior torso",
        r"\bback\b|\bparaspinal\b|\bposterior surface of thorax\b|\bbuttocks?\b|\bgluteal\b|\bsacral\b",
    ),
    (
        "anterior torso",
        r"\bchest\b|\babdomen\b|\bbreast\b|\bareola\b|\bnipple\b|\bumbilicus\b|\bepigastric\b|\bhypogastric\b|\binguinal\b"
        r"|\bgroin\b|\banterior trunk\b|\banterior surface of thorax\b|\bsternal\b|\binfraclavicular\b",
    ),
)

#: Words that sites are written with besides those of the coded sites; ISIC, HAM10000 and PAD-UFES-20 among them.
_MORE_WORDS = frozenset(
    # one text, for a list of words is easier to read without quotes
    """
    acral and ankle anterior anus arm arms axilla axillary back body breast buttock buttocks calf cheek
    chest chin digit digits distal dorsal dorsum ear ears elbow entire extremities extremity eye eyebrow
    eyelid eyelids face facial feet finger fingers flank foot forearm forehead general genital genitalia
    gluteal groin hair hallux hand hands head heel hip inner knee labial lateral left leg legs limb lip
    lips lower medial mid middle mouth mucosa mucosal nail nails nape neck nos nose not of or oral other
    outer palm palmar palms parietal pelvis perianal periorbital plantar posterior proximal pubis right
    sacral scalp scapular shin shoulder shoulders side sole soles special specified spine sternum
    subungual temple the thigh thorax thumb toe toes torso trunk umbilicus unknown upper volar whole
    wrist
    """.split()  # noqa: SIM905
)

#: A site's text longer than this is a remark.
_MAX_LENGTH = 60


@lru_cache(maxsize=1)
def _vocabulary() -> frozenset[str]:
    coded = {word for meaning in SITE_MEANINGS.values() for word in re.findall(r"[a-z]+", meaning.lower())}
    return _MORE_WORDS | coded


def site_text(text: str | None) -> str | None:
    """A site as the source writes it, where it holds words of the vocabulary only; else None."""
    if not text or len(text) > _MAX_LENGTH:
        return None
    lowered = text.lower()
    if not re.fullmatch(r"[a-z /,()_-]+", lowered):
        return None
    return text if set(re.findall(r"[a-z]+", lowered)) <= _vocabulary() else None


def special_site(*texts: str | None) -> str | None:
    """face, acral, nail or mucosal where one of the texts says so, else None.

    "head/neck", "hand" or "foot" alone say nothing: most of the skin there is ordinary.
    """
    joined = " | ".join(text.lower().replace("_", " ") for text in texts if text)
    for name, words in _SPECIAL:
        if re.search(words, joined) and not (name == "acral" and _NOT_ACRAL.search(joined)):
            return name
    return None


def general_site(meaning: str) -> str | None:
    """ISIC's anatom_site_general for the meaning of a coded site, or None where it does not tell."""
    lowered = meaning.lower()
    return next((name for name, words in _GENERAL if re.search(words, lowered)), None)


def site_meaning(scheme: str, code: str) -> str | None:
    """The standard's meaning of a coded site, or None for a code that is not in the table."""
    return SITE_MEANINGS.get((scheme, code))
