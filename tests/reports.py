"""Reports built by hand, one for each kind of answer, shared by the tests of all renderers."""

from __future__ import annotations

from typing import Any, Literal

from msgspec.structs import replace

from gpudoctor.facts import (
    Build,
    Container,
    CudaDriver,
    Environment,
    Facts,
    Framework,
    FrameworkName,
    Frameworks,
    Gpu,
    GpuCapability,
    GpuLink,
    GpuMemory,
    GpuProcess,
    GpuProcesses,
    Gpus,
    Imported,
    Interpreter,
    KernelDriver,
    Missing,
    NvLink,
    Nvml,
    OtherEnvironment,
    OtherEnvironments,
    Part,
    PciDevice,
    PciDevices,
    Proof,
    Request,
    Smoke,
    System,
    Toolkit,
    Toolkits,
    VirtualMachine,
)
from gpudoctor.findings import (
    About,
    Candidate,
    Cause,
    Confidence,
    Evidence,
    Finding,
    Fix,
    Outcome,
    Report,
    Severity,
    Unknown,
)
from gpudoctor.speed import Speed

CREATED = "2026-11-21T09:00:00Z"
VERSION = "0.1.0"
GIB = 2**30

# --------------------------------------------------------------------------------------------- pieces of facts

SYSTEM = System(
    source="/etc/os-release, uname",
    os="linux",
    distribution="ubuntu",
    release="24.04",
    name="Ubuntu 24.04.1 LTS",
    kernel="6.8.0-48-generic",
    architecture="x86_64",
)
PYTHON = Interpreter(
    source="the interpreter itself",
    executable="/home/alice/proj/.venv/bin/python",
    version="3.12.7",
    prefix="/home/alice/proj/.venv",
    environment="venv",
    environment_path="/home/alice/proj/.venv",
    tool="uv",
)
NVML = Nvml(source="NVML", result="NVML_SUCCESS", driver="580.65.06", cuda="13.0")
CUDA = CudaDriver(source="libcuda", result="CUDA_SUCCESS", code=0, version="13.0", count=2)
NO_NVML = Nvml(source="NVML", result="NVML_ERROR_LIBRARY_NOT_FOUND")
NO_CUDA = CudaDriver(source="libcuda", result="not-found")
NO_KERNEL_DRIVER = KernelDriver(source="/proc/driver/nvidia/version", version=None)
LOSS = (2.30, 1.61, 0.98, 0.52, 0.31, 0.17, 0.09, 0.05)


def gpu(index: int, name: str = "NVIDIA H100 80GB HBM3", capability: str = "9.0", **changes: Any) -> Gpu:
    """A sound GPU."""
    return replace(
        Gpu(
            source="NVML",
            index=index,
            name=name,
            uuid=f"GPU-{index:08x}-1111-2222-3333-444444444444",
            pci=f"00000000:{0x17 + index:02X}:00.0",
            capability=GpuCapability(source="NVML", value=capability),
            memory=GpuMemory(source="NVML", total=int(79.6 * GIB)),
            link=GpuLink(source="NVML", generation=1, generation_max=5, width=16, width_max=16),
        ),
        **changes,
    )


def build(name: FrameworkName, version: str, **changes: Any) -> Build:
    """A CUDA build of a framework."""
    made = Build(
        source=f"{name}/version.py",
        distribution=name,
        version=version,
        location="/home/alice/proj/.venv/lib/python3.12/site-packages",
        accelerator="cuda",
    )
    return replace(made, **changes)


def framework(name: FrameworkName, version: str, imported: bool | Missing = True, **changes: Any) -> Framework:
    """An installed framework that imports."""
    word = imported if isinstance(imported, Missing) else Imported(source=f"import {name}", ok=imported)
    made = build(name, version, **changes)
    return Framework(source="metadata", name=name, installed=True, build=made, imported=word)


