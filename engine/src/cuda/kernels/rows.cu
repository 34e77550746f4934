// Passes over rows: embedding, norms, rotation, activation, sums.

// out[row] = table[tokens[row]], [rows, hidden]. Grid [rows].
extern "C" __global__ void embed_table(const unsigned *tokens, const float *table, float *out, int hidden) {
    const float *from = table + (size_t)tokens[blockIdx.x] * hidden;
    float *to = out + (size_t)blockIdx.x * hidden;
    for (int i = threadIdx.x; i < hidden; i += THREADS) to[i] = from[i];
}

// The same from the columns of a packed output projection.
template <typename Weight>
static __device__ __forceinline__ void embed_panels(const unsigned *tokens, const Weight *panels, float *out, int hidden) {
    const unsigned token = tokens[blockIdx.x];
    const Weight *from = panels + (size_t)(token / PANEL) * hidden * PANEL + token % PANEL;
    float *to = out + (size_t)blockIdx.x * hidden;
    for (int i = threadIdx.x; i < hidden; i += THREADS) to[i] = widen(from[(size_t)i * PANEL]);
}
extern "C" __global__ void embed_f32(const unsigned *tokens, const float *panels, float *out, int hidden) {
    embed_panels(tokens, panels, out, hidden);
}
extern "C" __global__ void embed_bf16(const unsigned *tokens, const unsigned short *panels, float *out, int hidden) {
    embed_panels(tokens, panels, out, hidden);
}

// out[row] = x[from[row]], [rows, width]. Grid [rows].
extern "C" __global__ void gather_rows(const float *x, const unsigned *from, float *out, int width) {
    const float *row = x + (size_t)from[blockIdx.x] * width;
    float *to = out + (size_t)blockIdx.x * width;
    for (int i = threadIdx.x; i < width; i += THREADS) to[i] = row[i];
}

// 1 / rms of x, the same in every thread of the block. All have read x when it returns.
static __device__ __forceinline__ float inverse_rms(const float *x, int width, float eps) {
    __shared__ float lanes[LANES];
    if (threadIdx.x < LANES) {
        float sum = 0.0f;
        for (int i = threadIdx.x; i < width; i += LANES) sum = fmaf(x[i], x[i], sum);
        lanes[threadIdx.x] = sum;
    }
    __syncthreads();
    const float mean = __fdiv_rn(fold(lanes), (float)width);
    return __fdiv_rn(1.0f, __fsqrt_rn(__fadd_rn(mean, eps)));
}

// out = x / rms(x) * weight, [rows, width]. Grid [rows].
extern "C" __global__ void rms_norm(const float *x, const float *weight, float *out, int width, float eps) {
    const float *row = x + (size_t)blockIdx.x * width;
    float *to = out + (size_t)blockIdx.x * width;
    const float inverse = inverse_rms(row, width, eps);
    for (int i = threadIdx.x; i < width; i += THREADS) to[i] = __fmul_rn(__fmul_rn(row[i], inverse), weight[i]);
}

// The same in place for heads of head_dim from column `first` of rows of `width` on. Grid [rows, heads].
extern "C" __global__ void rms_norm_heads(float *x, const float *weight, int width, int first, int head_dim, float eps) {
    float *head = x + (size_t)blockIdx.x * width + first + blockIdx.y * head_dim;
    const float inverse = inverse_rms(head, head_dim, eps);
    for (int i = threadIdx.x; i < head_dim; i += THREADS) head[i] = __fmul_rn(__fmul_rn(head[i], inverse), weight[i]);
}

// x[row] += bias, [rows, width]. Grid [rows].
extern "C" __global__ void add_bias(float *x, const float *bias, int width) {
    float *row = x + (size_t)blockIdx.x * width;
    for (int i = threadIdx.x; i < width; i += THREADS) row[i] = __fadd_rn(row[i], bias[i]);
}

// Turns the first `heads` heads of rows of `width` by their positions; table [positions][cosines, sines]. Grid [rows].
extern "C" __global__ void rope(float *x, const float *table, const unsigned *positions, int width, int heads, int half) {
    const float *cosines = table + (size_t)positions[blockIdx.x] * 2 * half, *sines = cosines + half;
    float *row = x + (size_t)blockIdx.x * width;
    for (int i = threadIdx.x; i < heads * half; i += THREADS) {
        const int pair = i % half;
        float *low = row + i / half * 2 * half + pair, *high = low + half;
        const float a = *low, b = *high, cosine = cosines[pair], sine = sines[pair];
        *low = fmaf(a, cosine, -__fmul_rn(b, sine));
        *high = fmaf(b, cosine, __fmul_rn(a, sine));
    }
}

// out = silu(gate) * up for rows [gate | up] of 2 * width. Grid [rows].
extern "C" __global__ void swiglu(const float *gate_up, float *out, int width) {
    const float *gate = gate_up + (size_t)blockIdx.x * 2 * width, *up = gate + width;
    float *to = out + (size_t)blockIdx.x * width;
    for (int i = threadIdx.x; i < width; i += THREADS) {
        const float g = gate[i];
        to[i] = __fmul_rn(__fdiv_rn(g, __fadd_rn(1.0f, exponential(-g))), up[i]);
    }
}

// out = a + b, [rows, width]. Grid [rows].
extern "C" __global__ void add_rows(const float *a, const float *b, float *out, int width) {
    const size_t first = (size_t)blockIdx.x * width;
    for (int i = threadIdx.x; i < width; i += THREADS) out[first + i] = __fadd_rn(a[first + i], b[first + i]);
}
