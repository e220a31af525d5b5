"""A plan from YAML, and the digest of all that it fixes before the run."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ValidationError

from edgefair.errors import UsageError, did_you_mean
from edgefair.files import sha256_json
from edgefair.mistakes import MISSING, UNKNOWN, first_mistake
from edgefair.study.levels import FACTORS
from edgefair.study.plan import ContrastPlan, Factors, Methods, Part, Plan
from edgefair.study.planned import planned_contrasts
from edgefair.study.published import Published
from edgefair.yaml_text import YamlTextError, parse_yaml

PLAN_SCHEMA = "edgefair.study-plan/1"


def read_plan(text: str, *, source: str = "plan") -> Plan:
    """A plan from YAML.

    Raises:
        UsageError: not YAML, unknown keys or levels, or a plan that cannot be run or shows nothing.
    """
    try:
        raw = parse_yaml(text)
    except YamlTextError as error:
        raise UsageError(f"{source} is not YAML: {error}") from error
    if not isinstance(raw, dict):
        raise UsageError(f"{source} holds no keys", expected="a study: NAME, factors and seeds")
    try:
        plan = Plan.model_validate(raw)
        planned_contrasts(plan)
    except ValidationError as error:
        raise _mistake(source, error) from error
    except UsageError as error:
        raise UsageError(f"{source}: {error.found}", expected=error.expected, fix=error.fix) from error
    return plan


def _mistake(source: str, error: ValidationError) -> UsageError:
    first = first_mistake(error, unknown_first=True)
    if first.kind == UNKNOWN:
        beside: Mapping[str, type[BaseModel]] = {
            "factors": Factors,
            "parts": Part,
            "methods": Methods,
            "contrasts": ContrastPlan,
            "published": Published,
        }
        known = list((beside[first.place[0]] if len(first.place) > 1 else Plan).model_fields)
        what = "factor" if first.place[0] in {"factors", "parts"} and len(first.place) > 1 else "key"
        name = first.place[-1]
        return UsageError(
            f"{source}: unknown {what} '{name}'{did_you_mean(name, known)}", expected=f"one of {', '.join(known)}"
        )
    if first.kind == MISSING:
        return UsageError(
            f"{source}: key '{first.key}' is missing", expected="study: NAME and factors: {...}, at least"
        )
    return UsageError(f"{source}: {first}")


def plan_digest(plan: Plan) -> str:
    """SHA-256 of all that is fixed before the run: levels, seeds, methods, responses, and the contrasts written out."""
    unfixed = {"factors", "contrasts", "cell_seconds", "published"} | (set() if plan.parts else {"parts"})
    content = plan.model_dump(mode="json", exclude=unfixed)
    content["schema"] = PLAN_SCHEMA
    content["seeds"] = list(plan.blocks)
    content["factors"] = {name: [str(item) for item in getattr(plan.factors, name)] for name in FACTORS}
    content["contrasts"] = [[item.family, item.name, *map(list, item.terms)] for item in planned_contrasts(plan)]
    return sha256_json(content)