def absent(name: FrameworkName) -> Framework:
    """A framework that was looked for and is not there."""
    return Framework(source="metadata", name=name, installed=False)


PROOFS = (
    Proof(name="weights changed", holds=True, required=True),
    Proof(name="agrees with float64 on the CPU", holds=True, detail="largest difference 3e-07", required=True),
    Proof(name="NVML process list", holds=None, detail="not supported in this container"),
)


def smoke(name: FrameworkName, index: int | None = 0, **changes: Any) -> Smoke:
    """A smoke job that proved the GPU."""
    made = Smoke(
        source="smoke job",
        framework=name,
        device="cpu" if index is None else f"cuda:{index}",
        gpu=index,
        stage="done",
        result="ran-on-cpu" if index is None else "proved",
        loss=LOSS,
        accuracy=0.99,
        precision=0.991,
        recall=0.989,
        f1=0.99,
        examples_per_second=1510.4 if index is None else 212_000.0,
        seconds=6.1,
        proofs=PROOFS,
    )
    return replace(made, **changes)


def _outcomes(passed: int, **others: Literal["found", "not-applicable", "skipped", "crashed"]) -> tuple[Outcome, ...]:
    return (
        *(Outcome(rule=f"sound-{number}", outcome="passed") for number in range(passed)),
        *(Outcome(rule=name.replace("_", "-"), outcome=kind, why=_WHY[kind]) for name, kind in others.items()),
    )


_WHY = {
    "found": "it is there",
    "not-applicable": "no smoke to look at",
    "skipped": "KernelLog: unreadable: /dev/kmsg: Operation not permitted",
    "crashed": "judge: ValueError: not a CUDA version: 'twelve'",
}


def _report(**changes: Any) -> Report:
    made = Report(
        gpudoctor=VERSION,
        created=CREATED,
        source="machine",
        status="healthy",
        facts=Facts(gpudoctor=VERSION, created=CREATED),
        seconds=9.4,
    )
    return replace(made, **changes)


# ------------------------------------------------------------------------------------------------- the reports


def healthy() -> Report:
    """Two frameworks proved on two equal GPUs."""
    facts = Facts(
        gpudoctor=VERSION,
        created=CREATED,
        system=SYSTEM,
        container=Container(source="/.dockerenv", engine=None),
        nvml=NVML,
        cuda=CUDA,
        kernel_driver=KernelDriver(source="/proc/driver/nvidia/version", version="580.65.06", flavour="open"),
        gpus=Gpus(source="NVML", gpus=tuple(gpu(n, nvlink=NvLink(source="NVML", links=18, active=18)) for n in (0, 1))),
        interpreter=PYTHON,
        frameworks=Frameworks(
            source="metadata",
            frameworks=(
                framework("torch", "2.15.0+cu130", cuda="13.0", cudnn="9.13.0", nccl="2.28.3"),
                framework("tensorflow", "2.21.0", cuda="12.5", cudnn="9.3"),
                absent("jax"),
            ),
        ),
        smokes=tuple(smoke(name, index) for name in ("torch", "tensorflow") for index in (0, 1)),
    )
    return _report(facts=facts, outcomes=_outcomes(61, wsl_unsupported="not-applicable"))


PARTS = (
    Part(
        name="matrix-product-fp32",
        holds=True,
        detail="8192 wide",
        rate=51.2,
        unit="TFLOP/s",
    ),
    Part(name="matrix-product-bf16", holds=True, detail="8192 wide", rate=782.4, unit="TFLOP/s"),
    Part(name="copy-inside-gpu", holds=True, rate=2912.0, unit="GB/s"),
    Part(name="copy-to-gpu-pinned", holds=True, rate=54.3, unit="GB/s"),
    Part(name="fft", holds=False, detail="off by 3.0e-01 of their size", rate=2.1, unit="TFLOP/s"),
    Part(name="sparse-product", holds=None, detail="no time left"),
    Part(name="compile", holds=None, error="RuntimeError: [bold]no compiler"),
)


