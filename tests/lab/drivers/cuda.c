/* A libcuda.so.1 that answers from a described machine. Names, codes and attributes are those of NVIDIA's cuda.h:
 * https://docs.nvidia.com/cuda/cuda-driver-api/
 *
 * Where it lies says what it is, as on a real machine: in a folder "stubs" it is the linker's stub, in a folder
 * "compat" it is cuda-compat, which has a CUDA version (compat.cuda) and faults (fault.compat.<function>) of its own.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lab.h"

enum {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    STUB_LIBRARY = 34,
    DEVICE_UNAVAILABLE = 46,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    PEER_ACCESS_UNSUPPORTED = 217,
    PEER_ACCESS_ALREADY_ENABLED = 704,
    PEER_ACCESS_NOT_ENABLED = 705,
};

#define MOST_GPUS 64
#define MOST_SLICES 16

typedef unsigned long long u64;

/* A device that CUDA shows: a whole GPU (mig < 0), or one MIG instance of it. */
struct place { int gpu, mig; };

static int initialised;
static struct place visible[MOST_GPUS];
static int visible_count;

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

static const char *place_key(struct place place, const char *leaf, char *key) {
    if (place.mig < 0) snprintf(key, LAB_KEY, "gpu.%d.%s", place.gpu, leaf);
    else snprintf(key, LAB_KEY, "gpu.%d.mig.%d.%s", place.gpu, place.mig, leaf);
    return key;
}

/* What only the whole GPU has: its capability, its address. */
static const char *gpu_key(int device, const char *leaf, char *key) {
    return place_key((struct place){visible[device].gpu, -1}, leaf, key);
}

static const char *device_key(int device, const char *leaf, char *key) {
    return place_key(visible[device], leaf, key);
}

static int place_of_uuid(const char *text, size_t length, int gpus, struct place *out) {
    char key[LAB_KEY];
    for (int gpu = 0; gpu < gpus; gpu++)
        for (int mig = -1; mig < MOST_SLICES; mig++) {
            struct place place = {gpu, mig};
            const char *uuid = lab_value(place_key(place, "uuid", key));
            if (uuid && length && !strncmp(uuid, text, length)) {
                *out = place;
                return 1;
            }
        }
    return 0;
}

/* A GPU in MIG mode shows the first of its instances. */
static struct place place_of_index(int gpu) {
    char key[LAB_KEY];
    u64 mode = 0;
    lab_numbers(place_key((struct place){gpu, -1}, "mig", key), &mode, 1);
    struct place first = {gpu, 0};
    return mode && lab_value(place_key(first, "uuid", key)) ? first : (struct place){gpu, -1};
}

/* CUDA_VISIBLE_DEVICES: indices or UUID prefixes; the first invalid one hides itself and all that follow. Of MIG
 * instances only one is shown.
 * https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables
 * https://docs.nvidia.com/datacenter/tesla/mig-user-guide/
 */
