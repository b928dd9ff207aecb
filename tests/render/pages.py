"""The reports that pages are made of: the shared ones, and some whose facts are judged, with windows and timelines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from gpudoctor import facts as f
from gpudoctor.findings import Reading, Report
from gpudoctor.report import judge
from gpudoctor.window import DriverRange, GpuRange, Need, Reach, Window
from tests import reports
from tests.good import GOOD, change, only, with_framework, with_gpu

LOSS = tuple(round(2.31 * math.exp(-step / 7) + 0.04, 3) for step in range(40))
PARTS = (
    f.Part(name="matrix-product-fp32", holds=True, detail="8192 wide", rate=51.2, unit="TFLOP/s"),
    f.Part(name="matrix-product-tf32", holds=True, detail="8192 wide", rate=381.0, unit="TFLOP/s"),
    f.Part(name="matrix-product-bf16", holds=True, detail="8192 wide", rate=712.4, unit="TFLOP/s"),
    f.Part(name="copy-inside-gpu", holds=True, rate=2812.0, unit="GB/s"),
    f.Part(name="copy-to-gpu-pinned", holds=True, rate=54.3, unit="GB/s"),
    f.Part(name="copy-from-gpu-pinned", holds=True, rate=52.9, unit="GB/s"),
    f.Part(name="random-numbers", holds=True, detail="mean and variance fit", rate=41_300.0, unit="M/s"),
    f.Part(name="attention", holds=True, detail="largest difference 2e-06"),
    f.Part(name="compile", holds=None, detail="no C compiler here"),
)


def _timeline() -> tuple[f.Sample, ...]:
    return tuple(
        f.Sample(
            at=round(step * 0.25, 2),
            temperature=34 + round(27 * (1 - math.exp(-step / 9))),
            power=90.0 + 480.0 * (1 - math.exp(-step / 3)) - (60 if step > 18 else 0),
            sm_clock=1980 if step < 18 else 1755,
            throttle=("sw-power-cap",) if step >= 18 else (),
            used=2**30 * min(2 + step, 14),
        )
        for step in range(25)
    )


SECOND = f.Training(
    network="perceptron",
    images="digits of 8×8 pixels",
    loss=tuple(round(2.4 * math.exp(-step / 11) + 0.09, 3) for step in range(30)),
    accuracy=0.966,
    precision=0.967,
    recall=0.965,
    f1=0.966,
    examples_per_second=1_310_000.0,
)


def trained() -> Report:
    """One H100 on which PyTorch and TensorFlow trained, with everything measured."""
    torch, tensorflow = GOOD.smokes
    torch = replace(
        torch, loss=LOSS, perceptron=SECOND, parts=PARTS, timeline=_timeline(), cpu_examples_per_second=2210.0
    )
    clocks = f.GpuClocks(
        source="NVML", temperature=34, temperature_limit=87, power=70.0, power_limit=700.0, sm_clock_max=1980
    )
    return judge(with_gpu(change(smokes=(torch, replace(tensorflow, loss=LOSS[::2]))), clocks=clocks), seconds=11.8)


WINDOW = Window(
    driver=DriverRange(version="570.211.01", cuda="12.8", newest="12.9"),
    gpus=(
        GpuRange(gpus=(0,), name="NVIDIA A100-SXM4-80GB", capability="8.0", first="11.0", last=None),
        GpuRange(gpus=(1, 2), name="NVIDIA H100 80GB HBM3", capability="9.0", first="11.8", last=None),
    ),
    builds=(
        Need(
            framework="torch",
            version="2.13.0+cu130",
            accelerator="cuda",
            cuda="13.0",
            driver="too-old",
            minimum="580.65.06",
            targets=("8.0", "8.6", "9.0a"),
            ptx=("9.0",),
            reaches=(
                Reach(capability="8.0", way="native", proved=False),
                Reach(capability="9.0", way="jit-refused", proved=False),
            ),
        ),
        Need(
            framework="jax",
            version="0.9.0",
            accelerator="cpu",
            cuda=None,
            driver=None,
            minimum=None,
            targets=(),
            ptx=(),
            reaches=(
                Reach(capability="8.0", way="none", proved=False),
                Reach(capability="9.0", way="none", proved=False),
            ),
        ),
    ),
    newest="13.4",
)


def drawn() -> Report:
    """A report made by hand with everything that is drawn: window, curves, speeds, timeline."""
    report = reports.timed()
    first, *others = report.facts.smokes
    curves = replace(first, loss=(2.3, 1.1, None, 0.4, 0.1), perceptron=SECOND, timeline=_timeline()[::6])
    return replace(report, window=WINDOW, facts=replace(report.facts, smokes=(curves, *others)))


def old_gpu() -> Report:
    """A V100 with a build for CUDA 13, which has no code for it."""
    failed = f.Smoke(
        source="smoke job",
        framework="torch",
        device="cuda:0",
        gpu=0,
        stage="compute",
        result="failed",
        error="CUDA error: no kernel image is available for execution on the device",
        ended="exception",
        seconds=4.1,
    )
    facts = with_gpu(
        change(smokes=(failed,)),
        name="Tesla V100-SXM2-16GB",
        pci_device="1db1",
        capability="7.0",
        memory=f.GpuMemory(source="NVML", total=16 * 2**30),
        link=f.GpuLink(source="NVML", generation=3, generation_max=3, width=16, width_max=16),
    )
    return judge(only("torch", facts), seconds=9.2)


def old_driver() -> Report:
    """A driver for CUDA 12.2 under a build for CUDA 13, and an older TensorFlow that it runs."""
    old = change(
        nvml={"driver": "535.129.03", "cuda": "12.2"},
        kernel_driver={"version": "535.129.03"},
        cuda={"version": "12.2"},
        smokes=(),
    )
    return judge(old, seconds=3.9)


def two_gpus() -> Report:
    """An A100 beside a newer GPU, for which the builds hold PTX alone; a quick look."""
    first = replace(
        GOOD.known_gpus()[0], name="NVIDIA A100-SXM4-80GB", capability=f.GpuCapability(source="NVML", value="8.0")
    )
    second = replace(
        first,
        index=1,
        name="NVIDIA RTX PRO 6000",
        capability=f.GpuCapability(source="NVML", value="12.0"),
        uuid="GPU-2",
    )
    facts = change(
        gpus={"gpus": (first, second)}, smokes=(), request=f.Request(source="command line", quick=True, smoke=False)
    )
    torch = ("sm_70", "sm_80", "sm_86", "sm_90", "compute_90")
    facts = with_framework("torch", facts, build={"targets": torch}, imported={"targets": torch})
    return judge(facts, seconds=2.4)


def pasted() -> Report:
    """A pasted text, of which some lines were not recognised."""
    report = reports.broken()
    reading = Reading(lines=120, recognised=97, unrecognised=("--- snip ---", "<b>bold?</b>"))
    finding = replace(
        report.findings[0],
        evidence=tuple(
            replace(item, source=f"collect_env, line {place}")
            for place, item in enumerate(report.findings[0].evidence, 14)
        ),
    )
    return replace(
        report, source="paste", input="ticket.txt", findings=(finding, *report.findings[1:]), reading=reading
    )


TAGS = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>&lt;b&gt;</code></pre>"
    '<a href="javascript:alert(4)">]]><!--<style>*{display:none}</style>'
)


def tagged() -> Report:
    """The hostile report again, in HTML."""

    def everywhere(value: object) -> object:
        return TAGS if value == reports.HOSTILE else value

    report = reports.hostile()
    (finding,) = report.findings
    texts = {name: everywhere(getattr(finding, name)) for name in ("title", "detail")}
    finding = replace(
        finding,
        **texts,
        rule=TAGS,
        evidence=(replace(finding.evidence[0], fact=TAGS, value=TAGS, source=TAGS),),
        fixes=(
            replace(finding.fixes[0], title=TAGS, commands=(TAGS, f"echo {TAGS}"), note=TAGS, risk=TAGS, verify=TAGS),
        ),
        settled_by=(TAGS,),
    )
    assert report.cause is not None
    facts = report.facts
    assert isinstance(facts.system, f.System)
    gpu = reports.gpu(0, TAGS, "12.0")
    window = WINDOW
    smoke = replace(
        facts.smokes[0],
        error=TAGS,
        device=TAGS,
        gpu=None,
        mig=TAGS,
        parts=(f.Part(name=TAGS, holds=None, detail=TAGS, error=TAGS, rate=1.0, unit="GB/s"),),
        proofs=(f.Proof(name=TAGS, holds=None, detail=TAGS),),
        perceptron=f.Training(network=TAGS, images=TAGS, loss=(1.0, 0.5), accuracy=0.5),
        accuracy=0.5,
        loss=(2.0, None, 1.0),
        timeline=tuple(f.Sample(at=at, temperature=40, throttle=(TAGS,)) for at in (0.0, 1.0)),
    )
    return replace(
        report,
        input=TAGS,
        created=TAGS,
        gpudoctor=TAGS,
        findings=(finding,),
        cause=replace(report.cause, rule=TAGS, title=TAGS),
        outcomes=tuple(replace(one, rule=TAGS, why=TAGS) for one in report.outcomes),
        window=replace(
            window,
            driver=replace(window.driver, version=TAGS) if window.driver else None,
            gpus=tuple(replace(one, name=TAGS) for one in window.gpus),
            builds=tuple(replace(one, version=TAGS) for one in window.builds),
        ),
        facts=replace(
            facts,
            system=replace(facts.system, name=TAGS),
            gpus=f.Gpus(source=TAGS, gpus=(gpu,)),
            environment=f.Environment(source=TAGS, variables={TAGS: TAGS}),
            smokes=(smoke,),
        ),
    )


PAGES: Mapping[str, Callable[[], Report]] = {
    make.__name__.replace("_", "-"): make
    for make in (*reports.ALL, drawn, trained, old_gpu, old_driver, two_gpus, pasted, tagged)
}
"""Every report that a page is made of in the tests and in the browser, by name."""
