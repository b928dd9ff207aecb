"""Asks NVML, in a child process of gpudoctor's own interpreter: the standard library and nvidia-ml-py, nothing else.

The source of this file is the child's program; :mod:`gpudoctor.probes.nvml` appends the call of :func:`main`. Before
every call into the driver a line says which one it is, after every group of readings a line carries them, so that a
call which hangs or crashes costs its own group and nothing else.

https://docs.nvidia.com/deploy/nvml-api/
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time

TYPE_CHECKING = False  # typing takes longer to import than all GPUs to answer
if TYPE_CHECKING:
    from typing import Any

    Values = dict[str, Any]
    Job = tuple[int | None, str]
    Handle = Any

# A driver of another age: it lacks the function, the argument's value or the struct's version.
_NOT_SUPPORTED = frozenset(
    {
        "NVML_ERROR_NOT_SUPPORTED",
        "NVML_ERROR_FUNCTION_NOT_FOUND",
        "NVML_ERROR_INVALID_ARGUMENT",
        "NVML_ERROR_ARGUMENT_VERSION_MISMATCH",
        "NVML_ERROR_DEPRECATED",
        "NVML_ERROR_VGPU_ECC_NOT_SUPPORTED",
    }
)

_COMPUTE_MODES = {0: "default", 1: "exclusive-thread", 2: "prohibited", 3: "exclusive-process"}
_VIRTUALIZATION = {0: "none", 1: "passthrough", 2: "vgpu", 3: "host-vgpu", 4: "host-vsga"}
_DRIVER_MODELS = {0: "WDDM", 1: "TCC", 2: "MCDM"}
_FABRIC_STATES = {0: "not-supported", 1: "not-started", 2: "in-progress", 3: "completed"}

# nvml.h, nvmlClocksEventReasons
_THROTTLE_REASONS = {
    0x001: "gpu-idle",
    0x002: "applications-clocks-setting",
    0x004: "sw-power-cap",
    0x008: "hw-slowdown",
    0x010: "sync-boost",
    0x020: "sw-thermal-slowdown",
    0x040: "hw-thermal-slowdown",
    0x080: "hw-power-brake-slowdown",
    0x100: "display-clock-setting",
    0x200: "board-limit",
    0x400: "reliability",
}

_CORRECTED, _UNCORRECTED = 0, 1
_VOLATILE, _AGGREGATE = 0, 1
_THRESHOLD_SLOWDOWN, _THRESHOLD_GPU_MAX = 1, 3
_CLOCK_SM = 1
_SENSOR_GPU = 0
_VALUE_NOT_AVAILABLE = (1 << 64) - 1
_PROCESS_LIST_TRIES = 3
# The newer name of a call first; a driver has the one or the other.
_THROTTLE_CALLS = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
_TEMPERATURE_CALLS = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature")


def text(value: bytes | str) -> str:
    """A C string as text, whatever its bytes are."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def cuda_version(number: int) -> str:
    """``12040`` as ``12.4``."""
    return f"{number // 1000}.{number % 1000 // 10}"


def throttle_reasons(mask: int) -> list[str]:
    """The names of the reasons in a bit mask; a bit without a name is given as ``0x800``."""
    bits = (1 << position for position in range(mask.bit_length()) if mask >> position & 1)
    return [_THROTTLE_REASONS.get(bit, hex(bit)) for bit in bits]


class Refused(Exception):  # noqa: N818 - an answer of NVML, not an error of ours
    """NVML answered a call with an error. ``where`` is the call."""

    def __init__(self, error: str, where: str) -> None:
        super().__init__(error)
        self.error = error
        self.where = where

    @property
    def not_supported(self) -> bool:
        return self.error in _NOT_SUPPORTED


