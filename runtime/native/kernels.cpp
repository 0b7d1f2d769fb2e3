// The kernels of `layers.py`: float32 on a CPU, maps [N, C, H, W] with their channels last in memory.
//
// Vectors are those of GCC and Clang, as wide as the flags of the compiler allow. The channels of a pixel lie beside each other, so
// that everything is done to a vector of channels at a time, and edges need no other code than pointers to zeros.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

namespace {

// ---------------------------------------------------------------------------------------------------------------------- vectors

#if defined(__AVX512F__)
constexpr int kBytes = 64, kRows = 12;  // kRows: of a block of a matrix product whose sums all stay in registers
#elif defined(__AVX__)
constexpr int kBytes = 32, kRows = 6;
#else
constexpr int kBytes = 16, kRows = 6;
#endif
constexpr int64_t kLanes = kBytes / sizeof(float), kColumns = 2 * kLanes;

typedef float Vec __attribute__((vector_size(kBytes)));
typedef float Loose __attribute__((vector_size(kBytes), aligned(4), may_alias));  // a Vec that lies anywhere

inline void load(const float* from, Vec& to) { to = *reinterpret_cast<const Loose*>(from); }
inline void load(const float* from, float& to) { to = *from; }
inline void store(float* to, Vec from) { *reinterpret_cast<Loose*>(to) = from; }
inline void store(float* to, float from) { *to = from; }
inline Vec vec(const float* from) { Vec to; load(from, to); return to; }
inline Vec vec(float value) { return value - Vec{}; }  // minus zero is left out by the compiler; plus zero, which makes 0 of -0, is not

// The first `count` lanes at most; the others are zero, or left as they are.
inline Vec vec_of(const float* from, int64_t count) {
  if (count >= kLanes) return vec(from);
  Vec to{};
  std::memcpy(&to, from, count * sizeof(float));
  return to;
}
inline void store_of(float* to, Vec from, int64_t count) {
  if (count >= kLanes) store(to, from);
  else std::memcpy(to, &from, count * sizeof(float));
}

inline float sum(Vec v) {
  typedef float Quad __attribute__((vector_size(16)));
  Quad quads[kBytes / sizeof(Quad)];
  std::memcpy(quads, &v, kBytes);
  for (size_t i = 1; i < kBytes / sizeof(Quad); ++i) quads[0] += quads[i];
  return (quads[0][0] + quads[0][1]) + (quads[0][2] + quads[0][3]);
}

inline int64_t divide_up(int64_t n, int64_t by) { return (n + by - 1) / by; }
inline int64_t round_up(int64_t n, int64_t to) { return divide_up(n, to) * to; }

// What comes after a convolution: y -> min(y < 0 ? slope * y : y, top). NaN stays NaN; a slope of zero makes 0 of infinity, too.
struct Activation {
  Vec slope, top;
  bool has_slope;
  Activation(double slope, double top) : slope(vec(float(slope))), top(vec(float(top))), has_slope(slope != 0) {}
  Vec operator()(Vec y) const {
    const Vec below = has_slope ? y * slope : Vec{};
    y = y < 0.0f ? below : y;
    return y > top ? top : y;
  }
};
const Activation kRelu6(0, 6);

// Memory of a thread that is kept from call to call.
float* scratch(int64_t count) {
  static thread_local std::vector<float> memory;
  if (int64_t(memory.size()) < count + kBytes) memory.resize(count + kBytes);
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  return reinterpret_cast<float*>((address + 63) / 64 * 64);
}

// A map with its channels last: `at(image, row, column)` is the pixel's first channel.
struct Map {
  int64_t count, channels, height, width;
  float* data;
  explicit Map(const at::Tensor& x) : count(x.size(0)), channels(x.size(1)), height(x.size(2)), width(x.size(3)) {
    TORCH_CHECK(x.scalar_type() == at::kFloat && x.is_cpu() && x.is_contiguous(at::MemoryFormat::ChannelsLast),
                "expected a float32 map on the CPU with its channels last, got ", x.toString(), " ", x.sizes(), " with strides ", x.strides());
    TORCH_CHECK(!(x.requires_grad() && at::GradMode::is_enabled()), "the kernels have no backward pass; call them under torch.no_grad()");
    data = x.data_ptr<float>();
  }
  float* at(int64_t image, int64_t row, int64_t column) const { return data + ((image * height + row) * width + column) * channels; }
};

at::Tensor new_map(int64_t count, int64_t channels, int64_t height, int64_t width, const at::Tensor& like) {
  return at::empty({count, channels, height, width}, like.options(), at::MemoryFormat::ChannelsLast);
}

// Weights of a known shape.
const float* dense(const at::Tensor& x, at::IntArrayRef shape) {
  TORCH_CHECK(x.scalar_type() == at::kFloat && x.is_cpu() && x.is_contiguous(), "expected contiguous float32 weights on the CPU");
  TORCH_CHECK(x.sizes() == shape, "expected weights of shape ", shape, ", got ", x.sizes());
  return x.data_ptr<float>();
}

// --------------------------------------------------------------------------------------------------------------- matrix product

// [ROWS, depth] x [depth, kColumns], the second packed: its rows follow one another.
template <int ROWS>
inline void block(const float* a, int64_t stride_a, const float* b, int64_t depth, const float* bias, float* c, int64_t stride_c) {
  Vec sums[ROWS][2];
  for (int r = 0; r < ROWS; ++r)
    for (int j = 0; j < 2; ++j) sums[r][j] = bias ? vec(bias + j * kLanes) : Vec{};
  for (int64_t k = 0; k < depth; ++k, b += kColumns) {
    const Vec left = vec(b), right = vec(b + kLanes);
    for (int r = 0; r < ROWS; ++r) {
      const Vec x = vec(a[r * stride_a + k]);
      sums[r][0] += x * left;
      sums[r][1] += x * right;
    }
  }
  for (int r = 0; r < ROWS; ++r)
    for (int j = 0; j < 2; ++j) store(c + r * stride_c + j * kLanes, sums[r][j]);
}

template <int ROWS>
inline void last_block(int64_t rows, const float* a, int64_t stride_a, const float* b, int64_t depth, const float* bias, float* c, int64_t stride_c) {
  if constexpr (ROWS > 0) {
    if (rows == ROWS) return block<ROWS>(a, stride_a, b, depth, bias, c, stride_c);
    last_block<ROWS - 1>(rows, a, stride_a, b, depth, bias, c, stride_c);
  }
}

// c [rows, panels * kColumns] = a [rows, depth] x b, packed [panels, depth, kColumns], plus bias [panels * kColumns] if there is one.
void multiply(const float* a, int64_t stride_a, int64_t rows, const float* b, int64_t depth, int64_t panels, const float* bias, float* c, int64_t stride_c) {
  for (int64_t p = 0; p < panels; ++p, b += depth * kColumns, c += kColumns) {
    int64_t r = 0;
    for (; r + kRows <= rows; r += kRows) block<kRows>(a + r * stride_a, stride_a, b, depth, bias, c + r * stride_c, stride_c);
    last_block<kRows - 1>(rows - r, a + r * stride_a, stride_a, b, depth, bias, c + r * stride_c, stride_c);
    if (bias) bias += kColumns;
  }
}

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

// ------------------------------------------------------------------------------------------------------------ inverted residual

// 1x1 expansion and ReLU6 (if there is one), 3x3 depthwise and ReLU6, 1x1 projection, and the input on top if `shortcut`. A thread
// goes down its rows and keeps three expanded ones, so that the wide maps never leave its cache.
struct InvertedResidual {
  const Map x, y;
  const int64_t hidden, panels_out, stride;
  const bool shortcut;
  const float *expansion, *expansion_bias, *taps, *taps_bias, *projection, *projection_bias;  // the first two may be null

