/* A libnvidia-ml.so.1 that answers from a described machine. Names, structs and codes are those of NVIDIA's nvml.h:
 * https://docs.nvidia.com/deploy/nvml-api/
 */
#include "lab.h"

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    VERSION_MISMATCH = 25,
};

#define MOST_GPUS 64
#define MOST_MIG 16
#define MOST_PROCESSES 256
#define STRUCT_VERSION(type, number) (unsigned)(sizeof(type) | ((unsigned)(number) << 24))

typedef unsigned long long u64;
typedef struct device { int gpu, mig; } *Device;

static struct device devices[MOST_GPUS][1 + MOST_MIG];
static int users;

static int count_gpus(void) {
    u64 count = 0;
    lab_numbers("gpus", &count, 1);
    return (int)count;
}

/* Every function begins here: the described fault first, then what NVML itself checks. */
static int enter(const char *function, Device device) {
    int code = lab_fault(function, device ? device->gpu : -1);
    if (code) return code;
    return users ? SUCCESS : UNINITIALIZED;
}

#define ENTER(function)                                   \
    do {                                                  \
        int code = enter(#function, NULL);                \
        if (code) return code;                            \
    } while (0)

#define ENTER_DEVICE(function, device)                    \
    do {                                                  \
        if (!(device)) return INVALID_ARGUMENT;           \
        int code = enter(#function, device);              \
        if (code) return code;                            \
    } while (0)

static const char *device_key(Device device, const char *leaf, char *key) {
    if (device->mig < 0) snprintf(key, LAB_KEY, "gpu.%d.%s", device->gpu, leaf);
    else snprintf(key, LAB_KEY, "gpu.%d.mig.%d.%s", device->gpu, device->mig, leaf);
    return key;
}

static int numbers(Device device, const char *leaf, u64 *out, int count) {
    char key[LAB_KEY];
    return lab_numbers(device_key(device, leaf, key), out, count) == count ? SUCCESS : NOT_SUPPORTED;
}

static int number(Device device, const char *leaf, unsigned *out) {
    u64 value;
    if (!out) return INVALID_ARGUMENT;
    int code = numbers(device, leaf, &value, 1);
    if (code == SUCCESS) *out = (unsigned)value;
    return code;
}

static int copy(const char *text, char *out, unsigned length) {
    if (!text) return NOT_SUPPORTED;
    if (!out) return INVALID_ARGUMENT;
    if (strlen(text) + 1 > length) return INSUFFICIENT_SIZE;
    strcpy(out, text);
    return SUCCESS;
}

static int device_text(Device device, const char *leaf, char *out, unsigned length) {
    char key[LAB_KEY];
    return copy(lab_value(device_key(device, leaf, key)), out, length);
}

/* ------------------------------------------------------------------------------------------------ the library */

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    int code = lab_fault("nvmlInitWithFlags", -1);
    if (code) return code;
    for (int gpu = 0; gpu < MOST_GPUS; gpu++)
        for (int mig = 0; mig <= MOST_MIG; mig++) devices[gpu][mig] = (struct device){gpu, mig - 1};
    users++;
    return SUCCESS;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
    ENTER(nvmlShutdown);
    users--;
    return SUCCESS;
}

const char *nvmlErrorString(int code) {
    static const char *names[] = {
        "Success", "Uninitialized", "Invalid Argument", "Not Supported", "Insufficient Permissions",
        "Already Initialized", "Not Found", "Insufficient Size", "Insufficient External Power", "Driver Not Loaded",
        "Timeout", "Interrupt Request Issue", "NVML Shared Library Not Found", "Function Not Found",
        "Corrupted infoROM", "GPU is lost", "GPU requires reset",
        "The operating system has blocked the request", "Driver/library version mismatch",
    };
    if (code >= 0 && code < (int)(sizeof names / sizeof *names)) return names[code];
    return "Unknown Error";
}

int nvmlSystemGetDriverVersion(char *out, unsigned length) {
    ENTER(nvmlSystemGetDriverVersion);
    return copy(lab_value("driver"), out, length);
}

int nvmlSystemGetNVMLVersion(char *out, unsigned length) {
    ENTER(nvmlSystemGetNVMLVersion);
    return copy(lab_value("nvml"), out, length);
}

static int cuda_version(int *out) {
    u64 value;
    if (!out) return INVALID_ARGUMENT;
    if (lab_numbers("cuda", &value, 1) != 1) return NOT_SUPPORTED;
    *out = (int)value;
    return SUCCESS;
}

int nvmlSystemGetCudaDriverVersion(int *out) {
    ENTER(nvmlSystemGetCudaDriverVersion);
    return cuda_version(out);
}

int nvmlSystemGetCudaDriverVersion_v2(int *out) {
    ENTER(nvmlSystemGetCudaDriverVersion_v2);
    return cuda_version(out);
}

int nvmlSystemGetProcessName(unsigned pid, char *out, unsigned length) {
    char key[LAB_KEY];
    ENTER(nvmlSystemGetProcessName);
    snprintf(key, sizeof key, "process.%u", pid);
    const char *name = lab_value(key);
    if (!name) return NOT_FOUND;
    if (!out || !length) return INVALID_ARGUMENT;
    snprintf(out, length, "%s", name); /* NVML cuts this one */
    return SUCCESS;
}

typedef struct { unsigned environment, feature, devtools; } ConfidentialState;

int nvmlSystemGetConfComputeState(ConfidentialState *out) {
    u64 values[3];
    ENTER(nvmlSystemGetConfComputeState);
    if (lab_numbers("confidential", values, 3) != 3) return NOT_SUPPORTED;
    *out = (ConfidentialState){(unsigned)values[0], (unsigned)values[1], (unsigned)values[2]};
    return SUCCESS;
}

int nvmlSystemGetConfComputeGpusReadyState(unsigned *out) {
    u64 value;
    ENTER(nvmlSystemGetConfComputeGpusReadyState);
    if (lab_numbers("confidential.ready", &value, 1) != 1) return NOT_SUPPORTED;
    *out = (unsigned)value;
    return SUCCESS;
}

/* -------------------------------------------------------------------------------------------------- the GPUs */

int nvmlDeviceGetCount_v2(unsigned *out) {
    ENTER(nvmlDeviceGetCount_v2);
    if (!out) return INVALID_ARGUMENT;
    *out = (unsigned)count_gpus();
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device *out) {
    if (!out || index >= MOST_GPUS || (int)index >= count_gpus()) return INVALID_ARGUMENT;
    ENTER_DEVICE(nvmlDeviceGetHandleByIndex_v2, &devices[index][0]);
    *out = &devices[index][0];
    return SUCCESS;
}

static int handle_by_text(const char *leaf, const char *wanted, Device *out) {
    char key[LAB_KEY];
    for (int gpu = 0; gpu < count_gpus() && gpu < MOST_GPUS; gpu++)
        for (int mig = 0; mig <= MOST_MIG; mig++) {
            const char *found = lab_value(device_key(&devices[gpu][mig], leaf, key));
            if (found && wanted && !strcasecmp(found, wanted)) {
                *out = &devices[gpu][mig];
                return SUCCESS;
            }
        }
    return NOT_FOUND;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device *out) {
    ENTER(nvmlDeviceGetHandleByUUID);
    return handle_by_text("uuid", uuid, out);
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *address, Device *out) {
    ENTER(nvmlDeviceGetHandleByPciBusId_v2);
    return handle_by_text("pci", address, out);
}

int nvmlDeviceGetIndex(Device device, unsigned *out) {
    ENTER_DEVICE(nvmlDeviceGetIndex, device);
    *out = (unsigned)device->gpu;
    return SUCCESS;
}

int nvmlDeviceGetMinorNumber(Device device, unsigned *out) {
    ENTER_DEVICE(nvmlDeviceGetMinorNumber, device);
    *out = (unsigned)device->gpu;
    return SUCCESS;
}

#define TEXT(function, leaf)                                          \
    int function(Device device, char *out, unsigned length) {         \
        ENTER_DEVICE(function, device);                               \
        return device_text(device, leaf, out, length);                \
    }

#define NUMBER(function, leaf)                                        \
    int function(Device device, unsigned *out) {                      \
        ENTER_DEVICE(function, device);                               \
        return number(device, leaf, out);                             \
    }

#define INDEXED(function, leaf)                                       \
    int function(Device device, unsigned which, unsigned *out) {      \
        char name[64];                                                \
        ENTER_DEVICE(function, device);                               \
        snprintf(name, sizeof name, leaf ".%u", which);               \
        return number(device, name, out);                             \
    }

TEXT(nvmlDeviceGetName, "name")
TEXT(nvmlDeviceGetUUID, "uuid")
TEXT(nvmlDeviceGetVbiosVersion, "vbios")
TEXT(nvmlDeviceGetSerial, "serial")
NUMBER(nvmlDeviceGetBrand, "brand")
NUMBER(nvmlDeviceGetComputeMode, "compute_mode")
NUMBER(nvmlDeviceGetPersistenceMode, "persistence")
NUMBER(nvmlDeviceGetDisplayActive, "display_active")
NUMBER(nvmlDeviceGetDisplayMode, "display_mode")
NUMBER(nvmlDeviceGetPowerUsage, "power")
NUMBER(nvmlDeviceGetEnforcedPowerLimit, "power_limit")
NUMBER(nvmlDeviceGetPowerManagementLimit, "power_limit")
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, "power_default_limit")
NUMBER(nvmlDeviceGetPerformanceState, "performance_state")
NUMBER(nvmlDeviceGetFanSpeed, "fan")
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, "pcie_generation")
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, "pcie_generation_max")
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, "pcie_width")
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, "pcie_width_max")
NUMBER(nvmlDeviceGetPcieReplayCounter, "pcie_replays")
NUMBER(nvmlDeviceGetRetiredPagesPendingStatus, "retired_pending")
INDEXED(nvmlDeviceGetTemperature, "temperature")
INDEXED(nvmlDeviceGetTemperatureThreshold, "threshold")
INDEXED(nvmlDeviceGetClockInfo, "clock")
INDEXED(nvmlDeviceGetMaxClockInfo, "clock_max")

