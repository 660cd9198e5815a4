"""Every trigger rule over every mix of upstream verdicts, and the same through a real plan."""

from itertools import product

import pytest

from dagsched.engine.joins import Judgement, Tally, judge
from dagsched.model import TriggerRule
from tests.engine.bench_of_one import job, plan_of

RUN, WAIT, FAIL, SKIP = Judgement.RUN, Judgement.WAIT, Judgement.FAIL, Judgement.SKIP

# (ok, bad, left, pending) -> what each rule says
TABLE: dict[tuple[int, int, int, int], dict[str, Judgement]] = {
    (2, 0, 0, 0): {
        "all_success": RUN, "all_done": RUN, "all_failed": SKIP, "one_success": RUN, "one_failed": SKIP,
        "none_failed": RUN, "none_skipped": RUN, "always": RUN,
    },
    (0, 2, 0, 0): {
        "all_success": FAIL, "all_done": RUN, "all_failed": RUN, "one_success": FAIL, "one_failed": RUN,
        "none_failed": FAIL, "none_skipped": RUN, "always": RUN,
    },
    (0, 0, 2, 0): {
        "all_success": SKIP, "all_done": RUN, "all_failed": SKIP, "one_success": SKIP, "one_failed": SKIP,
        "none_failed": RUN, "none_skipped": SKIP, "always": RUN,
    },
    (0, 0, 0, 2): {
        "all_success": WAIT, "all_done": WAIT, "all_failed": WAIT, "one_success": WAIT, "one_failed": WAIT,
        "none_failed": WAIT, "none_skipped": WAIT, "always": RUN,
    },
    (1, 1, 0, 0): {
        "all_success": FAIL, "all_done": RUN, "all_failed": SKIP, "one_success": RUN, "one_failed": RUN,
        "none_failed": FAIL, "none_skipped": RUN, "always": RUN,
    },
    (1, 0, 1, 0): {
        "all_success": SKIP, "all_done": RUN, "all_failed": SKIP, "one_success": RUN, "one_failed": SKIP,
        "none_failed": RUN, "none_skipped": SKIP, "always": RUN,
    },
    (1, 0, 0, 1): {
        "all_success": WAIT, "all_done": WAIT, "all_failed": SKIP, "one_success": RUN, "one_failed": WAIT,
        "none_failed": WAIT, "none_skipped": WAIT, "always": RUN,
    },
    (0, 1, 1, 0): {
        "all_success": FAIL, "all_done": RUN, "all_failed": SKIP, "one_success": FAIL, "one_failed": RUN,
        "none_failed": FAIL, "none_skipped": FAIL, "always": RUN,
    },
    (0, 1, 0, 1): {
        "all_success": FAIL, "all_done": WAIT, "all_failed": WAIT, "one_success": WAIT, "one_failed": RUN,
        "none_failed": FAIL, "none_skipped": WAIT, "always": RUN,
    },
    (0, 0, 1, 1): {
        "all_success": SKIP, "all_done": WAIT, "all_failed": SKIP, "one_success": WAIT, "one_failed": WAIT,
        "none_failed": WAIT, "none_skipped": SKIP, "always": RUN,
    },
    (1, 1, 1, 0): {
        "all_success": FAIL, "all_done": RUN, "all_failed": SKIP, "one_success": RUN, "one_failed": RUN,
        "none_failed": FAIL, "none_skipped": FAIL, "always": RUN,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "tally", "said"),
    [(rule, tally, said) for tally, row in TABLE.items() for rule, said in row.items()],
    ids=lambda item: str(getattr(item, "value", item)),
)
def test_a_rule_says_this_of_that_many_ok_bad_left_and_pending(rule, tally, said):
    assert judge(TriggerRule(rule), Tally(*tally)) is said


@pytest.mark.parametrize("rule", list(TriggerRule), ids=str)
def test_a_decision_taken_early_lets_no_later_verdict_turn_run_into_not_run_or_back(rule):
    """Once decided with verdicts pending, every completion says the same about running."""
    for ok, bad, left, pending in product(range(3), repeat=4):
        early = judge(rule, Tally(ok, bad, left, pending))
        if early is WAIT or rule is TriggerRule.ALWAYS:
            continue
        for more_ok in range(pending + 1):
            for more_bad in range(pending - more_ok + 1):
                final = Tally(ok + more_ok, bad + more_bad, left + pending - more_ok - more_bad, 0)
                assert (judge(rule, final) is RUN) == (early is RUN), (early, final)


