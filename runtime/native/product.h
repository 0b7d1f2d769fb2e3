// Vectors, scratch memory, maps, and the matrix product that the kernels share.
//
// Vectors are those of GCC and Clang, as wide as the flags of the compiler allow. The channels of a pixel lie beside each other, so
// that everything is done to a vector of channels at a time, and edges need no other code than pointers to zeros.

#pragma once

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

inline void check_no_gradient(const at::Tensor& x) {
  TORCH_CHECK(!(x.requires_grad() && at::GradMode::is_enabled()), "the kernels have no backward pass; call them under torch.no_grad()");
}

// A map with its channels last: `at(image, row, column)` is the pixel's first channel.
struct Map {
  int64_t count, channels, height, width;
  float* data;
  explicit Map(const at::Tensor& x) : count(x.size(0)), channels(x.size(1)), height(x.size(2)), width(x.size(3)) {
    TORCH_CHECK(x.scalar_type() == at::kFloat && x.is_cpu() && x.is_contiguous(at::MemoryFormat::ChannelsLast),
                "expected a float32 map on the CPU with its channels last, got ", x.toString(), " ", x.sizes(), " with strides ", x.strides());
    check_no_gradient(x);
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

}  // namespace
