"""What follows from a finding: the policy in force, its rules by split and kind, and what they say of a prompt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.governance import personal_data
from labeling.governance.models import UNNAMED, DetectorVersion, Gate, Policy, PolicyRule
from labeling.intake.models import Split
from labeling.refusals import Conflict, Refusal
from labeling.text import check_text

ALLOW, REDACT, HOLD, DROP = (action.value for action in PolicyRule.Action)
# Of the findings of one prompt the strictest rule decides.
STRICTNESS = {ALLOW: 0, REDACT: 1, HOLD: 2, DROP: 3}
OTHERS = ""  # the kind that stands for all without a rule of their own
PRESETS = {
    Policy.Preset.ALL_SPLITS: {(split.value, OTHERS): HOLD for split in Split},
    # Ouyang et al. 2022, section 3.2: "we filtered all prompts in the training split for personally identifiable
    # information".
    Policy.Preset.INSTRUCTGPT: {(split.value, OTHERS): HOLD if split == Split.TRAIN else ALLOW for split in Split},
}


@dataclass(frozen=True)
class Verdict:
    """What the rules make of a prompt's findings: the action, and the findings that it is for."""

    action: str
    because: list = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        return sorted({finding.kind for finding in self.because})


@dataclass(frozen=True)
class Rules:
    """A policy as it is asked: `by` is {(split, kind): action}, with OTHERS for every split."""

    number: int
    preset: str
    hold_at: float
    by: Mapping[tuple[str, str], str]

    def action(self, *, split: str, kind: str) -> str:
        return self.by.get((split, kind)) or self.by[split, OTHERS]

    def counts(self, score: float) -> bool:
        return score >= self.hold_at

    def verdict(self, *, split: str, findings: Iterable) -> Verdict:
        """What becomes of a prompt with these `findings`, each with a `kind` and a `score`."""
        by_action: dict[str, list] = {}
        for finding in findings:
            if self.counts(finding.score):
                by_action.setdefault(self.action(split=split, kind=finding.kind), []).append(finding)
        action = max(by_action, key=STRICTNESS.__getitem__, default=ALLOW)
        return Verdict(action, by_action.get(action, []) if action != ALLOW else [])

    def as_json(self) -> dict[str, Any]:
        """For manifests and answers: each split's rule for all kinds, and the exceptions by kind."""
        splits: dict[str, dict] = {}
        for (split, kind), action in sorted(self.by.items()):
            entry = splits.setdefault(split, {"others": "", "kinds": {}})
            if kind == OTHERS:
                entry["others"] = action
            else:
                entry["kinds"][kind] = action
        return {"number": self.number, "preset": self.preset, "hold_at": self.hold_at, "splits": splits}


def default_rules() -> Rules:
    """What holds before anybody chose: everything that is found, in every split, waits for a person."""
    preset = Policy.Preset.ALL_SPLITS
    return Rules(1, preset.value, personal_data.HOLD_AT, PRESETS[preset])


def rules_of(policy: Policy) -> Rules:
    by = {(rule.split, rule.kind): rule.action for rule in policy.rules.all()}
    return Rules(policy.number, policy.preset, policy.hold_at, by)


def newest_policy() -> Policy | None:
    return Policy.objects.prefetch_related("rules").order_by("-number").first()


def current_rules() -> Rules:
    """Those of the newest policy. Writes nothing."""
    policy = newest_policy()
    return rules_of(policy) if policy else default_rules()


def current_gate() -> tuple[Gate, Rules]:
    """The gate that prompts go through now, made at its first use, and its rules."""
    policy = newest_policy() or _make_default()
    running = personal_data.detector()
    detector, _made = DetectorVersion.objects.get_or_create(
        name=running.name, version=running.version, configuration=running.configuration
    )
    gate, _made = Gate.objects.select_related("detector", "policy").get_or_create(detector=detector, policy=policy)
    return gate, rules_of(policy)


def known_gate() -> Gate | None:
    """The gate that prompts go through now, None before its first use. Writes nothing."""
    running = personal_data.detector()
    newest = Policy.objects.order_by("-number").values("pk")[:1]
    return (
        Gate.objects.select_related("detector", "policy")
        .filter(
            policy__in=newest,
            detector__name=running.name,
            detector__version=running.version,
            detector__configuration=running.configuration,
        )
        .first()
    )


