// Keys and values of a layer of a block, f32 or bf16: keys [kv_heads, head_dim, 16], then values [kv_heads, 16, head_dim];
// a block holds all layers.

// Widest head.
#define MAX_HEAD_DIM 512

// Writes each row's key and value. slots[row] = block * 16 + place in the block. Grid [rows].
template <typename Stored>
static __device__ __forceinline__ void write_kv(
    const float *qkv, Stored *kv, const unsigned *slots, int heads, int kv_heads, int head_dim, int layers, int layer
) {
    const size_t part = (size_t)kv_heads * head_dim * BLOCK_TOKENS;
    const int width = kv_heads * head_dim, slot = slots[blockIdx.x] % BLOCK_TOKENS;
    Stored *keys = kv + (size_t)(slots[blockIdx.x] / BLOCK_TOKENS) * 2 * layers * part + 2 * layer * part;
    Stored *values = keys + part;
    const float *key = qkv + (size_t)blockIdx.x * (heads * head_dim + 2 * width) + heads * head_dim, *value = key + width;
    for (int i = threadIdx.x; i < width; i += THREADS) {
        narrow(key[i], keys + (size_t)i * BLOCK_TOKENS + slot);
        narrow(value[i], values + (size_t)(i / head_dim * BLOCK_TOKENS + slot) * head_dim + i % head_dim);
    }
}
#define WRITE_KV_ARGUMENTS const unsigned *slots, int heads, int kv_heads, int head_dim, int layers, int layer
extern "C" __global__ void write_kv_f32(const float *qkv, float *kv, WRITE_KV_ARGUMENTS) {
    write_kv(qkv, kv, slots, heads, kv_heads, head_dim, layers, layer);
}
extern "C" __global__ void write_kv_bf16(const float *qkv, unsigned short *kv, WRITE_KV_ARGUMENTS) {
    write_kv(qkv, kv, slots, heads, kv_heads, head_dim, layers, layer);
}

// q · k of one position, from the head's first dimension on.
template <typename Stored>
static __device__ __forceinline__ float raw_score(const float *query, const Stored *keys, int head_dim) {
    float sum = 0.0f;
    for (int d = 0; d < head_dim; d++) sum = fmaf(query[d], widen(keys[d * BLOCK_TOKENS]), sum);
    return sum;
}

// Attention of each row and query head over the blocks of its sequence: blocks[tables[row]..] up to positions[row],
// the last `window` positions if it is not 0. Two passes over the keys: the largest score, then weights and weighted
// sum, positions in order. qkv rows are [q | k | v], out is [rows, heads * head_dim]. Grid [rows, heads].
template <typename Stored>
static __device__ __forceinline__ void attention(
    const float *qkv, const Stored *kv, float *out, const unsigned *blocks, const unsigned *tables,
    const unsigned *positions, int heads, int kv_heads, int head_dim, int layers, int layer, int window, float scale
) {
    __shared__ float query[MAX_HEAD_DIM], weights[THREADS], lanes[LANES];
    const int row = blockIdx.x, head = blockIdx.y, thread = threadIdx.x;
    const int position = positions[row];
    const int first = window > 0 && position + 1 > window ? position + 1 - window : 0;
    const int origin = first / BLOCK_TOKENS * BLOCK_TOKENS;
    const size_t head_len = (size_t)head_dim * BLOCK_TOKENS, part = kv_heads * head_len;
    const Stored *base = kv + 2 * layer * part + head / (heads / kv_heads) * head_len;
    const unsigned *table = blocks + tables[row];
    const float *from = qkv + (size_t)row * (heads + 2 * kv_heads) * head_dim + (size_t)head * head_dim;
    for (int d = thread; d < head_dim; d += THREADS) query[d] = from[d];
    __syncthreads();

    float largest = MINUS_INFINITY;
    for (int j = origin + thread; j <= position; j += THREADS) {
        const Stored *keys = base + (size_t)table[j / BLOCK_TOKENS] * 2 * layers * part + j % BLOCK_TOKENS;
        if (j >= first) largest = fmaxf(largest, raw_score(query, keys, head_dim));
    }
    weights[thread] = largest;
    __syncthreads();
    for (int i = 0; i < THREADS; i++) largest = fmaxf(largest, weights[i]);
    const float most = __fmul_rn(largest, scale);

    float lane = 0.0f, sums[MAX_HEAD_DIM / THREADS];
    for (int c = 0; c < MAX_HEAD_DIM / THREADS; c++) sums[c] = 0.0f;
    for (int start = origin; start <= position; start += THREADS) {
        __syncthreads();
        const int j = start + thread;
        float weight = 0.0f;
        if (j >= first && j <= position) {
            const Stored *keys = base + (size_t)table[j / BLOCK_TOKENS] * 2 * layers * part + j % BLOCK_TOKENS;
            weight = exponential(__fadd_rn(__fmul_rn(raw_score(query, keys, head_dim), scale), -most));
        }
        weights[thread] = weight;
        __syncthreads();
        if (thread < LANES) {
            for (int i = thread; i < THREADS; i += LANES) lane = __fadd_rn(lane, weights[i]);
        }
        const int end = min(position + 1, start + THREADS);
        for (int c = 0; c < MAX_HEAD_DIM / THREADS; c++) {
            const int d = thread + c * THREADS;
            if (d >= head_dim) break;
            for (int p = max(first, start); p < end; p++) {
                const Stored *value = base + part + (size_t)table[p / BLOCK_TOKENS] * 2 * layers * part;
                const float x = widen(value[(size_t)(p % BLOCK_TOKENS) * head_dim + d]);
                sums[c] = fmaf(weights[p - start], x, sums[c]);
            }
        }
    }
    if (thread < LANES) lanes[thread] = lane;
    __syncthreads();
    const float inverse = __fdiv_rn(1.0f, fold(lanes));
    float *to = out + ((size_t)row * heads + head) * head_dim;
    for (int c = 0; c < MAX_HEAD_DIM / THREADS; c++) {
        const int d = thread + c * THREADS;
        if (d < head_dim) to[d] = __fmul_rn(sums[c], inverse);
    }
}
#define ATTENTION_ARGUMENTS float *out, const unsigned *blocks, const unsigned *tables, const unsigned *positions, \
    int heads, int kv_heads, int head_dim, int layers, int layer, int window, float scale
extern "C" __global__ void attention_f32(const float *qkv, const float *kv, ATTENTION_ARGUMENTS) {
    attention(qkv, kv, out, blocks, tables, positions, heads, kv_heads, head_dim, layers, layer, window, scale);
}
extern "C" __global__ void attention_bf16(const float *qkv, const unsigned short *kv, ATTENTION_ARGUMENTS) {
    attention(qkv, kv, out, blocks, tables, positions, heads, kv_heads, head_dim, layers, layer, window, scale);
}