  const int64_t wide_out = panels_out * kColumns;
  const int64_t line = (x.width + 2) * hidden;  // an expanded row between two pixels of zeros

  void expand_row(int64_t image, int64_t row, float* to) const {
    std::fill(to, to + hidden, 0.0f);
    std::fill(to + line - hidden, to + line, 0.0f);
    to += hidden;
    if (!expansion) {
      for (int64_t j = 0; j < x.width; ++j, to += hidden) {
        const float* from = x.at(image, row, j);
        std::copy(from, from + x.channels, to);
        std::fill(to + x.channels, to + hidden, 0.0f);
      }
      return;
    }
    multiply(x.at(image, row, 0), x.channels, x.width, expansion, x.channels, hidden / kColumns, expansion_bias, to, hidden);
    for (int64_t i = 0; i < x.width * hidden; i += kLanes) store(to + i, kRelu6(vec(to + i)));
  }

  void convolve_row(const float* const* rows, float* to) const {
    for (int64_t j = 0; j < y.width; ++j)
      for (int64_t c = 0; c < hidden; c += kLanes) {
        Vec sum = vec(taps_bias + c);
        for (int tap = 0; tap < 9; ++tap) sum += vec(taps + tap * hidden + c) * vec(rows[tap / 3] + (j * stride + tap % 3) * hidden + c);
        store(to + j * hidden + c, kRelu6(sum));
      }
  }