static void find_visible(void) {
    u64 value = 0;
    lab_numbers("gpus", &value, 1);
    int gpus = value > MOST_GPUS ? MOST_GPUS : (int)value, instances = 0;
    const char *text = getenv("CUDA_VISIBLE_DEVICES");
    visible_count = 0;
    for (int gpu = 0; !text && gpu < gpus; gpu++) {
        struct place place = place_of_index(gpu);
        if (place.mig >= 0 && instances++) continue;
        visible[visible_count++] = place;
    }
    while (text && *text && visible_count < MOST_GPUS) {
        size_t length = strcspn(text, ",");
        char *end;
        struct place place;
        long index = strtol(text, &end, 10);
        if (end == text + length && length) {
            if (index < 0 || index >= gpus) return;
            place = place_of_index((int)index);
        } else if (!place_of_uuid(text, length, gpus, &place)) {
            return;
        }
        if (place.mig < 0 || !instances++) visible[visible_count++] = place;
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
        ENTER(function, visible[device].gpu);             \
    } while (0)

int cuDeviceGet(int *out, int ordinal) {
    ENTER_DEVICE(cuDeviceGet, ordinal);
    *out = ordinal;
    return SUCCESS;
}

int cuDeviceGetName(char *out, int length, int device) {
    char key[LAB_KEY];
    ENTER_DEVICE(cuDeviceGetName, device);
    const char *name = lab_value(device_key(device, "name", key));
    snprintf(out, (size_t)length, "%s", name ? name : "");
    return SUCCESS;
}

int cuDeviceGetUuid_v2(unsigned char out[16], int device) {
    char key[LAB_KEY];
    ENTER_DEVICE(cuDeviceGetUuid_v2, device);
    const char *uuid = lab_value(device_key(device, "uuid", key));
    memset(out, 0, 16);
    uuid = uuid && (!strncmp(uuid, "GPU-", 4) || !strncmp(uuid, "MIG-", 4)) ? uuid + 4 : "";
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
    if (lab_numbers(device_key(device, "memory", key), &value, 1) != 1) return INVALID_VALUE;
    *out = (size_t)value;
    return SUCCESS;
}

int cuDeviceGetPCIBusId(char *out, int length, int device) {
    char key[LAB_KEY];
    unsigned domain = 0, bus = 0, number = 0;
    ENTER_DEVICE(cuDeviceGetPCIBusId, device);
    const char *address = lab_value(gpu_key(device, "pci", key));
    if (!out || !address || sscanf(address, "%x:%x:%x", &domain, &bus, &number) != 3) return INVALID_VALUE;
    snprintf(out, (size_t)length, "%04X:%02X:%02X.0", domain, bus, number); /* the domain has four digits here */
    return SUCCESS;
}

enum {
    ATTRIBUTE_INTEGRATED = 18,
    ATTRIBUTE_COMPUTE_MODE = 20,
    ATTRIBUTE_CAPABILITY_MAJOR = 75,
    ATTRIBUTE_CAPABILITY_MINOR = 76,
};

int cuDeviceGetAttribute(int *out, int attribute, int device) {
    char key[LAB_KEY];
    u64 values[2] = {0, 0};
    ENTER_DEVICE(cuDeviceGetAttribute, device);
    if (attribute == ATTRIBUTE_INTEGRATED || attribute == ATTRIBUTE_COMPUTE_MODE) {
        lab_numbers(gpu_key(device, attribute == ATTRIBUTE_INTEGRATED ? "integrated" : "compute_mode", key), values, 1);
        *out = (int)values[0];
        return SUCCESS;
    }
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

/* ------------------------------------------------------------------------------------------------ contexts */

/* What this process holds of one device. Its memory is real memory of the host, one mapping as large as the GPU's:
 * "physical" addresses count from its start, and the described faults of the memory are by them.
 */
#define MOST_ALLOCATIONS 4096

struct allocation { size_t start, length; };

struct space {
    char *base;
    size_t size;
    struct allocation taken[MOST_ALLOCATIONS];
    int count;
};

typedef struct context {
    int device, alive;
    char reaches[MOST_GPUS];
} *Context;

static struct space spaces[MOST_GPUS];
static struct context primary[MOST_GPUS];
static int retained[MOST_GPUS], flags_of[MOST_GPUS], contexts_on[MOST_GPUS];
static __thread Context stack[16];
static __thread int depth;

static Context current(void) { return depth ? stack[depth - 1] : NULL; }

static size_t memory_number(int device, int which) {
    char key[LAB_KEY];
    u64 values[3] = {0, 0, 0}; /* total, reserved, used by others */
    lab_numbers(device_key(device, "memory", key), values, 3);
    return (size_t)values[which];
}

static size_t leaf_number(int device, const char *leaf, size_t otherwise) {
    char key[LAB_KEY];
    u64 value;
    return lab_numbers(device_key(device, leaf, key), &value, 1) == 1 ? (size_t)value : otherwise;
}

/* Memory is one for all processes: each writes what it holds of a device into a file <pid>.<gpu>.<mig> of this folder,
 * and what a process that is gone wrote counts no more.
 */
static const char *use_folder(void) {
    static char folder[4096];
    const char *machine = getenv("GPUDOCTOR_LAB_MACHINE");
    snprintf(folder, sizeof folder, "%s.use", machine ? machine : "");
    mkdir(folder, 0700);
    return folder;
}

static size_t held(int device) {
    size_t bytes = contexts_on[device] ? leaf_number(device, "context_memory", 0) : 0;
    for (int i = 0; i < spaces[device].count; i++) bytes += spaces[device].taken[i].length;
    return bytes;
}

static void write_use(int device) {
    char path[4352], partial[4400];
    snprintf(path, sizeof path, "%s/%d.%d.%d", use_folder(), (int)getpid(), visible[device].gpu, visible[device].mig);
    snprintf(partial, sizeof partial, "%s.partial", path);
    FILE *file = fopen(partial, "w");
    if (!file) abort();
    fprintf(file, "%zu\n", held(device));
    fclose(file);
    rename(partial, path);
}

/* Bytes that other living processes hold of a device; counts these processes. */
static size_t used_by_others(int device, int *processes) {
    size_t bytes = 0;
    DIR *folder = opendir(use_folder());
    *processes = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        int pid, gpu, mig, end = 0;
        size_t number = 0;
        char path[4400];
        if (sscanf(entry->d_name, "%d.%d.%d%n", &pid, &gpu, &mig, &end) != 3 || entry->d_name[end]) continue;
        if (gpu != visible[device].gpu || mig != visible[device].mig || pid == (int)getpid()) continue;
        if (kill(pid, 0) && errno == ESRCH) continue;
        snprintf(path, sizeof path, "%s/%s", use_folder(), entry->d_name);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fscanf(file, "%zu", &number) == 1) bytes += number, ++*processes;
        fclose(file);
    }
    if (folder) closedir(folder);
    return bytes;
}

