// The kernels of `layers.py`: float32 on a CPU, maps [N, C, H, W] with their channels last in memory.
//
// Channels of a pixel are adjacent, so all operations work on vectors of channels; pixels outside a map point to zeros.

#include "winograd.h"

namespace {

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

// Where a normalised coordinate lies on a side of pixels: the first of two neighbours, and how much of each there is.
struct Place {
  int64_t first;
  float before, after;
};

// With border padding or, if `zeros`, nothing outside.
Place place(float at, int64_t side, bool align_corners, bool zeros) {
  at = align_corners ? (at + 1) * (float(side - 1) / 2) : ((at + 1) * float(side) - 1) / 2;
  if (zeros && !(at > -1 && at < float(side))) return {0, 0, 0};  // NaN, too
  const float inside = at > 0 ? std::min(at, float(side - 1)) : 0.0f;  // NaN has no pixel: the order of the comparison sends it to the first
  const int64_t first = std::min<int64_t>(inside, std::max<int64_t>(side - 2, 0));
  const float rest = inside - float(first), share = zeros ? 1 - std::abs(at - inside) : 1.0f;
  return {first, share * (1 - rest), share * rest};
}

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
  at::parallel_for(0, x.count * plane, 64, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t image = n / plane, pixel = n % plane;
      const Place across = place(grid[image * 2 * plane + pixel], x.width, align_corners, false);
      const Place down = place(grid[(image * 2 + 1) * plane + pixel], x.height, align_corners, false);
      const int64_t left = across.first, above = down.first, right = std::min(left + 1, x.width - 1), below = std::min(above + 1, x.height - 1);
      const float weights[4] = {across.before * down.before, across.after * down.before, across.before * down.after, across.after * down.after};
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

// models.ops.flow.sample of a picture of few channels whose planes follow one another, with border padding or, if `zeros`, nothing
// outside.
at::Tensor sample_planes(const at::Tensor& picture, const at::Tensor& flow, bool align_corners, bool zeros) {
  TORCH_CHECK(picture.dim() == 4 && picture.scalar_type() == at::kFloat && picture.is_cpu(), "expected a float32 picture [N, C, H, W] on the CPU");
  check_no_gradient(picture);
  check_no_gradient(flow);
  TORCH_CHECK(flow.dim() == 4 && flow.size(0) == picture.size(0) && flow.size(1) == 2, "expected a flow [N, 2, h, w]");
  TORCH_CHECK(picture.size(2) > 0 && picture.size(3) > 0, "expected a picture with at least one pixel");
  const at::Tensor planes = picture.contiguous(), coordinates = flow.to(at::kFloat).contiguous();
  const float *from = planes.const_data_ptr<float>(), *grid = coordinates.const_data_ptr<float>();
  const int64_t count = picture.size(0), channels = picture.size(1), height = picture.size(2), width = picture.size(3);
  const int64_t plane = flow.size(2) * flow.size(3), source = height * width;
  const at::Tensor result = at::empty({count, channels, flow.size(2), flow.size(3)}, picture.options());
  float* to = result.data_ptr<float>();
  at::parallel_for(0, count * plane, 64, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t image = n / plane, pixel = n % plane;
      const Place across = place(grid[image * 2 * plane + pixel], width, align_corners, zeros);
      const Place down = place(grid[(image * 2 + 1) * plane + pixel], height, align_corners, zeros);
      const int64_t right = across.first + 1 < width, below = down.first + 1 < height ? width : 0;
      const float weights[4] = {across.before * down.before, across.after * down.before, across.before * down.after, across.after * down.after};
      const float* corner = from + image * channels * source + down.first * width + across.first;
      for (int64_t c = 0; c < channels; ++c, corner += source)
        to[(image * channels + c) * plane + pixel] =
            weights[0] * corner[0] + weights[1] * corner[right] + weights[2] * corner[below] + weights[3] * corner[below + right];
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
  library.def("sample_planes(Tensor picture, Tensor flow, bool align_corners, bool zeros) -> Tensor", &sample_planes);
  library.def("cost_volume(Tensor first, Tensor second, float slope) -> Tensor", &cost_volume);
  library.def("add_taps(Tensor products, Tensor rows, Tensor row_weights, Tensor columns, Tensor column_weights, Tensor(a!) base) -> ()", &add_taps);
  library.def("panel_columns() -> int", &panel_columns);
}
