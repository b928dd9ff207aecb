"""Lines that no format reads: all are kept, whatever their words; which of them mean something is told by the rules."""

from __future__ import annotations

import pytest

from gpudoctor.intake import read
from gpudoctor.intake.messages import MOST_ALIKE, MOST_MESSAGES
from gpudoctor.pasted import triage


def texts(paste: str) -> list[str]:
    return [message.text for message in read(paste).facts.messages]


def test_a_line_is_kept_whatever_its_words() -> None:
    assert texts("flux capacitor inverted\nqwxyz 17\n") == ["flux capacitor inverted", "qwxyz 17"]


def test_a_line_without_a_word_or_number_is_not_kept() -> None:
    assert texts("----\n=====+=====\nflux capacitor inverted\n") == ["flux capacitor inverted"]


def test_what_is_only_kept_is_not_recognised() -> None:
    intake = read("flux capacitor inverted\n\n\nDriver Version: 550.54.15\nqwxyz\n")
    assert (intake.lines, intake.recognised) == (3, 1)
    assert intake.unread == {1: "flux capacitor inverted", 5: "qwxyz"}


def test_a_line_that_a_finding_rests_on_is_recognised_and_no_other() -> None:
    report = triage("flux capacitor inverted\nFailed to initialize NVML: Driver/library version mismatch\nqwxyz\n")
    assert report.cause is not None
    assert report.cause.rule == "driver-library-mismatch"
    assert report.reading is not None
    assert (report.reading.lines, report.reading.recognised) == (3, 1)
    assert report.reading.unrecognised == ("flux capacitor inverted", "qwxyz")


@pytest.mark.parametrize("line", ["Timeout in step {} after {} s", "epoch {}: loss 0.{}"])
def test_of_lines_that_differ_in_their_digits_only_a_few_are_kept(line: str) -> None:
    many = [line.format(number, number + 1) for number in range(500)]
    assert texts("\n".join(many)) == many[:MOST_ALIKE]


def test_of_a_text_with_too_many_lines_the_beginning_and_the_end_are_kept() -> None:
    letters = "abcdefghijklmnop"
    words = [f"{a}{b}{c}{d} x" for a in letters for b in letters for c in letters for d in letters]
    half = MOST_MESSAGES // 2
    assert texts("\n".join(words)) == words[:half] + words[-half:]


def test_frames_of_a_traceback_are_read_with_their_source_lines_and_kept_for_the_rules() -> None:
    paste = (
        "Traceback (most recent call last):\n"
        '  File "/home/user/run.py", line 7, in <module>\n'
        "    wobble(frame)\n"
        "WobbleError: no wobble\n"
    )
    intake = read(paste)
    assert intake.unread == {4: "WobbleError: no wobble"}
    assert texts(paste) == ['File "/home/user/run.py", line 7, in <module>', "wobble(frame)", "WobbleError: no wobble"]