static size_t free_bytes(int device) {
    int processes;
    size_t total = memory_number(device, 0), used = memory_number(device, 1) + memory_number(device, 2);
    used += held(device) + used_by_others(device, &processes);
    return used > total ? 0 : total - used;
}

enum { MODE_PROHIBITED = 2, MODE_EXCLUSIVE_PROCESS = 3 };

static int open_context(int device) {
    char key[LAB_KEY];
    u64 mode = 0;
    int processes;
    lab_numbers(gpu_key(device, "compute_mode", key), &mode, 1);
    used_by_others(device, &processes);
    if (mode == MODE_PROHIBITED || (mode == MODE_EXCLUSIVE_PROCESS && processes)) return DEVICE_UNAVAILABLE;
    if (!spaces[device].base) {
        spaces[device].size = memory_number(device, 0);
        void *base = mmap(NULL, spaces[device].size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED) return OUT_OF_MEMORY;
        spaces[device].base = base;
    }
    contexts_on[device]++;
    write_use(device);
    return SUCCESS;
}

static void close_context(int device) {
    contexts_on[device]--;
    write_use(device);
}

int cuDevicePrimaryCtxRetain(Context *out, int device) {
    ENTER_DEVICE(cuDevicePrimaryCtxRetain, device);
    if (!out) return INVALID_VALUE;
    if (!retained[device]) {
        int code = open_context(device);
        if (code) return code;
        primary[device] = (struct context){.device = device, .alive = 1};
    }
    retained[device]++;
    *out = &primary[device];
    return SUCCESS;
}

int cuDevicePrimaryCtxRelease_v2(int device) {
    ENTER_DEVICE(cuDevicePrimaryCtxRelease_v2, device);
    if (!retained[device]) return INVALID_CONTEXT;
    if (!--retained[device]) {
        primary[device].alive = 0;
        spaces[device].count = 0;
        close_context(device);
    }
    return SUCCESS;
}

int cuDevicePrimaryCtxRelease(int device) { return cuDevicePrimaryCtxRelease_v2(device); }

int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) {
    ENTER_DEVICE(cuDevicePrimaryCtxSetFlags_v2, device);
    if (flags & ~0x1fu) return INVALID_VALUE;
    flags_of[device] = (int)flags;
    return SUCCESS;
}

int cuDevicePrimaryCtxSetFlags(int device, unsigned flags) { return cuDevicePrimaryCtxSetFlags_v2(device, flags); }

int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    ENTER_DEVICE(cuDevicePrimaryCtxGetState, device);
    *flags = (unsigned)flags_of[device];
    *active = retained[device] > 0;
    return SUCCESS;
}

int cuCtxCreate_v2(Context *out, unsigned flags, int device) {
    ENTER_DEVICE(cuCtxCreate_v2, device);
    if (!out || flags & ~0x1fu || depth == 16) return INVALID_VALUE;
    int code = open_context(device);
    if (code) return code;
    Context made = calloc(1, sizeof *made);
    made->device = device;
    made->alive = 1;
    stack[depth++] = *out = made;
    return SUCCESS;
}

