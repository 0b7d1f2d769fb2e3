/**
 * Operations on pictures held as flat arrays, with the results of Pillow and OpenCV, which the Python code uses.
 *
 * A plane is a typed array of width * height values, row by row. A picture has its channels interleaved, as canvases have them.
 */

/** Round half to even, as Python and NumPy do. */
export function roundEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/** The nearest value in 0..1. */
export const clamp = (value) => Math.min(Math.max(value, 0), 1);

/** A copy in ascending order. */
const ascending = (values) => Float64Array.from(values).sort();

/** The percentile of values, interpolated linearly; 50 is the median. */
export function percentile(values, percent) {
  const sorted = ascending(values);
  const place = ((sorted.length - 1) * percent) / 100;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

export const median = (values) => percentile(values, 50);

const FILTERS = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight(x) {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    },
  },
};

const PRECISION = 22; // bits of Pillow's weights, whose rounding decides ties; with 8 bits a pixel a sum fits into 32
const HALF = 1 << (PRECISION - 1);

/** For each of `count` new pixels of a line: the old ones from `first[i]` on count by `weights[i * most ...]`, `counts[i]` of them. */
function taps(length, count, filter) {
  const { support, weight } = FILTERS[filter];
  const scale = length / count;
  const stretch = Math.max(1, scale);
  const most = Math.ceil(support * stretch) * 2 + 1;
  const first = new Int32Array(count);
  const counts = new Int32Array(count);
  const weights = new Int32Array(count * most);
  const line = new Float64Array(most);
  for (let i = 0; i < count; i++) {
    const centre = (i + 0.5) * scale;
    first[i] = Math.max(0, Math.trunc(centre - support * stretch + 0.5));
    counts[i] = Math.min(length, Math.trunc(centre + support * stretch + 0.5)) - first[i];
    let sum = 0;
    for (let x = 0; x < counts[i]; x++) sum += line[x] = weight((x + first[i] - centre + 0.5) / stretch);
    for (let x = 0; x < counts[i]; x++) weights[i * most + x] = Math.round((line[x] / sum) * 2 ** PRECISION);
  }
  return { most, first, counts, weights };
}

/** Resize the lines of a picture, each of `length` pixels, to `count` pixels. */
function resizeLines(pixels, { length, rows, channels }, count, filter) {
  const { most, first, counts, weights } = taps(length, count, filter);
  const result = new Uint8ClampedArray(count * rows * channels);
  for (let y = 0, target = 0; y < rows; y++) {
    for (let x = 0; x < count; x++) {
      const start = (y * length + first[x]) * channels;
      const end = x * most + counts[x];
      let c = 0;
      for (; c + 4 <= channels; c += 4, target += 4) { // all that a canvas has at once: this is what a live camera waits for
        let [red, green, blue, alpha] = [HALF, HALF, HALF, HALF];
        for (let t = x * most, from = start + c; t < end; t++, from += channels) {
          const weight = weights[t];
          red = (red + Math.imul(weight, pixels[from])) | 0;
          green = (green + Math.imul(weight, pixels[from + 1])) | 0;
          blue = (blue + Math.imul(weight, pixels[from + 2])) | 0;
          alpha = (alpha + Math.imul(weight, pixels[from + 3])) | 0;
        }
        result[target] = red >> PRECISION;
        result[target + 1] = green >> PRECISION;
        result[target + 2] = blue >> PRECISION;
        result[target + 3] = alpha >> PRECISION;
      }
      for (; c < channels; c++, target++) {
        let sum = HALF;
        for (let t = x * most, from = start + c; t < end; t++, from += channels) sum = (sum + Math.imul(weights[t], pixels[from])) | 0;
        result[target] = sum >> PRECISION;
      }
    }
  }
  return result;
}

/** Resize the columns of a picture of lines of `stride` values, `rows` of them, to `count`. */
function resizeColumns(pixels, { stride, rows }, count, filter) {
  const { most, first, counts, weights } = taps(rows, count, filter);
  const result = new Uint8ClampedArray(count * stride);
  const sums = new Int32Array(stride);
  for (let y = 0; y < count; y++) {
    sums.fill(HALF);
    for (let t = 0; t < counts[y]; t++) {
      const from = (first[y] + t) * stride;
      const weight = weights[y * most + t];
      for (let x = 0; x < stride; x++) sums[x] += Math.imul(weight, pixels[from + x]);
    }
    for (let x = 0; x < stride; x++) result[y * stride + x] = sums[x] >> PRECISION;
  }
  return result;
}