  void project_row(const float* convolved, int64_t image, int64_t row, float* projected) const {
    multiply(convolved, hidden, y.width, projection, hidden, panels_out, projection_bias, projected, wide_out);
    for (int64_t j = 0; j < y.width; ++j) {
      const float* from = projected + j * wide_out;
      float* to = y.at(image, row, j);
      if (!shortcut) std::copy(from, from + y.channels, to);
      else for (int64_t c = 0; c < y.channels; ++c) to[c] = from[c] + x.at(image, row, j)[c];
    }
  }

  // Rows `begin` to `end` of all images' rows.
  void run(int64_t begin, int64_t end) const {
    float* lines[3];
    float* memory = scratch(3 * line + y.width * (hidden + wide_out));
    for (int i = 0; i < 3; ++i) lines[i] = memory + i * line;
    float *convolved = memory + 3 * line, *projected = convolved + y.width * hidden;
    int64_t held[3] = {-1, -1, -1};  // which row of all images' rows each line holds
    const std::vector<float> zeros(line, 0.0f);
    for (int64_t n = begin; n < end; ++n) {
      const int64_t image = n / y.height, i = n % y.height;
      const float* rows[3];
      for (int k = 0; k < 3; ++k) {
        const int64_t row = i * stride + k - 1, id = image * x.height + row;
        if (row < 0 || row >= x.height) {
          rows[k] = zeros.data();
          continue;
        }
        if (held[id % 3] != id) {
          expand_row(image, row, lines[id % 3]);
          held[id % 3] = id;
        }
        rows[k] = lines[id % 3];
      }
      convolve_row(rows, convolved);
      project_row(convolved, image, i, projected);
    }
  }
};

at::Tensor inverted_residual(const at::Tensor& input, const std::optional<at::Tensor>& expansion, const std::optional<at::Tensor>& expansion_bias,
                             const at::Tensor& depthwise, const at::Tensor& depthwise_bias, const at::Tensor& projection,
                             const at::Tensor& projection_bias, int64_t in, int64_t out, int64_t stride, bool shortcut) {
  const Map x(input);
  TORCH_CHECK(x.channels == in, "expected ", in, " channels, got ", x.channels);
  TORCH_CHECK(depthwise.dim() == 2 && projection.dim() == 3 && expansion.has_value() == expansion_bias.has_value(), "expected packed weights");
  const int64_t hidden = depthwise.size(1), panels_out = projection.size(0), wide_out = panels_out * kColumns;
  TORCH_CHECK(hidden % kColumns == 0 && (expansion || in <= hidden), "weights packed for another processor");
  TORCH_CHECK(stride > 0 && out <= wide_out && (!shortcut || (stride == 1 && out == in)), "a shortcut needs equal shapes");
  const at::Tensor result = new_map(x.count, out, divide_up(x.height, stride), divide_up(x.width, stride), input);
  const float* expand = expansion ? dense(*expansion, {hidden / kColumns, in, kColumns}) : nullptr;
  const float* expand_bias = expansion ? dense(*expansion_bias, {hidden}) : nullptr;
  const float *taps = dense(depthwise, {9, hidden}), *taps_bias = dense(depthwise_bias, {hidden});
  const float *project = dense(projection, {panels_out, hidden, kColumns}), *project_bias = dense(projection_bias, {wide_out});
  const InvertedResidual block{x, Map(result), hidden, panels_out, stride, shortcut, expand, expand_bias, taps, taps_bias, project, project_bias};
  at::parallel_for(0, x.count * block.y.height, 1, [&](int64_t begin, int64_t end) { block.run(begin, end); });
  return result;
}

// ---------------------------------------------------------------------------------------------- instance norm and what follows it

// Mean and 1 / standard deviation of every image's channels: [count, 2, channels]. Rows are summed apart, then joined in their order
// (Chan, Golub & LeVeque 1979), so that the number of threads changes nothing.
std::vector<float> moments(const Map& x, double eps) {
  const int64_t channels = x.channels, size = x.width * channels;
  std::vector<float> rows(x.count * x.height * 2 * channels), result(x.count * 2 * channels);
  at::parallel_for(0, x.count * x.height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      float *mean = rows.data() + n * 2 * channels, *squares = mean + channels;
      const float* row = x.data + n * size;
      for (int64_t c = 0; c < channels; c += kLanes) {
        Vec sum{}, sum_of_squares{};
        for (int64_t i = c; i < size; i += channels) sum += vec_of(row + i, channels - c);
        sum /= float(x.width);
        for (int64_t i = c; i < size; i += channels) {
          const Vec off = vec_of(row + i, channels - c) - sum;
          sum_of_squares += off * off;
        }
        store_of(mean + c, sum, channels - c);
        store_of(squares + c, sum_of_squares, channels - c);
      }
    }
  });
  for (int64_t image = 0; image < x.count; ++image)
    for (int64_t c = 0; c < channels; ++c) {
      double mean = 0, squares = 0;
      for (int64_t i = 0; i < x.height; ++i) {
        const float* row = rows.data() + (image * x.height + i) * 2 * channels + c;
        const double off = row[0] - mean;
        mean += off / double(i + 1);
        squares += row[channels] + off * off * double(x.width) * double(i) / double(i + 1);
      }
      result[image * 2 * channels + c] = float(mean);
      result[(image * 2 + 1) * channels + c] = float(1 / std::sqrt(squares / double(x.height * x.width) + eps));
    }
  return result;
}

