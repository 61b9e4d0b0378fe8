/* A libcuda.so.1 whose GPU is host memory, for the real pycuda and the real cuda-bindings.
 *
 * Device addresses lie far from host addresses, so that one taken for the other is an error (1). A call
 * without a current context is an error (201). The kernels are known by name and do what their PTX says.
 * cuda_driver_left() counts what was not given back: allocations, streams, modules, graphs; cuda_driver_contexts()
 * the contexts that were not released, or not popped; cuda_driver_depth() the latter alone, cuda_driver_detached()
 * the calls that no primary context allows.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long u64;
#define DEVICE_BASE 0x7000000000ULL
#define DEVICE_SIZE (512ULL << 20)
#define BLOCKS 4096
#define INVALID 1
#define NO_MEMORY 2
#define NO_CONTEXT 201

struct block { u64 start, size; char *host; };
struct op { int kind; u64 to, from, size; char *host; char kernel[16]; u64 args[4]; unsigned rows; };
struct graph { int count; struct op ops[256]; };
struct stream { struct graph *recording; };
struct module { char *text; };

static struct block blocks[BLOCKS];
static u64 next_address = DEVICE_BASE, in_use;
static int live, depth, retained, detached;

int cuda_driver_left(void) { return live; }
int cuda_driver_contexts(void) { return depth + retained; }
int cuda_driver_depth(void) { return depth; }
int cuda_driver_detached(void) { return detached; }
static int ready(void) { return depth > 0; }

static char *device(u64 at, u64 size)
{
    for (int k = 0; k < BLOCKS; k++)
        if (blocks[k].host && blocks[k].start <= at && at + size <= blocks[k].start + blocks[k].size)
            return blocks[k].host + (at - blocks[k].start);
    return NULL;
}

static int carry_out(const struct op *op)
{
    if (op->kind != 2) {
        char *place = device(op->kind == 0 ? op->to : op->from, op->size);
        if (!place) return INVALID;
        if (op->kind == 0) memcpy(place, op->host, op->size);
        else memcpy(op->host, place, op->size);
        return 0;
    }
    if (!strcmp(op->kernel, "step")) {
        float *face = (float *)device(op->args[0], 16 * op->rows), *state = (float *)device(op->args[1], 8 * op->rows);
        float *logits = (float *)device(op->args[2], 8 * op->rows), *fresh = (float *)device(op->args[3], 8 * op->rows);
        if (!face || !state || !logits || !fresh) return INVALID;
        for (unsigned k = 0; k < 2 * op->rows; k++) fresh[k] = logits[k] = state[k] + face[4 * (k / 2)];
        return 0;
    }
    u64 bytes = 4 * (u64)(uint32_t)op->args[3];
    uint32_t *slots = (uint32_t *)device(op->args[2], 4 * op->rows);
    for (unsigned row = 0; row < op->rows; row++) {
        char *batch = device(op->args[0] + row * bytes, bytes);
        char *kept = slots ? device(op->args[1] + slots[row] * bytes, bytes) : NULL;
        if (!batch || !kept) return INVALID;
        if (!strcmp(op->kernel, "gather")) memcpy(batch, kept, bytes);
        else memcpy(kept, batch, bytes);
    }
    return 0;
}

static int enqueue(struct stream *stream, struct op op)
{
    if (!ready()) return NO_CONTEXT;
    if (!stream || !stream->recording) return carry_out(&op);
    if (stream->recording->count == 256) return NO_MEMORY;
    stream->recording->ops[stream->recording->count++] = op;
    return 0;
}

int cuInit(unsigned flags) { return flags ? INVALID : 0; }
int cuDriverGetVersion(int *version) { *version = 12060; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *made, int ordinal) { *made = 0; return ordinal ? 101 : 0; }
int cuDeviceGetAttribute(int *value, int which, int of) { *value = which == 75 ? 8 : which == 76 ? 7 : 1; return of; }
int cuGetErrorString(int status, const char **text)
{
    *text = status == NO_MEMORY ? "out of memory" : status == NO_CONTEXT ? "invalid device context" : "invalid argument";
    return 0;
}
int cuGetErrorName(int status, const char **text) { return cuGetErrorString(status, text); }

/* The calling thread's stack of contexts; the tests use one thread and one context. */
int cuDevicePrimaryCtxRetain(void **made, int of) { retained++; *made = (void *)&depth; return of; }
int cuDevicePrimaryCtxRelease_v2(int of) { if (!retained) return NO_CONTEXT; retained--; return of; }
int cuCtxPushCurrent_v2(void *context) { if (context != (void *)&depth || !retained) return NO_CONTEXT; depth++; return 0; }
int cuCtxPopCurrent_v2(void **was) { if (!depth) return NO_CONTEXT; depth--; if (was) *was = (void *)&depth; return 0; }
int cuCtxDetach(void *context) { (void)context; detached++; return INVALID; } /* of a primary context (CUDA's manual) */
int cuCtxGetCurrent(void **now) { *now = depth ? (void *)&depth : NULL; return 0; }
int cuCtxGetDevice(int *of) { *of = 0; return ready() ? 0 : NO_CONTEXT; }
int cuCtxSynchronize(void) { return ready() ? 0 : NO_CONTEXT; }

