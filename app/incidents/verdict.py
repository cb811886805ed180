"""Says of one case which cause it has, how sure that is, what rules the others out, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from app.incidents.answer import Cause, Confidence, RuledOut
from app.incidents.duplicates import Case
from app.incidents.matching import Matcher
from app.incidents.model import SECOND, Effect, Post, Survey, distinct
from app.incidents.records import seconds
from app.incidents.steps import CallFacts, Step, clock, step, unread_near

_ORDER: Final = (Confidence.LOW, Confidence.MEDIUM, Confidence.HIGH)
_INSIDE_US: Final = 250_000


@dataclass(slots=True)
class Verdict:
    """A cause with its reasons; `case` is the part of the case that it speaks of."""

    case: Case
    cause: Cause
    confidence: Confidence
    because: str
    ruled_out: list[RuledOut] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def rule_out(self, cause: Cause, because: str) -> None:
        """Note that it was not this cause."""
        self.ruled_out.append(RuledOut(cause, because))

    def at_most(self, confidence: Confidence, missing: str) -> None:
        """Lower the confidence for want of something, and say what."""
        self.confidence = min(self.confidence, confidence, key=_ORDER.index)
        self.missing.append(missing)


class Judge:
    """Decides cases with the clocks of one set of sources."""

    def __init__(self, survey: Survey, matcher: Matcher) -> None:
        """Take what was surveyed and the matcher that knows the clocks."""
        self._survey, self._matcher = survey, matcher

    def verdicts(self, case: Case) -> Iterator[Verdict]:
        """Yield a verdict for each way in which effects of the case are one too many: by call, by run, by thread."""
        by_run: dict[str | None, list[Effect]] = {}
        for effect in case.effects:
            by_run.setdefault(_run_of(effect), []).append(effect)
        for run_id, effects in by_run.items():
            if run_id is not None or len(by_run) == 1:
                yield from self._within_run(_part(case, effects))
        known = [run_id for run_id in by_run if run_id is not None]
        if len(by_run) > 1:
            yield self._finish(self._resubmission(case) if len(known) > 1 else self._unknown(case, ["run"]))

    def _within_run(self, case: Case) -> Iterator[Verdict]:
        if len(case.effects) < 2:
            return
        by_call: dict[str | None, list[Effect]] = {}
        for effect in case.effects:
            by_call.setdefault(effect.post.call if effect.post else effect.rec.call, []).append(effect)
        for call, effects in by_call.items():
            if len(effects) > 1:
                part = _part(case, effects)
                yield self._finish(self._one_call(part, call) if part.posts else self._unknown(part, ["gateway"]))
        if len(by_call) > 1:
            named = [call for call in by_call if call is not None]
            yield self._finish(self._repeat(case) if len(named) > 1 else self._half_named(case))

    # One call

    def _one_call(self, case: Case, call: str | None) -> Verdict:
        posts = sorted(case.posts, key=self._matcher.start)
        run = case.runs[0] if case.runs else None
        facts = CallFacts(run, call, posts, self._matcher, self._survey)
        with_effects = [i for i, post in enumerate(posts) if post.effects]
        if len(with_effects) < 2:
            return self._one_post(case, facts, posts[with_effects[0]])
        steps = [step(facts, i) for i in range(with_effects[0] + 1, with_effects[-1] + 1)]
        verdict = self._by_steps(case, steps)
        if call is None and (run is None or len(run.calls()) != 1):
            self._no_call(verdict, case)
        self._say_of_others(verdict, facts)
        return verdict

    def _by_steps(self, case: Case, steps: list[Step]) -> Verdict:
        """A new dispatch anywhere between two effects makes it a redispatch; else all must be retries."""
        new = [s for s in steps if s.cause is Cause.REDISPATCH]
        retries = [s for s in steps if s.cause is Cause.GATEWAY_RETRY]
        chosen = new or (retries if len(retries) == len(steps) else [s for s in steps if s.cause is Cause.UNKNOWN])
        weakest = min(chosen, key=lambda s: _ORDER.index(s.confidence))
        return Verdict(case, chosen[0].cause, weakest.confidence, chosen[0].because)

    def _no_call(self, verdict: Verdict, case: Case) -> None:
        """Neither header nor coordinator names the call: a second call of the model's would look the same."""
        if verdict.cause is Cause.REDISPATCH:
            verdict.cause, verdict.confidence = Cause.UNKNOWN, Confidence.LOW
            verdict.missing.append("tool_call_id on the requests: a second call of the model's would look the same.")
        else:
            verdict.at_most(Confidence.MEDIUM, "tool_call_id on the requests.")

    def _say_of_others(self, verdict: Verdict, facts: CallFacts) -> None:
        case = verdict.case
        if verdict.cause is Cause.REDISPATCH:
            verdict.rule_out(Cause.GATEWAY_RETRY, f"{verdict.because[0].upper()}{verdict.because[1:]}.")
            self._dispatches_missing(verdict, facts)
        elif verdict.cause is Cause.GATEWAY_RETRY:
            once = (
                "the coordinator logs one dispatch of the call"
                if facts.dispatched_once()
                else "no other dispatch is logged"
            )
            verdict.rule_out(Cause.REDISPATCH, f"{verdict.because[0].upper()}{verdict.because[1:]}; {once}.")
            if not facts.dispatched_once():
                verdict.missing.append("A coordinator log, whole, that shows that the call was dispatched once.")
            if verdict.confidence is not Confidence.HIGH:
                verdict.missing.append(
                    "The attempt header on the requests: a second dispatch whose line is not here would look the same."
                )
        if verdict.cause is not Cause.UNKNOWN:
            self._one_turn(verdict)
        posts, effects = len(case.posts), len(case.effects)
        if posts >= effects and not any(p.pseudo for p in case.posts):
            verdict.rule_out(Cause.EXTERNAL_DUPLICATE, _own_posts(posts, case.effects))
        else:
            verdict.at_most(Confidence.MEDIUM, f"There are {effects} effects for {posts} POSTs that a gateway logs.")

    def _one_turn(self, verdict: Verdict) -> None:
        """One run and one call: neither client nor model asked twice."""
        run, call = verdict.case.run_ids, verdict.case.call_ids
        if len(run) == 1:
            verdict.rule_out(Cause.CLIENT_RESUBMISSION, f"One run ({run[0]}) made both: the turn was not sent twice.")
        if len(call) == 1:
            verdict.rule_out(Cause.MODEL_REPEAT, f"One tool call ({call[0]}) made both: the model asked once.")

    def _dispatches_missing(self, verdict: Verdict, facts: CallFacts) -> None:
        logged, sent = len(facts.dispatches), len(facts.posts)
        call = verdict.case.call_ids[0] if verdict.case.call_ids else "the call"
        if self._survey.has("coordinator") and logged < 2 <= sent:
            shows = f"shows one dispatch_tool for {call}" if logged else f"shows no dispatch_tool for {call}"
            verdict.missing.append(
                f"The coordinator log {shows}: another replica, or the same one after a restart, sent the second "
                "POST, and its log is not here."
            )
        if not facts.normal and not self._survey.has("submitter"):
            verdict.missing.append("A submitter log: a logged 200 does not prove that the caller received it.")

    def _one_post(self, case: Case, facts: CallFacts, post: Post) -> Verdict:
        """All effects fit one request: the external system made them, unless a request's line is lost."""
        effects = sorted(case.effects, key=self._matcher.at)
        count, sent = len(effects), sum(not p.pseudo for p in case.posts)
        if len(facts.dispatches) > 1 and len(facts.dispatches) > sent:
            because = f"the coordinator logs {len(facts.dispatches)} dispatches of the call, the gateway {sent} POST(s)"
            verdict = Verdict(case, Cause.REDISPATCH, Confidence.MEDIUM, because)
            verdict.missing.append("The gateway's line of each further dispatch.")
            self._one_turn(verdict)
            return verdict
        if post.pseudo:
            verdict = self._unknown(case, ["gateway"])
            self._one_turn(verdict)
            return verdict
        early = self._before_its_request(post, effects[0])
        if early is not None:
            verdict = self._unknown(case, ["gateway"])
            verdict.because = early
            normal, _ = facts.received(post)
            if normal is not None and self._matcher.true(normal.source, normal.at) < self._matcher.start(post):
                verdict.cause, verdict.confidence = Cause.REDISPATCH, Confidence.MEDIUM
            self._one_turn(verdict)
            return verdict
        because = f"{sent} POST ({clock(post.rec.at)}) for {count} effects: fewer POSTs than effects"
        verdict = Verdict(case, Cause.EXTERNAL_DUPLICATE, Confidence.HIGH, because)
        for cause in (Cause.REDISPATCH, Cause.GATEWAY_RETRY):
            verdict.rule_out(cause, f"The gateway logs {sent} POST of the call: nothing was sent again.")
        self._one_turn(verdict)
        if not case.run_ids:
            verdict.at_most(Confidence.MEDIUM, "The run: no id on the request names it.")
        self._doubt_one_post(verdict, facts, post, effects)
        return verdict

    def _before_its_request(self, post: Post, first: Effect) -> str | None:
        """Say that the first effect is older than the only request, where the clocks are known well enough."""
        pair = (post.rec.source, first.rec.source)
        if pair in self._matcher.supported and self._matcher.start(post) - self._matcher.at(first) > SECOND:
            return (
                f"the first effect ({clock(first.rec.at)}) is older than the only logged POST ({clock(post.rec.at)}): "
                "a request before it is not logged"
            )
        return None

    def _doubt_one_post(self, verdict: Verdict, facts: CallFacts, post: Post, effects: list[Effect]) -> None:
        if unread_near(self._survey, "gateway", verdict.case.posts):
            verdict.at_most(Confidence.MEDIUM, "The gateway lines that could not be read: one may be a second POST.")
        if gaps := self._survey.gaps["gateway"]:
            verdict.at_most(
                Confidence.MEDIUM,
                f"Gateway lines: {gaps} runs have a result but no logged request, so others may lack too.",
            )
        start, end = self._matcher.start(post), self._matcher.end(post)
        results = [self._matcher.true(r.source, r.at) for r in facts.normal + facts.submits]
        if self._matcher.at(effects[0]) < start - _INSIDE_US or any(at < end - _INSIDE_US for at in results):
            verdict.at_most(
                Confidence.MEDIUM,
                "An effect or a result is older than the only logged POST explains: one before it may not be logged.",
            )
        spread = self._matcher.at(effects[-1]) - self._matcher.at(effects[0])
        after = self._matcher.at(effects[-1]) - end
        if post.outcome != "answered":
            verdict.at_most(Confidence.MEDIUM, "The POST has no answer, so its retry may be what is not logged.")
        elif spread > _INSIDE_US:
            late = (
                f"{seconds(after)} after the only logged POST was answered"
                if after > 0
                else "within the only logged POST"
            )
            verdict.at_most(
                Confidence.MEDIUM,
                f"The effects are {seconds(spread)} apart, the last {late}: a second POST whose line is lost would "
                "look the same.",
            )

    # Several calls, several runs

    def _repeat(self, case: Case) -> Verdict:
        calls = case.call_ids
        because = f"run {case.run_ids[0] if case.run_ids else '?'} made equal requests under {len(calls)} tool calls"
        verdict = Verdict(case, Cause.MODEL_REPEAT, Confidence.HIGH, f"{because}: {', '.join(calls)}")
        said = f"The requests carry different tool_call_ids ({', '.join(calls)})"
        verdict.rule_out(Cause.REDISPATCH, f"{said}: no call was sent twice.")
        verdict.rule_out(Cause.GATEWAY_RETRY, f"{said}: a retry keeps the id.")
        verdict.rule_out(Cause.CLIENT_RESUBMISSION, "One run made both: the turn was not sent twice.")
        self._each_its_post(verdict)
        return verdict

    def _half_named(self, case: Case) -> Verdict:
        verdict = self._unknown(case, ["tool_call_id"])
        verdict.rule_out(Cause.CLIENT_RESUBMISSION, "One run made both: the turn was not sent twice.")
        return verdict

    def _resubmission(self, case: Case) -> Verdict:
        runs, threads = case.run_ids, case.thread_ids
        where = f"in thread {threads[0]}" if len(threads) == 1 else "under one correlation"
        because = f"{len(runs)} runs {where} made equal requests: {', '.join(runs)}"
        verdict = Verdict(case, Cause.CLIENT_RESUBMISSION, Confidence.HIGH, because)
        said = f"Each effect has a run of its own ({', '.join(runs)})"
        verdict.rule_out(Cause.REDISPATCH, f"{said}: a call sent again keeps its run.")
        verdict.rule_out(Cause.GATEWAY_RETRY, f"{said}: a retry keeps its run.")
        verdict.rule_out(Cause.MODEL_REPEAT, f"{said}: the model asked once in each.")
        self._each_its_post(verdict)
        if len(threads) > 1:
            verdict.at_most(Confidence.MEDIUM, "One thread: the runs share only their correlation id.")
        elif not threads:
            verdict.at_most(Confidence.MEDIUM, "The thread of the runs: they share only their correlation id.")
        return verdict

    def _each_its_post(self, verdict: Verdict) -> None:
        made = [e.post for e in verdict.case.effects if e.post is not None]
        own = {id(p) for p in made if not p.pseudo}
        if len(own) >= len(verdict.case.effects):
            verdict.rule_out(Cause.EXTERNAL_DUPLICATE, _own_posts(len(own), verdict.case.effects))
        else:
            verdict.at_most(Confidence.MEDIUM, "A gateway log that shows the POST of each effect.")
        if any(post.by_time for post in made):
            verdict.at_most(Confidence.MEDIUM, "Ids on all requests: one was joined to its run by time.")

    def _unknown(self, case: Case, wanted: list[str]) -> Verdict:
        verdict = Verdict(case, Cause.UNKNOWN, Confidence.LOW, "the evidence does not decide")
        lacks = {
            "gateway": "A gateway log that shows how many POSTs went out, and for which run and call.",
            "run": "The run and thread of each request (x-run-id, x-thread-id): who sent the second is not known.",
            "tool_call_id": "tool_call_id on each request: a second call and a second dispatch look the same.",
        }
        verdict.missing += [lacks[name] for name in wanted]
        return verdict

    def _finish(self, verdict: Verdict) -> Verdict:
        """Add what whole sources are missing, and hold `high` to what it means."""
        if any(post.doubled for post in verdict.case.posts):
            verdict.at_most(
                Confidence.MEDIUM,
                "What tells equal gateway lines apart: two requests in one moment look like one logged twice.",
            )
        lacks = {
            "coordinator": "A coordinator log: dispatches and restarts are not known.",
            "gateway": "A gateway log: the requests themselves are not known.",
            "submitter": "A submitter log: which result reached the run, and when, is not known.",
            "audit": "An audit trail: the effects themselves are not known.",
        }
        for name, lack in lacks.items():
            known = any(lack.split(":")[0] in said for said in verdict.missing)
            if not self._survey.has(name) and not known:
                verdict.missing.append(lack)
        others = {out.cause for out in verdict.ruled_out} | {verdict.cause}
        if verdict.confidence is Confidence.HIGH and len(others) < 5:
            verdict.confidence = Confidence.MEDIUM
        seen = distinct(e.rec.detail for e in verdict.case.effects)
        if len(seen) + sum(e.supposed for e in verdict.case.effects) < 2 and self._survey.has("audit"):
            verdict.confidence = Confidence.LOW
        return verdict


def _own_posts(posts: int, effects: list[Effect]) -> str:
    """Say that there are as many requests as effects, or that no trail shows more."""
    if any(effect.supposed for effect in effects):
        return f"{posts} POSTs were sent: no audit trail shows an effect without a POST of its own."
    return f"{posts} POSTs for {len(effects)} effects: each effect has its own."


def _run_of(effect: Effect) -> str | None:
    if effect.post is not None:
        return effect.post.run.id if effect.post.run else effect.post.rec.run
    return effect.rec.run


def _part(case: Case, effects: list[Effect]) -> Case:
    """Return the case of some of the effects: with the requests of their calls."""
    runs = {_run_of(effect) for effect in effects}
    calls = {effect.post.call if effect.post else effect.rec.call for effect in effects}
    posts = [p for p in case.posts if (p.run.id if p.run else p.rec.run) in runs and p.call in calls]
    return Case(effects, posts, [run for run in case.runs if run.id in runs])