@pytest.mark.parametrize("rule", list(TriggerRule), ids=str)
def test_a_rule_waits_only_while_its_answer_is_open(rule):
    for ok, bad, left, pending in product(range(3), repeat=4):
        if not ok + bad + left + pending or judge(rule, Tally(ok, bad, left, pending)) is not WAIT:
            continue
        answers = {
            judge(rule, Tally(ok + more_ok, bad + more_bad, left + pending - more_ok - more_bad, 0))
            for more_ok in range(pending + 1)
            for more_bad in range(pending - more_ok + 1)
        }
        # all_done's answer is known, but not its moment: done means that nothing is under way any more.
        assert len(answers) > 1 or rule is TriggerRule.ALL_DONE


@pytest.mark.parametrize(
    ("rule", "first", "second", "state"),
    [
        ("all_success", "success", "success", "success"),
        ("all_success", "success", "failed", "upstream_failed"),
        ("all_success", "success", "cancelled", "upstream_failed"),
        ("all_done", "failed", "success", "success"),
        ("all_failed", "failed", "failed", "success"),
        ("all_failed", "failed", "success", "skipped"),
        ("one_success", "failed", "success", "success"),
        ("one_success", "failed", "failed", "upstream_failed"),
        ("one_failed", "success", "failed", "success"),
        ("one_failed", "success", "success", "skipped"),
        ("none_failed", "success", "failed", "upstream_failed"),
        ("none_skipped", "success", "failed", "success"),
        ("always", "failed", "failed", "success"),
    ],
)
def test_a_run_ends_as_its_rule_says_of_its_upstreams(rule, first, second, state):
    bench = plan_of(
        "root at 0 5 * * *", "a after root", "b after root", job("c after a b", trigger_rule=TriggerRule(rule))
    )
    bench.to("05:00")
    bench.finish("root")
    bench.run_to_end({"a": first, "b": second})
    assert bench.state("c") == state
    assert ("c" in bench.started()) == (state == "success")


def test_an_upstream_failed_upstream_is_a_bad_one():
    bench = plan_of("a at 0 5 * * *", "b after a", "c after b", job("d after c", trigger_rule=TriggerRule.ALL_FAILED))
    bench.to("05:00")
    bench.fail("a")
    assert (bench.state("c"), bench.state("d")) == ("upstream_failed", "running")


def test_a_skipped_upstream_skips_with_all_success_and_says_which_it_was():
    bench = plan_of("a at 0 5 * * *", job("b after a", trigger_rule=TriggerRule.ONE_FAILED), "c after b")
    bench.to("05:00")
    bench.finish("a")
    assert (bench.state("b"), bench.state("c")) == ("skipped", "skipped")
    assert bench.row("c").reason == "upstream b skipped"


def test_one_success_starts_at_the_first_success_and_waits_for_no_more():
    bench = plan_of(
        "r at 0 5 * * *", "a after r", "b after r", job("c after a b", trigger_rule=TriggerRule.ONE_SUCCESS)
    )
    bench.to("05:00")
    bench.finish("r")
    bench.finish("a")
    assert (bench.state("b"), bench.state("c")) == ("running", "running")


def test_one_failed_starts_at_the_first_failure_and_waits_for_no_more():
    bench = plan_of("r at 0 5 * * *", "a after r", "b after r", job("c after a b", trigger_rule=TriggerRule.ONE_FAILED))
    bench.to("05:00")
    bench.finish("r")
    bench.fail("a")
    assert (bench.state("b"), bench.state("c")) == ("running", "running")


def test_always_waits_for_nothing():
    bench = plan_of("a at 0 5 * * *", job("b after a", trigger_rule=TriggerRule.ALWAYS))
    bench.to("05:00")
    assert bench.started() == ["a", "b"]


def test_all_success_is_upstream_failed_at_the_first_failure_while_others_run_on():
    bench = plan_of("r at 0 5 * * *", "a after r", "b after r", "c after a b")
    bench.to("05:00")
    bench.finish("r")
    bench.fail("a")
    assert (bench.state("b"), bench.state("c")) == ("running", "upstream_failed")
    assert bench.row("c").reason == "upstream a failed"