def timed() -> Report:
    """The healthy machine whose parts were timed on GPU 1."""
    report = healthy()
    first, second = (smoke("torch", index, cpu_examples_per_second=2210.0) for index in (0, 1))
    facts = replace(report.facts, smokes=(first, replace(second, parts=PARTS)))
    promised = {"matrix-product-fp32": 67.0, "matrix-product-bf16": 989.0, "copy-inside-gpu": 3350.0}
    speeds = tuple(
        Speed(
            framework="torch",
            gpu=1,
            part=part.name,
            reached=part.rate or 0.0,
            promised=promised[part.name],
            unit=part.unit or "",
            promise="datasheet of NVIDIA H100 80GB HBM3",
        )
        for part in PARTS
        if part.name in promised
    )
    return replace(report, facts=facts, speeds=speeds)


def quick() -> Report:
    """The same machine with ``--quick``: nothing imported, nothing trained, no fault found."""
    report = healthy()
    found = report.facts.frameworks
    assert isinstance(found, Frameworks)
    frameworks = replace(
        found, frameworks=tuple(replace(framework, imported=Missing("not-asked")) for framework in found.frameworks)
    )
    request = Request(source="command line", quick=True, smoke=False)
    facts = replace(report.facts, frameworks=frameworks, smokes=(), request=request)
    return replace(report, quick=True, facts=facts, seconds=0.8)


BLACKWELL = "NVIDIA GeForce RTX 5090"

ARCH = Finding(
    rule="torch-arch-unsupported",
    severity=Severity.ERROR,
    confidence=Confidence.CERTAIN,
    title="torch 2.5.1+cu124 has no kernels for it",
    detail="GPU 0, NVIDIA GeForce RTX 5090, has compute capability 12.0 (NVML).\n"
    "torch 2.5.1+cu124 was compiled for 5.0 6.0 7.0 7.5 8.0 8.6 9.0 (libtorch_python.so).",
    about=About(gpu=0, framework="torch"),
    evidence=(
        Evidence(fact="compute capability", value="12.0", source="NVML"),
        Evidence(fact="compiled for", value="5.0 6.0 7.0 7.5 8.0 8.6 9.0", source="libtorch_python.so"),
    ),
    fixes=(
        Fix(
            title="install a build with kernels for 12.0; driver 570.211.01 runs CUDA 12 builds, not CUDA 13",
            commands=(
                'uv pip install "torch==2.13.0" "torchvision==0.28.0" --index-url https://download.pytorch.org/whl/cu129',
            ),
            risk="other packages may pin the old torch",
            verify="gpudoctor smoke --framework torch",
        ),
    ),
)
TF_ARCH = Finding(
    rule="tf-arch-unsupported",
    severity=Severity.ERROR,
    confidence=Confidence.LIKELY,
    title="TensorFlow 2.18.0 has no kernels for 12.0 and failed at compute",
    detail="Its GPU code targets end at 9.0.",
    about=About(gpu=0, framework="tensorflow"),
    evidence=(Evidence(fact="targets", value="sm_60 … compute_90", source="build_info.py"),),
    fixes=(Fix(title="install a newer TensorFlow", commands=('uv pip install "tensorflow[and-cuda]==2.21.0"',)),),
)