class Session:
    """NVML by way of nvidia-ml-py, every call announced before it is made."""

    def __init__(self, library: Any, mark: str) -> None:
        self.library = library
        self._mark = mark
        self._names = {
            value: name
            for name, value in vars(library).items()
            if name.startswith("NVML_ERROR_") and isinstance(value, int)
        }
        self.job: Job = (None, "init")
        self.answered = 0
        self.first_refusal: Refused | None = None
        self.lost: str | None = None

    def tell(self, **message: Any) -> None:
        """One line to the parent, written at once."""
        sys.stdout.write(self._mark + json.dumps(message) + "\n")
        sys.stdout.flush()

    def begin(self, job: Job) -> None:
        """From here on calls belong to that job."""
        self.job = job
        self.answered = 0
        self.first_refusal = None
        self.lost = None

    def announce(self, name: str) -> None:
        """Say what comes next, in case nothing is said after it."""
        gpu, group = self.job
        self.tell(step=name, gpu=gpu, group=group)

    def name_of(self, code: int) -> str:
        """NVML's name of a return value."""
        return "NVML_SUCCESS" if code == 0 else self._names.get(code, f"NVML error {code}")

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of nvidia-ml-py. Raises Refused with NVML's error."""
        self.announce(name)
        function = getattr(self.library, name, None)
        if function is None:
            raise Refused("NVML_ERROR_FUNCTION_NOT_FOUND", name)
        try:
            # Below its decorator a function returns the driver's bytes; the decorator would decode them strictly.
            return getattr(function, "__wrapped__", function)(*arguments)
        except self.library.NVMLError as error:
            refused = Refused(self.name_of(error.value), name)
            if refused.error in ("NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_RESET_REQUIRED"):
                self.lost = refused.error
            raise refused from None

    def must(self, *names: str, args: tuple[Any, ...] = ()) -> Any:
        """The answer of the first of these functions that this driver supports. Raises Refused."""
        refusal: Refused | None = None
        for name in names:
            try:
                value = self.call(name, *args)
            except Refused as refused:
                if not refused.not_supported:
                    raise
                refusal = refusal or refused
            else:
                self.answered += 1
                return value
        assert refusal is not None  # noqa: S101 - there is at least one name
        raise refusal

    def may(self, *names: str, args: tuple[Any, ...] = ()) -> Any:
        """The same, or None where this GPU or driver does not support it. Raises Refused for any other error."""
        try:
            return self.must(*names, args=args)
        except Refused as refused:
            if not refused.not_supported:
                raise
            self.first_refusal = self.first_refusal or refused
            return None


# -------------------------------------------------------------------------------------------- groups of one GPU


def _identity(nvml: Session, gpu: Handle) -> Values:
    errors: list[str] = []

    def ask(name: str) -> Any:
        # Each stands alone: a GPU that cannot tell its name is still known by its address.
        try:
            return nvml.may(name, args=(gpu,))
        except Refused as refused:
            errors.append(refused.error)
            return None

    name, uuid, vbios = map(ask, ("nvmlDeviceGetName", "nvmlDeviceGetUUID", "nvmlDeviceGetVbiosVersion"))
    pci = ask("nvmlDeviceGetPciInfo")
    return {
        "name": None if name is None else text(name),
        "uuid": None if uuid is None else text(uuid),
        "vbios": None if vbios is None else text(vbios),
        # sysfs spells it so; NVML's own text has a domain of eight digits. A GPU is always function 0.
        "pci": None if pci is None else f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}.0",
        "pci_device": None if pci is None else f"{pci.pciDeviceId >> 16:04x}",
        "error": errors[0] if errors else None,
    }


def _capability(nvml: Session, gpu: Handle) -> Values:
    major, minor = nvml.must("nvmlDeviceGetCudaComputeCapability", args=(gpu,))
    return {"value": f"{major}.{minor}"}


def _memory(nvml: Session, gpu: Handle) -> Values:
    # Version 2 tells what the driver reserves for itself apart from what is used, as nvidia-smi does.
    version = getattr(nvml.library, "nvmlMemory_v2", None)
    memory = nvml.may("nvmlDeviceGetMemoryInfo", args=(gpu, version)) if version else None
    if memory is None:
        memory = nvml.must("nvmlDeviceGetMemoryInfo", args=(gpu,))
    return {"total": memory.total, "used": memory.used, "free": memory.free}