int cuCtxDestroy_v2(Context context) {
    if (!initialised) return NOT_INITIALIZED;
    if (!context || !context->alive) return INVALID_CONTEXT;
    ENTER(cuCtxDestroy_v2, visible[context->device].gpu);
    if (current() == context) depth--;
    context->alive = 0;
    close_context(context->device);
    return SUCCESS;
}

int cuCtxSetCurrent(Context context) {
    if (!initialised) return NOT_INITIALIZED;
    if (context && !context->alive) return INVALID_CONTEXT;
    ENTER(cuCtxSetCurrent, context ? visible[context->device].gpu : -1);
    if (depth) depth--;
    if (context) stack[depth++] = context;
    return SUCCESS;
}

int cuCtxGetCurrent(Context *out) {
    if (!initialised) return NOT_INITIALIZED;
    *out = current();
    return SUCCESS;
}

int cuCtxPushCurrent_v2(Context context) {
    if (!initialised) return NOT_INITIALIZED;
    if (!context || !context->alive || depth == 16) return INVALID_CONTEXT;
    stack[depth++] = context;
    return SUCCESS;
}

int cuCtxPopCurrent_v2(Context *out) {
    if (!initialised) return NOT_INITIALIZED;
    if (!depth) return INVALID_CONTEXT;
    depth--;
    if (out) *out = stack[depth];
    return SUCCESS;
}

#define ENTER_CONTEXT(function)                                       \
    do {                                                              \
        if (!initialised) return NOT_INITIALIZED;                     \
        if (!current() || !current()->alive) return INVALID_CONTEXT;  \
        ENTER(function, visible[current()->device].gpu);              \
    } while (0)

int cuCtxGetDevice(int *out) {
    ENTER_CONTEXT(cuCtxGetDevice);
    *out = current()->device;
    return SUCCESS;
}

int cuCtxSynchronize(void) {
    ENTER_CONTEXT(cuCtxSynchronize);
    return SUCCESS;
}

/* -------------------------------------------------------------------------------------------------- memory */

int cuMemGetInfo_v2(size_t *free_out, size_t *total) {
    ENTER_CONTEXT(cuMemGetInfo_v2);
    *free_out = free_bytes(current()->device);
    *total = memory_number(current()->device, 0);
    return SUCCESS;
}

int cuMemAlloc_v2(u64 *out, size_t length) {
    ENTER_CONTEXT(cuMemAlloc_v2);
    int device = current()->device, at = 0;
    struct space *space = &spaces[device];
    size_t start = 0;
    if (!out || !length) return INVALID_VALUE;
    if (length > free_bytes(device) || length > leaf_number(device, "largest_allocation", ~(size_t)0)) return OUT_OF_MEMORY;
    /* The lowest gap that is large enough; the allocations are kept in order. */
    while (at < space->count && space->taken[at].start - start < length) {
        start = space->taken[at].start + space->taken[at].length;
        at++;
    }
    if (space->count == MOST_ALLOCATIONS || space->size - start < length) return OUT_OF_MEMORY;
    memmove(&space->taken[at + 1], &space->taken[at], (size_t)(space->count - at) * sizeof *space->taken);
    space->taken[at] = (struct allocation){start, length};
    space->count++;
    write_use(device);
    *out = (u64)(size_t)(space->base + start);
    return SUCCESS;
}

int cuMemFree_v2(u64 pointer) {
    ENTER_CONTEXT(cuMemFree_v2);
    for (int device = 0; device < visible_count; device++)
        for (int i = 0; i < spaces[device].count; i++) {
            struct space *space = &spaces[device];
            struct allocation found = space->taken[i];
            if ((u64)(size_t)(space->base + found.start) != pointer) continue;
            madvise(space->base + found.start, found.length, MADV_DONTNEED);
            space->count--;
            memmove(&space->taken[i], &space->taken[i + 1], (size_t)(space->count - i) * sizeof *space->taken);
            write_use(device);
            return SUCCESS;
        }
    return INVALID_VALUE;
}

int cuMemAllocHost_v2(void **out, size_t length) {
    ENTER_CONTEXT(cuMemAllocHost_v2);
    *out = malloc(length);
    return *out ? SUCCESS : OUT_OF_MEMORY;
}

