"""Settling calls: every rule of it, and what becomes of those who come second."""

import threading

import pytest

from tests.app.console.conftest import Site, Story, Visitor

REASON = {"reason": "looked into the mailbox"}


def form(visitor: Visitor, story: Story, verdict: str, **fields: str) -> dict[str, str]:
    """What a browser would send from the page as it is now."""
    text = visitor.get(story.call).text
    version = text.split('name="version" value="')[1].split('"')[0]
    attempt = text.split('name="attempt" value="')[1].split('"')[0]
    token = text.split('name="csrf_token" value="')[1].split('"')[0]
    return {"csrf_token": token, "version": version, "attempt": attempt, "verdict": verdict, **REASON, **fields}


def state(site: Site, story: Story) -> str:
    """The call's."""
    found = "select state from counterfoil.tool_calls where run_id = %s and tool_call_id = %s"
    return str(site.rows(found, story.run_id, story.call_id)[0][0])


def test_it_happened(site: Site, olive: Visitor) -> None:
    story = site.load("in_doubt_never")
    data = form(olive, story, "happened", output='{"message_id": "MSG-9"}', external_id="MSG-9")
    answer = olive.post(f"{story.call}/resolve", data=data)
    assert answer.status_code == 303
    assert state(site, story) == "succeeded"
    page = olive.get(story.call).text
    assert "It happened" in page
    assert "settled by" not in page.lower() or "operator olive" in page
    audit = site.rows("select operator, action, reason from counterfoil.audit where run_id = %s", story.run_id)
    assert audit == [("olive", "resolve_call", REASON["reason"])]


def test_it_did_not_happen_and_the_model_is_told(site: Site, olive: Visitor) -> None:
    story = site.load("in_doubt_never")
    preview = olive.post(f"{story.call}/preview", data=form(olive, story, "failed")).text
    assert "an operator found that it did not happen" in preview
    assert state(site, story) == "needs_operator", "a preview changes nothing"
    assert olive.post(f"{story.call}/resolve", data=form(olive, story, "failed")).status_code == 303
    assert state(site, story) == "failed"


def test_sending_again_at_a_never_tool_takes_the_id(site: Site, olive: Visitor) -> None:
    story = site.load("in_doubt_never")
    refused = olive.post(f"{story.call}/resolve", data=form(olive, story, "retry", typed="yes"))
    assert refused.status_code == 422
    assert "Type the call" in refused.text
    assert state(site, story) == "needs_operator"
    done = olive.post(f"{story.call}/resolve", data=form(olive, story, "retry", typed=story.call_id))
    assert done.status_code == 303
    assert state(site, story) == "pending"


def test_a_reason_is_required(site: Site, olive: Visitor) -> None:
    story = site.load("in_doubt_never")
    refused = olive.post(f"{story.call}/resolve", data=form(olive, story, "failed", reason="  "))
    assert refused.status_code == 422
    assert "A reason is required" in refused.text
    assert state(site, story) == "needs_operator"


def test_refused_while_a_request_may_be_under_way(site: Site, olive: Visitor) -> None:
    story = site.load("in_doubt_never")
    site.rows(
        "update counterfoil.attempts set deadline = counterfoil.db_now() + interval '1 minute' where run_id = %s",
        story.run_id,
    )
    assert "Too early" in olive.get(story.call).text
    refused = olive.post(f"{story.call}/resolve", data=form(olive, story, "failed"))
    assert refused.status_code == 409
    assert "s left" in refused.text
    assert state(site, story) == "needs_operator"


