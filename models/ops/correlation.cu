// Cost volume and its gradient; `correlation_cuda.py` compiles this by cupy.
//
// Both kernels walk through the channels in chunks. A chunk lies in shared memory, widened once, in one of two buffers,
// while the threads already fetch the next chunk into registers. One barrier a chunk is enough: a thread fills a buffer
// again only after the barrier of the chunk between, which every thread reaches when it is done with that buffer.
// The source includes no header and has all sizes as arguments: one compilation a dtype and device.

#define RADIUS 3
#define SIDE 7
#define TILE_HEIGHT 4
#define TILE_WIDTH 32
#define TILE (TILE_HEIGHT * TILE_WIDTH)
#define WINDOW_HEIGHT (TILE_HEIGHT + 2 * RADIUS)
#define WINDOW_WIDTH (TILE_WIDTH + 2 * RADIUS)
#define WINDOW (WINDOW_HEIGHT * WINDOW_WIDTH)
#define PITCH (WINDOW_WIDTH + 2)  // rows start at multiples of 16 bytes, so that four values are read at once

// `Stored` is what tensors hold, `Wide` what sums are made of. 16-bit numbers are handled as bits, because the compiler
// finds cuda_fp16.h on some machines only.
#if defined(SCALAR_DOUBLE)
typedef double Stored;
typedef double Wide;
__device__ __forceinline__ Wide widen(Stored value) { return value; }
__device__ __forceinline__ Stored narrow(Wide value) { return value; }
#define CHUNK 4
#elif defined(SCALAR_FLOAT)
typedef float Stored;
typedef float Wide;
__device__ __forceinline__ Wide widen(Stored value) { return value; }
__device__ __forceinline__ Stored narrow(Wide value) { return value; }
#define CHUNK 8
#else
typedef unsigned short Stored;
typedef float Wide;
#define CHUNK 8
#if defined(SCALAR_BFLOAT16)
union Bits { float value; unsigned int bits; };
__device__ __forceinline__ Wide widen(Stored half)
{
    Bits both;
    both.bits = (unsigned int)half << 16;
    return both.value;
}
__device__ __forceinline__ Stored narrow(Wide value)
{
    Bits both;
    both.value = value;
    if ((both.bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;  // not a number: rounding could turn it into an infinity
    return (Stored)((both.bits + 0x7fffu + ((both.bits >> 16) & 1u)) >> 16);  // to nearest, ties to even
}
#elif defined(__CUDACC__)
__device__ __forceinline__ Wide widen(Stored half)
{
    Wide value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
    return value;
}
__device__ __forceinline__ Stored narrow(Wide value)
{
    Stored half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
    return half;
}
#endif
#endif

struct Place { long long sample; int top, left; };

__device__ __forceinline__ Place place_of_block(int height, int width)
{
    const int across = (width + TILE_WIDTH - 1) / TILE_WIDTH, down = (height + TILE_HEIGHT - 1) / TILE_HEIGHT;
    const long long block = blockIdx.x;
    Place place;
    place.left = (int)(block % across) * TILE_WIDTH;
    place.top = (int)(block / across % down) * TILE_HEIGHT;
    place.sample = block / across / down;
    return place;
}

__device__ __forceinline__ bool inside(int y, int x, int height, int width)
{
    return y >= 0 && y < height && x >= 0 && x < width;
}

// first, second [N, C, H, W] -> volume [N, 49, H, W]. A thread holds four neighbouring pixels (x: the 32 runs of four in
// a tile) for one row shift (y: 0..6) and its 7 column shifts: 28 sums from 14 values read a channel. Two groups of
// threads (z) halve the channels and add up at the end.
extern "C" __global__ void __launch_bounds__(448)
cost_volume(const Stored* first, const Stored* second, Stored* volume, long long channels, long long rows,
            long long columns)
{
    __shared__ __align__(16) Wide windows[2][CHUNK][WINDOW_HEIGHT][PITCH];
    __shared__ __align__(16) Wide tiles[2][CHUNK][TILE_HEIGHT][TILE_WIDTH];
    __shared__ Wide others[4][SIDE][32];
    const int height = (int)rows, width = (int)columns, depth = (int)channels;
    const long long plane = rows * columns;
    const Place place = place_of_block(height, width);
    const int group = threadIdx.z, shift = threadIdx.y, run = threadIdx.x;
    const int thread = (group * SIDE + shift) * 32 + run;

    // What this thread fetches: one place of the window in every channel and, if it is one of the first 256, one place of
    // the tile in every other channel.
    const bool fetches_window = thread < WINDOW, fetches_tile = thread < 2 * TILE;
    const int window_row = thread / WINDOW_WIDTH, window_column = thread % WINDOW_WIDTH;
    const int window_y = place.top + window_row - RADIUS, window_x = place.left + window_column - RADIUS;
    const bool window_inside = fetches_window && inside(window_y, window_x, height, width);
    const int parity = thread / TILE, tile_row = thread % TILE / TILE_WIDTH, tile_column = thread % TILE_WIDTH;
    const int tile_y = place.top + tile_row, tile_x = place.left + tile_column;
    const bool tile_inside = fetches_tile && inside(tile_y, tile_x, height, width);
    const long long window_start = place.sample * channels * plane + (long long)window_y * width + window_x;
    const long long tile_start = (place.sample * channels + parity) * plane + (long long)tile_y * width + tile_x;

    const int row = run / (TILE_WIDTH / 4), column = run % (TILE_WIDTH / 4) * 4;
    Wide sums[SIDE][4] = {};
    Wide next_window[CHUNK], next_tile[CHUNK / 2];
    int buffer = 0;
    for (int start = -CHUNK; start < depth; start += CHUNK) {
        if (start >= 0) {
            if (fetches_window)
#pragma unroll
                for (int i = 0; i < CHUNK; ++i) windows[buffer][i][window_row][window_column] = next_window[i];
            if (fetches_tile)
#pragma unroll
                for (int i = 0; i < CHUNK / 2; ++i) tiles[buffer][2 * i + parity][tile_row][tile_column] = next_tile[i];
            __syncthreads();
        }
        const int ahead = start + CHUNK;
        if (ahead < depth) {
#pragma unroll
            for (int i = 0; i < CHUNK; ++i) {
                const bool needed = window_inside && ahead + i < depth;
                next_window[i] = needed ? widen(second[window_start + (ahead + i) * plane]) : (Wide)0;
            }
#pragma unroll
            for (int i = 0; i < CHUNK / 2; ++i) {
                const bool needed = tile_inside && ahead + 2 * i + parity < depth;
                next_tile[i] = needed ? widen(first[tile_start + (ahead + 2 * i) * plane]) : (Wide)0;
            }
        }
        if (start < 0) continue;
#pragma unroll
        for (int i = 0; i < CHUNK / 2; ++i) {
            const int channel = 2 * i + group;
            Wide pixels[4], near[4 + 2 * RADIUS];
#pragma unroll
            for (int k = 0; k < 4; ++k) pixels[k] = tiles[buffer][channel][row][column + k];
#pragma unroll
            for (int k = 0; k < 4 + 2 * RADIUS; ++k) near[k] = windows[buffer][channel][row + shift][column + k];
#pragma unroll
            for (int dx = 0; dx < SIDE; ++dx)
#pragma unroll
                for (int k = 0; k < 4; ++k) sums[dx][k] += pixels[k] * near[k + dx];
        }
        buffer ^= 1;
    }

    const int y = place.top + row;
#pragma unroll
    for (int dx = 0; dx < SIDE; ++dx) {
        if (group == 1)
#pragma unroll
            for (int k = 0; k < 4; ++k) others[k][shift][run] = sums[dx][k];
        __syncthreads();
        if (group == 0) {
            const long long at = ((place.sample * SIDE * SIDE + shift * SIDE + dx) * rows + y) * columns;
#pragma unroll
            for (int k = 0; k < 4; ++k) {
                const int x = place.left + column + k;
                if (inside(y, x, height, width)) volume[at + x] = narrow((sums[dx][k] + others[k][shift][run]) / depth);
            }
        }
        __syncthreads();
    }
}

// cotangent [N, 49, H, W], other [N, C, H, W] -> gradient [N, C, H, W]. A thread holds the 49 weights of two neighbouring
// pixels in registers (x: the 16 pairs in a row, y: the 4 rows) and sums the window of `other` with them; four groups
// of threads (z) take a channel of a chunk each. Every element gathers its 49 terms: no atomics. The second index
// of the block picks `span` channels.
extern "C" __global__ void __launch_bounds__(256)
correlation_gradient(const Stored* cotangent, const Stored* other, Stored* gradient, long long channels, long long rows,
                     long long columns, long long span, long long reflected)
{
    __shared__ __align__(16) Wide windows[2][4][WINDOW_HEIGHT][PITCH];
    const int height = (int)rows, width = (int)columns;
    const long long plane = rows * columns;
    const Place place = place_of_block(height, width);
    const int group = threadIdx.z, row = threadIdx.y, column = threadIdx.x * 2;
    const int thread = (group * TILE_HEIGHT + row) * 16 + threadIdx.x;
    const int y = place.top + row, x = place.left + column;

    // A pixel's own weight for a shift or, reflected, the weight that the pixel at that shift has for the opposite shift.
    Wide weights[SIDE * SIDE][2];
#pragma unroll
    for (int k = 0; k < SIDE * SIDE; ++k) {
        const int from_y = reflected ? y + k / SIDE - RADIUS : y, from_x = reflected ? x + k % SIDE - RADIUS : x;
        const int channel = reflected ? SIDE * SIDE - 1 - k : k;
        const long long at = (place.sample * SIDE * SIDE + channel) * plane + (long long)from_y * width + from_x;
        weights[k][0] = inside(from_y, from_x, height, width) ? widen(cotangent[at]) : (Wide)0;
        weights[k][1] = inside(from_y, from_x + 1, height, width) ? widen(cotangent[at + 1]) : (Wide)0;
    }

    // What this thread fetches: two places of the window (the second for 124 threads) in the four channels of a chunk.
    bool fetches[2], needed[2];
    int window_row[2], window_column[2];
    long long window_start[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
        const int at = thread + j * 256;
        window_row[j] = at / WINDOW_WIDTH;
        window_column[j] = at % WINDOW_WIDTH;
        const int from_y = place.top + window_row[j] - RADIUS, from_x = place.left + window_column[j] - RADIUS;
        fetches[j] = at < WINDOW;
        needed[j] = fetches[j] && inside(from_y, from_x, height, width);
        window_start[j] = place.sample * channels * plane + (long long)from_y * width + from_x;
    }

    const int begin = (int)(blockIdx.y * span);
    const int end = (int)(begin + span < channels ? begin + span : channels);
    Wide next[2][4];
    int buffer = 0;
    for (int start = begin - 4; start < end; start += 4) {
        if (start >= begin) {
#pragma unroll
            for (int j = 0; j < 2; ++j)
                if (fetches[j])
#pragma unroll
                    for (int i = 0; i < 4; ++i) windows[buffer][i][window_row[j]][window_column[j]] = next[j][i];
            __syncthreads();
        }
        const int ahead = start + 4;
        if (ahead < end)
#pragma unroll
            for (int j = 0; j < 2; ++j)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    next[j][i] = needed[j] && ahead + i < end
                               ? widen(other[window_start[j] + (ahead + i) * plane]) : (Wide)0;
        if (start < begin) continue;
        Wide total[2] = {};
#pragma unroll
        for (int dy = 0; dy < SIDE; ++dy) {
            Wide near[2 + 2 * RADIUS], part[2] = {};  // a sum a row: seven short chains of additions, not one long one
#pragma unroll
            for (int k = 0; k < 2 + 2 * RADIUS; ++k) near[k] = windows[buffer][group][row + dy][column + k];
#pragma unroll
            for (int dx = 0; dx < SIDE; ++dx) {
                part[0] += weights[dy * SIDE + dx][0] * near[dx];
                part[1] += weights[dy * SIDE + dx][1] * near[dx + 1];
            }
            total[0] += part[0];
            total[1] += part[1];
        }
        const int channel = start + group;
        if (channel < end) {
            const long long at = (place.sample * channels + channel) * plane + (long long)y * width + x;
            if (inside(y, x, height, width)) gradient[at] = narrow(total[0] / channels);
            if (inside(y, x + 1, height, width)) gradient[at + 1] = narrow(total[1] / channels);
        }
        buffer ^= 1;
    }
}