typedef struct { unsigned version, sensor; int temperature; } Temperature;

int nvmlDeviceGetTemperatureV(Device device, Temperature *out) {
    char name[64];
    ENTER_DEVICE(nvmlDeviceGetTemperatureV, device);
    if (out->version != STRUCT_VERSION(Temperature, 1)) return VERSION_MISMATCH;
    snprintf(name, sizeof name, "temperature.%u", out->sensor);
    return number(device, name, (unsigned *)&out->temperature);
}

typedef struct {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char address[32];
} PciInfo;

int nvmlDeviceGetPciInfo_v3(Device device, PciInfo *out) {
    char text[32];
    u64 id = 0, subsystem = 0;
    ENTER_DEVICE(nvmlDeviceGetPciInfo_v3, device);
    int code = device_text(device, "pci", text, sizeof text);
    if (code) return code;
    memset(out, 0, sizeof *out);
    sscanf(text, "%x:%x:%x", &out->domain, &out->bus, &out->device);
    numbers(device, "pci_id", &id, 1);
    numbers(device, "pci_subsystem", &subsystem, 1);
    out->id = (unsigned)id;
    out->subsystem = (unsigned)subsystem;
    snprintf(out->legacy, sizeof out->legacy, "%04X:%02X:%02X.0", out->domain & 0xffff, out->bus & 0xff, out->device & 0xff);
    snprintf(out->address, sizeof out->address, "%08X:%02X:%02X.0", out->domain, out->bus & 0xff, out->device & 0xff);
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(Device device, int *major, int *minor) {
    u64 values[2];
    ENTER_DEVICE(nvmlDeviceGetCudaComputeCapability, device);
    int code = numbers(device, "capability", values, 2);
    if (code) return code;
    *major = (int)values[0];
    *minor = (int)values[1];
    return SUCCESS;
}

typedef struct { u64 total, free, used; } Memory;
typedef struct { unsigned version; u64 total, reserved, free, used; } Memory2;

int nvmlDeviceGetMemoryInfo(Device device, Memory *out) {
    u64 values[3]; /* total, reserved, used */
    ENTER_DEVICE(nvmlDeviceGetMemoryInfo, device);
    int code = numbers(device, "memory", values, 3);
    if (code) return code;
    *out = (Memory){values[0], values[0] - values[1] - values[2], values[1] + values[2]};
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(Device device, Memory2 *out) {
    u64 values[3];
    ENTER_DEVICE(nvmlDeviceGetMemoryInfo_v2, device);
    if (out->version != STRUCT_VERSION(Memory2, 2)) return VERSION_MISMATCH;
    int code = numbers(device, "memory", values, 3);
    if (code) return code;
    *out = (Memory2){out->version, values[0], values[1], values[0] - values[1] - values[2], values[2]};
    return SUCCESS;
}

int nvmlDeviceGetBAR1MemoryInfo(Device device, Memory *out) {
    u64 value;
    ENTER_DEVICE(nvmlDeviceGetBAR1MemoryInfo, device);
    int code = numbers(device, "bar1", &value, 1);
    if (code) return code;
    *out = (Memory){value, value, 0};
    return SUCCESS;
}

typedef struct { unsigned gpu, memory; } Utilization;

int nvmlDeviceGetUtilizationRates(Device device, Utilization *out) {
    u64 values[2];
    ENTER_DEVICE(nvmlDeviceGetUtilizationRates, device);
    int code = numbers(device, "utilization", values, 2);
    if (code) return code;
    *out = (Utilization){(unsigned)values[0], (unsigned)values[1]};
    return SUCCESS;
}

static int pair(Device device, const char *leaf, unsigned *first, unsigned *second) {
    u64 values[2];
    int code = numbers(device, leaf, values, 2);
    if (code) return code;
    *first = (unsigned)values[0];
    *second = (unsigned)values[1];
    return SUCCESS;
}

int nvmlDeviceGetEncoderUtilization(Device device, unsigned *out, unsigned *period) {
    ENTER_DEVICE(nvmlDeviceGetEncoderUtilization, device);
    return pair(device, "encoder", out, period);
}

int nvmlDeviceGetDecoderUtilization(Device device, unsigned *out, unsigned *period) {
    ENTER_DEVICE(nvmlDeviceGetDecoderUtilization, device);
    return pair(device, "decoder", out, period);
}

int nvmlDeviceGetVirtualizationMode(Device device, unsigned *out) {
    ENTER_DEVICE(nvmlDeviceGetVirtualizationMode, device);
    return number(device, "virtualization", out);
}

/* -------------------------------------------------------------------------------------------------- licences */

typedef struct { unsigned year; unsigned short month, day, hour, minute, second; unsigned char status; } Expiry;
typedef struct {
    unsigned code, state;
    char license[128], product[128];
    unsigned enabled;
    Expiry expiry;
} Feature;
typedef struct { int supported; unsigned count; Feature features[3]; } Features;

int nvmlDeviceGetGridLicensableFeatures_v4(Device device, Features *out) {
    unsigned licensed;
    ENTER_DEVICE(nvmlDeviceGetGridLicensableFeatures_v4, device);
    memset(out, 0, sizeof *out);
    if (number(device, "vgpu_licensed", &licensed)) return SUCCESS;
    out->supported = 1;
    out->count = 1;
    out->features[0].state = licensed;
    out->features[0].enabled = 1;
    strcpy(out->features[0].product, "NVIDIA RTX Virtual Workstation");
    return SUCCESS;
}

/* ------------------------------------------------------------------------------------- health of the memory */

int nvmlDeviceGetEccMode(Device device, unsigned *current, unsigned *pending) {
    ENTER_DEVICE(nvmlDeviceGetEccMode, device);
    return pair(device, "ecc", current, pending);
}

int nvmlDeviceGetTotalEccErrors(Device device, unsigned kind, unsigned counter, u64 *out) {
    char name[64];
    ENTER_DEVICE(nvmlDeviceGetTotalEccErrors, device);
    snprintf(name, sizeof name, "ecc.%u.%u", kind, counter);
    return numbers(device, name, out, 1);
}

int nvmlDeviceGetRemappedRows(Device device, unsigned *corrected, unsigned *uncorrected, unsigned *pending,
                              unsigned *failure) {
    u64 values[4];
    ENTER_DEVICE(nvmlDeviceGetRemappedRows, device);
    int code = numbers(device, "remapped", values, 4);
    if (code) return code;
    *corrected = (unsigned)values[0];
    *uncorrected = (unsigned)values[1];
    *pending = (unsigned)values[2];
    *failure = (unsigned)values[3];
    return SUCCESS;
}

int nvmlDeviceGetRetiredPages(Device device, unsigned cause, unsigned *count, u64 *pages) {
    char name[64];
    unsigned retired;
    ENTER_DEVICE(nvmlDeviceGetRetiredPages, device);
    snprintf(name, sizeof name, "retired.%u", cause);
    int code = number(device, name, &retired);
    if (code) return code;
    unsigned room = *count;
    *count = retired;
    if (room < retired) return INSUFFICIENT_SIZE;
    for (unsigned page = 0; page < retired; page++) pages[page] = 0x1000ULL * (page + 1);
    return SUCCESS;
}

/* ----------------------------------------------------------------------------------------- clocks and links */

int nvmlDeviceGetCurrentClocksEventReasons(Device device, u64 *out) {
    ENTER_DEVICE(nvmlDeviceGetCurrentClocksEventReasons, device);
    return numbers(device, "throttle", out, 1);
}

int nvmlDeviceGetCurrentClocksThrottleReasons(Device device, u64 *out) {
    ENTER_DEVICE(nvmlDeviceGetCurrentClocksThrottleReasons, device);
    return numbers(device, "throttle", out, 1);
}

int nvmlDeviceGetPcieThroughput(Device device, unsigned counter, unsigned *out) {
    (void)counter;
    ENTER_DEVICE(nvmlDeviceGetPcieThroughput, device);
    return number(device, "pcie_throughput", out);
}

int nvmlDeviceGetNvLinkState(Device device, unsigned link, unsigned *out) {
    char key[LAB_KEY];
    u64 states[64];
    ENTER_DEVICE(nvmlDeviceGetNvLinkState, device);
    unsigned links = (unsigned)lab_numbers(device_key(device, "nvlink", key), states, 64);
    if (!links) return NOT_SUPPORTED;
    if (link >= links) return INVALID_ARGUMENT;
    *out = (unsigned)states[link];
    return SUCCESS;
}

typedef struct { unsigned char cluster[16]; int status; unsigned clique, state; } Fabric;
typedef struct { unsigned version; unsigned char cluster[16]; int status; unsigned clique, state, health; } Fabric2;

int nvmlDeviceGetGpuFabricInfo(Device device, Fabric *out) {
    u64 values[2];
    ENTER_DEVICE(nvmlDeviceGetGpuFabricInfo, device);
    int code = numbers(device, "fabric", values, 2);
    if (code) return code;
    memset(out, 0, sizeof *out);
    out->state = (unsigned)values[0];
    out->status = (int)values[1];
    return SUCCESS;
}

int nvmlDeviceGetGpuFabricInfoV(Device device, Fabric2 *out) {
    u64 values[2];
    ENTER_DEVICE(nvmlDeviceGetGpuFabricInfoV, device);
    if (out->version != STRUCT_VERSION(Fabric2, 2)) return VERSION_MISMATCH;
    int code = numbers(device, "fabric", values, 2);
    if (code) return code;
    out->state = (unsigned)values[0];
    out->status = (int)values[1];
    return SUCCESS;
}

typedef struct {
    unsigned field, scope;
    long long timestamp, latency;
    unsigned type;
    int result;
    u64 value;
} FieldValue;

int nvmlDeviceGetFieldValues(Device device, int count, FieldValue *values) {
    ENTER_DEVICE(nvmlDeviceGetFieldValues, device);
    for (int i = 0; i < count; i++) values[i].result = NOT_SUPPORTED;
    return SUCCESS;
}

/* ----------------------------------------------------------------------------------------------- processes */

typedef struct { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; } Process;

static int processes(Device device, const char *leaf, unsigned *count, Process *out) {
    char key[LAB_KEY];
    u64 values[2 * MOST_PROCESSES]; /* pid:bytes,pid:bytes */
    if (!lab_value(device_key(device, leaf, key))) return NOT_SUPPORTED;
    unsigned found = (unsigned)lab_numbers(key, values, 2 * MOST_PROCESSES) / 2, room = *count;
    *count = found;
    if (room < found) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < found; i++)
        out[i] = (Process){(unsigned)values[2 * i], values[2 * i + 1], ~0u, ~0u};
    return SUCCESS;
}

#define PROCESSES(function, leaf)                                             \
    int function(Device device, unsigned *count, Process *out) {              \
        ENTER_DEVICE(function, device);                                       \
        return processes(device, leaf, count, out);                           \
    }

PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, "compute")
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, "compute")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2, "graphics")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, "graphics")
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3, "mps")