def test_two_operators_race_and_the_second_reads_who_was_first(site: Site) -> None:
    story = site.load("in_doubt_never")
    first, second = site.visitor("olive"), site.visitor("ada")
    forms = [form(first, story, "failed"), form(second, story, "happened", output='"x"')]
    answers: dict[int, int] = {}
    texts: dict[int, str] = {}

    def send(place: int, visitor: Visitor) -> None:
        answer = visitor.post(f"{story.call}/resolve", data=forms[place])
        answers[place], texts[place] = answer.status_code, answer.text

    threads = [threading.Thread(target=send, args=(i, v)) for i, v in enumerate((first, second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers.values()) == [303, 409]
    loser = next(place for place, status in answers.items() if status == 409)
    assert f"operator {('ada', 'olive')[loser]}" in texts[loser]
    assert site.rows("select count(*) from counterfoil.audit where run_id = %s", story.run_id) == [(1,)]


def test_a_worker_that_finishes_meanwhile_wins(site: Site, olive: Visitor) -> None:
    story = site.load("in_doubt_never")
    data = form(olive, story, "failed")
    site.rows(
        "update counterfoil.tool_calls set state = 'succeeded', output = arguments, settled_at = counterfoil.db_now(),"
        " settled_by = 'reply', needs_operator_since = null, version = version + 1 where run_id = %s",
        story.run_id,
    )
    refused = olive.post(f"{story.call}/resolve", data=data)
    assert refused.status_code == 409
    problem = refused.text.split('id="problem">')[1].split("</p>")[0]
    assert "settled by reply" in problem
    assert state(site, story) == "succeeded"


def test_a_client_that_never_answers_is_answered_for(site: Site, olive: Visitor) -> None:
    story = site.load("stuck_client_call")
    assert "Answer for the client" in olive.get(story.call).text
    data = form(olive, story, "happened", output='{"answer": 42}')
    assert olive.post(f"{story.call}/resolve", data=data).status_code == 303
    assert state(site, story) == "succeeded"
    status = site.rows("select status from counterfoil.runs where id = %s", story.run_id)[0][0]
    assert status == "queued"


def test_a_poisoned_run_is_resumed(site: Site, olive: Visitor) -> None:
    story = site.load("poisoned")
    assert "Poisoned" in olive.get(story.run).text
    assert olive.submit(f"{story.run}/resume", REASON).status_code == 303
    assert site.rows("select poisoned_at from counterfoil.runs where id = %s", story.run_id) == [(None,)]


def test_a_run_is_cancelled_once(site: Site, olive: Visitor) -> None:
    story = site.load("stuck_client_call")
    assert olive.submit(f"{story.run}/cancel", REASON).status_code == 303
    again = olive.submit(f"{story.run}/cancel", REASON)
    assert again.status_code == 409
    assert "has ended" in again.text


def test_looking_again(site: Site, olive: Visitor) -> None:
    story = site.load("in_doubt_lookup")
    assert olive.post(f"{story.call}/resolve", data=form(olive, story, "lookup")).status_code == 303
    assert state(site, story) == "in_doubt"


def test_a_conflict_is_seen(site: Site, olive: Visitor) -> None:
    story = site.load("conflict")
    page = olive.get(story.run).text
    assert "two effects, one intent" in page
    assert olive.post(f"{story.call}/resolve", data=form(olive, story, "seen")).status_code == 303
    assert story.call_id not in olive.get("/attention?kind=conflict").text


@pytest.mark.parametrize("action", ["lookup", "cancel"])
def test_many_at_once_are_shown_first(site: Site, olive: Visitor, action: str) -> None:
    stories = [site.load("in_doubt_lookup"), site.load("in_doubt_never")]
    items = [f"{story.run_id} {story.call_id}" for story in stories] + ["run_nothing call_nothing"]
    shown = olive.submit("/bulk", {"action": action, "item": items})
    assert "Nothing has been changed yet" in shown.text
    assert [state(site, story) for story in stories] == ["in_doubt", "needs_operator"]
    done = olive.submit("/bulk", {"action": action, "item": items, "confirmed": "1", **REASON})
    assert done.status_code == 200
    assert f"Done: {2 if action == 'cancel' else 1}." in done.text
    statuses = site.rows("select status from counterfoil.runs where id = %s", stories[1].run_id)
    assert statuses == [("cancelled",)] if action == "cancel" else statuses != [("cancelled",)]


def test_a_tool_is_paused_and_resumed(site: Site, olive: Visitor) -> None:
    site.rows("insert into counterfoil.tools (name) values ('send_email') on conflict do nothing")
    assert olive.submit("/tools/send_email/pause", REASON).status_code == 303
    assert "paused" in olive.get("/tools").text
    assert olive.submit("/tools/send_email/resume", REASON).status_code == 303
    again = olive.submit("/tools/send_email/resume", REASON)
    assert again.status_code == 409