def broken() -> Report:
    """A GPU newer than both frameworks' kernels: two independent errors, one consequence, one crashed rule."""
    facts = Facts(
        gpudoctor=VERSION,
        created=CREATED,
        system=SYSTEM,
        container=Container(source="/.dockerenv", engine="docker"),
        nvml=replace(NVML, driver="570.211.01", cuda="12.8"),
        cuda=replace(CUDA, version="12.8", count=1),
        kernel_driver=KernelDriver(source="/proc/driver/nvidia/version", version="570.211.01", flavour="open"),
        gpus=Gpus(source="NVML", gpus=(gpu(0, BLACKWELL, "12.0"),)),
        interpreter=PYTHON,
        toolkits=Toolkits(source="/usr/local", toolkits=(Toolkit(path="/usr/local/cuda-12.4", version="12.4.1"),)),
        frameworks=Frameworks(
            source="metadata",
            frameworks=(
                framework("torch", "2.5.1+cu124", cuda="12.4", cudnn="9.1.0", nccl="2.21.5"),
                framework("tensorflow", "2.18.0", cuda="12.5", cudnn="9.3"),
            ),
        ),
        smokes=(
            smoke(
                "torch",
                stage="compute",
                result="failed",
                error="no kernel image is available for execution on the device",
                ended="exception",
                loss=(),
                accuracy=None,
                examples_per_second=None,
                seconds=4.1,
                proofs=(),
            ),
            smoke(
                "tensorflow",
                stage="compute",
                result="failed",
                error="CUDA_ERROR_INVALID_HANDLE",
                ended="signal SIGABRT",
                loss=(),
                accuracy=None,
                examples_per_second=None,
                seconds=9.7,
                proofs=(),
            ),
        ),
    )
    failed = Finding(
        rule="smoke-failed",
        severity=Severity.ERROR,
        confidence=Confidence.CERTAIN,
        title="The smoke job of PyTorch failed at compute",
        about=About(gpu=0, framework="torch"),
        because_of="torch-arch-unsupported",
    )
    return _report(
        status="broken",
        cause=Cause(rule=ARCH.rule, title=ARCH.title, confidence=ARCH.confidence),
        findings=(ARCH, TF_ARCH, failed),
        outcomes=_outcomes(
            56,
            torch_arch_unsupported="found",
            tf_arch_unsupported="found",
            smoke_failed="found",
            gpu_throttled="skipped",
            cuda_home_missing="crashed",
        ),
        facts=facts,
        seconds=11.3,
    )


NO_GPU = Finding(
    rule="no-nvidia-gpu",
    severity=Severity.ERROR,
    confidence=Confidence.CERTAIN,
    title="There is no NVIDIA GPU in this machine",
    detail="The PCI bus shows one display controller: Red Hat Virtio 1.0 GPU.",
    evidence=(Evidence(fact="NVIDIA devices", value="none", source="/sys/bus/pci/devices"),),
    fixes=(
        Fix(
            title="run this on a machine with an NVIDIA GPU, or attach one to this virtual machine",
            where="host",
            note="Without a GPU the same check is: gpudoctor diagnose --allow-cpu",
        ),
    ),
)
CPU_BUILD = Finding(
    rule="torch-cpu-build",
    severity=Severity.INFO,
    confidence=Confidence.CERTAIN,
    title="torch 2.13.0+cpu is a build without CUDA",
    about=About(framework="torch"),
    because_of="no-nvidia-gpu",
)


def _no_gpu_facts() -> Facts:
    card = PciDevice(address="0000:00:02.0", vendor="1af4", device="1050", driver="virtio-pci", name="Virtio 1.0 GPU")
    return Facts(
        gpudoctor=VERSION,
        created=CREATED,
        system=SYSTEM,
        virtual_machine=VirtualMachine(source="/proc/cpuinfo", hypervisor="kvm"),
        pci=PciDevices(source="/sys/bus/pci/devices", devices=(card,)),
        nvml=NO_NVML,
        cuda=NO_CUDA,
        kernel_driver=NO_KERNEL_DRIVER,
        gpus=Gpus(source="NVML", gpus=()),
        interpreter=PYTHON,
        frameworks=Frameworks(
            source="metadata", frameworks=(framework("torch", "2.13.0+cpu", accelerator="cpu"), absent("tensorflow"))
        ),
    )