/**
 * Resize a picture of 8 bits a channel as Pillow does, with antialiasing: columns first, rounded, then rows.
 *
 * `filter` is 'box', 'bilinear' or 'bicubic'; returns a Uint8ClampedArray of width * height * channels.
 */
export function resize(pixels, { width, height, channels }, size, filter) {
  let current = pixels;
  if (size.width !== width) current = resizeLines(pixels, { length: width, rows: height, channels }, size.width, filter);
  if (size.height !== height) current = resizeColumns(current, { stride: size.width * channels, rows: height }, size.height, filter);
  return current === pixels ? Uint8ClampedArray.from(pixels) : current;
}

const LINEAR = Float64Array.from({ length: 256 }, (_, level) => {
  const value = level / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
});

const bend = (t) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);

/** A picture with `channels` of which the first three are sRGB -> CIE Lab as three planes, L 0..100. */
export function toLab(pixels, count, channels) {
  const planes = [new Float32Array(count), new Float32Array(count), new Float32Array(count)];
  for (let i = 0, p = 0; i < count; i++, p += channels) {
    const r = LINEAR[pixels[p]];
    const g = LINEAR[pixels[p + 1]];
    const b = LINEAR[pixels[p + 2]];
    const y = 0.212671 * r + 0.71516 * g + 0.072169 * b;
    const fx = bend((0.412453 * r + 0.35758 * g + 0.180423 * b) / 0.950456);
    const fy = bend(y);
    const fz = bend((0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.088754);
    planes[0][i] = 116 * fy - 16;
    planes[1][i] = 500 * (fx - fy);
    planes[2][i] = 200 * (fy - fz);
  }
  return planes;
}

/** The index that a place beyond a line stands for: mirrored without repeating the border ('reflect'), or the border's own. */
function beyond(place, length, border) {
  if (border === 'replicate') return Math.min(Math.max(place, 0), length - 1);
  let mirrored = place;
  while (mirrored < 0 || mirrored >= length) mirrored = mirrored < 0 ? -mirrored : 2 * (length - 1) - mirrored;
  return mirrored;
}

/** Means over squares of `side` (odd) pixels of a plane: Float32Array. */
export function blur(plane, width, height, side, border = 'reflect') {
  const radius = (side - 1) / 2;
  const places = (length) => Int32Array.from({ length: length + side }, (_, x) => beyond(x - radius, length, border));
  const columns = places(width);
  const rows = places(height);
  const wide = new Float64Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    let sum = 0;
    for (let t = 0; t < side; t++) sum += plane[row + columns[t]];
    for (let x = 0; x < width; x++) {
      wide[row + x] = sum;
      sum += plane[row + columns[x + side]] - plane[row + columns[x]];
    }
  }
  const sums = new Float64Array(width);
  const result = new Float32Array(width * height);
  for (let t = 0; t < side; t++) {
    const row = rows[t] * width;
    for (let x = 0; x < width; x++) sums[x] += wide[row + x];
  }
  for (let y = 0; y < height; y++) {
    const add = rows[y + side] * width;
    const drop = rows[y] * width;
    for (let x = 0; x < width; x++) {
      result[y * width + x] = sums[x] / (side * side);
      sums[x] += wide[add + x] - wide[drop + x];
    }
  }
  return result;
}

/** A Gaussian blur of a plane, of weights down to four sigma. */
export function gaussian(plane, width, height, sigma) {
  const radius = roundEven(sigma * 8 + 1) >> 1;
  const weights = Float64Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma * sigma)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const wide = new Float32Array(width * height);
  const result = new Float32Array(width * height);
  const line = new Float64Array(width + 2 * radius);
  const places = Int32Array.from({ length: line.length }, (_, x) => beyond(x - radius, width));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < line.length; x++) line[x] = plane[y * width + places[x]];
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let t = 0; t < weights.length; t++) sum += weights[t] * line[x + t];
      wide[y * width + x] = sum / total;
    }
  }
  for (let y = 0; y < height; y++) {
    for (let t = -radius; t <= radius; t++) {
      const row = beyond(y + t, height) * width;
      const weight = weights[t + radius] / total;
      for (let x = 0; x < width; x++) result[y * width + x] += weight * wide[row + x];
    }
  }
  return result;
}

