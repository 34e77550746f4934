// Shared by all kernels of `exact`. They are one source, compiled with --fmad=false: a fused multiply-add is one that is
// written out. Every output element is reduced in the order of the CPU's kernels (engine/src/ops), which depends on
// nothing but its own row, so results are the CPU's bits.

// Partial sums of a row; element i belongs to lane i % LANES.
#define LANES 16
// Positions of a KV block.
#define BLOCK_TOKENS 16
// Threads of every block but those of the products.
#define THREADS 128

#define MINUS_INFINITY __int_as_float(0xff800000)
#define PLUS_INFINITY __int_as_float(0x7f800000)

// e^x as engine/src/ops/exp.rs has it: 0 below -87.33, infinity above 88.37, NaN for NaN.
static __device__ __forceinline__ float exponential(float x) {
    const float low = -87.33655f, high = 88.37f, round = 12582912.0f;
    float clamped = x;
    if (clamped < low) clamped = low;
    if (clamped > high) clamped = high;
    const float shifted = fmaf(clamped, 1.44269504f, round);
    const float n = __fadd_rn(shifted, -round);
    const float r = fmaf(n, 2.1219444e-4f, fmaf(n, -0.6933594f, clamped));
    float p = 1.9875691e-4f;
    p = fmaf(p, r, 1.3981999e-3f);
    p = fmaf(p, r, 8.333452e-3f);
    p = fmaf(p, r, 4.1665796e-2f);
    p = fmaf(p, r, 1.6666666e-1f);
    p = fmaf(p, r, 0.5000001f);
    const float value = __fadd_rn(fmaf(p, __fmul_rn(r, r), r), 1.0f);
    const unsigned exponent = __float_as_uint(shifted) - __float_as_uint(round);
    const float result = __fmul_rn(value, __uint_as_float((exponent + 127u) << 23));
    if (x > high) return PLUS_INFINITY;
    return x < low ? 0.0f : result;
}

// The lanes' sum in a fixed tree.
static __device__ __forceinline__ float fold(const float *lanes) {
    float sums[LANES / 2];
    for (int i = 0; i < 8; i++) sums[i] = __fadd_rn(lanes[i], lanes[i + 8]);
    for (int i = 0; i < 4; i++) sums[i] = __fadd_rn(sums[i], sums[i + 4]);
    for (int i = 0; i < 2; i++) sums[i] = __fadd_rn(sums[i], sums[i + 2]);
    return __fadd_rn(sums[0], sums[1]);
}

// A stored number in f32; exact.
static __device__ __forceinline__ float widen(float value) { return value; }
static __device__ __forceinline__ float widen(unsigned short value) { return __uint_as_float((unsigned)value << 16); }
// The nearest stored number, ties to even.
static __device__ __forceinline__ void narrow(float value, float *out) { *out = value; }
static __device__ __forceinline__ void narrow(float value, unsigned short *out) {
    const unsigned bits = __float_as_uint(value);
    // A number that is none stays none.
    const bool none = (bits & 0x7fffffffu) > 0x7f800000u;
    *out = (unsigned short)(none ? bits >> 16 | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