int cuMemFreeHost(void *pointer) {
    ENTER_CONTEXT(cuMemFreeHost);
    free(pointer);
    return SUCCESS;
}

/* The device whose memory these addresses are, -1 where they do not lie inside one allocation. */
static int owner(u64 pointer, size_t length, size_t *start) {
    for (int device = 0; device < visible_count; device++)
        for (int i = 0; i < spaces[device].count; i++) {
            struct allocation one = spaces[device].taken[i];
            u64 first = (u64)(size_t)(spaces[device].base + one.start);
            if (pointer < first || pointer - first > one.length || length > one.length - (pointer - first)) continue;
            *start = one.start + (size_t)(pointer - first);
            return device;
        }
    return -1;
}

#define MOST_RANGES 32

/* Of gpu.N.aliases = start,length,other,...: addresses that are in truth those from ``other`` on. Gives the place of
 * an address and how far it goes on from there.
 */
static size_t in_truth(int device, size_t start, size_t *length) {
    char key[LAB_KEY];
    u64 ranges[3 * MOST_RANGES];
    int count = lab_numbers(device_key(device, "aliases", key), ranges, 3 * MOST_RANGES) / 3;
    for (int i = 0; i < count; i++) {
        size_t first = (size_t)ranges[3 * i], size = (size_t)ranges[3 * i + 1], other = (size_t)ranges[3 * i + 2];
        if (start >= first && start < first + size) {
            if (*length > first + size - start) *length = first + size - start;
            return other + (start - first);
        }
        if (start < first && *length > first - start) *length = first - start;
    }
    return start;
}

static void put(int device, size_t start, const char *from, size_t length) {
    while (length) {
        size_t piece = length, place = in_truth(device, start, &piece);
        memcpy(spaces[device].base + place, from, piece);
        start += piece, from += piece, length -= piece;
    }
}

/* Of gpu.N.flips = first,last,mask,...: bits that come back otherwise than they were written; of gpu.N.stuck, in the
 * same form: bits that come back as one.
 */
static void damage(int device, const char *leaf, size_t start, char *to, size_t length) {
    char key[LAB_KEY];
    u64 ranges[3 * MOST_RANGES];
    int count = lab_numbers(device_key(device, leaf, key), ranges, 3 * MOST_RANGES) / 3;
    for (int i = 0; i < count; i++)
        for (size_t at = (size_t)ranges[3 * i]; at <= (size_t)ranges[3 * i + 1]; at++) {
            if (at < start || at >= start + length) continue;
            if (*leaf == 's') to[at - start] = (char)(to[at - start] | (char)ranges[3 * i + 2]);
            else to[at - start] = (char)(to[at - start] ^ (char)ranges[3 * i + 2]);
        }
}

static void get(int device, size_t start, char *to, size_t length) {
    for (size_t done = 0; done < length;) {
        size_t piece = length - done, place = in_truth(device, start + done, &piece);
        memcpy(to + done, spaces[device].base + place, piece);
        done += piece;
    }
    damage(device, "flips", start, to, length);
    damage(device, "stuck", start, to, length);
}

int cuMemcpyHtoD_v2(u64 to, const void *from, size_t length) {
    size_t start;
    ENTER_CONTEXT(cuMemcpyHtoD_v2);
    int device = owner(to, length, &start);
    if (device < 0) return INVALID_VALUE;
    put(device, start, from, length);
    return SUCCESS;
}

int cuMemcpyDtoH_v2(void *to, u64 from, size_t length) {
    size_t start;
    ENTER_CONTEXT(cuMemcpyDtoH_v2);
    int device = owner(from, length, &start);
    if (device < 0) return INVALID_VALUE;
    get(device, start, to, length);
    return SUCCESS;
}

static int move(u64 to, u64 from, size_t length) {
    size_t source, target;
    int reader = owner(from, length, &source), writer = owner(to, length, &target);
    if (reader < 0 || writer < 0) return INVALID_VALUE;
    char *buffer = malloc(length);
    get(reader, source, buffer, length);
    put(writer, target, buffer, length);
    free(buffer);
    return SUCCESS;
}

int cuMemcpyDtoD_v2(u64 to, u64 from, size_t length) {
    ENTER_CONTEXT(cuMemcpyDtoD_v2);
    return move(to, from, length);
}

