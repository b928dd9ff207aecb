from __future__ import annotations

import msgspec
import pytest

from gpudoctor import facts as f
from gpudoctor.report import judge
from tests.good import GOOD, change, findings, found, proved, says, shown, verdict

RULE = "compiler-missing"


@pytest.mark.parametrize(
    "line",
    [
        "RuntimeError: Failed to find C compiler. Please specify via CC environment variable.",
        "Failed to find C compiler. Please specify via CC environment variable or set triton.knobs.build.impl.",
        "InvalidCxxCompiler: No working C++ compiler found in torch._inductor.config.cpp.cxx: (None, 'g++')",
        "RuntimeError: Compiler: cl is not found.",
    ],
)
def test_a_compiler_that_was_looked_for_in_vain_is_a_warning(line: str) -> None:
    facts = says(line)
    assert verdict(facts) == ("warnings", RULE)
    assert found(facts, RULE).title == "torch.compile and Triton find no C compiler."


@pytest.mark.parametrize(
    "line",
    [
        "/tmp/tmps1rkq3y3/main.c:5:10: fatal error: Python.h: No such file or directory",
        "C:/Users/ann/AppData/Local/Temp/tmptw09ntof/cuda_utils.c:14: error: include file 'Python.h' not found",
    ],
)
def test_headers_that_lack_are_named(line: str) -> None:
    finding = found(says(line), RULE)
    assert finding.title == "torch.compile and Triton find no headers of Python."
    assert finding.fixes[0].commands[-1] == "sudo apt-get install -y gcc g++ python3.12-dev"


@pytest.mark.parametrize(
    "line",
    ["RuntimeError: Failed to compile the graph", "main.c:5:10: fatal error: cuda.h: No such file or directory"],
)
def test_another_trouble_of_a_compiler_is_none_of_it(line: str) -> None:
    assert findings(says(line), RULE) == ()


def test_the_smoke_job_s_own_attempt_is_explained_by_it() -> None:
    error = "InvalidCxxCompiler: No working C++ compiler found in torch._inductor.config.cpp.cxx: (None, 'g++')"
    part = f.Part(name="compile", holds=None, error=error)
    facts = change(GOOD, smokes=(msgspec.structs.replace(proved("torch"), parts=(part,)), proved("tensorflow")))
    assert shown(judge(facts)) == [(RULE, "warning", None), ("smoke-failed", "warning", RULE)]
