// 3x3 convolutions by Winograd's algorithm, F(4x4, 3x3); `winograd.py` transforms the weights.

#pragma once

#include "product.h"

namespace {

// --------------------------------------------------------------------------------------------------------------------- Winograd

constexpr int kTile = 4, kWindow = 6, kProducts = kWindow * kWindow;
constexpr int64_t kGroup = 200000;  // transformed inputs and products that a thread has at a time: what its cache holds

constexpr float kA = 0.70710678f, kB = 1.41421356f;  // roots of 1/2 and 2, see runtime/winograd.py

// Transposed B of runtime/winograd.py times six numbers -> six that lie `step` apart.
template <class T>
inline void to_products(const T* d, T* t, int step) {
  const T even_a = d[4] - 2.0f * d[2], odd_a = kA * (d[3] - 2.0f * d[1]), even_b = d[4] - 0.5f * d[2], odd_b = kB * (d[3] - 0.5f * d[1]);
  t[0] = d[0] + d[4] - 2.5f * d[2];
  t[step] = even_a + odd_a;
  t[2 * step] = even_a - odd_a;
  t[3 * step] = even_b + odd_b;
  t[4 * step] = even_b - odd_b;
  t[5 * step] = d[1] + d[5] - 2.5f * d[3];
}

// Transposed A times six numbers -> four that lie `step` apart.
inline void to_outputs(const Vec* m, Vec* y, int step) {
  const Vec even_a = m[1] + m[2], odd_a = kA * (m[1] - m[2]), even_b = m[3] + m[4], odd_b = kB * (m[3] - m[4]);
  y[0] = m[0] + even_a + even_b;
  y[step] = odd_a + odd_b;
  y[2 * step] = 0.5f * even_a + 2.0f * even_b;
  y[3 * step] = 0.5f * odd_a + 2.0f * odd_b + m[5];
}

// A window's pixels, some channels from `first` on -> its 36 numbers a channel, `step` apart.
template <class T>
inline void transform_window(const float* const* pixels, int64_t first, float* to, int64_t step) {
  T columns[kProducts];
  for (int i = 0; i < kWindow; ++i) {
    T column[kWindow];
    for (int j = 0; j < kWindow; ++j) load(pixels[j * kWindow + i] + first, column[j]);
    to_products(column, columns + i, kWindow);
  }
  for (int i = 0; i < kWindow; ++i) {
    T row[kWindow];
    to_products(columns + i * kWindow, row, 1);
    for (int j = 0; j < kWindow; ++j) store(to + (i * kWindow + j) * step + first, row[j]);
  }
}

// The 36 products of kLanes channels, `step` apart -> 4 x 4 outputs.
inline void transform_products(const float* from, int64_t step, Vec* y) {
  Vec columns[kTile * kWindow];
  for (int i = 0; i < kWindow; ++i) {
    Vec column[kWindow];
    for (int j = 0; j < kWindow; ++j) column[j] = vec(from + (j * kWindow + i) * step);
    to_outputs(column, columns + i, kWindow);
  }
  for (int i = 0; i < kTile; ++i) to_outputs(columns + i * kWindow, y + i * kTile, 1);
}

// One 3x3 convolution by Winograd's algorithm: what is convolved, and the three steps of it, for tiles of 4 x 4 outputs. Memory is
// that of a thread or of all: 36 matrices [tiles, depth] of transformed windows, then 36 matrices [tiles, wide] of products.
struct Winograd {
  const std::vector<Map> maps;  // their channels follow one another
  const bool doubled;           // whether their sides are doubled first, by repeating pixels
  const float *weights, *bias;  // packed, and wide
  const int64_t depth, panels;
  const Map y;
  const std::optional<Map> addend;
  const Activation activate;

  const int64_t wide = panels * kColumns, height = y.height, width = y.width;
  const int64_t down = divide_up(height, kTile), across = divide_up(width, kTile), tiles = y.count * down * across;
  const std::vector<float> zeros = std::vector<float>(depth, 0.0f);

  // `group` tiles in `memory`, whose 36 matrices start in different lines of the cache: no multiple of a page lies between them.
  struct Work {
    int64_t step, step_out;
    float *transformed, *products;
  };
  Work work(int64_t group) const {
    const int64_t step = round_up(group * depth, 1024) + 32, step_out = round_up(group * wide, 1024) + 32;
    float* memory = scratch(kProducts * (step + step_out));
    return {step, step_out, memory, memory + kProducts * step};
  }

  void transform(int64_t tile, int64_t place, const Work& work) const {
    const int64_t image = tile / (down * across), above = tile / across % down * kTile - 1, left = tile % across * kTile - 1;
    const int64_t step = work.step;
    float* to = work.transformed + place * depth;
    for (const Map& map : maps) {
      const float* pixels[kProducts];
      for (int i = 0; i < kProducts; ++i) {
        const int64_t row = above + i / kWindow, column = left + i % kWindow;
        const bool inside = row >= 0 && row < height && column >= 0 && column < width;
        pixels[i] = inside ? map.at(image, row >> doubled, column >> doubled) : zeros.data();
      }
      int64_t c = 0;
      for (; c + kLanes <= map.channels; c += kLanes) transform_window<Vec>(pixels, c, to, step);
      for (; c < map.channels; ++c) transform_window<float>(pixels, c, to, step);
      to += map.channels;
    }
  }