// nn.InstanceNorm2d without weights.
at::Tensor instance_norm(const at::Tensor& input, double eps) {
  const Map x(input);
  const at::Tensor result = new_map(x.count, x.channels, x.height, x.width, input);
  const Map y(result);
  const std::vector<float> statistics = moments(x, eps);
  const int64_t plane = x.height * x.width, channels = x.channels;
  at::parallel_for(0, x.count * plane, 64, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const float *mean = statistics.data() + n / plane * 2 * channels, *scale = mean + channels, *from = x.data + n * channels;
      for (int64_t c = 0; c < channels; c += kLanes) {
        const int64_t left = channels - c;
        store_of(y.data + n * channels + c, (vec_of(from + c, left) - vec_of(mean + c, left)) * vec_of(scale + c, left), left);
      }
    }
  });
  return result;
}

// Attribute-adaptive denormalisation, see models.generators.rmgn.AAD, and a ReLU after it. The weights of an attribute are packed
// [2 * panels, attributes, kColumns]: those of one plus gamma, then those of beta; so are their biases. `mask` is [channels + 1], the
// bias last.
at::Tensor aad(const at::Tensor& input, const at::Tensor& person, const at::Tensor& cloth, const at::Tensor& person_weights,
               const at::Tensor& person_bias, const at::Tensor& cloth_weights, const at::Tensor& cloth_bias, const at::Tensor& mask, double eps) {
  const Map x(input), attributes[2] = {Map(person), Map(cloth)};
  const int64_t channels = x.channels, plane = x.height * x.width, panels = divide_up(channels, kColumns), wide = panels * kColumns;
  const float *weights[2], *biases[2];
  for (int k = 0; k < 2; ++k) {
    const Map& map = attributes[k];
    TORCH_CHECK(map.count == x.count && map.height == x.height && map.width == x.width, "expected attributes of the size of the map");
    weights[k] = dense(k ? cloth_weights : person_weights, {2 * panels, map.channels, kColumns});
    biases[k] = dense(k ? cloth_bias : person_bias, {2 * wide});
  }
  const float* to_mask = dense(mask, {channels + 1});
  const at::Tensor result = new_map(x.count, channels, x.height, x.width, input);
  const Map y(result);
  const std::vector<float> statistics = moments(x, eps);
  const Activation relu(0, std::numeric_limits<double>::infinity());

  const int64_t fair = round_up(divide_up(plane, at::get_num_threads()), kRows);
  const int64_t some = std::clamp<int64_t>(fair, kRows, 8 * kColumns), blocks = divide_up(plane, some);  // pixels at a time
  at::parallel_for(0, x.count * blocks, 1, [&](int64_t begin, int64_t end) {
    float *by_cloth = scratch(some * (1 + 4 * kColumns)), *modulation = by_cloth + some;  // the mask; gammas and betas of both
    for (int64_t n = begin; n < end; ++n) {
      const int64_t image = n / blocks, first = image * plane + n % blocks * some, rows = std::min(some, (image + 1) * plane - first);
      const float *mean = statistics.data() + image * 2 * channels, *scale = mean + channels;
      const auto normalised = [&](int64_t pixel, int64_t c) {
        const int64_t left = channels - c;
        return (vec_of(x.data + pixel * channels + c, left) - vec_of(mean + c, left)) * vec_of(scale + c, left);
      };
      for (int64_t r = 0; r < rows; ++r) {
        Vec dot{};
        for (int64_t c = 0; c < channels; c += kLanes) dot += normalised(first + r, c) * vec_of(to_mask + c, channels - c);
        by_cloth[r] = 1 / (1 + std::exp(-(sum(dot) + to_mask[channels])));
      }
      for (int64_t p = 0; p < panels; ++p) {
        for (int k = 0; k < 4; ++k) {
          const Map& map = attributes[k / 2];
          const int64_t panel = k % 2 * panels + p;
          multiply(map.data + first * map.channels, map.channels, rows, weights[k / 2] + panel * map.channels * kColumns, map.channels, 1,
                   biases[k / 2] + panel * kColumns, modulation + k * kColumns, 4 * kColumns);
        }
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = p * kColumns; c < std::min((p + 1) * kColumns, channels); c += kLanes) {
            const float* from = modulation + r * 4 * kColumns + c - p * kColumns;
            const Vec h = normalised(first + r, c), person_says = vec(from) * h + vec(from + kColumns);
            const Vec cloth_says = vec(from + 2 * kColumns) * h + vec(from + 3 * kColumns);
            store_of(y.data + (first + r) * channels + c, relu((1 - by_cloth[r]) * person_says + by_cloth[r] * cloth_says), channels - c);
          }
      }
    }
  });
  return result;
}