def no_gpu() -> Report:
    """A machine without a GPU; the CPU build of torch follows from it."""
    not_run = smoke(
        "torch",
        None,
        stage="start",
        result="not-run",
        error="no GPU to run on",
        loss=(),
        accuracy=None,
        examples_per_second=None,
        seconds=None,
        proofs=(),
    )
    return _report(
        status="broken",
        cause=Cause(rule=NO_GPU.rule, title=NO_GPU.title, confidence=NO_GPU.confidence),
        findings=(NO_GPU, CPU_BUILD),
        outcomes=_outcomes(12, no_nvidia_gpu="found", torch_cpu_build="found", gpu_lost="not-applicable"),
        facts=replace(_no_gpu_facts(), smokes=(not_run,)),
        seconds=3.2,
    )


def cpu_allowed() -> Report:
    """The same machine with ``--allow-cpu``: the CPU trained."""
    facts = replace(
        _no_gpu_facts(), smokes=(smoke("torch", None),), request=Request(source="command line", allow_cpu=True)
    )
    return _report(
        findings=(replace(NO_GPU, severity=Severity.INFO, fixes=()), CPU_BUILD),
        outcomes=_outcomes(12, no_nvidia_gpu="found", torch_cpu_build="found", gpu_lost="not-applicable"),
        facts=facts,
        seconds=8.8,
    )


def hung() -> Report:
    """NVML stopped answering at GPU 3, so the list of GPUs is not known."""
    hang = Missing("timed-out", "no answer within 20 s", "nvmlDeviceGetHandleByIndex, GPU 3")
    facts = Facts(
        gpudoctor=VERSION,
        created=CREATED,
        system=SYSTEM,
        nvml=NVML,
        cuda=Missing("timed-out", "no answer within 20 s", "cuInit"),
        gpus=hang,
        interpreter=PYTHON,
        frameworks=Frameworks(source="metadata", frameworks=(framework("torch", "2.15.0+cu130", cuda="13.0"),)),
    )
    return _report(
        status="undetermined",
        unknown=(
            Unknown(
                what="the list of GPUs",
                why="NVML did not answer within 20 s (hung in nvmlDeviceGetHandleByIndex, GPU 3)",
                settled_by=("sudo dmesg | grep -i xid",),
            ),
            Unknown(what="CUDA initialisation", why="cuInit did not answer within 20 s"),
        ),
        outcomes=_outcomes(17, gpu_lost="skipped", gpu_throttled="skipped", torch_arch_unsupported="skipped"),
        facts=facts,
        seconds=41.7,
    )


def candidates() -> Report:
    """Two causes that the facts do not tell apart; neither is certain, so it is a warning."""
    first = Finding(
        rule="driver-broken-state",
        severity=Severity.WARNING,
        confidence=Confidence.POSSIBLE,
        title="The driver may be in a broken state since the last suspend",
        detail="cuInit returned CUDA_ERROR_UNKNOWN (999).",
        settled_by=("sudo modprobe -r nvidia_uvm && sudo modprobe nvidia_uvm",),
    )
    second = Finding(
        rule="device-nodes-missing",
        severity=Severity.WARNING,
        confidence=Confidence.POSSIBLE,
        title="/dev/nvidia-uvm may not be permitted here",
        settled_by=("ls -l /dev/nvidia-uvm",),
    )
    report = quick()
    facts = replace(report.facts, cuda=replace(CUDA, result="CUDA_ERROR_UNKNOWN", code=999, version="13.0", count=None))
    return replace(
        report,
        status="warnings",
        candidates=tuple(
            Candidate(rule=finding.rule, confidence=finding.confidence, settled_by=finding.settled_by)
            for finding in (first, second)
        ),
        findings=(first, second),
        outcomes=_outcomes(40, driver_broken_state="found", device_nodes_missing="found"),
        facts=facts,
    )