/** How much a plane changes at each pixel, by Sobel's filter: Float32Array, in levels a pixel. */
export function slope(plane, width, height) {
  const result = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const above = beyond(y - 1, height) * width;
    const here = y * width;
    const below = beyond(y + 1, height) * width;
    for (let x = 0; x < width; x++) {
      const a = beyond(x - 1, width);
      const c = beyond(x + 1, width);
      const across = plane[above + c] - plane[above + a] + 2 * (plane[here + c] - plane[here + a]) + plane[below + c] - plane[below + a];
      const down = plane[below + a] - plane[above + a] + 2 * (plane[below + x] - plane[above + x]) + plane[below + c] - plane[above + c];
      result[here + x] = Math.sqrt(across * across + down * down) / 8;
    }
  }
  return result;
}

/** Half the width of a round brush of `radius` in each of its rows. */
export function disk(radius) {
  return Array.from({ length: 2 * radius + 1 }, (_, i) => roundEven(Math.sqrt(radius ** 2 - (i - radius) ** 2)));
}

/** Set what a round brush of `radius` touches around each set pixel of a mask: Uint8Array of 0 and 1. */
export function dilate(mask, width, height, radius) {
  const result = new Uint8Array(width * height);
  const counts = new Int32Array(width + 2 * radius + 1); // of set pixels left of each place, from `radius` before the line on
  const halves = disk(radius);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) counts[x + radius + 1] = counts[x + radius] + (mask[y * width + x] ? 1 : 0);
    counts.fill(counts[width + radius], width + radius + 1);
    if (counts[width + radius] === 0) continue;
    for (let d = -radius; d <= radius; d++) {
      const row = y + d;
      if (row < 0 || row >= height) continue;
      const start = radius - halves[d + radius];
      const end = radius + halves[d + radius] + 1;
      for (let x = 0; x < width; x++) if (counts[x + end] > counts[x + start]) result[row * width + x] = 1;
    }
  }
  return result;
}

/** Keep what a round brush of `radius` fits into; beyond the picture everything is set. */
export function erode(mask, width, height, radius) {
  return invert(dilate(invert(mask), width, height, radius));
}

/** The mask of `count` pixels where `test(index)` holds: Uint8Array of 0 and 1. */
export function where(count, test) {
  const mask = new Uint8Array(count);
  for (let i = 0; i < count; i++) mask[i] = test(i) ? 1 : 0;
  return mask;
}

export const invert = (mask) => where(mask.length, (i) => !mask[i]);

/** The share of a mask that is set. */
export function fill(mask) {
  let count = 0;
  for (let i = 0; i < mask.length; i++) count += mask[i] ? 1 : 0;
  return count / mask.length;
}

/**
 * The connected parts of a mask: labels (Int32Array, 0 is none) and for each label its area and box.
 *
 * `connectivity` is 4 or 8. Boxes are {left, top, width, height}.
 */
export function components(mask, width, height, connectivity) {
  const labels = new Int32Array(width * height);
  const parts = [null];
  const stack = new Int32Array(width * height);
  const reach = connectivity === 8 ? 1 : 0; // how far aside neighbours above and below lie
  for (let seed = 0; seed < labels.length; seed++) {
    if (!mask[seed] || labels[seed]) continue;
    const label = parts.length;
    const box = { left: width, right: -1, top: height, bottom: -1 };
    let area = 0;
    let top = 0;
    labels[seed] = label;
    stack[top++] = seed;
    while (top) {
      const place = stack[--top];
      const x = place % width;
      const y = (place - x) / width;
      area++;
      if (x < box.left) box.left = x;
      if (x > box.right) box.right = x;
      if (y < box.top) box.top = y;
      if (y > box.bottom) box.bottom = y;
      for (let dy = -1; dy <= 1; dy++) {
        if (y + dy < 0 || y + dy >= height) continue;
        const aside = dy === 0 ? 1 : reach;
        for (let column = Math.max(0, x - aside); column <= Math.min(width - 1, x + aside); column++) {
          const other = (y + dy) * width + column;
          if (!mask[other] || labels[other]) continue;
          labels[other] = label;
          stack[top++] = other;
        }
      }
    }
    parts.push({ area, left: box.left, top: box.top, width: box.right - box.left + 1, height: box.bottom - box.top + 1 });
  }
  return { labels, parts };
}