// --------------------------------------------------------------------------------------------------------------------- sampling

// models.ops.flow.sample with border padding.
at::Tensor sample(const at::Tensor& picture, const at::Tensor& flow, bool align_corners) {
  const Map x(picture);
  TORCH_CHECK(flow.dim() == 4 && flow.size(0) == x.count && flow.size(1) == 2, "expected a flow [N, 2, h, w]");
  TORCH_CHECK(x.height > 0 && x.width > 0, "expected a picture with at least one pixel");
  const at::Tensor coordinates = flow.to(at::kFloat).contiguous();
  const float* grid = coordinates.const_data_ptr<float>();
  const int64_t height = flow.size(2), width = flow.size(3), plane = height * width;
  const at::Tensor result = new_map(x.count, x.channels, height, width, picture);
  const Map y(result);
  const auto place = [&](float at, int64_t side) {
    at = align_corners ? (at + 1) * (float(side - 1) / 2) : ((at + 1) * float(side) - 1) / 2;
    return at > 0 ? std::min(at, float(side - 1)) : 0.0f;  // NaN has no pixel: the order of the comparison sends it to the first
  };
  at::parallel_for(0, x.count * plane, 64, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t image = n / plane, pixel = n % plane;
      const float across = place(grid[image * 2 * plane + pixel], x.width), down = place(grid[(image * 2 + 1) * plane + pixel], x.height);
      const int64_t left = std::min<int64_t>(across, std::max<int64_t>(x.width - 2, 0)), above = std::min<int64_t>(down, std::max<int64_t>(x.height - 2, 0));
      const int64_t right = std::min(left + 1, x.width - 1), below = std::min(above + 1, x.height - 1);
      const float r = across - float(left), b = down - float(above);
      const float weights[4] = {(1 - r) * (1 - b), r * (1 - b), (1 - r) * b, r * b};
      const float* pixels[4] = {x.at(image, above, left), x.at(image, above, right), x.at(image, below, left), x.at(image, below, right)};
      float* to = y.data + n * x.channels;
      int64_t c = 0;
      for (; c + kLanes <= x.channels; c += kLanes)
        store(to + c, weights[0] * vec(pixels[0] + c) + weights[1] * vec(pixels[1] + c) + weights[2] * vec(pixels[2] + c) + weights[3] * vec(pixels[3] + c));
      for (; c < x.channels; ++c) to[c] = weights[0] * pixels[0][c] + weights[1] * pixels[1][c] + weights[2] * pixels[2][c] + weights[3] * pixels[3][c];
    }
  });
  return result;
}

