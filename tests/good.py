"""A good machine, fact by fact. A test takes it and changes one fact, so that one can see what the verdict hangs on."""

from __future__ import annotations

from typing import Any

import msgspec

from gpudoctor import facts as f
from gpudoctor.findings import Finding, Report
from gpudoctor.report import judge

GIB = 1 << 30

H100 = f.Gpu(
    source="NVML",
    index=0,
    name="NVIDIA H100 80GB HBM3",
    uuid="GPU-6f1a0ed3-5e43-4c0e-9d6b-0c3c4f1d2a10",
    pci="00000000:1B:00.0",
    pci_device="2330",
    capability=f.GpuCapability(source="NVML", value="9.0"),
    memory=f.GpuMemory(source="NVML", total=85520809984, used=0, free=85520809984),
    modes=f.GpuModes(source="NVML", compute="default", persistence=True, mig=False, mig_pending=False),
    ecc=f.GpuEcc(source="NVML", enabled=True, corrected=0, uncorrected=0, remap_pending=False, remap_failure=False),
    clocks=f.GpuClocks(source="NVML", temperature=34, power=70.0, power_limit=700.0),
    link=f.GpuLink(source="NVML", generation=5, generation_max=5, width=16, width_max=16),
    processes=f.GpuProcesses(source="NVML", processes=()),
)

TORCH = f.Framework(
    source="sys.path",
    name="torch",
    installed=True,
    build=f.Build(
        source="torch/version.py",
        distribution="torch",
        version="2.13.0+cu130",
        location="/home/ann/venv/lib/python3.12/site-packages",
        accelerator="cuda",
        cuda="13.0",
        cudnn="9.20.0",
        nccl="2.29.7",
        targets=("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"),
        channel="release",
        installer="pip",
    ),
    imported=f.Imported(
        source="import in a child process",
        ok=True,
        seconds=2.0,
        version="2.13.0+cu130",
        cuda="13.0",
        cudnn="9.20.0",
        available=True,
        devices=(f.FrameworkDevice(name="NVIDIA H100 80GB HBM3", capability="9.0"),),
        targets=("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"),
    ),
)

TENSORFLOW = f.Framework(
    source="sys.path",
    name="tensorflow",
    installed=True,
    build=f.Build(
        source="tensorflow/python/platform/build_info.py",
        distribution="tensorflow",
        version="2.21.0",
        location="/home/ann/venv/lib/python3.12/site-packages",
        accelerator="cuda",
        cuda="12.5.1",
        cudnn="9",
        targets=("sm_60", "sm_70", "sm_80", "sm_89", "compute_90"),
        channel="release",
        installer="pip",
    ),
    imported=f.Imported(
        source="import in a child process",
        ok=True,
        version="2.21.0",
        available=True,
        devices=(f.FrameworkDevice(name="NVIDIA H100 80GB HBM3", capability="9.0"),),
    ),
)

NO_JAX = f.Framework(source="sys.path", name="jax", installed=False)


def proved(framework: f.FrameworkName) -> f.Smoke:
    """A smoke job that trained on GPU 0 and is proved."""
    return f.Smoke(
        source="smoke job",
        framework=framework,
        device="cuda:0" if framework == "torch" else "GPU:0",
        gpu=0,
        stage="done",
        result="proved",
        loss=(2.3, 0.9, 0.05),
        accuracy=0.99,
        precision=0.99,
        recall=0.99,
        f1=0.99,
        examples_per_second=212000.0,
        seconds=4.0,
        proofs=(
            f.Proof(name="matches-cpu", holds=True, detail="largest difference 1e-6", required=True),
            f.Proof(name="weights-changed", holds=True, required=True),
            f.Proof(name="loss-fell", holds=True, detail="2.30 → 0.05", required=True),
        ),
    )


