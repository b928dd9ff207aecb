/* A libcuda.so.1 that answers from a described machine. Names, codes and attributes are those of NVIDIA's cuda.h:
 * https://docs.nvidia.com/cuda/cuda-driver-api/
 *
 * Where it lies says what it is, as on a real machine: in a folder "stubs" it is the linker's stub, in a folder
 * "compat" it is cuda-compat, which has a CUDA version (compat.cuda) and faults (fault.compat.<function>) of its own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "lab.h"

enum {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    NOT_INITIALIZED = 3,
    STUB_LIBRARY = 34,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
};

#define MOST_GPUS 64

typedef unsigned long long u64;

static int initialised;
static int visible[MOST_GPUS], visible_count;

static int lies_in(const char *folder) {
    Dl_info info;
    return dladdr((void *)lies_in, &info) && info.dli_fname && strstr(info.dli_fname, folder);
}

static int enter(const char *function, int gpu) {
    char name[96];
    if (lies_in("/stubs/")) return STUB_LIBRARY;
    snprintf(name, sizeof name, "%s%s", lies_in("/compat/") ? "compat." : "", function);
    return lab_fault(name, gpu);
}

#define ENTER(function, gpu)                              \
    do {                                                  \
        int code = enter(#function, gpu);                 \
        if (code) return code;                            \
    } while (0)

static const char *gpu_key(int device, const char *leaf, char *key) {
    snprintf(key, LAB_KEY, "gpu.%d.%s", visible[device], leaf);
    return key;
}

static int gpu_of_uuid(const char *text, size_t length, int gpus) {
    char key[LAB_KEY];
    for (int gpu = 0; gpu < gpus; gpu++) {
        snprintf(key, sizeof key, "gpu.%d.uuid", gpu);
        const char *uuid = lab_value(key);
        if (uuid && length && !strncmp(uuid, text, length)) return gpu;
    }
    return -1;
}

/* CUDA_VISIBLE_DEVICES: indices or UUID prefixes; the first invalid one hides itself and all that follow.
 * https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables
 */
static void find_visible(void) {
    u64 value = 0;
    lab_numbers("gpus", &value, 1);
    int gpus = value > MOST_GPUS ? MOST_GPUS : (int)value;
    const char *text = getenv("CUDA_VISIBLE_DEVICES");
    visible_count = 0;
    if (!text) {
        while (visible_count < gpus) {
            visible[visible_count] = visible_count;
            visible_count++;
        }
        return;
    }
    while (*text && visible_count < MOST_GPUS) {
        size_t length = strcspn(text, ",");
        char *end;
        long index = strtol(text, &end, 10);
        if (end != text + length) index = gpu_of_uuid(text, length, gpus);
        if (index < 0 || index >= gpus) return;
        visible[visible_count++] = (int)index;
        text += length;
        if (*text == ',') text++;
    }
}

int cuInit(unsigned flags) {
    if (flags) return INVALID_VALUE;
    ENTER(cuInit, -1);
    find_visible();
    if (!visible_count) return NO_DEVICE;
    initialised = 1;
    return SUCCESS;
}

int cuDriverGetVersion(int *out) {
    u64 value;
    if (!out) return INVALID_VALUE;
    ENTER(cuDriverGetVersion, -1);
    if (lab_numbers(lies_in("/compat/") ? "compat.cuda" : "cuda", &value, 1) != 1) return INVALID_VALUE;
    *out = (int)value;
    return SUCCESS;
}

int cuDeviceGetCount(int *out) {
    ENTER(cuDeviceGetCount, -1);
    if (!initialised) return NOT_INITIALIZED;
    *out = visible_count;
    return SUCCESS;
}

static int check(int device) {
    if (!initialised) return NOT_INITIALIZED;
    return device < 0 || device >= visible_count ? INVALID_DEVICE : SUCCESS;
}

#define ENTER_DEVICE(function, device)                    \
    do {                                                  \
        int found = check(device);                        \
        if (found) return found;                          \
        ENTER(function, visible[device]);                 \
    } while (0)

int cuDeviceGet(int *out, int ordinal) {
    ENTER_DEVICE(cuDeviceGet, ordinal);
    *out = ordinal;
    return SUCCESS;
}

int cuDeviceGetName(char *out, int length, int device) {
    char key[LAB_KEY];
    ENTER_DEVICE(cuDeviceGetName, device);
    const char *name = lab_value(gpu_key(device, "name", key));
    snprintf(out, (size_t)length, "%s", name ? name : "");
    return SUCCESS;
}

int cuDeviceGetUuid_v2(unsigned char out[16], int device) {
    char key[LAB_KEY];
    ENTER_DEVICE(cuDeviceGetUuid_v2, device);
    const char *uuid = lab_value(gpu_key(device, "uuid", key));
    memset(out, 0, 16);
    uuid = uuid && !strncmp(uuid, "GPU-", 4) ? uuid + 4 : "";
    for (int i = 0; i < 16 && *uuid; uuid++) {
        unsigned byte;
        if (*uuid == '-') continue;
        if (sscanf(uuid++, "%2x", &byte) != 1) break;
        out[i++] = (unsigned char)byte;
    }
    return SUCCESS;
}

int cuDeviceGetUuid(unsigned char out[16], int device) { return cuDeviceGetUuid_v2(out, device); }

int cuDeviceTotalMem_v2(size_t *out, int device) {
    char key[LAB_KEY];
    u64 value;
    ENTER_DEVICE(cuDeviceTotalMem_v2, device);
    if (lab_numbers(gpu_key(device, "memory", key), &value, 1) != 1) return INVALID_VALUE;
    *out = (size_t)value;
    return SUCCESS;
}

enum { ATTRIBUTE_CAPABILITY_MAJOR = 75, ATTRIBUTE_CAPABILITY_MINOR = 76 };

int cuDeviceGetAttribute(int *out, int attribute, int device) {
    char key[LAB_KEY];
    u64 values[2];
    ENTER_DEVICE(cuDeviceGetAttribute, device);
    if (lab_numbers(gpu_key(device, "capability", key), values, 2) != 2) return INVALID_VALUE;
    if (attribute == ATTRIBUTE_CAPABILITY_MAJOR) *out = (int)values[0];
    else if (attribute == ATTRIBUTE_CAPABILITY_MINOR) *out = (int)values[1];
    else return INVALID_VALUE;
    return SUCCESS;
}

int cuDeviceComputeCapability(int *major, int *minor, int device) {
    int code = cuDeviceGetAttribute(major, ATTRIBUTE_CAPABILITY_MAJOR, device);
    return code ? code : cuDeviceGetAttribute(minor, ATTRIBUTE_CAPABILITY_MINOR, device);
}

static const struct { int code; const char *name, *text; } errors[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {304, "CUDA_ERROR_OPERATING_SYSTEM", "OS call failed or operation not supported on this OS"},
    {802, "CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
    {804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "forward compatibility was attempted on non supported HW"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

static int error_index(int code) {
    for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].code == code) return (int)i;
    return -1;
}

int cuGetErrorName(int code, const char **out) {
    int index = error_index(code);
    *out = index < 0 ? NULL : errors[index].name;
    return index < 0 ? INVALID_VALUE : SUCCESS;
}

int cuGetErrorString(int code, const char **out) {
    int index = error_index(code);
    *out = index < 0 ? NULL : errors[index].text;
    return index < 0 ? INVALID_VALUE : SUCCESS;
}
