"""Lessons and measures: the same images and weights everywhere, and numbers judged by hand."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.inside.joined import common


@pytest.fixture(scope="module", params=["convolutional", "perceptron"])
def lesson(job: Any, request: pytest.FixtureRequest) -> Any:
    return getattr(job, request.param)()


def test_a_lesson_is_the_same_every_time_and_every_class_is_there(job: Any, lesson: Any) -> None:
    assert vars(getattr(job, lesson.name)()) == vars(lesson)
    for kinds, noises, labels in (lesson.trained, lesson.held_out):
        assert len(kinds) == len(noises) == len(labels)
        assert set(labels) == set(range(10))
        assert max(kinds) < len(lesson.templates) // lesson.pixels == 250
        assert max(noises) < len(lesson.noises) // lesson.pixels


def test_the_lessons_are_of_their_sizes(job: Any) -> None:
    lessons = [make() for make in job.NETWORKS]
    assert [(one.name, one.images, len(one.trained[2]), len(one.held_out[2])) for one in lessons] == [
        ("convolutional", "28x28x1", 2048, 512),
        ("perceptron", "32x32x3", 1024, 256),
    ]


def interpreters() -> list[Path]:
    return sorted(Path.home().glob(".pyenv/versions/3.*/bin/python")) or [Path(sys.executable)]


PRINTED = """
import hashlib
for make in NETWORKS:
    one = make()
    told = repr((one.trained, one.held_out, one.weights)).encode()
    print(hashlib.sha256(one.templates + one.noises + told).hexdigest())
"""


@pytest.mark.parametrize("executable", interpreters(), ids=lambda path: path.parent.parent.name)
def test_a_lesson_is_the_same_in_every_python(job: Any, executable: Path) -> None:
    def told(one: Any) -> str:
        numbers = repr((one.trained, one.held_out, one.weights)).encode()
        return hashlib.sha256(one.templates + one.noises + numbers).hexdigest()

    ran = subprocess.run(
        [str(executable), "-"], input=common() + PRINTED, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.split() == [told(make()) for make in job.NETWORKS]


def test_held_out_images_share_no_noise_with_those_learned(lesson: Any) -> None:
    assert set(lesson.trained[1]) & set(lesson.held_out[1]) == set()


def test_displaced_templates_are_the_same_pattern(lesson: Any) -> None:
    side, templates = lesson.side, lesson.templates
    first, moved_down = templates[: side * side], templates[lesson.pixels : lesson.pixels + side * side]
    assert first[side:] == moved_down[:-side]
    assert len(set(first)) > 10


def test_noise_is_nearly_normal(job: Any) -> None:
    values = job.Chance(1).grains(20000)
    mean = sum(values) / len(values)
    assert mean == pytest.approx(job.GRAIN_MEAN, abs=0.6)
    deviation = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
    assert deviation == pytest.approx(job.GRAIN_DEVIATION, rel=0.02)


def test_weights_fit_their_shapes_and_are_scaled_by_their_inputs(lesson: Any) -> None:
    for values, shape, fan in zip(lesson.weights, lesson.shapes, lesson.fans, strict=True):
        assert len(values) == math.prod(shape)
        assert any(values)
        if fan:
            size = (sum(value * value for value in values) / len(values)) ** 0.5
            assert size == pytest.approx((2 / fan) ** 0.5, rel=0.15)


def test_scores_by_hand(job: Any) -> None:
    # Class 0: 2 of 3 found, 2 of 2 guesses right. Class 1: 1 of 1 found, 1 of 2 guesses right. Others: none.
    scores = job.scores([0, 0, 1, 1], [0, 0, 0, 1])
    assert scores == {
        "accuracy": 0.75,
        "precision": pytest.approx((1 + 0.5) / 10),
        "recall": pytest.approx((2 / 3 + 1) / 10),
        "f1": pytest.approx((0.8 + 2 / 3) / 10),
    }


def test_perfect_guesses_score_one(job: Any) -> None:
    labels = list(range(10)) * 3
    assert job.scores(labels, labels) == {"accuracy": 1.0, "precision": 1.0, "recall": 1.0, "f1": 1.0}


@pytest.mark.parametrize(
    ("found", "expected", "far"),
    [
        ([[3.0, 4.0]], [[3.0, 4.0]], 0.0),
        ([[3.0, 4.5]], [[3.0, 4.0]], 0.1),
        ([[1.0], [2.2]], [[1.0], [2.0]], 0.1),
        ([[0.5]], [[0.0]], 0.5),
        ([[math.nan], [1.0]], [[1.0], [1.0]], math.inf),
        ([[math.inf]], [[1.0]], math.inf),
        ([[1.0]], [[1.0], [1.0]], math.inf),
        ([[1.0, 2.0]], [[1.0]], math.inf),
    ],
)
def test_distance_is_the_worst_share(
    job: Any, found: list[list[float]], expected: list[list[float]], far: float
) -> None:
    assert job.distance(found, expected) == pytest.approx(far)


@pytest.mark.parametrize(
    ("found", "expected", "far"),
    [
        ([3.0, 4.0], [3.0, 4.0], 0.0),
        ([3.0, 4.5], [3.0, 5.0], 0.5 / 17**0.5),
        ([0.5, 0.0], [0.0, 0.0], 0.5),
        ([math.nan, 1.0], [1.0, 1.0], math.inf),
        ([math.inf], [1.0], math.inf),
        ([1.0], [1.0, 1.0], math.inf),
        ([], [], math.inf),
    ],
)
def test_deviation_is_the_worst_number(job: Any, found: list[float], expected: list[float], far: float) -> None:
    assert job.deviation(found, expected) == pytest.approx(far)


def test_the_product_of_the_test_matrices_is_right(job: Any) -> None:
    left, right, product = job.matrices()
    size = len(left)
    for i, j in ((0, 0), (5, 17), (size - 1, size - 1)):
        assert product[i * size + j] == sum(left[i][k] * right[k][j] for k in range(size))