GOOD = f.Facts(
    gpudoctor="0.1.0",
    created="2026-11-21T09:00:00Z",
    origin="machine",
    request=f.Request(source="command line"),
    system=f.System(
        source="/etc/os-release",
        os="linux",
        distribution="ubuntu",
        release="24.04",
        name="Ubuntu 24.04.3 LTS",
        like=("debian",),
        kernel="6.8.0-85-generic",
        architecture="x86_64",
    ),
    libc=f.Libc(source="confstr", name="glibc", version="2.39"),
    processor=f.Processor(
        source="/proc/cpuinfo", model="Xeon", flags=frozenset({"avx", "avx2", "avx512f", "fma", "sse4_2"}), count=16
    ),
    memory=f.HostMemory(source="/proc/meminfo", total=128 * GIB, available=100 * GIB),
    shared_memory=f.SharedMemory(source="/dev/shm", total=64 * GIB, free=64 * GIB),
    virtual_machine=f.VirtualMachine(source="/sys/class/dmi/id", hypervisor=None),
    wsl=f.Wsl(source="/proc/sys/kernel/osrelease", version=None),
    container=f.Container(source="/proc/self/cgroup", engine=None),
    jetson=f.Jetson(source="/etc/nv_tegra_release", l4t=None),
    hosted=f.HostedNotebook(source="environment", service=None),
    scheduler=f.Scheduler(source="environment", name=None),
    pci=f.PciDevices(
        source="/sys/bus/pci/devices",
        devices=(
            f.PciDevice(
                address="0000:1b:00.0", vendor="10de", device="2330", driver="nvidia", name="GH100 [H100 SXM5 80GB]"
            ),
        ),
    ),
    kernel_modules=f.KernelModules(source="/proc/modules", loaded=("nvidia", "nvidia_modeset", "nvidia_uvm")),
    kernel_driver=f.KernelDriver(source="/proc/driver/nvidia/version", version="580.65.06", flavour="open"),
    driver_files=f.DriverFiles(
        source="file system",
        modules=(f.ModuleFile(kernel="6.8.0-85-generic", version="580.65.06", how="dkms"),),
        libraries=("580.65.06",),
    ),
    secure_boot=f.SecureBoot(source="/sys/firmware/efi", enabled=False),
    device_nodes=f.DeviceNodes(
        source="/dev",
        nodes=tuple(
            f.DeviceNode(path=path, mode="0666", owner=0, group=0, readable=True, writable=True)
            for path in ("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
        ),
    ),
    kernel_log=f.KernelLog(source="/dev/kmsg"),
    services=f.Services(source="systemd", services=()),
    environment=f.Environment(source="environment", variables={}),
    nvml=f.Nvml(source="NVML", result="NVML_SUCCESS", driver="580.65.06", cuda="13.0"),
    gpus=f.Gpus(source="NVML", gpus=(H100,)),
    libcuda=f.LibcudaFiles(
        source="loader",
        taken=f.LibraryFile(path="/usr/lib/x86_64-linux-gnu/libcuda.so.1", version="580.65.06", kind="driver"),
    ),
    cuda=f.CudaDriver(
        source="cuDriverGetVersion",
        result="CUDA_SUCCESS",
        code=0,
        version="13.0",
        count=1,
        library="/usr/lib/x86_64-linux-gnu/libcuda.so.580.65.06",
        names=("NVIDIA H100 80GB HBM3",),
    ),
    toolkits=f.Toolkits(source="file system", toolkits=()),
    cudnn=f.CudnnCopies(source="file system", copies=()),
    interpreter=f.Interpreter(
        source="sys",
        executable="/home/ann/venv/bin/python",
        version="3.12.7",
        prefix="/home/ann/venv",
        base_prefix="/usr",
        environment="venv",
        environment_path="/home/ann/venv",
        tool="pip",
        architecture="x86_64",
        platform="linux",
        libc="glibc 2.39",
    ),
    packages=f.Packages(
        source="sys.path",
        packages=(
            f.Package(name="numpy", version="2.4.6", location="/home/ann/venv/lib/python3.12/site-packages"),
            f.Package(name="tensorflow", version="2.21.0", location="/home/ann/venv/lib/python3.12/site-packages"),
            f.Package(name="torch", version="2.13.0", location="/home/ann/venv/lib/python3.12/site-packages"),
            f.Package(
                name="nvidia-cudnn-cu13", version="9.20.0.48", location="/home/ann/venv/lib/python3.12/site-packages"
            ),
            f.Package(
                name="nvidia-cuda-runtime-cu12",
                version="12.5.82",
                location="/home/ann/venv/lib/python3.12/site-packages",
            ),
        ),
        total=40,
    ),
    pins=f.Pins(source="Requires-Dist", unmet=()),
    shadows=f.Shadows(source="sys.path", files=()),
    other_environments=f.OtherEnvironments(source="file system", environments=()),
    frameworks=f.Frameworks(source="sys.path", frameworks=(TORCH, TENSORFLOW, NO_JAX)),
    smokes=(proved("torch"), proved("tensorflow")),
)


def change(facts: f.Facts = GOOD, **fields: Any) -> f.Facts:
    """The same facts with other records. A dictionary changes fields inside the present record."""
    return msgspec.structs.replace(facts, **{name: _changed(getattr(facts, name), v) for name, v in fields.items()})


def _changed(present: Any, wanted: Any) -> Any:
    return msgspec.structs.replace(present, **wanted) if isinstance(wanted, dict) else wanted


def with_gpu(facts: f.Facts = GOOD, **fields: Any) -> f.Facts:
    """The same machine with another GPU 0. A text for ``capability`` is wrapped in its record."""
    present = facts.known_gpus()[0]
    gpu = msgspec.structs.replace(present, **{k: _changed(getattr(present, k), v) for k, v in _wrapped(fields).items()})
    return change(facts, gpus={"gpus": (gpu, *facts.known_gpus()[1:])})


def _wrapped(fields: dict[str, Any]) -> dict[str, Any]:
    capability = fields.get("capability")
    if isinstance(capability, str):
        return {**fields, "capability": f.GpuCapability(source="NVML", value=capability)}
    return fields


def with_framework(name: f.FrameworkName, facts: f.Facts = GOOD, **fields: Any) -> f.Facts:
    """The same environment with another build, import or installation of one framework.

    ``build`` and ``imported`` take a record, or a dictionary of changes to the present one.
    """
    assert isinstance(facts.frameworks, f.Frameworks)
    frameworks = tuple(
        msgspec.structs.replace(one, **{k: _changed(getattr(one, k), v) for k, v in fields.items()})
        if one.name == name
        else one
        for one in facts.frameworks.frameworks
    )
    return change(facts, frameworks={"frameworks": frameworks})


def only(name: f.FrameworkName, facts: f.Facts = GOOD) -> f.Facts:
    """The same environment with a single framework in it, and that one's smoke jobs."""
    assert isinstance(facts.frameworks, f.Frameworks)
    kept = tuple(
        one if one.name == name else f.Framework(source=one.source, name=one.name, installed=False)
        for one in facts.frameworks.frameworks
    )
    smokes = tuple(smoke for smoke in facts.smokes if smoke.framework == name)
    return change(facts, frameworks={"frameworks": kept}, smokes=smokes)


def without_gpu(facts: f.Facts = GOOD) -> f.Facts:
    """The same system without any NVIDIA GPU or driver."""
    return change(
        facts,
        pci={"devices": ()},
        kernel_modules={"loaded": ()},
        kernel_driver={"version": None, "flavour": None},
        driver_files={"modules": (), "libraries": ()},
        device_nodes={"nodes": ()},
        nvml=f.Nvml(source="NVML", result="NVML_ERROR_LIBRARY_NOT_FOUND"),
        gpus={"gpus": ()},
        libcuda={"taken": None},
        cuda=f.CudaDriver(source="libcuda", result="not-found"),
        smokes=(),
    )


def verdict(facts: f.Facts) -> tuple[str, str | None]:
    """Status and the first cause's rule: what most tests ask."""
    report = judge(facts)
    return report.status, report.cause.rule if report.cause else None


def findings(facts: f.Facts, rule: str) -> tuple[Finding, ...]:
    """What one rule finds on these facts."""
    return judge(facts).findings_of(rule)


def found(facts: f.Facts, rule: str) -> Finding:
    """The one finding of a rule on these facts; anything else fails the test."""
    listed = findings(facts, rule)
    assert len(listed) == 1, [finding.title for finding in listed] or outcome(facts, rule)
    return listed[0]


def outcome(facts: f.Facts, rule: str) -> str:
    """The outcome of one rule on these facts."""
    return next(one.outcome for one in judge(facts).outcomes if one.rule == rule)


def says(text: str, facts: f.Facts = GOOD, framework: f.FrameworkName | None = None) -> f.Facts:
    """The same machine on which a program printed one line more."""
    message = f.Message(source="stderr", text=text, framework=framework)
    return change(facts, messages=(*facts.messages, message))


def shown(report: Report) -> list[tuple[str, str, str | None]]:
    """Every finding as (rule, severity, because_of)."""
    return [(finding.rule, finding.severity.value, finding.because_of) for finding in report.findings]
