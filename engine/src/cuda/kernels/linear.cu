// Columns of a panel of packed weights: [ceil(n / PANEL)][k][PANEL], the last panel padded.
#define PANEL 32
// Columns, one per thread, of a block.
#define COLUMNS 64
// Terms of which a block keeps the rows at once.
#define TERMS 128

// out[row][column] = sum over k, ascending, of x[row][k] * weights[column][k], in one chain of fused multiply-adds.
// Grid [ceil(n / COLUMNS), ceil(rows / ROWS)], COLUMNS threads.
template <typename Weight, int ROWS>
static __device__ __forceinline__ void linear(const float *x, const Weight *panels, float *out, int rows, int k, int n) {
    __shared__ float tile[TERMS][ROWS];
    const int column = blockIdx.x * COLUMNS + threadIdx.x;
    const int first = blockIdx.y * ROWS;
    const Weight *panel = panels + (size_t)(column / PANEL) * k * PANEL + column % PANEL;
    float sums[ROWS];
    for (int r = 0; r < ROWS; r++) sums[r] = 0.0f;
    for (int start = 0; start < k; start += TERMS) {
        const int terms = min(TERMS, k - start);
        __syncthreads();
        for (int i = threadIdx.x; i < ROWS * TERMS; i += COLUMNS) {
            const int r = i / TERMS, term = i % TERMS;
            const bool inside = first + r < rows && term < terms;
            tile[term][r] = inside ? x[(size_t)(first + r) * k + start + term] : 0.0f;
        }
        __syncthreads();
        if (column < n) {
#pragma unroll 8
            for (int term = 0; term < terms; term++) {
                const float weight = widen(panel[(size_t)(start + term) * PANEL]);
#pragma unroll
                for (int r = 0; r < ROWS; r++) sums[r] = fmaf(tile[term][r], weight, sums[r]);
            }
        }
    }
    if (column < n) {
        for (int r = 0; r < ROWS && first + r < rows; r++) out[(size_t)(first + r) * n + column] = sums[r];
    }
}

extern "C" __global__ void linear_f32_1(const float *x, const float *panels, float *out, int rows, int k, int n) {
    linear<float, 1>(x, panels, out, rows, k, n);
}
extern "C" __global__ void linear_f32_8(const float *x, const float *panels, float *out, int rows, int k, int n) {
    linear<float, 8>(x, panels, out, rows, k, n);
}
extern "C" __global__ void linear_bf16_1(const float *x, const unsigned short *panels, float *out, int rows, int k, int n) {
    linear<unsigned short, 1>(x, panels, out, rows, k, n);
}
extern "C" __global__ void linear_bf16_8(const float *x, const unsigned short *panels, float *out, int rows, int k, int n) {
    linear<unsigned short, 8>(x, panels, out, rows, k, n);
}