/* ------------------------------------------------------------------------------------------------------- MIG */

int nvmlDeviceGetMigMode(Device device, unsigned *current, unsigned *pending) {
    ENTER_DEVICE(nvmlDeviceGetMigMode, device);
    return pair(device, "mig", current, pending);
}

int nvmlDeviceIsMigDeviceHandle(Device device, unsigned *out) {
    ENTER_DEVICE(nvmlDeviceIsMigDeviceHandle, device);
    *out = device->mig >= 0;
    return SUCCESS;
}

NUMBER(nvmlDeviceGetMaxMigDeviceCount, "mig_most")

int nvmlDeviceGetMigDeviceHandleByIndex(Device device, unsigned index, Device *out) {
    char key[LAB_KEY];
    ENTER_DEVICE(nvmlDeviceGetMigDeviceHandleByIndex, device);
    if (index >= MOST_MIG) return INVALID_ARGUMENT;
    Device instance = &devices[device->gpu][1 + index];
    if (!lab_value(device_key(instance, "uuid", key))) return NOT_FOUND;
    *out = instance;
    return SUCCESS;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Device device, Device *out) {
    ENTER_DEVICE(nvmlDeviceGetDeviceHandleFromMigDeviceHandle, device);
    if (device->mig < 0) return INVALID_ARGUMENT;
    *out = &devices[device->gpu][0];
    return SUCCESS;
}