  void multiply_panels(int64_t product, int64_t first, int64_t count, int64_t rows, const Work& work) const {
    const float *a = work.transformed + product * work.step, *b = weights + (product * panels + first) * depth * kColumns;
    multiply(a, depth, rows, b, depth, count, nullptr, work.products + product * work.step_out + first * kColumns, wide);
  }

  void finish(int64_t tile, int64_t place, const Work& work) const {
    const int64_t image = tile / (down * across), above = tile / across % down * kTile, left = tile % across * kTile;
    const int64_t rows = std::min<int64_t>(kTile, height - above), columns = std::min<int64_t>(kTile, width - left);
    const int64_t channels = y.channels, line = width * channels, step = work.step_out;
    const float *from = work.products + place * wide, *plus = addend ? addend->at(image, above, left) : nullptr;
    float* to = y.at(image, above, left);
    for (int64_t c = 0; c < channels; c += kLanes) {
      Vec outputs[kTile * kTile];
      transform_products(from + c, step, outputs);
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j) {
          const int64_t at = i * line + j * channels + c;
          Vec value = outputs[i * kTile + j] + vec(bias + c);
          if (plus) value += vec_of(plus + at, channels - c);
          store_of(to + at, activate(value), channels - c);
        }
    }
  }

  // Few tiles go through the steps together, since threads then share out the weights, of which there are more than tiles.
  void run_together() const {
    const Work all = work(tiles);
    at::parallel_for(0, tiles, 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) transform(t, t, all);
    });
    at::parallel_for(0, kProducts * panels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) multiply_panels(i / panels, i % panels, 1, tiles, all);
    });
    at::parallel_for(0, tiles, 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) finish(t, t, all);
    });
  }

  // Each thread takes groups of tiles through all steps, which stay in its cache.
  void run_in_groups(int64_t group) const {
    at::parallel_for(0, divide_up(tiles, group), 1, [&](int64_t begin, int64_t end) {
      const Work own = work(group);
      for (int64_t first = begin * group; first < std::min(end * group, tiles); first += group) {
        const int64_t some = std::min(group, tiles - first);
        for (int64_t t = 0; t < some; ++t) transform(first + t, t, own);
        for (int64_t p = 0; p < kProducts; ++p) multiply_panels(p, 0, panels, some, own);
        for (int64_t t = 0; t < some; ++t) finish(first + t, t, own);
      }
    });
  }

  void run() const {
    const int64_t threads = at::get_num_threads(), numbers = kProducts * (depth + wide);  // of a tile
    if (tiles < 2 * kRows * threads && tiles * numbers < 16 * kGroup) return run_together();
    const int64_t groups = round_up(divide_up(tiles, std::max<int64_t>(kGroup / numbers, 2 * kRows)), threads);
    run_in_groups(round_up(divide_up(tiles, groups), kRows));
  }
};

at::Tensor winograd(at::TensorList tensors, const at::Tensor& kernels, const at::Tensor& bias, const std::optional<at::Tensor>& addend,
                    int64_t out, double slope, double top, bool doubled) {
  const std::vector<Map> maps(tensors.begin(), tensors.end());
  TORCH_CHECK(!maps.empty(), "expected at least one map");
  TORCH_CHECK(kernels.dim() == 3 && kernels.size(0) % kProducts == 0 && kernels.size(2) == kColumns, "kernels packed for another processor");
  const int64_t panels = kernels.size(0) / kProducts, depth = kernels.size(1), wide = panels * kColumns;
  int64_t channels = 0;
  for (const Map& map : maps) {
    TORCH_CHECK(map.count == maps[0].count && map.height == maps[0].height && map.width == maps[0].width, "expected maps of one size");
    channels += map.channels;
  }
  TORCH_CHECK(channels == depth, "expected ", depth, " channels, got ", channels);
  TORCH_CHECK(out <= wide, "expected at most ", wide, " outputs, got ", out);
  const at::Tensor result = new_map(maps[0].count, out, maps[0].height << doubled, maps[0].width << doubled, tensors[0]);
  TORCH_CHECK(!addend || addend->sizes() == result.sizes(), "expected an addend of shape ", result.sizes());
  const float *weights = dense(kernels, {kProducts * panels, depth, kColumns}), *shift = dense(bias, {wide});
  const std::optional<Map> plus = addend ? std::optional<Map>(*addend) : std::nullopt;
  Winograd{maps, doubled, weights, shift, depth, panels, Map(result), plus, Activation(slope, top)}.run();
  return result;
}

}  // namespace
