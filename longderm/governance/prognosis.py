"""The rules for a prediction: may a patient's risk be issued?

They ask of the patient what the model needs to know, and of the model whether it may speak of such a patient. A risk is
issued whole, at all horizons asked for, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from longderm.governance.facts import ReleaseFact
from longderm.governance.record import record_rules, record_thresholds, record_values
from longderm.governance.rule import Decision, Rule, ask, outcome

#: Events per coefficient below which coefficients are unsteady and figures optimistic (Peduzzi et al., J Clin Epidemiol
#: 1995, doi 10.1016/0895-4356(95)00510-2; that more are no licence: Riley et al., Stat Med 2019, doi 10.1002/sim.7992).
EVENTS_PER_COEFFICIENT_GOOD = 10.0
#: Facts are rounded to so many significant digits before any rule sees them, so that a value that was in training lies
#: within its range however it was stored (a table's 0.8 is not the 0.8 of a sum), and so that what a decision records
#: is what it was made of.
FACT_DIGITS = 9
#: The one unit that a Breslow thickness may be in: AJCC 8 states it in mm.
THICKNESS_UNIT = "mm"


@dataclass(frozen=True, kw_only=True)
class CovariateFact:
    """A covariate of one patient: value (a word, or a number on its source's scale), None where it is missing.

    low, high: the range of training, None where it is not known or the covariate is a word; known: the word was in
    training, None for a number.
    """

    name: str
    value: float | str | None
    low: float | None = None
    high: float | None = None
    known: bool | None = None


@dataclass(frozen=True, kw_only=True)
class PrognosisFacts:
    """Everything that the rules may look at for one patient's prediction; None where it is not known.

    origin_known: the day from which the risk counts is known for this patient; uses_thickness: the model does;
    thickness_unit: the unit that the table states for it; covariates: those of the model; stratum_known: the patient's
    stratum was in training (True where the model has none); releases: the model's, with the digest that its files had
    when it was named; events, coefficients: behind the model; competing_events: patients who had another event that
    made this one impossible; horizons_years: asked for; first_event_years, followed_years: the first event and the end
    of follow-up in training (in the patient's stratum); penalised: the model was fitted under a penalty; approved: the
    model is of the registry or stands promoted in the store, None where it was named by its folder; uses_visits: it
    predicts from a visit, which was visit_days after the origin.
    """

    origin_known: bool | None
    uses_thickness: bool
    thickness_unit: str | None
    covariates: tuple[CovariateFact, ...]
    stratum_known: bool | None
    releases: tuple[ReleaseFact, ...]
    events: int | None
    coefficients: int | None
    competing_events: int | None
    horizons_years: tuple[float, ...]
    first_event_years: float | None
    followed_years: float | None
    penalised: bool = False
    approved: bool | None = None
    uses_visits: bool = False
    visit_days: float | None = None


def decide_prognosis(facts: PrognosisFacts) -> Decision:
    """Decide whether a patient's risk may be issued. Pure: same facts, same decision, byte for byte; the facts that it
    records give it again. `flagged` is False always: what a risk calls for is the clinician's."""
    return _decide(PROGNOSIS_RULES, facts)


def decide_metastasis(facts: PrognosisFacts) -> Decision:
    """Decide whether a tumour's probability of metastasis may be issued, as `decide_prognosis`: the rules are those of
    `METASTASIS_RULES`, and `horizons_years`, `first_event_years`, `followed_years`, `competing_events` are not asked.
    """
    return _decide(METASTASIS_RULES, facts)


def _decide(rules: tuple[Rule, ...], facts: PrognosisFacts) -> Decision:
    settled = _settled(facts)
    return outcome(
        ask(rules, settled),
        flagged=False,
        summary=(),
        facts=record_values(settled, FACT_DIGITS),
        thresholds=record_thresholds(rules, settled, FACT_DIGITS),
        rules_hash=record_rules(rules),
        releases=tuple(f"{release.name}:{release.digest}" for release in facts.releases),
    )


def _model_release(facts: PrognosisFacts) -> str | None:
    """The model's files must be those that were released."""
    if not facts.releases:
        return "not known which model the risk rests on"
    for release in facts.releases:
        if release.approved_digest is None:
            return f"model {release.name} was not released: its files have no recorded hash"
        if release.approved_digest != release.digest:
            return f"model {release.name} has other files than those that were released"
    return None


def _not_approved(facts: PrognosisFacts) -> str | None:
    """A model that a store holds must stand promoted in it."""
    if facts.approved is not False:
        return None  # one that was named by its folder has a caveat of its own
    names = ", ".join(release.name for release in facts.releases)
    return f"model {names or 'of the store'} is not promoted in this store"


def _origin_unknown(facts: PrognosisFacts) -> str | None:
    """The day from which the risk counts must be known."""
    if facts.origin_known:
        return None
    return "not known from which day the risk counts: give origin_date, or state --origin"


def _visit_unknown(facts: PrognosisFacts) -> str | None:
    """A landmark model predicts from a visit, whose day must be known and not lie before the origin."""
    if not facts.uses_visits:
        return None
    if facts.visit_days is None:
        return "no visit is known from which the risk could count"
    return None if facts.visit_days >= 0 else f"the visit is {-facts.visit_days:g} days before the origin"


def _thickness_unit(facts: PrognosisFacts) -> str | None:
    """A thickness must be stated in mm."""
    if not facts.uses_thickness or facts.thickness_unit == THICKNESS_UNIT:
        return None
    if not facts.thickness_unit:
        return "the unit of the thickness is not stated: name the column mel_thick_mm, or map it"
    return f"the thickness is in {facts.thickness_unit}, not in {THICKNESS_UNIT}"


def _covariate_missing(facts: PrognosisFacts) -> str | None:
    """Every covariate of the model must be known."""
    if not facts.covariates:
        return "no covariate of the model is known"
    missing = [one.name for one in facts.covariates if one.value is None]
    return f"not known: {', '.join(missing)}" if missing else None


def _outside_training(facts: PrognosisFacts) -> str | None:
    """Every covariate must lie within what the model was fitted on."""
    reasons = []
    for one in facts.covariates:
        if one.value is None:
            continue  # said by the rule for a missing covariate
        if isinstance(one.value, str):
            if not one.known:
                reasons.append(f"{one.name} {_short(one.value)} was not in training")
        elif one.low is None or one.high is None:
            reasons.append(f"{one.name}: not known on what range the model was fitted")
        elif not one.low <= one.value <= one.high:
            reasons.append(f"{one.name} {one.value:g} outside the training's {one.low:g} to {one.high:g}")
    return "; ".join(reasons) or None


def _stratum_unknown(facts: PrognosisFacts) -> str | None:
    """The patient's stratum must have been in training: it has a baseline hazard of its own."""
    if facts.stratum_known:
        return None
    return "the patient's stratum is not known or was not in training"


def _beyond_follow_up(facts: PrognosisFacts) -> str | None:
    """The follow-up of the training must cover every horizon asked for."""
    if not facts.horizons_years:
        return "no horizon was asked for"
    if facts.followed_years is None:
        return "not known how long the training was followed up"
    if round(max(facts.horizons_years), 6) <= round(facts.followed_years, 6):
        return None
    return f"{max(facts.horizons_years):g} years: the training was followed up for {facts.followed_years:.3g} years"


def _before_first_event(facts: PrognosisFacts) -> str | None:
    """Before the first event of the training there is a risk of 0, and no interval."""
    if not facts.horizons_years:
        return None  # said by the rule for the end of follow-up
    if facts.first_event_years is None:
        return "not known when the first event of the training was"
    if round(min(facts.horizons_years), 6) >= round(facts.first_event_years, 6):
        return None
    return f"{min(facts.horizons_years):g} years: nobody in training had the event before {facts.first_event_years:.3g}"


def _few_events(facts: PrognosisFacts) -> str | None:
    """A model on few events per coefficient is unsteady."""
    if facts.events is None or not facts.coefficients:
        return "not known how many events the model rests on"
    per = facts.events / facts.coefficients
    if round(per, 6) >= EVENTS_PER_COEFFICIENT_GOOD:
        return None
    return (
        f"the model rests on {facts.events} events for {facts.coefficients} coefficients ({per:.1f} each, good: "
        f"{EVENTS_PER_COEFFICIENT_GOOD:g} or more)"
    )


def _competing_events(facts: PrognosisFacts) -> str | None:
    """Where other events compete the risk is that of a patient who could not have them."""
    if facts.competing_events is None:
        return "not known whether other events competed with this one in training"
    if facts.competing_events == 0:
        return None
    return (
        f"risk as if nobody died of another cause first ({facts.competing_events} in training did): the old and the "
        "sick have less"
    )


def _penalised(facts: PrognosisFacts) -> str | None:
    """Under a penalty the interval takes the penalty for knowledge."""
    return "fitted under a penalty: the interval is too narrow" if facts.penalised else None


def _approval_unknown(facts: PrognosisFacts) -> str | None:
    """A model that is named by its folder was approved by nobody whose word a store keeps."""
    if facts.approved is not None:
        return None
    return "the model was named by its folder, not promoted in a store: nobody's approval is on record"


def _settled(facts: PrognosisFacts) -> PrognosisFacts:
    """The facts as rules see them and records hold them; what is not finite is not known."""
    return replace(
        facts,
        covariates=tuple(
            replace(
                one,
                value=one.value if isinstance(one.value, str) else _rounded(one.value),
                low=_rounded(one.low),
                high=_rounded(one.high),
            )
            for one in facts.covariates
        ),
        horizons_years=tuple(year for one in facts.horizons_years if (year := _rounded(one)) is not None),
        first_event_years=_rounded(facts.first_event_years),
        followed_years=_rounded(facts.followed_years),
        visit_days=_rounded(facts.visit_days),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None or value - value != 0.0 else float(f"{value:.{FACT_DIGITS}g}")


def _short(text: str) -> str:
    return f'"{text}"' if len(text) <= 24 and text.isprintable() else f"(a text of {len(text)} characters)"


#: The rules for a prediction, in order; the first that withholds decides.
PROGNOSIS_RULES: tuple[Rule, ...] = (
    Rule("abstained", _model_release),
    Rule("abstained", _not_approved),
    Rule("abstained", _origin_unknown),
    Rule("abstained", _visit_unknown, {"visit_days_least": 0.0}),
    Rule("abstained", _thickness_unit, source="AJCC Cancer Staging Manual, 8th edition: thickness in mm"),
    Rule("abstained", _covariate_missing),
    Rule("abstained", _outside_training, {"fact_digits": FACT_DIGITS}),
    Rule("abstained", _stratum_unknown),
    Rule("abstained", _beyond_follow_up, {"followed_years": lambda facts: facts.followed_years}),
    Rule("abstained", _before_first_event, {"first_event_years": lambda facts: facts.first_event_years}),
    Rule(
        "issued_with_caveat",
        _few_events,
        {"events_per_coefficient_good": EVENTS_PER_COEFFICIENT_GOOD},
        "Peduzzi et al. 1995, doi 10.1016/0895-4356(95)00510-2; Riley et al. 2019, doi 10.1002/sim.7992",
    ),
    Rule("issued_with_caveat", _competing_events),
    Rule("issued_with_caveat", _penalised),
    Rule("issued_with_caveat", _approval_unknown),
)

#: Those that hold of a yes or no as well: there is no visit, no stratum, no horizon on a curve, and a death of another
#: cause is a "no" of its own.
METASTASIS_RULES: tuple[Rule, ...] = tuple(
    rule
    for rule in PROGNOSIS_RULES
    if rule.check not in (_visit_unknown, _stratum_unknown, _beyond_follow_up, _before_first_event, _competing_events)
)