/* ----------------------------------------------------------- what this library has and no described GPU supports */

#define UNSUPPORTED(function, answer)                     \
    int function(Device device) {                         \
        ENTER_DEVICE(function, device);                   \
        return answer;                                    \
    }

UNSUPPORTED(nvmlDeviceGetDriverModel, NOT_SUPPORTED)
UNSUPPORTED(nvmlDeviceGetDriverModel_v2, NOT_SUPPORTED)
UNSUPPORTED(nvmlDeviceGetTotalEnergyConsumption, NOT_SUPPORTED)
UNSUPPORTED(nvmlDeviceGetMemoryErrorCounter, NOT_SUPPORTED)
UNSUPPORTED(nvmlDeviceGetRunningProcessDetailList, NOT_SUPPORTED)
UNSUPPORTED(nvmlDeviceGetAttributes_v2, NOT_SUPPORTED)
UNSUPPORTED(nvmlDeviceGetGpuInstanceId, NOT_SUPPORTED)
UNSUPPORTED(nvmlDeviceGetComputeInstanceId, NOT_SUPPORTED)
UNSUPPORTED(nvmlDeviceGetConfComputeMemSizeInfo, NOT_SUPPORTED)
UNSUPPORTED(nvmlDeviceGetProcessUtilization, NOT_FOUND) /* no samples */
