// A libcuda that runs the kernels of `exact` on the CPU, so that everything but a GPU's own behaviour can be tested
// without one: `cargo xtask gpu-check --emulated`. KERNELS is the kernels' source, ENTRIES their names, one `KERNEL(name)`
// each. Every other function of the driver says CUDA_ERROR_STUB_LIBRARY (see libcuda.rs).
//
// Threads of a block are fibers that run in turn from one __syncthreads to the next, forwards and backwards alternately,
// so that a missing one shows. Memory ends at a page that may not be touched, and begins as NaN.

#include <csetjmp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <utility>
#include <vector>

struct Index { unsigned x, y, z; };
static Index threadIdx, blockIdx;
static void barrier();

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __syncthreads barrier
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return std::sqrt(a); }
static inline unsigned __float_as_uint(float a) { unsigned u; memcpy(&u, &a, 4); return u; }
static inline float __uint_as_float(unsigned u) { float a; memcpy(&a, &u, 4); return a; }
static inline float __int_as_float(unsigned u) { return __uint_as_float(u); }
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }

#include KERNELS

// Kernels by name, called with the driver's array of pointers to arguments.
typedef void (*Call)(void **);
template <typename... A, size_t... I>
static void spread(void (*kernel)(A...), void **arguments, std::index_sequence<I...>) { kernel(*(A *)arguments[I]...); }
template <typename... A>
static void invoke(void (*kernel)(A...), void **arguments) { spread(kernel, arguments, std::index_sequence_for<A...>()); }
static const std::map<std::string, Call> &kernels() {
    static const std::map<std::string, Call> table = {
#define KERNEL(name) {#name, [](void **arguments) { invoke(name, arguments); }},
#include ENTRIES
    };
    return table;
}

// Fibers. Each is made once and takes one thread's work after the other.
struct Fiber { jmp_buf place; bool begun, done; };
static const unsigned MOST_THREADS = 1024;
static const size_t STACK_BYTES = 64 << 10;
static Fiber fibers[MOST_THREADS];
static jmp_buf conductor;
static ucontext_t outside;
static unsigned current;
static Call kernel;
static void **arguments;

static void fiber_main() {
    const unsigned self = current;
    for (;;) {
        kernel(arguments);
        fibers[self].done = true;
        if (!_setjmp(fibers[self].place)) _longjmp(conductor, 1);
    }
}
static void barrier() {
    if (!_setjmp(fibers[current].place)) _longjmp(conductor, 1);
}
static void resume(unsigned thread) {
    current = thread;
    threadIdx = {thread, 0, 0};
    if (_setjmp(conductor)) return;
    if (fibers[thread].begun) _longjmp(fibers[thread].place, 1);
    fibers[thread].begun = true;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = malloc(STACK_BYTES);
    context.uc_stack.ss_size = STACK_BYTES;
    context.uc_link = nullptr;
    makecontext(&context, fiber_main, 0);
    swapcontext(&outside, &context);
}
static void run_block(unsigned threads) {
    for (unsigned t = 0; t < threads; t++) fibers[t].done = false;
    for (unsigned round = 0, done = 0; done == 0; round++) {
        for (unsigned i = 0; i < threads; i++) resume(round & 1 ? threads - 1 - i : i);
        for (unsigned t = 0; t < threads; t++) done += fibers[t].done;
        if (done != 0 && done != threads) {
            fprintf(stderr, "emulator: only some threads reached a __syncthreads\n");
            abort();
        }
    }
}

