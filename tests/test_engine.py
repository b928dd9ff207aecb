"""The engine's laws: what a detector asks for decides whether it runs, and what explains what."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from gpudoctor import facts as f
from gpudoctor import views
from gpudoctor.engine import Rule, cite, evaluate, plan, rank
from gpudoctor.findings import Confidence, Finding, Found, NotApplicable, NotJudged, Outcome, Severity, Verdict
from gpudoctor.matrix import load
from tests.good import GOOD, H100, change, with_framework, with_gpu

MATRIX = load()


def rule(*detectors: object, name: str = "a-rule", **settings: object) -> Rule:
    made = Rule(**settings)  # type: ignore[arg-type]
    made.name = name
    made.detectors.extend(detectors)  # type: ignore[arg-type]
    return made


def outcome(facts: f.Facts, *detectors: object, **settings: object) -> Outcome:
    return evaluate([rule(*detectors, **settings)], facts, MATRIX)[0].outcome  # type: ignore[arg-type]


def wants_nvml(nvml: f.Nvml) -> Verdict:
    return Found(title="seen") if nvml.driver else None


def wants_container(container: f.Container) -> Verdict:
    return None if container.engine is None else Found(title=container.engine)


def test_a_missing_fact_skips_the_detector_and_says_what_was_missing() -> None:
    facts = change(nvml=f.Missing("timed-out", "no answer", "nvmlInit"))
    assert outcome(facts, wants_nvml) == Outcome(
        rule="a-rule", outcome="skipped", why="Nvml: timed out: nvmlInit: no answer"
    )


def test_a_rule_is_skipped_only_if_all_its_detectors_are() -> None:
    facts = change(nvml=f.Missing("timed-out"))
    assert outcome(facts, wants_nvml, wants_container).outcome == "passed"


def test_a_finding_of_one_detector_wins_over_the_silence_of_another() -> None:
    assert outcome(GOOD, wants_container, wants_nvml) == Outcome(rule="a-rule", outcome="found", why="seen")


def test_a_crash_in_a_rule_is_an_outcome_with_its_place() -> None:
    def crashes(system: f.System) -> Verdict:
        raise ZeroDivisionError(system.os)

    assert outcome(GOOD, crashes) == Outcome(rule="a-rule", outcome="crashed", why="crashes: ZeroDivisionError: linux")


def test_not_judged_is_no_pass() -> None:
    def unsure(system: f.System) -> Verdict:
        return NotJudged(f"{system.os} is newer than the matrix")

    assert outcome(GOOD, unsure) == Outcome(rule="a-rule", outcome="skipped", why="linux is newer than the matrix")


def test_a_rule_whose_question_does_not_arise_is_not_applicable() -> None:
    def elsewhere(system: f.System) -> Verdict:
        return NotApplicable(f"not on {system.os}")

    assert outcome(GOOD, elsewhere).outcome == "not-applicable"


def test_where_nothing_was_printed_a_rule_that_looks_through_it_is_not_applicable() -> None:
    def hears(printed: views.Printed) -> Verdict:
        return Found(title=printed.lines[0].text)

    def hears_of_the_driver(nvml: f.Nvml, printed: views.Printed) -> Verdict:
        return Found(title=f"{printed.lines[0].text} {nvml.driver}")

    nothing = Outcome(rule="a-rule", outcome="not-applicable", why="nothing was printed")
    missing = Outcome(rule="a-rule", outcome="skipped", why="Nvml: not asked")
    said = msgspec.structs.replace(GOOD, messages=(f.Message(source="line 1", text="CUDA error"),))
    for facts, expected in ((GOOD, nothing), (said, Outcome(rule="a-rule", outcome="found", why="CUDA error"))) * 2:
        assert outcome(facts, hears) == expected
    assert outcome(GOOD, hears_of_the_driver) == nothing
    assert outcome(change(nvml=f.NOT_ASKED), hears_of_the_driver) == missing


def test_what_was_printed_is_none_where_a_detector_can_do_without() -> None:
    def may_hear(printed: views.Printed | None, framework: f.Framework) -> Verdict:
        return NotApplicable(f"{framework.name}: {printed}")

    assert outcome(with_framework("torch"), may_hear, frameworks=("torch",)).why == "torch: None"


def test_a_detector_runs_once_for_each_gpu_and_its_findings_name_the_gpu() -> None:
    def small(gpu: f.Gpu, memory: f.GpuMemory) -> Verdict:
        return Found(title=f"GPU {gpu.index}") if memory.total < 10**10 else None

    second = f.Gpu(source="NVML", index=1, memory=f.GpuMemory(source="NVML", total=10**9))
    facts = change(gpus={"gpus": (H100, second)})
    judgement = evaluate([rule(small)], facts, MATRIX)[0]
    assert [(found.title, about.gpu) for found, about in judgement.found] == [("GPU 1", 1)]


def test_an_unreadable_gpu_hides_nothing_of_the_others() -> None:
    def small(memory: f.GpuMemory) -> Verdict:
        return Found(title="small") if memory.total < 10**10 else None

    lost = f.Gpu(source="NVML", index=1, error="NVML_ERROR_GPU_IS_LOST", memory=f.Missing("unreadable"))
    facts = change(gpus={"gpus": (lost, with_gpu(memory={"total": 10**9}).known_gpus()[0])})
    assert outcome(facts, small).outcome == "found"


def _two_gpus(first: bool, second: bool, build: bool, installed: bool) -> f.Facts:
    """Which of two GPUs tell their memory, and whether torch is there and tells its build."""
    memory = f.GpuMemory(source="NVML", total=10**9)
    unread = f.Missing("unreadable", "no answer")
    gpus = tuple(
        f.Gpu(source="NVML", index=index, memory=memory if told else unread)
        for index, told in enumerate((first, second))
    )
    changes = {"installed": installed} if build else {"installed": installed, "build": f.Missing("timed-out")}
    return msgspec.structs.replace(with_framework("torch", **changes), gpus=f.Gpus(source="NVML", gpus=gpus))


def test_what_was_settled_for_one_machine_decides_nothing_for_another() -> None:
    def small(memory: f.GpuMemory) -> Verdict:
        return Found(title="small") if memory.total < 10**8 else None

    def pair(build: f.Build, memory: f.GpuMemory, wsl: f.Wsl | None) -> Verdict:
        return NotJudged(f"{build.version} in {memory.total}, {wsl is None}")

    def some(gpu: f.Gpu, build: f.Build | None) -> Verdict:
        return NotApplicable(f"{gpu.index} {build is None}")

    def fresh(facts: f.Facts) -> list[Outcome]:
        made = [rule(small), rule(pair, frameworks=("torch",)), rule(some, small), rule(pair)]
        return [judgement.outcome for judgement in evaluate(made, facts, MATRIX)]

    machines = [_two_gpus(*told) for told in itertools.product((True, False), repeat=4)]
    kept = [rule(small), rule(pair, frameworks=("torch",)), rule(some, small), rule(pair)]
    for facts in (*machines, *reversed(machines), GOOD):
        assert [judgement.outcome for judgement in evaluate(kept, facts, MATRIX)] == fresh(facts)


def test_where_a_record_is_missing_of_every_gpu_its_detector_is_skipped_with_each_reason() -> None:
    def small(memory: f.GpuMemory) -> Verdict:
        return Found(title="small") if memory.total < 10**8 else None

    reasons = (f.Missing("unreadable", "no answer"), f.Missing("timed-out"), f.Missing("unreadable", "no answer"))
    gpus = tuple(f.Gpu(source="NVML", index=index, memory=missing) for index, missing in enumerate(reasons))
    assert outcome(change(gpus={"gpus": gpus}), small) == Outcome(
        rule="a-rule", outcome="skipped", why="GpuMemory: unreadable: no answer; GpuMemory: timed out"
    )


def test_a_detector_of_two_scopes_runs_for_every_pair() -> None:
    def pair(gpu: f.Gpu, build: f.Build) -> Verdict:
        return Found(title=f"{gpu.index} {build.distribution}")

    judgement = evaluate([rule(pair)], GOOD, MATRIX)[0]
    assert [(found.title, about.gpu, about.framework) for found, about in judgement.found] == [
        ("0 torch", 0, "torch"),
        ("0 tensorflow", 0, "tensorflow"),
    ]


def test_what_two_detectors_say_of_one_thing_is_one_finding_with_all_the_evidence() -> None:
    def guesses(system: f.System) -> Verdict:
        return Found(title="likely", confidence=Confidence.LIKELY, evidence=(cite("os", system.os, system),))

    def knows(nvml: f.Nvml) -> Verdict:
        return Found(title="certain", evidence=(cite("driver", nvml.driver, nvml),))

    (finding,) = ranked(rule(guesses, knows, name="r"))
    assert finding.title == "certain"
    assert [evidence.fact for evidence in finding.evidence] == ["driver", "os"]


def test_findings_about_two_gpus_stay_two() -> None:
    def each(gpu: f.Gpu) -> Verdict:
        return Found(title=f"GPU {gpu.index}")

    second = msgspec.structs.replace(H100, index=1)
    judgements = evaluate([rule(each)], change(gpus={"gpus": (H100, second)}), MATRIX)
    assert [draft.finding.about.gpu for draft in rank(judgements)] == [0, 1]


def test_a_rule_for_one_framework_sees_no_other() -> None:
    def any_build(build: f.Build) -> Verdict:
        return Found(title=build.distribution)

    judgement = evaluate([rule(any_build, frameworks=("tensorflow",))], GOOD, MATRIX)[0]
    assert [found.title for found, _ in judgement.found] == ["tensorflow"]


def test_a_message_of_one_framework_meets_only_that_framework() -> None:
    def said(message: f.Message, build: f.Build) -> Verdict:
        return Found(title=f"{message.text} {build.distribution}")

    facts = change(messages=(f.Message(source="line 1", text="hm", framework="torch"),))
    judgement = evaluate([rule(said)], facts, MATRIX)[0]
    assert [found.title for found, _ in judgement.found] == ["hm torch"]


def test_an_optional_fact_is_handed_over_as_none_where_it_is_missing() -> None:
    def sharpened(system: f.System, build: f.Build | None, gpu: f.GpuMemory | None) -> Verdict:
        return Found(title=f"{system.os} {build} {gpu}")

    missing = f.Missing("not-in-paste")
    facts = change(frameworks=missing, gpus=missing)
    assert outcome(facts, sharpened) == Outcome(rule="a-rule", outcome="found", why="linux None None")


def test_a_parameter_that_names_no_fact_is_refused_when_the_rule_is_loaded() -> None:
    def wrong(number: int) -> Verdict:
        return Found(title=str(number))

    with pytest.raises(TypeError, match="no fact of type int"):
        plan(wrong)


def test_a_parameter_without_a_type_is_refused_when_the_rule_is_loaded() -> None:
    def wrong(nvml) -> Verdict:  # type: ignore[no-untyped-def]
        return Found(title=str(nvml))

    with pytest.raises(TypeError, match=r"no fact of type object exists \(parameter nvml\)"):
        plan(wrong)


# ---------------------------------------------------------------------------------------------- ranking


def finds(title: str, **fields: object) -> object:
    def detector(system: f.System) -> Verdict:
        return Found(title=title, **fields)  # type: ignore[arg-type]

    return detector


def ranked(*rules: Rule, allow_cpu: bool = False) -> list[Finding]:
    return [draft.finding for draft in rank(evaluate(rules, GOOD, MATRIX), allow_cpu=allow_cpu)]


def test_a_cause_explains_what_its_rule_masks_and_comes_first() -> None:
    cause = rule(finds("cause"), name="cause", masks=("effect",))
    effect = rule(finds("effect"), name="effect")
    assert [(x.rule, x.because_of) for x in ranked(effect, cause)] == [("cause", None), ("effect", "cause")]


def test_because_of_names_the_root_of_a_chain() -> None:
    a = rule(finds("a"), name="a", masks=("b",))
    b = rule(finds("b"), name="b", masks=("c",))
    c = rule(finds("c"), name="c")
    assert {x.rule: x.because_of for x in ranked(c, b, a)} == {"a": None, "b": "a", "c": "a"}


def test_two_rules_that_mask_each_other_end_in_one_cause() -> None:
    a = rule(finds("a"), name="a", masks=("b",))
    b = rule(finds("b"), name="b", masks=("a",))
    assert sum(x.because_of is None for x in ranked(a, b)) >= 1


def test_a_fault_of_one_gpu_explains_nothing_of_another() -> None:
    from gpudoctor.findings import About

    lost = rule(finds("lost", about=About(gpu=0)), name="lost", masks=("slow",))
    slow = rule(finds("slow", about=About(gpu=1)), name="slow")
    assert [x.because_of for x in ranked(lost, slow)] == [None, None]


def test_a_warning_does_not_explain_an_error_away() -> None:
    mild = rule(finds("mild"), name="mild", masks=("bad",), severity=Severity.WARNING)
    bad = rule(finds("bad"), name="bad")
    assert {x.rule: x.because_of for x in ranked(mild, bad)} == {"mild": None, "bad": None}


def test_a_last_resort_is_explained_by_any_surer_error() -> None:
    sure = rule(finds("sure"), name="sure")
    resort = rule(finds("resort"), name="resort", last_resort=True)
    assert {x.rule: x.because_of for x in ranked(resort, sure)} == {"sure": None, "resort": "sure"}


def test_a_possible_cause_is_no_error() -> None:
    maybe = rule(finds("maybe", confidence=Confidence.POSSIBLE), name="maybe")
    assert [x.severity for x in ranked(maybe)] == [Severity.WARNING]


@pytest.mark.parametrize(
    ("effect", "severity"), [("absent", Severity.INFO), ("fault", Severity.WARNING), ("none", Severity.ERROR)]
)
def test_where_a_gpu_is_not_required_its_absence_is_info_and_its_faults_are_warnings(
    effect: str, severity: Severity
) -> None:
    found = ranked(rule(finds("x"), name="x", without_gpu=effect), allow_cpu=True)
    assert [x.severity for x in found] == [severity]


def test_worse_and_surer_findings_come_first_else_the_order_of_the_rules_holds() -> None:
    found = ranked(
        rule(finds("warning"), name="w", severity=Severity.WARNING),
        rule(finds("likely", confidence=Confidence.LIKELY), name="l"),
        rule(finds("first"), name="e1"),
        rule(finds("second"), name="e2"),
    )
    assert [x.rule for x in found] == ["e1", "e2", "l", "w"]


def test_a_framework_that_is_not_installed_makes_its_detectors_not_applicable() -> None:
    def build(build: f.Build) -> Verdict:
        return Found(title=build.version)

    facts = with_framework("torch", installed=False, build=f.NOT_ASKED)
    assert outcome(facts, build, frameworks=("torch",)) == Outcome(
        rule="a-rule", outcome="not-applicable", why="torch is not installed"
    )


def test_a_view_that_breaks_is_missing_for_the_rules_that_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:

    def broken(facts: f.Facts) -> views.Presence:
        raise IndexError(facts.origin)

    def asks(presence: views.Presence) -> Verdict:
        return Found(title="seen") if presence.present else None

    monkeypatch.setitem(views.VIEWS, views.Presence, broken)
    crashed = evaluate([rule(asks), rule(wants_container)], GOOD, MATRIX)
    assert [judgement.outcome.why for judgement in crashed] == ["Presence: crashed: IndexError: machine", ""]
    assert [judgement.outcome.outcome for judgement in crashed] == ["skipped", "passed"]


def test_what_follows_from_all_facts_is_worked_out_once_for_all_rules(monkeypatch: pytest.MonkeyPatch) -> None:

    asked = []

    def counted(facts: f.Facts) -> views.Proved:
        asked.append(facts.origin)
        return views.proved(facts)

    monkeypatch.setitem(views.VIEWS, views.Proved, counted)

    def first(proved: views.Proved) -> Verdict:
        return None if proved.jobs else NotJudged("nothing")

    def second(proved: views.Proved, gpu: f.Gpu) -> Verdict:
        return None if proved.jobs else NotJudged(str(gpu.index))

    evaluate([rule(first), rule(second)], GOOD, MATRIX)
    assert asked == ["machine"]


def test_a_detector_whose_needs_are_no_facts_is_an_outcome_of_its_rule_only() -> None:
    def wrong(number: int) -> Verdict:
        return Found(title=str(number))

    judged = evaluate([rule(wrong), rule(wants_nvml)], GOOD, MATRIX)
    assert [judgement.outcome.outcome for judgement in judged] == ["crashed", "found"]
    assert judged[0].outcome.why == "wrong: TypeError: no fact of type int exists (parameter number)"