def _make_default() -> Policy:
    try:
        with transaction.atomic():
            return _store(default_rules(), note="", by=None)
    except IntegrityError:
        return newest_policy()  # another import began at the same moment


def _store(rules: Rules, *, note: str, by) -> Policy:
    policy = Policy.objects.create(
        number=rules.number, preset=rules.preset, hold_at=rules.hold_at, note=note, created_by=by
    )
    PolicyRule.objects.bulk_create(
        PolicyRule(policy=policy, split=split, kind=kind, action=action)
        for (split, kind), action in sorted(rules.by.items())
    )
    return policy


@transaction.atomic(durable=True)
def set_policy(
    *,
    preset: str,
    rules: Mapping[tuple[str, str], str] | None = None,
    hold_at: float | None = None,
    note: str = "",
    replaces: int | None = None,
    actor,
) -> Policy:
    """A new version of the policy, in force from the next import on; prompts that are here go through it when they are
    scanned again.

    `rules` are those of a policy of one's own; a preset has its own. `replaces` is the number that the caller saw:
    Conflict where somebody changed the policy meanwhile.
    """
    if preset not in Policy.Preset.values:
        raise Refusal(
            _("{preset!r} is no preset; choose one of {presets}.").format(
                preset=str(preset)[:40], presets=", ".join(Policy.Preset.values)
            )
        )
    by = dict(PRESETS[preset]) if preset in PRESETS else read_rules(rules or {})
    threshold = personal_data.HOLD_AT if hold_at is None else hold_at
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 < threshold <= 1:
        raise Refusal(_("The score from which a finding counts must be above 0 and at most 1."))
    note = check_text(note, where=_("the note")).strip()
    if len(note) > 300:
        raise Refusal(_("The note has {count} characters; at most 300 fit.").format(count=len(note)))
    newest = newest_policy() or _make_default()
    # One at a time: the next number is unique, and the second is told.
    locked = Policy.objects.select_for_update(no_key=True).get(pk=newest.pk)
    after = newest_policy()
    if (replaces is not None and replaces != after.number) or after.pk != locked.pk:
        raise Conflict(
            _("{name} changed the policy meanwhile; look at version {number} and decide again.").format(
                name=after.created_by.name if after.created_by else "Kwise", number=after.number
            )
        )
    was = rules_of(after)
    made = Rules(after.number + 1, str(preset), float(threshold), by)
    policy = _store(made, note=note, by=actor)
    told = {"preset": made.preset, "hold_at": made.hold_at, "splits": made.as_json()["splits"]}
    before = {"preset": was.preset, "hold_at": was.hold_at, "splits": was.as_json()["splits"]}
    changed = {name: value for name, value in told.items() if before[name] != value}
    record(
        actor=actor,
        action="policy.changed",
        subject=policy,
        before={name: before[name] for name in changed},
        **changed,
        number=policy.number,
        note=note,
    )
    return policy


def read_rules(rules: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """`rules` as they are stored, without those that say what their split's rule for all kinds says. Refusal for what
    is no split, kind or action, and for a split without a rule for all kinds."""
    kinds = {OTHERS, UNNAMED, *personal_data.KINDS}
    for (split, kind), action in rules.items():
        if split not in Split.values:
            raise Refusal(_("{split!r} is no split.").format(split=str(split)[:40]))
        if kind not in kinds:
            raise Refusal(_("{kind!r} is no kind of personal data.").format(kind=str(kind)[:40]))
        if action not in PolicyRule.Action.values:
            raise Refusal(
                _("{action!r} cannot be done with a finding; choose one of {actions}.").format(
                    action=str(action)[:40], actions=", ".join(PolicyRule.Action.values)
                )
            )
    for split in Split.values:
        if (split, OTHERS) not in rules:
            raise Refusal(_("Say what to do with all other kinds in the split {split}.").format(split=split))
    return {
        (split, kind): action
        for (split, kind), action in rules.items()
        if kind == OTHERS or action != rules[split, OTHERS]
    }