// Memory: [size of the mapping | … | the allocation][a page that may not be touched].
static std::map<uintptr_t, std::pair<void *, size_t>> mappings;
static int allocate(uintptr_t *out, size_t bytes) {
    const size_t page = sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page;
    void *base = mmap(nullptr, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return 2;
    mprotect((char *)base + whole, page, PROT_NONE);
    *out = (uintptr_t)base + whole - bytes;
    memset((void *)*out, 0xff, bytes);
    mappings[*out] = {base, whole + page};
    return 0;
}
static int release(uintptr_t at) {
    const auto found = mappings.find(at);
    if (found == mappings.end()) return 1;
    munmap(found->second.first, found->second.second);
    mappings.erase(found);
    return 0;
}

#define DRIVER extern "C" __attribute__((visibility("default"))) int
static void *context;
DRIVER cuInit(unsigned) { return 0; }
DRIVER cuDeviceGetCount(int *count) { *count = 1; return 0; }
DRIVER cuDeviceGet(int *device, int ordinal) { *device = 0; return ordinal == 0 ? 0 : 101; }
DRIVER cuDeviceGetName(char *name, int length, int) { snprintf(name, length, "emulated on the CPU, not a GPU"); return 0; }
DRIVER cuDeviceTotalMem_v2(size_t *bytes, int) { *bytes = (size_t)4 << 30; return 0; }
DRIVER cuMemGetInfo_v2(size_t *free, size_t *total) { *free = *total = (size_t)4 << 30; return 0; }
// 75 and 76 are the compute capability; nothing else is had.
DRIVER cuDeviceGetAttribute(int *value, int attribute, int) { *value = attribute == 75 ? 9 : 0; return 0; }
DRIVER cuDevicePrimaryCtxRetain(void **out, int) { *out = &context; return 0; }
DRIVER cuDevicePrimaryCtxRelease_v2(int) { return 0; }
DRIVER cuCtxGetCurrent(void **out) { *out = context; return 0; }
DRIVER cuCtxSetCurrent(void *value) { context = value; return 0; }
DRIVER cuMemAlloc_v2(uintptr_t *out, size_t bytes) { return bytes == 0 ? 1 : allocate(out, bytes); }
DRIVER cuMemFree_v2(uintptr_t at) { return release(at); }
DRIVER cuMemsetD8Async(uintptr_t at, unsigned char value, size_t bytes, void *) { memset((void *)at, value, bytes); return 0; }
DRIVER cuMemcpyHtoDAsync_v2(uintptr_t to, const void *from, size_t bytes, void *) { memcpy((void *)to, from, bytes); return 0; }
DRIVER cuMemcpyDtoHAsync_v2(void *to, uintptr_t from, size_t bytes, void *) { memcpy(to, (void *)from, bytes); return 0; }
DRIVER cuMemcpyDtoDAsync_v2(uintptr_t to, uintptr_t from, size_t bytes, void *) { memcpy((void *)to, (void *)from, bytes); return 0; }
DRIVER cuStreamSynchronize(void *) { return 0; }
DRIVER cuStreamWaitEvent(void *, void *, unsigned) { return 0; }
DRIVER cuEventCreate(void **out, unsigned) { *out = &context; return 0; }
DRIVER cuEventRecord(void *, void *) { return 0; }
DRIVER cuEventDestroy_v2(void *) { return 0; }
DRIVER cuModuleUnload(void *) { return 0; }
// The module is the text of its PTX: a function must be in it as well as here.
DRIVER cuModuleLoadData(void **out, const void *image) { *out = new std::string((const char *)image); return 0; }
DRIVER cuModuleGetFunction(void **out, void *module, const char *name) {
    const auto found = kernels().find(name);
    const bool there = ((std::string *)module)->find(std::string(".entry ") + name + "(") != std::string::npos;
    if (found == kernels().end() || !there) return 500;
    *out = (void *)found->second;
    return 0;
}
DRIVER cuLaunchKernel(
    void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned x, unsigned y, unsigned z, unsigned, void *,
    void **values, void **
) {
    if (grid_x * (size_t)grid_y * grid_z == 0 || grid_y > 65535 || y != 1 || z != 1 || x == 0 || x > MOST_THREADS) return 1;
    kernel = (Call)function;
    arguments = values;
    for (blockIdx.y = 0; blockIdx.y < grid_y; blockIdx.y++)
        for (blockIdx.x = 0; blockIdx.x < grid_x; blockIdx.x++) run_block(x);
    return 0;
}