int cuMemGetInfo_v2(size_t *available, size_t *total) { *total = DEVICE_SIZE; *available = DEVICE_SIZE - in_use; return ready() ? 0 : NO_CONTEXT; }
int cuMemAlloc_v2(u64 *made, size_t size)
{
    if (!ready()) return NO_CONTEXT;
    if (!size) return INVALID;
    if (in_use + size > DEVICE_SIZE) return NO_MEMORY;
    for (int k = 0; k < BLOCKS; k++)
        if (!blocks[k].host) {
            blocks[k] = (struct block){next_address, size, malloc(size)};
            memset(blocks[k].host, 0xFF, size); /* NaN until written */
            *made = next_address;
            next_address += (size + 511) & ~255ULL;
            in_use += size, live++;
            return 0;
        }
    return NO_MEMORY;
}
int cuMemFree_v2(u64 at)
{
    if (!ready()) return NO_CONTEXT;
    for (int k = 0; k < BLOCKS; k++)
        if (blocks[k].host && blocks[k].start == at) {
            free(blocks[k].host);
            blocks[k].host = NULL;
            in_use -= blocks[k].size, live--;
            return 0;
        }
    return INVALID;
}
int cuMemHostAlloc(void **made, size_t size, unsigned flags)
{
    (void)flags;
    if (!ready()) return NO_CONTEXT;
    *made = malloc(size);
    live++;
    return *made ? 0 : NO_MEMORY;
}
int cuMemAllocHost_v2(void **made, size_t size) { return cuMemHostAlloc(made, size, 0); }
int cuMemFreeHost(void *at) { if (!ready()) return NO_CONTEXT; free(at); live--; return 0; }

int cuMemcpyHtoDAsync_v2(u64 to, const void *from, size_t size, struct stream *stream) { return enqueue(stream, (struct op){.kind = 0, .to = to, .host = (char *)from, .size = size}); }
int cuMemcpyDtoHAsync_v2(void *to, u64 from, size_t size, struct stream *stream) { return enqueue(stream, (struct op){.kind = 1, .from = from, .host = to, .size = size}); }
int cuMemcpyHtoD_v2(u64 to, const void *from, size_t size) { return cuMemcpyHtoDAsync_v2(to, from, size, NULL); }
int cuMemcpyDtoH_v2(void *to, u64 from, size_t size) { return cuMemcpyDtoHAsync_v2(to, from, size, NULL); }

int cuStreamCreate(struct stream **made, unsigned flags) { (void)flags; if (!ready()) return NO_CONTEXT; *made = calloc(1, sizeof **made); live++; return 0; }
int cuStreamDestroy_v2(struct stream *stream) { if (!ready()) return NO_CONTEXT; free(stream); live--; return 0; }
int cuStreamSynchronize(struct stream *stream) { return !ready() ? NO_CONTEXT : stream->recording ? 900 : 0; }