// ------------------------------------------------------------------------------------------------------------------ cost volume

constexpr int kRadius = 3, kSide = 2 * kRadius + 1;

// models.ops.correlation, and a LeakyReLU after it. Two pixels at a time look at the eight around them in a row.
at::Tensor cost_volume(const at::Tensor& first, const at::Tensor& second, double slope) {
  const Map a(first), b(second);
  TORCH_CHECK(first.sizes() == second.sizes() && a.channels % kLanes == 0, "expected two maps of one shape, with a multiple of ", kLanes, " channels");
  const at::Tensor result = new_map(a.count, kSide * kSide, a.height, a.width, first);
  const Map y(result);
  const std::vector<float> zeros(a.channels, 0.0f);
  const float scale = 1.0f / float(a.channels), below_zero = float(slope);
  at::parallel_for(0, a.count * a.height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t image = n / a.height, row = n % a.height;
      for (int64_t column = 0; column < a.width; column += 2) {
        const bool alone = column + 1 == a.width;
        const float *left = a.at(image, row, column), *right = alone ? zeros.data() : left + a.channels;
        float *to_left = y.at(image, row, column), *to_right = to_left + kSide * kSide;
        for (int dy = 0; dy < kSide; ++dy) {
          const int64_t other = row + dy - kRadius;
          const float* seen[kSide + 1];
          for (int dx = 0; dx <= kSide; ++dx) {
            const int64_t at = column + dx - kRadius;
            seen[dx] = other >= 0 && other < a.height && at >= 0 && at < a.width ? b.at(image, other, at) : zeros.data();
          }
          Vec sums[2][kSide] = {};
          for (int64_t c = 0; c < a.channels; c += kLanes) {
            const Vec l = vec(left + c), r = vec(right + c);
            for (int dx = 0; dx < kSide; ++dx) {
              sums[0][dx] += l * vec(seen[dx] + c);
              sums[1][dx] += r * vec(seen[dx + 1] + c);
            }
          }
          for (int dx = 0; dx < kSide; ++dx) {
            const float l = sum(sums[0][dx]) * scale, r = sum(sums[1][dx]) * scale;
            to_left[dy * kSide + dx] = l > 0 ? l : l * below_zero;
            if (!alone) to_right[dy * kSide + dx] = r > 0 ? r : r * below_zero;
          }
        }
      }
    }
  });
  return result;
}

// ------------------------------------------------------------------------------------------------------------------------- taps

// to += the sum of weights[k] * terms[k], `channels` numbers each.
void add_terms(const float* const* terms, const float* weights, int64_t count, int64_t channels, float* to) {
  constexpr int64_t kAtOnce = 4;
  int64_t c = 0;
  for (; c + kAtOnce * kLanes <= channels; c += kAtOnce * kLanes) {
    Vec sums[kAtOnce];
    for (int64_t v = 0; v < kAtOnce; ++v) sums[v] = vec(to + c + v * kLanes);
    for (int64_t k = 0; k < count; ++k) {
      const Vec weight = vec(weights[k]);
      for (int64_t v = 0; v < kAtOnce; ++v) sums[v] += weight * vec(terms[k] + c + v * kLanes);
    }
    for (int64_t v = 0; v < kAtOnce; ++v) store(to + c + v * kLanes, sums[v]);
  }
  for (; c < channels; ++c)
    for (int64_t k = 0; k < count; ++k) to[c] += weights[k] * terms[k][c];
}

