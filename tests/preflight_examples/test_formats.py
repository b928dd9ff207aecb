"""The examples of docs/preflight are what their readers accept: published schemas, shells, BuildKit, systemd.

Every reader is first shown something wrong, so that its silence means something.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.preflight_examples.pages import EXAMPLES, PAGES, ROOT, filled, shown
from tests.preflight_examples.tools import documents, instructions, told, tool

_NO_EXAMPLES = {"__pycache__", ".pytest_cache"}
FILES = tuple(
    path for path in sorted(EXAMPLES.rglob("*")) if path.is_file() and not _NO_EXAMPLES.intersection(path.parts)
)
SCRIPTS = tuple(path for path in FILES if path.suffix in (".sh", ".sbatch"))
DOCKERFILES = tuple(path for path in FILES if path.name.startswith("Dockerfile"))
MANIFESTS = tuple(path for path in FILES if path.parent.name == "kubernetes")
SCHEMAS = {
    "compose/compose.yaml": ("vendor.compose-spec",),
    "compose/compose.check-first.yaml": ("vendor.compose-spec",),
    "github/workflow.yml": ("vendor.github-workflows",),
    "github/action.yml": ("vendor.github-actions",),
    "gitlab/.gitlab-ci.yml": ("vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
}


def name(path: Path) -> str:
    """The example's name in a test's id."""
    return str(path.relative_to(EXAMPLES))


# ------------------------------------------------------------------------------------------------------- the pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_the_files_as_they_are(page: Path) -> None:
    assert page.read_text("utf-8") == filled(page), "python -m tests.preflight_examples.pages puts them in"


def test_every_example_is_shown_once_but_what_only_stands_for_a_job() -> None:
    on_pages = sorted(path for page in PAGES for path in shown(page))
    assert on_pages == [path for path in FILES if path.name != "train.py"]


def test_every_kind_of_file_has_a_reader() -> None:
    read = {*SCRIPTS, *DOCKERFILES, *MANIFESTS, *(EXAMPLES / path for path in SCHEMAS)}
    assert [name(path) for path in FILES if path not in read] == [
        "docker/train.py",
        "pytest/test_training.py",
        "systemd/gpu-preflight.service",
        "systemd/trainer.service.d-preflight.conf",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_but_the_overview_says_what_was_checked(page: Path) -> None:
    assert ("## What was checked" in page.read_text("utf-8")) is (page.name != "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)\s#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


# ------------------------------------------------------------------------------------------------------- schemas


@pytest.mark.parametrize("path", SCHEMAS)
def test_a_file_is_valid_by_its_published_schema(path: str) -> None:
    assert told(tool("check-jsonschema", "--builtin-schema", *SCHEMAS[path], EXAMPLES / path)) == ""


@pytest.mark.parametrize(
    ("path", "right", "wrong"),
    [
        ("compose/compose.yaml", "capabilities: [gpu]", "capability: [gpu]"),
        ("compose/compose.check-first.yaml", "gpus: all", "gpus: every"),
        ("github/workflow.yml", "runs-on:", "run-on:"),
        ("github/action.yml", "using: composite", "using: compost"),
        ("gitlab/.gitlab-ci.yml", "when: always", "when: perhaps"),
    ],
)
def test_the_schema_notices_a_slip(path: str, right: str, wrong: str, tmp_path: Path) -> None:
    copy = tmp_path / Path(path).name
    copy.write_text((EXAMPLES / path).read_text("utf-8").replace(right, wrong), "utf-8")
    assert "Schema validation errors" in told(tool("check-jsonschema", "--builtin-schema", *SCHEMAS[path], copy))


# The first release in which all fields that are used are stable, and the newest one that the package brings.
@pytest.mark.parametrize("version", ["1.31", "newest"])
@pytest.mark.parametrize("path", MANIFESTS, ids=name)
def test_a_manifest_is_strictly_valid_by_the_schemas_of_kubernetes(path: Path, version: str) -> None:
    assert told(kubernetes(path, version)) == ""


def test_the_strict_schema_of_kubernetes_notices_an_unknown_field(tmp_path: Path) -> None:
    copy = tmp_path / "pod.yaml"
    text = (EXAMPLES / "kubernetes" / "pod.yaml").read_text("utf-8")
    copy.write_text(text.replace("terminationMessagePolicy", "terminationMessagesPolicy"), "utf-8")
    assert "terminationMessagesPolicy" in told(kubernetes(copy, "1.31"))


def kubernetes(path: Path, version: str) -> subprocess.CompletedProcess[str]:
    """kubernetes-validate on one file; without a version it takes its newest."""
    return tool("kubernetes-validate", "--strict", *(() if version == "newest" else ("-k", version)), path)


def test_all_containers_that_share_a_pod_ask_for_the_same_gpus() -> None:
    for path in MANIFESTS:
        (manifest,) = documents(path)
        spec = manifest["spec"] if manifest["kind"] == "Pod" else manifest["spec"]["template"]["spec"]
        asked = {
            container["resources"]["limits"].get("nvidia.com/gpu")
            for container in (*spec.get("initContainers", ()), *spec["containers"])
        }
        assert len(asked) == 1, path.name


def test_whoever_checks_in_kubernetes_has_no_rights() -> None:
    for path in MANIFESTS:
        (manifest,) = documents(path)
        spec = manifest["spec"] if manifest["kind"] == "Pod" else manifest["spec"]["template"]["spec"]
        (checking,) = [
            one for one in (*spec.get("initContainers", ()), *spec["containers"]) if one["name"] == "preflight"
        ]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert checking["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert checking["terminationMessagePolicy"] == "FallbackToLogsOnError"


# ------------------------------------------------------------------------------------------------------- scripts


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_is_bash_and_executable(path: Path) -> None:
    assert told(subprocess.run(["/bin/bash", "-n", path], capture_output=True, text=True, check=False)) == ""
    assert path.read_text("utf-8").startswith("#!/bin/bash\n")
    assert os.access(path, os.X_OK)


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_shellcheck_has_nothing_to_say(path: Path) -> None:
    assert told(tool("shellcheck", "--severity=style", path)) == ""


def test_shellcheck_notices_a_slip(tmp_path: Path) -> None:
    (tmp_path / "slip.sh").write_text('#!/bin/bash\nrm -rf "$A"/ $B\n')
    assert "SC2086" in told(tool("shellcheck", tmp_path / "slip.sh"))


# --------------------------------------------------------------------------------------------------- Dockerfiles


@pytest.mark.parametrize("path", DOCKERFILES, ids=name)
def test_hadolint_has_nothing_to_say(path: Path) -> None:
    assert told(tool("hadolint", "--no-color", path)) == ""


def test_hadolint_notices_a_slip(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.12-slim\nENTRYPOINT gpudoctor preflight\n")
    assert "DL3025" in told(tool("hadolint", "--no-color", tmp_path / "Dockerfile"))


@pytest.mark.parametrize("path", DOCKERFILES, ids=name)
def test_an_image_starts_without_a_shell_and_not_as_root(path: Path) -> None:
    last = instructions(path)
    stages = [index for index, one in enumerate(last) if one["cmd"].lower() == "from"]
    final = last[stages[-1] :]
    by_name = {one["cmd"].lower(): one for one in final}
    assert by_name["entrypoint"]["json"] is True
    assert by_name["cmd"]["json"] is True
    assert by_name["healthcheck"]["value"][0] == "CMD"
    assert by_name["healthcheck"]["json"] is True
    assert by_name["entrypoint"]["value"][-1] == "--"
    assert by_name.get("user", {"value": [""]})["value"] == ["10001:10001"] or "nonroot" in final[0]["value"][0]


@pytest.mark.parametrize("path", DOCKERFILES, ids=name)
def test_what_an_image_copies_is_there(path: Path) -> None:
    for one in instructions(path):
        if one["cmd"].lower() == "copy" and not one["flags"]:
            assert [source for source in one["value"][:-1] if not (ROOT / source).exists()] == []


# -------------------------------------------------------------------------------------------------------- systemd


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as they would be installed, with a program in gpudoctor's place that exists."""
    source = EXAMPLES / "systemd"
    (tmp_path / "trainer.service.d").mkdir()
    for target, text in {
        "gpu-preflight.service": (source / "gpu-preflight.service").read_text("utf-8"),
        "trainer.service": "[Service]\nExecStart=/bin/true\n",
        "trainer.service.d/preflight.conf": (source / "trainer.service.d-preflight.conf").read_text("utf-8"),
    }.items():
        (tmp_path / target).write_text(text.replace("/opt/gpudoctor/bin/gpudoctor", "/bin/true"), "utf-8")
    return tmp_path