int cuModuleLoadDataEx(struct module **made, const void *image, unsigned count, void *options, void *values)
{
    (void)count, (void)options, (void)values;
    if (!ready()) return NO_CONTEXT;
    if (!strstr(image, ".version")) return 200;
    *made = malloc(sizeof **made);
    (*made)->text = strdup(image);
    live++;
    return 0;
}
int cuModuleLoadData(struct module **made, const void *image) { return cuModuleLoadDataEx(made, image, 0, NULL, NULL); }
int cuModuleUnload(struct module *module) { if (!ready()) return NO_CONTEXT; free(module->text), free(module); live--; return 0; }
int cuModuleGetFunction(char **made, struct module *module, const char *name)
{
    char entry[64];
    snprintf(entry, sizeof entry, ".entry %s(", name);
    char *found = strstr(module->text, entry);
    *made = found ? found + strlen(".entry ") : NULL;
    return found ? 0 : 500;
}
int cuLaunchKernel(char *kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, struct stream *stream, void **params, void **extra)
{
    char block[64] = {0};
    struct op op = {.kind = 2, .rows = gy};
    for (int k = 0; k < 15 && kernel[k] != '('; k++) op.kernel[k] = kernel[k];
    int wide = !strcmp(op.kernel, "step");
    if (gz != 1 || by != 1 || bz != 1 || shared) return INVALID;
    if (!params && extra && extra[0] == (void *)1) { /* pycuda packs all arguments into one buffer */
        memcpy(block, extra[1], *(size_t *)extra[3]);
        memcpy(op.args, block, wide ? 32 : 28);
    } else if (params) {
        for (int k = 0; k < 4; k++) memcpy(&op.args[k], params[k], k < 3 || wide ? 8 : 4);
    } else return INVALID;
    if (!wide && gx * bx < (uint32_t)op.args[3]) return INVALID;
    return enqueue(stream, op);
}
int cuFuncSetBlockShape(void *kernel, int x, int y, int z) { return !kernel || x < 1 || y < 1 || z < 1; } /* pycuda */
int cuFuncGetAttribute(int *value, int which, void *kernel) { (void)which, (void)kernel; *value = 0; return 0; }

int cuStreamBeginCapture_v2(struct stream *stream, int mode) { if (mode != 1) return INVALID; stream->recording = calloc(1, sizeof(struct graph)); live++; return 0; }
int cuStreamEndCapture(struct stream *stream, struct graph **made) { *made = stream->recording; stream->recording = NULL; return *made ? 0 : 901; }
int cuGraphInstantiateWithFlags(struct graph **made, struct graph *from, u64 flags) { (void)flags; *made = malloc(sizeof **made); **made = *from; live++; return 0; }
int cuGraphLaunch(struct graph *ready_graph, struct stream *stream)
{
    int status = 0;
    for (int k = 0; k < ready_graph->count && !status; k++) status = enqueue(stream, ready_graph->ops[k]);
    return status;
}
int cuGraphDestroy(struct graph *graph) { free(graph); live--; return 0; }
int cuGraphExecDestroy(struct graph *graph) { return cuGraphDestroy(graph); }

/* cuda-bindings asks for its calls by name, without the number of their version. */
int cuGetProcAddress_v2(const char *name, void **found, int version, u64 flags, int *status)
{
    char versioned[100];
    (void)version, (void)flags;
    void *self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    snprintf(versioned, sizeof versioned, "%s_v2", name);
    *found = dlsym(self, versioned);
    if (!*found) *found = dlsym(self, name);
    if (status) *status = *found ? 0 : 1;
    return *found ? 0 : 500;
}
int cuGetProcAddress(const char *name, void **found, int version, u64 flags) { return cuGetProcAddress_v2(name, found, version, flags, NULL); }