static int fill(u64 to, const void *unit, size_t size, size_t count) {
    size_t start;
    int device = owner(to, size * count, &start);
    if (device < 0) return INVALID_VALUE;
    for (size_t i = 0; i < count; i++) put(device, start + i * size, unit, size);
    return SUCCESS;
}

int cuMemsetD8_v2(u64 to, unsigned char value, size_t count) {
    size_t start;
    ENTER_CONTEXT(cuMemsetD8_v2);
    int device = owner(to, count, &start);
    if (device < 0) return INVALID_VALUE;
    char *buffer = malloc(count);
    memset(buffer, value, count);
    put(device, start, buffer, count);
    free(buffer);
    return SUCCESS;
}

int cuMemsetD32_v2(u64 to, unsigned value, size_t count) {
    ENTER_CONTEXT(cuMemsetD32_v2);
    return fill(to, &value, sizeof value, count);
}

/* --------------------------------------------------------------------------------------------------- peers */

static int reachable(int device, int peer) {
    char key[LAB_KEY];
    u64 allowed = 1;
    if (device == peer || visible[device].mig >= 0 || visible[peer].mig >= 0) return 0;
    snprintf(key, sizeof key, "peer.%d.%d", visible[device].gpu, visible[peer].gpu);
    lab_numbers(key, &allowed, 1);
    return (int)allowed;
}

int cuDeviceCanAccessPeer(int *out, int device, int peer) {
    int code = check(peer);
    if (code) return code;
    ENTER_DEVICE(cuDeviceCanAccessPeer, device);
    *out = reachable(device, peer);
    return SUCCESS;
}

int cuCtxEnablePeerAccess(Context peer, unsigned flags) {
    ENTER_CONTEXT(cuCtxEnablePeerAccess);
    if (flags) return INVALID_VALUE;
    if (!peer || !peer->alive || peer == current()) return INVALID_CONTEXT;
    if (!reachable(current()->device, peer->device)) return PEER_ACCESS_UNSUPPORTED;
    if (current()->reaches[peer->device]) return PEER_ACCESS_ALREADY_ENABLED;
    current()->reaches[peer->device] = 1;
    return SUCCESS;
}

int cuCtxDisablePeerAccess(Context peer) {
    ENTER_CONTEXT(cuCtxDisablePeerAccess);
    if (!peer || !peer->alive) return INVALID_CONTEXT;
    if (!current()->reaches[peer->device]) return PEER_ACCESS_NOT_ENABLED;
    current()->reaches[peer->device] = 0;
    return SUCCESS;
}

/* peer_fault.<source>.<target>: "wrong" leaves the second half of the target as it was, all else is any fault;
 * peer_fault.direct.<source>.<target> holds for copies without a detour only.
 */
static const char *peer_fault(Context target, Context source) {
    char key[LAB_KEY];
    int from = visible[source->device].gpu, to = visible[target->device].gpu;
    snprintf(key, sizeof key, "peer_fault.%d.%d", from, to);
    const char *fault = lab_value(key);
    if (fault || !(source->reaches[target->device] || target->reaches[source->device])) return fault;
    snprintf(key, sizeof key, "peer_fault.direct.%d.%d", from, to);
    return lab_value(key);
}

int cuMemcpyPeer(u64 to, Context target, u64 from, Context source, size_t length) {
    size_t start;
    if (!source || !source->alive || !target || !target->alive) return INVALID_CONTEXT;
    ENTER_CONTEXT(cuMemcpyPeer);
    if (owner(from, length, &start) != source->device || owner(to, length, &start) != target->device) return INVALID_VALUE;
    const char *fault = peer_fault(target, source);
    if (fault && !strcmp(fault, "wrong")) return move(to, from, length / 2);
    int code = lab_act(fault);
    return code ? code : move(to, from, length);
}

/* -------------------------------------------------------------------------------------------------- errors */

static const struct { int code; const char *name, *text; } errors[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {217, "CUDA_ERROR_PEER_ACCESS_UNSUPPORTED", "peer access is not supported between these two devices"},
    {304, "CUDA_ERROR_OPERATING_SYSTEM", "OS call failed or operation not supported on this OS"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {704, "CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED", "peer access is already enabled"},
    {705, "CUDA_ERROR_PEER_ACCESS_NOT_ENABLED", "peer access has not been enabled"},
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