void check_terms(const at::Tensor& index, int64_t below) {
  TORCH_CHECK(index.is_contiguous() && index.is_cpu() && index.scalar_type() == at::kLong, "expected contiguous whole numbers on the CPU");
  const int64_t* values = index.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < index.numel(); ++i) TORCH_CHECK(values[i] >= 0 && values[i] < below, "expected terms below ", below);
}

// Adds to `base` [N, C, H, W] the taps of a smoothing convolution, see runtime/smooth.py: `products` [N, h, w, 3, 3, C]; output row i
// is the sum of rows rows[i, k] of 3 * h (a tap's row and a row of the map) times row_weights[i, k], columns likewise.
void add_taps(const at::Tensor& products, const at::Tensor& rows, const at::Tensor& row_weights, const at::Tensor& columns,
              const at::Tensor& column_weights, at::Tensor base) {
  const Map y(base);
  TORCH_CHECK(products.dim() == 6 && rows.dim() == 2 && columns.dim() == 2, "expected products [N, h, w, 3, 3, C] and terms [n, terms]");
  const int64_t h = products.size(1), w = products.size(2), channels = y.channels, terms_down = rows.size(1), terms_across = columns.size(1);
  TORCH_CHECK(rows.size(0) == y.height && columns.size(0) == y.width, "expected terms for every row and column");
  check_terms(rows, 3 * h);
  check_terms(columns, 3 * w);
  const float* taps = dense(products, {y.count, h, w, 3, 3, channels});
  const float *weights_down = dense(row_weights, {y.height, terms_down}), *weights_across = dense(column_weights, {y.width, terms_across});
  const int64_t *from_row = rows.const_data_ptr<int64_t>(), *from_column = columns.const_data_ptr<int64_t>();
  at::parallel_for(0, y.count * y.height, 1, [&](int64_t begin, int64_t end) {
    float* line = scratch(3 * w * channels);  // one output row before it is spread: [3, w, C]
    std::vector<const float*> terms(std::max(terms_down, terms_across));
    for (int64_t n = begin; n < end; ++n) {
      const int64_t image = n / y.height, i = n % y.height;
      for (int64_t tap = 0; tap < 3; ++tap)
        for (int64_t j = 0; j < w; ++j) {
          for (int64_t k = 0; k < terms_down; ++k) {
            const int64_t row = from_row[i * terms_down + k];
            terms[k] = taps + ((((image * h + row % h) * w + j) * 3 + row / h) * 3 + tap) * channels;
          }
          float* to = line + (tap * w + j) * channels;
          std::fill(to, to + channels, 0.0f);
          add_terms(terms.data(), weights_down + i * terms_down, terms_down, channels, to);
        }
      for (int64_t j = 0; j < y.width; ++j) {
        for (int64_t k = 0; k < terms_across; ++k) terms[k] = line + from_column[j * terms_across + k] * channels;
        add_terms(terms.data(), weights_across + j * terms_across, terms_across, channels, y.at(image, i, j));
      }
    }
  });
}

int64_t panel_columns() { return kColumns; }

}  // namespace

TORCH_LIBRARY(dm_vton_cpu, library) {
  library.def("winograd(Tensor[] maps, Tensor kernels, Tensor bias, Tensor? addend, int out, float slope, float top, bool doubled) -> Tensor", &winograd);
  library.def(
      "inverted_residual(Tensor input, Tensor? expansion, Tensor? expansion_bias, Tensor depthwise, Tensor depthwise_bias, "
      "Tensor projection, Tensor projection_bias, int channels, int out, int stride, bool shortcut) -> Tensor",
      &inverted_residual);
  library.def("instance_norm(Tensor input, float eps) -> Tensor", &instance_norm);
  library.def(
      "aad(Tensor input, Tensor person, Tensor cloth, Tensor person_weights, Tensor person_bias, Tensor cloth_weights, "
      "Tensor cloth_bias, Tensor mask, float eps) -> Tensor",
      &aad);
  library.def("sample(Tensor picture, Tensor flow, bool align_corners) -> Tensor", &sample);
  library.def("cost_volume(Tensor first, Tensor second, float slope) -> Tensor", &cost_volume);
  library.def("add_taps(Tensor products, Tensor rows, Tensor row_weights, Tensor columns, Tensor column_weights, Tensor(a!) base) -> ()", &add_taps);
  library.def("panel_columns() -> int", &panel_columns);
}