THROTTLED = Finding(
    rule="gpu-throttled",
    severity=Severity.WARNING,
    confidence=Confidence.CERTAIN,
    title="GPU 1 slows down for heat at 91 °C",
    detail="Active throttle reason: HW thermal slowdown (NVML).",
    about=About(gpu=1),
    evidence=(Evidence(fact="temperature", value="91 °C", source="NVML"),),
    fixes=(Fix(title="clean or speed up the fans of GPU 1", where="machine", verify="gpudoctor diagnose --quick"),),
)


def warnings() -> Report:
    """It trains, but one GPU is hot and persistence mode is off on both."""
    persistence = [
        Finding(
            rule="persistence-mode-off",
            severity=Severity.WARNING,
            confidence=Confidence.CERTAIN,
            title=f"Persistence mode is off on GPU {index}",
            about=About(gpu=index),
            fixes=(Fix(title="turn it on", commands=("sudo nvidia-smi -pm 1",), where="machine"),),
        )
        for index in (0, 1)
    ]
    return replace(
        healthy(),
        status="warnings",
        cause=Cause(rule=THROTTLED.rule, title=THROTTLED.title, confidence=THROTTLED.confidence),
        findings=(THROTTLED, *persistence),
        outcomes=_outcomes(59, gpu_throttled="found", persistence_mode_off="found"),
    )


def no_framework() -> Report:
    """An environment with none of the frameworks, and one nearby that has some."""
    nearby = OtherEnvironments(
        source="folders near the working directory",
        environments=(OtherEnvironment(path="/home/alice/other env", frameworks={"torch": "2.13.0", "jax": "0.9.0"}),),
    )
    facts = replace(
        quick().facts,
        frameworks=Frameworks(source="metadata", frameworks=(absent("torch"), absent("tensorflow"), absent("jax"))),
        other_environments=nearby,
        request=Request(source="command line"),
    )
    return _report(facts=facts, outcomes=_outcomes(20, torch_cpu_build="not-applicable"), seconds=2.0)


HOSTILE = "\x1b[31mred\x1b[0m \x07\x9b2J \u202eevil\u2066 zero\u200bwidth [bold]markup[/bold]\r\n\udcff"


def hostile() -> Report:
    """Names and texts that try to steer the terminal, to pass for markup, or to fill the screen."""
    report = broken()
    facts = replace(
        report.facts,
        system=replace(SYSTEM, name=HOSTILE, kernel="k" * 5000),
        gpus=Gpus(source=HOSTILE, gpus=(gpu(0, HOSTILE, "12.0"),)),
        interpreter=replace(PYTHON, environment_path=f"/srv/{HOSTILE}/.venv"),
        environment=Environment(source="environment", variables={HOSTILE: HOSTILE}),
        smokes=(smoke("torch", result="failed", stage="train", error=HOSTILE, loss=(float("nan"), float("inf"))),),
    )
    finding = replace(
        ARCH,
        title=HOSTILE,
        detail=HOSTILE,
        evidence=(Evidence(fact=HOSTILE, value=HOSTILE, source=HOSTILE),),
        fixes=(Fix(title=HOSTILE, commands=(f"echo '{HOSTILE}'",), note=HOSTILE, risk=HOSTILE, verify=HOSTILE),),
    )
    return replace(
        report, findings=(finding,), cause=Cause(rule=ARCH.rule, title=HOSTILE, confidence=ARCH.confidence), facts=facts
    )


def private() -> Report:
    """A broken machine whose facts and findings name a person, a host, GPUs, other users' processes and secrets."""
    report = broken()
    known = report.facts.known_gpus()[0]
    processes = GpuProcesses(
        source="NVML", processes=(GpuProcess(pid=4242, used=GIB, name="/home/bob/secret_project/train.py"),)
    )
    return replace(
        report,
        facts=replace(report.facts, gpus=Gpus(source="NVML", gpus=(replace(known, processes=processes),))),
    )


ALL = (
    healthy,
    quick,
    broken,
    no_gpu,
    cpu_allowed,
    hung,
    candidates,
    warnings,
    no_framework,
    hostile,
    private,
)