SYSTEMD_ANALYZE = shutil.which("systemd-analyze")


def verified(units: Path) -> str:
    """What systemd-analyze has to say of them."""
    assert SYSTEMD_ANALYZE
    environ = {**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:", "SYSTEMD_LOG_LEVEL": "warning"}
    ran = subprocess.run(
        [SYSTEMD_ANALYZE, "verify", units / "gpu-preflight.service", units / "trainer.service"],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
    )
    return ran.stdout + "\n".join(line for line in ran.stderr.splitlines() if str(units) in line)


def test_systemd_reads_unit_and_drop_in(units: Path) -> None:
    if SYSTEMD_ANALYZE is None:
        pytest.skip("no systemd-analyze here; only sections and keys were read, in the next test")
    assert verified(units) == ""
    slip = units / "gpu-preflight.service"
    slip.write_text(slip.read_text("utf-8").replace("DynamicUser=yes", "DynamicUsers=yes"), "utf-8")
    assert "DynamicUsers" in verified(units)


def test_units_have_sections_and_keys_that_systemd_knows() -> None:
    known = {
        "Unit": {"Description", "After"},
        "Install": {"WantedBy"},
        "Service": {
            "Type",
            "RemainAfterExit",
            "ExecStart",
            "ExecStartPre",
            "RuntimeDirectory",
            "RuntimeDirectoryPreserve",
            "TimeoutStartSec",
            "DynamicUser",
            "NoNewPrivileges",
            "ProtectSystem",
            "ProtectHome",
            "PrivateTmp",
            "PrivateNetwork",
            "CapabilityBoundingSet",
            "RestrictSUIDSGID",
        },
    }
    for path in (EXAMPLES / "systemd").iterdir():
        unit = configparser.ConfigParser(interpolation=None, delimiters=("=",))
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read(path, "utf-8")
        assert [(section, key) for section in unit.sections() for key in set(unit[section]) - known[section]] == []
        assert "PrivateDevices" not in unit["Service"], "it hides /dev/nvidia*"