def _modes(nvml: Session, gpu: Handle) -> Values:
    compute = nvml.may("nvmlDeviceGetComputeMode", args=(gpu,))
    mig = nvml.may("nvmlDeviceGetMigMode", args=(gpu,))
    virtualization = nvml.may("nvmlDeviceGetVirtualizationMode", args=(gpu,))
    model = nvml.may("nvmlDeviceGetDriverModel", args=(gpu,)) if sys.platform == "win32" else None
    return {
        "compute": None if compute is None else _COMPUTE_MODES.get(compute, str(compute)),
        "persistence": _yes(nvml.may("nvmlDeviceGetPersistenceMode", args=(gpu,))),
        "mig": None if mig is None else bool(mig[0]),
        "mig_pending": None if mig is None else bool(mig[1]),
        "display": _yes(nvml.may("nvmlDeviceGetDisplayActive", args=(gpu,))),
        "model": None if model is None else _DRIVER_MODELS.get(model[0], str(model[0])),
        "virtualization": None if virtualization is None else _VIRTUALIZATION.get(virtualization, str(virtualization)),
        "vgpu_license": _license(nvml, gpu) if _VIRTUALIZATION.get(virtualization) == "vgpu" else None,
        "confidential": _confidential(nvml),
    }


def _yes(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _license(nvml: Session, gpu: Handle) -> str | None:
    features = nvml.may("nvmlDeviceGetGridLicensableFeatures", args=(gpu,))
    if features is None or not features.isGridLicenseSupported:
        return None
    listed = features.gridLicensableFeatures[: features.licensableFeaturesCount]
    return "licensed" if any(feature.featureState for feature in listed) else "unlicensed"


def _confidential(nvml: Session) -> str | None:
    state = nvml.may("nvmlSystemGetConfComputeState")
    if state is None:
        return None
    if not state.ccFeature:
        return "off"
    # Until an administrator sets the ready state, CUDA refuses every context.
    if nvml.may("nvmlSystemGetConfComputeGpusReadyState") == 0:
        return "not-ready"
    return "devtools" if state.devToolsMode else "on"


def _ecc(nvml: Session, gpu: Handle) -> Values:
    def errors(kind: int, counter: int) -> int | None:
        count: int | None = nvml.may("nvmlDeviceGetTotalEccErrors", args=(gpu, kind, counter))
        return count

    mode = nvml.may("nvmlDeviceGetEccMode", args=(gpu,))
    rows = nvml.may("nvmlDeviceGetRemappedRows", args=(gpu,))
    retired = [nvml.may("nvmlDeviceGetRetiredPages", args=(gpu, cause)) for cause in (0, 1)]
    return {
        "enabled": None if mode is None else bool(mode[0]),
        "corrected": errors(_CORRECTED, _VOLATILE),
        "uncorrected": errors(_UNCORRECTED, _VOLATILE),
        "uncorrected_lifetime": errors(_UNCORRECTED, _AGGREGATE),
        "remapped_corrected": None if rows is None else rows[0],
        "remapped_uncorrected": None if rows is None else rows[1],
        "remap_pending": None if rows is None else bool(rows[2]),
        "remap_failure": None if rows is None else bool(rows[3]),
        "retired_pages": None if None in retired else sum(map(len, retired)),
        "retired_pending": _yes(nvml.may("nvmlDeviceGetRetiredPagesPendingStatus", args=(gpu,))),
    }


def _clocks(nvml: Session, gpu: Handle) -> Values:
    limit = nvml.may("nvmlDeviceGetTemperatureThreshold", args=(gpu, _THRESHOLD_SLOWDOWN))
    if limit is None:
        limit = nvml.may("nvmlDeviceGetTemperatureThreshold", args=(gpu, _THRESHOLD_GPU_MAX))
    return {
        "throttle": throttle_reasons(nvml.must(*_THROTTLE_CALLS, args=(gpu,))),
        "temperature": nvml.may(*_TEMPERATURE_CALLS, args=(gpu, _SENSOR_GPU)),
        "temperature_limit": limit,
        "power": _watts(nvml.may("nvmlDeviceGetPowerUsage", args=(gpu,))),
        "power_limit": _watts(nvml.may("nvmlDeviceGetEnforcedPowerLimit", args=(gpu,))),
        "power_default_limit": _watts(nvml.may("nvmlDeviceGetPowerManagementDefaultLimit", args=(gpu,))),
        "sm_clock": nvml.may("nvmlDeviceGetClockInfo", args=(gpu, _CLOCK_SM)),
        "sm_clock_max": nvml.may("nvmlDeviceGetMaxClockInfo", args=(gpu, _CLOCK_SM)),
    }


def _watts(milliwatts: int | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1000


def _link(nvml: Session, gpu: Handle) -> Values:
    return {
        "generation": nvml.may("nvmlDeviceGetCurrPcieLinkGeneration", args=(gpu,)),
        "generation_max": nvml.may("nvmlDeviceGetMaxPcieLinkGeneration", args=(gpu,)),
        "width": nvml.may("nvmlDeviceGetCurrPcieLinkWidth", args=(gpu,)),
        "width_max": nvml.may("nvmlDeviceGetMaxPcieLinkWidth", args=(gpu,)),
        "replays": nvml.may("nvmlDeviceGetPcieReplayCounter", args=(gpu,)),
    }


def _nvlink(nvml: Session, gpu: Handle) -> Values:
    states = []
    for link in range(nvml.library.NVML_NVLINK_MAX_LINKS):
        try:
            states.append(nvml.call("nvmlDeviceGetNvLinkState", gpu, link))
        except Refused as refused:
            if not refused.not_supported or refused.error == "NVML_ERROR_FUNCTION_NOT_FOUND":
                raise
            break  # this GPU has no link of that number
    nvml.answered += 1
    return {"links": len(states), "active": sum(map(bool, states))}


def _fabric(nvml: Session, gpu: Handle) -> Values:
    try:
        info = _fabric_info(nvml, gpu)
    except Refused as refused:
        if refused.error != "NVML_ERROR_NOT_SUPPORTED":
            raise
        return {"state": "not-supported", "status": None}
    # The status is defined only once the registration has ended.
    status = nvml.name_of(info.status) if info.state == 3 else None
    return {"state": _FABRIC_STATES.get(info.state, str(info.state)), "status": status}


class FabricInfo(ctypes.Structure):
    """nvmlGpuFabricInfo_t of nvml.h. nvidia-ml-py's own one was too long before 12.570."""

    _fields_ = (
        ("cluster", ctypes.c_ubyte * 16),
        ("status", ctypes.c_uint),
        ("clique", ctypes.c_uint),
        ("state", ctypes.c_uint),
    )


class FabricInfo2(ctypes.Structure):
    """nvmlGpuFabricInfo_v2_t of nvml.h. A struct's version holds its size and its number."""

    _fields_ = (("version", ctypes.c_uint), *FabricInfo._fields_, ("health", ctypes.c_uint))

    def __init__(self) -> None:
        super().__init__(version=ctypes.sizeof(self) | 2 << 24)


def _fabric_info(nvml: Session, gpu: Handle) -> FabricInfo | FabricInfo2:
    refusal: Refused | None = None
    asked: tuple[tuple[str, FabricInfo | FabricInfo2], ...] = (
        ("nvmlDeviceGetGpuFabricInfoV", FabricInfo2()),
        ("nvmlDeviceGetGpuFabricInfo", FabricInfo()),
    )
    for name, info in asked:
        try:
            nvml.call(name, gpu, ctypes.byref(info))
        except Refused as refused:
            if refused.error == "NVML_ERROR_NOT_SUPPORTED" or not refused.not_supported:
                raise
            refusal = refusal or refused
        else:
            nvml.answered += 1
            return info
    assert refusal is not None  # noqa: S101 - both were refused
    raise refusal


def _processes(nvml: Session, gpu: Handle) -> Values:
    compute = _process_list(nvml, gpu, "Compute")
    try:
        graphics = _process_list(nvml, gpu, "Graphics")
    except Refused as refused:
        if not refused.not_supported:
            raise
        graphics = []
    return {"processes": _process_records(nvml, compute, "compute") + _process_records(nvml, graphics, "graphics")}


def _process_list(nvml: Session, gpu: Handle, kind: str) -> list[Any]:
    names = [f"nvmlDeviceGet{kind}RunningProcesses{version}" for version in ("_v3", "_v2")]
    listed: list[Any]
    for _ in range(_PROCESS_LIST_TRIES - 1):
        try:
            listed = nvml.must(*names, args=(gpu,))
        except Refused as refused:
            # Processes came between asking for their number and asking for them.
            if refused.error != "NVML_ERROR_INSUFFICIENT_SIZE":
                raise
        else:
            return listed
    listed = nvml.must(*names, args=(gpu,))
    return listed


def _process_records(nvml: Session, listed: list[Any], kind: str) -> list[Values]:
    return [
        {
            "pid": process.pid,
            "used": _known(process.usedGpuMemory),
            "name": _process_name(nvml, process.pid),
            "kind": kind,
        }
        for process in listed
    ]


def _known(used: int | None) -> int | None:
    return None if used == _VALUE_NOT_AVAILABLE else used


def _process_name(nvml: Session, pid: int) -> str | None:
    try:
        return text(nvml.call("nvmlSystemGetProcessName", pid))
    except Refused:
        return None  # gone meanwhile, or another user's: the process itself is the fact


def _mig(nvml: Session, gpu: Handle) -> Values:
    mode = nvml.may("nvmlDeviceGetMigMode", args=(gpu,))
    nvml.answered += 1  # "not supported" is an answer: then there are no instances
    return {"instances": _mig_instances(nvml, gpu) if mode and mode[0] else []}


def _mig_instances(nvml: Session, gpu: Handle) -> list[Values]:
    instances = []
    for index in range(nvml.must("nvmlDeviceGetMaxMigDeviceCount", args=(gpu,))):
        try:
            instance = nvml.call("nvmlDeviceGetMigDeviceHandleByIndex", gpu, index)
        except Refused as refused:
            if refused.error not in ("NVML_ERROR_NOT_FOUND", "NVML_ERROR_INVALID_ARGUMENT"):
                raise
            continue
        name = nvml.may("nvmlDeviceGetName", args=(instance,))
        memory = nvml.may("nvmlDeviceGetMemoryInfo", args=(instance,))
        instances.append(
            {
                "uuid": text(nvml.must("nvmlDeviceGetUUID", args=(instance,))),
                "name": None if name is None else text(name),
                "memory": None if memory is None else memory.total,
            }
        )
    return instances


def _witness(nvml: Session, gpu: Handle) -> Values:
    values = _memory(nvml, gpu)
    try:
        listed = _process_list(nvml, gpu, "Compute")
    except Refused as refused:
        return {**values, "processes": None, "refused": f"{refused.where}: {refused.error}"}
    processes = [{"pid": process.pid, "used": _known(process.usedGpuMemory)} for process in listed]
    return {**values, "processes": processes}


def _sample(nvml: Session, gpu: Handle) -> Values:
    reasons = nvml.may(*_THROTTLE_CALLS, args=(gpu,))
    return {
        "throttle": [] if reasons is None else throttle_reasons(reasons),
        "temperature": nvml.may(*_TEMPERATURE_CALLS, args=(gpu, _SENSOR_GPU)),
        "power": _watts(nvml.may("nvmlDeviceGetPowerUsage", args=(gpu,))),
        "sm_clock": nvml.may("nvmlDeviceGetClockInfo", args=(gpu, _CLOCK_SM)),
        "used": _memory(nvml, gpu)["used"],
    }


GROUPS = {
    "identity": _identity,
    "capability": _capability,
    "memory": _memory,
    "modes": _modes,
    "processes": _processes,
    "mig": _mig,
    "ecc": _ecc,
    "clocks": _clocks,
    "link": _link,
    "nvlink": _nvlink,
    "fabric": _fabric,
    "witness": _witness,
    "sample": _sample,
}


# --------------------------------------------------------------------------------------------- the driver itself


def _driver(nvml: Session) -> Values:
    version = nvml.may("nvmlSystemGetDriverVersion")
    return {"driver": None if version is None else text(version)}


def _cuda(nvml: Session) -> Values:
    # NVML loads libcuda for this, so it stands apart: a broken libcuda must not cost the GPUs.
    try:
        return {"cuda": cuda_version(nvml.must("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"))}
    except Refused as refused:
        if refused.error != "NVML_ERROR_LIBRARY_NOT_FOUND":
            raise
        return {"cuda": None}


SYSTEM = {"driver": _driver, "cuda": _cuda}


# ----------------------------------------------------------------------------------------------------- the run


def mapped_library(fragment: str) -> str | None:
    """The file of the first mapping whose path contains the fragment (proc_pid_maps(5)), None where there is none."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            paths = [line.split(None, 5)[5].rstrip("\n") for line in maps if fragment in line]
    except OSError:
        return None
    return paths[0] if paths else None


def _load_error() -> str | None:
    """What the loader says of libnvidia-ml.so.1, which nvidia-ml-py shortens to 'not found'."""
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError as error:
        return str(error)
    return None


def _initialise(nvml: Session) -> bool:
    detail = None
    if sys.platform != "win32":
        nvml.announce("dlopen libnvidia-ml.so.1")
        detail = _load_error()
        nvml.tell(library=mapped_library("libnvidia-ml.so"))
    try:
        nvml.call("nvmlInit")
    except Refused as refused:
        nvml.tell(init=refused.error, detail=detail)
        return False
    nvml.tell(init="NVML_SUCCESS", detail=None)
    return True


def _count(nvml: Session) -> int:
    nvml.begin((None, "count"))
    try:
        count: int = nvml.call("nvmlDeviceGetCount")
    except Refused as refused:
        nvml.tell(count=None, error=refused.error, where=refused.where)
        return 0
    nvml.tell(count=count)
    return count


def _do(nvml: Session, job: Job, handles: dict[int, Handle]) -> None:
    """Do one job and tell its outcome. A GPU whose handle is refused has no outcome but the refusal."""
    gpu, group = job
    nvml.begin(job)
    try:
        values = SYSTEM[group](nvml) if gpu is None else GROUPS[group](nvml, handles[gpu])
        if not nvml.answered and nvml.first_refusal:
            raise nvml.first_refusal
    except Refused as refused:
        nvml.tell(gpu=gpu, group=group, error=refused.error, where=refused.where, lost=nvml.lost)
    except Exception as error:
        nvml.tell(gpu=gpu, group=group, error=f"{type(error).__name__}: {error}", where=group, lost=nvml.lost)
    else:
        nvml.tell(gpu=gpu, group=group, values=values, lost=nvml.lost)


def _handle(nvml: Session, gpu: int, handles: dict[int, Handle]) -> bool:
    nvml.begin((gpu, "handle"))
    try:
        handles[gpu] = nvml.call("nvmlDeviceGetHandleByIndex", gpu)
    except Refused as refused:
        nvml.tell(gpu=gpu, group="handle", error=refused.error, where=refused.where)
        return False
    return True


def _all_jobs(nvml: Session, groups: list[str]) -> list[Job]:
    count = _count(nvml)
    return [(gpu, group) for gpu in range(count) for group in groups]


def main(
    mark: str, path: list[str], system: list[str], groups: list[str], work: list[Job] | None, every: float | None = None
) -> None:
    """Do the jobs in ``work``, or every job there is: ``system``, then ``groups`` of every GPU in NVML's order.

    ``every`` so many seconds the work is done again, until the process is ended. ``path`` are gpudoctor's own import
    folders. They come after the interpreter's own, so that nothing in them can take the place of a module of the
    standard library.
    """
    sys.path.extend(entry for entry in path if entry not in sys.path)
    sys.stdout.write(mark + json.dumps({"step": "import pynvml", "gpu": None, "group": "init"}) + "\n")
    sys.stdout.flush()
    import pynvml  # type: ignore[import-untyped]

    nvml = Session(pynvml, mark)
    if not _initialise(nvml):
        nvml.tell(done=True)
        os._exit(0)
    if work is None:
        for group in system:
            _do(nvml, (None, group), {})
        work = _all_jobs(nvml, groups)
    handles: dict[int, Handle] = {}
    refused: set[int] = set()
    while True:
        for gpu, group in work:
            if gpu is not None and gpu not in handles and (gpu in refused or not _handle(nvml, gpu, handles)):
                refused.add(gpu)
                continue
            _do(nvml, (gpu, group), handles)
        if every is None:
            break
        time.sleep(every)
    nvml.tell(done=True)
    os._exit(0)  # the driver's own exit handlers can hang; all is said
