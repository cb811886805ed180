"""The core: records in, explanation out. No files, no clock, no network.

Read `explain` first: survey, sweep, join, judge. The verdict does not depend on the order of the records, on the
names of ids, on runs that have nothing to do with it, or on a source's clock being off by up to five seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Final

from app.incidents import adopting, duplicates, findings, joining, supposing
from app.incidents.answer import Cause, Confidence, Duplicate, Explanation, Finding
from app.incidents.duplicates import Case
from app.incidents.kept import Kept
from app.incidents.model import Effect, Post, Run, Survey
from app.incidents.records import Record, Source
from app.incidents.sweep import Sweep
from app.incidents.timeline import timeline
from app.incidents.verdict import Judge, Verdict

WINDOW_S: Final = 600.0
REMEDIES: Final = {
    Cause.REDISPATCH: (
        "Record the intent before the request (LEDGER=enforce), so that a second replica finds it and the lease epoch "
        'fences a stale one; declare the tool repeat = "lookup" or "keyed", so that a call in doubt is looked up, or '
        "sent again under one key, and never sent blindly."
    ),
    Cause.GATEWAY_RETRY: (
        'Turn off the gateway\'s own retry of POSTs; declare the tool repeat = "keyed" with key_header, so that a '
        'second request is the same effect, or repeat = "lookup" with settle_s, so that an unanswered one is looked '
        "up before it is sent again."
    ),
    Cause.CLIENT_RESUBMISSION: (
        'same_request = "reuse" (or "hold") on the tool with same_request_s = 600: an equal request of the thread '
        "waits for the first and takes its output; and an idempotency key on creating a run."
    ),
    Cause.MODEL_REPEAT: (
        'same_request = "reuse" on the tool: an equal call of one run takes the output of the first; "hold" asks an '
        "operator."
    ),
    Cause.EXTERNAL_DUPLICATE: (
        'repeat = "keyed" where the external system honours an idempotency key; else put a mark into the body '
        '(body = { external_ref = "{effect_key}" }) and repeat = "lookup": several found go to an operator. Report '
        "it to the owner of the system."
    ),
    Cause.UNKNOWN: (
        "Send x-run-id, x-thread-id, tool_call_id and attempt with every request and keep the logs of all replicas; "
        "with LEDGER=observe the ledger records every intent and outcome, and the next one can be told."
    ),
}


def explain(
    records: Iterable[Record],
    *,
    sources: Sequence[Source] = (),
    window_s: float = WINDOW_S,
    survey: Survey | None = None,
) -> Explanation:
    """Explain what happened twice, stands still, has no run or is missing.

    `records` in any order; with a `survey` of the same records they may be a stream, and must be sorted by time.
    `sources` are the files that `Record.source` counts. Sets `offset_s` of the sources.
    """
    if survey is None:
        records = sorted(records, key=itemgetter(0, 1, 2))
        survey = survey_of(records, list(sources))
    window_us = round(window_s * 1e6)
    sweep = Sweep(survey, window_us)
    sweep.take(records)
    kept = sweep.finish()
    for source, offset in zip(survey.sources, kept.matcher.offsets, strict=True):
        source.offset_s = round(offset / 1e6, 3)
    return _Core(kept, window_us).explanation()


def survey_of(records: Iterable[Record], sources: list[Source]) -> Survey:
    """Take the first look; invents sources where none are given."""
    listed = list(records)
    while len(sources) <= max((record.source for record in listed), default=-1):
        sources.append(Source("gateway", f"source {len(sources)}"))
    survey = Survey(sources)
    for record in listed:
        survey.look(record)
    return survey


class _Core:
    """Joins and judges what the sweep kept."""

    def __init__(self, kept: Kept, window_us: int) -> None:
        self._kept, self._window_us = kept, window_us
        self._survey, self._matcher = kept.survey, kept.matcher
        self._runs = self._join_runs()

    def _join_runs(self) -> dict[str, Run]:
        parts: dict[str, dict[int, Run]] = {}
        for kept_parts in self._kept.runs.values():
            for run in kept_parts:
                parts.setdefault(run.id, {})[id(run)] = run
        for post in self._posts_of_clusters():
            if post.run is not None:
                parts.setdefault(post.run.id, {})[id(post.run)] = post.run
        runs = {run_id: joining.merge_runs(list(found.values())) for run_id, found in parts.items()}
        adopting.join_cut(runs, {id(p): p for p in self._posts_of_clusters()}.values())
        for run in runs.values():
            joining.mend_calls(run)
        return runs

    def _posts_of_clusters(self) -> Iterator[Post]:
        for cluster in self._kept.clusters:
            yield from cluster.posts
        yield from self._kept.loose_posts

    def _all_posts(self) -> list[Post]:
        """Return every request, whether or not its run is known."""
        of_runs = [post for run in self._runs.values() for post in run.posts]
        return list({id(post): post for post in [*self._posts_of_clusters(), *of_runs]}.values())

    def _place_effects(self) -> list[Effect]:
        """Give every effect a request where one fits; return those that none fits."""
        pseudo = [post for run in self._runs.values() for post in joining.pseudo_posts(run, self._matcher)]
        adopting.adopt_nameless(self._kept, pseudo)
        free = [post for post in self._all_posts() if not post.effects]
        left = joining.place_effects(self._kept.loose_effects, free + pseudo, self._matcher)
        left = self._beside_pseudo(left, pseudo)
        left = self._second_of_one(left)
        left = self._beside_equal(left)
        for post in self._all_posts():
            self._kept.loose_posts.extend(joining.part_repeats(post, self._kept))
        for post in pseudo:
            if post.effects and post.run:
                post.run.posts.append(post)
        adopting.adopt_by_effect(self._kept, self._runs.values(), self._window_us)
        return left

    def _beside_pseudo(self, left: list[Effect], pseudo: list[Post]) -> list[Effect]:
        """Where no gateway log shows requests, join an effect to the dispatch that made its equal."""
        for effect in left:
            equals = [p for p in pseudo if any(duplicates.alike(effect, other) for other in p.effects)]
            best = self._matcher.nearest(effect, equals)
            if best is not None:
                self._matcher.link(effect, best)
        return [effect for effect in left if effect.post is None]

    def _second_of_one(self, left: list[Effect]) -> list[Effect]:
        """Join an effect without a fingerprint to a request that has its effect already, if it happened within it."""
        nameless = [effect for effect in left if effect.rec.fingerprint is None]
        if nameless:
            answered = [post for post in self._posts_of_clusters() if post.effects]
            for effect in nameless:
                best = self._matcher.nearest(effect, answered)
                if best is not None and self._matcher.cost(effect, best) < 1.0:
                    self._matcher.link(effect, best)
        return [effect for effect in left if effect.post is None]

    def _beside_equal(self, left: list[Effect]) -> list[Effect]:
        """Join an effect to the request without a hash that made its equal, as one with a hash would have both."""
        digits = self._survey.prefix
        made: dict[tuple[str, str], list[Post]] = {}
        for post in self._all_posts() if left else ():
            for other in post.effects:
                if other.rec.fingerprint is not None:
                    made.setdefault((other.kind, other.rec.fingerprint[:digits]), []).append(post)
        for effect in left:
            equals = made.get((effect.kind, (effect.rec.fingerprint or "")[:digits]), [])
            best = self._matcher.nearest(effect, equals)
            if best is not None:
                self._matcher.link(effect, best)
        return [effect for effect in left if effect.post is None]

    def explanation(self) -> Explanation:
        """Put the answer together."""
        if self._survey.has("audit") or self._survey.kinds:
            nobodys = self._place_effects()
            supposing.suppose_unread(self._all_posts(), self._survey, self._matcher)
            effects = [e for post in self._all_posts() for e in post.effects] + nobodys
        else:
            nobodys, effects = [], supposing.suppose_all(self._all_posts(), self._matcher)
        judge = Judge(self._survey, self._matcher)
        found = []
        grouped: set[int] = set()
        for group in duplicates.find(self._kept, effects, self._window_us):
            grouped |= {id(effect) for effect in group}
            for verdict in judge.verdicts(duplicates.case_of(group, self._runs)):
                found.append(self._duplicate(verdict))
        loose = [effect for effect in nobodys if id(effect) not in grouped]
        survey = self._survey
        window = (survey.first, survey.last) if survey.first is not None and survey.last is not None else None
        return Explanation(found, self._findings(loose), survey.sources, window, self._notes())

    def _findings(self, nobodys: list[Effect]) -> list[Finding]:
        missing = findings.Missing(self._survey, self._matcher)
        found: list[Finding] = []
        for run in self._runs.values():
            found += findings.stalled(run, self._survey, self._matcher)
            found += findings.orphans(run, self._survey)
            found += missing.of(run)
        found += findings.runless(self._posts_of_clusters(), self._survey)
        found += findings.homeless(nobodys, self._survey, self._matcher)
        return sorted(set(found), key=lambda f: (f.since_us, f.run_id or "", f.tool_call_id or "", f.because))

    def _duplicate(self, verdict: Verdict) -> Duplicate:
        case = verdict.case
        if not self._survey.has("audit") and not self._survey.kinds:
            verdict.at_most(Confidence.MEDIUM, "The effects: requests alone do not prove them.")
        elif any(effect.supposed for effect in case.effects):
            verdict.at_most(
                Confidence.MEDIUM, "An entry of the audit trail that could not be read: it may be an effect."
            )
        return Duplicate(
            fingerprint=case.fingerprint,
            tool=case.tool,
            thread_ids=case.thread_ids,
            run_ids=case.run_ids,
            tool_call_ids=case.call_ids,
            effects=sorted({e.rec.detail for e in case.effects if e.rec.detail}),
            cause=verdict.cause,
            confidence=verdict.confidence,
            because=verdict.because,
            ruled_out=verdict.ruled_out,
            missing=list(dict.fromkeys(verdict.missing)),
            remedy=REMEDIES[verdict.cause],
            timeline=timeline(case, self._kept),
            notes=self._case_notes(case),
        )

    def _case_notes(self, case: Case) -> list[str]:
        calls = set(case.call_ids)
        notes = []
        for run in case.runs:
            for record in run.records:
                if record.kind == "duplicate_event" and (record.call in calls or record.call is None):
                    notes.append(
                        f"The submitter's {record.detail} is at-least-once delivery at work: it protects the "
                        "submission, not the side effect, and is no cause."
                    )
        return notes

    def _notes(self) -> list[str]:
        notes = []
        for source in self._survey.sources:
            if source.unread and not source.records:
                notes.append(f"No line of {source.name} ({source.file}) could be read: the answer is without it.")
            if source.offset_s:
                ahead = "ahead of" if source.offset_s > 0 else "behind"
                notes.append(
                    f"The clock of {source.name} ({source.file}) is taken to be {abs(source.offset_s):.3f} s {ahead} "
                    "the others: else effects would precede their causes."
                )
        if not self._kept.satisfied:
            notes.append("No setting of the clocks satisfies all causes and effects; the nearest was assumed.")
        return notes
