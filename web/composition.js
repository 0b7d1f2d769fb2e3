/**
 * The composition at the photograph's resolution: the garment itself is warped once more, by the enlarged flow.
 *
 * Numbers and results are those of photo/composition.py. What the network returns is {rendered [3, h, w] in [-1, 1], mask, edge
 * [h, w] in [0, 1], flow [2, h, w]}, and keep [h, w] in [0, 1] where the network has such a mask: there `rendered` is the person
 * that the network saw, `person` [3, h, w] in [-1, 1], and the photograph's own ground shows instead. All are Float32Arrays.
 */

import { cut } from './framing.js';
import { blur, clamp, resize, roundEven } from './raster.js';

const RIM = 1 / 128; // of a garment's picture: the width of its rim
const OPAQUE = 0.98; // alpha of what is no rim
const CUBIC = -0.5; // Catmull-Rom
const LEAST_EDGE = 0.05;

/** Weights that interpolate `count` values at the pixels start..stop of a line `scale` times as long: {taps, places, weights}. */
export function enlarging(count, scale, start, stop, cubic = true) {
  const steps = cubic ? [-1, 0, 1, 2] : [0, 1];
  const taps = steps.length;
  const places = new Int32Array((stop - start) * taps);
  const weights = new Float64Array((stop - start) * taps);
  for (let i = 0; i < stop - start; i++) {
    const place = (start + i + 0.5) / scale - 0.5;
    const first = Math.floor(place);
    steps.forEach((step, tap) => {
      const d = Math.abs(place - first - step);
      const near = (CUBIC + 2) * d ** 3 - (CUBIC + 3) * d ** 2 + 1;
      const far = CUBIC * (d ** 3 - 5 * d ** 2 + 8 * d - 4);
      weights[i * taps + tap] = cubic ? (d <= 1 ? near : far) : 1 - d;
      places[i * taps + tap] = Math.min(Math.max(first + step, 0), count - 1);
    });
  }
  return { taps, places, weights };
}

/** Enlarges maps of the network's picture, row by row of a box that counts from the window's corner. */
export class Enlarger {
  /** `maps` are planes [h, w]; `size` is theirs, `window` what they show, `box` the part wanted. */
  constructor(maps, size, window, box, cubic = true) {
    this.maps = maps;
    this.width = size.width;
    this.rows = enlarging(size.height, window.height / size.height, box.top, box.bottom, cubic);
    this.columns = enlarging(size.width, window.width / size.width, box.left, box.right, cubic);
    this.lines = maps.map(() => new Float64Array(size.width));
    this.values = maps.map(() => new Float32Array(box.right - box.left));
  }

  /** The maps along the row `y` of the box, counted from its top: one Float32Array each, which the next call reuses. */
  row(y) {
    for (let index = 0; index < this.maps.length; index++) {
      interpolateRow(this.maps[index], this.width, this.rows, y, this.lines[index]);
      interpolateLine(this.lines[index], this.columns, this.values[index]);
    }
    return this.values;
  }
}

/** Interpolate between the rows of a map, for the new row `y`, into `line`. */
function interpolateRow(map, width, { taps, places, weights }, y, line) {
  line.fill(0);
  for (let tap = y * taps; tap < (y + 1) * taps; tap += 2) {
    const from = places[tap] * width;
    const next = places[tap + 1] * width;
    const [weight, other] = [weights[tap], weights[tap + 1]];
    for (let x = 0; x < width; x++) line[x] = line[x] + weight * map[from + x] + other * map[next + x];
  }
}

/** Interpolate along a line, into `values`. */
function interpolateLine(line, { taps, places, weights }, values) {
  if (taps === 4) {
    for (let x = 0, t = 0; x < values.length; x++, t += 4) {
      const near = weights[t] * line[places[t]] + weights[t + 1] * line[places[t + 1]];
      values[x] = near + weights[t + 2] * line[places[t + 2]] + weights[t + 3] * line[places[t + 3]];
    }
    return;
  }
  for (let x = 0, t = 0; x < values.length; x++, t += 2) values[x] = weights[t] * line[places[t]] + weights[t + 1] * line[places[t + 1]];
}

/** Where a flow samples the network's garment picture, in pixels: planes x and y; 0, 0 is the centre of the first pixel. */
export function garmentPlaces(flow, { width, height }, alignCorners) {
  const count = width * height;
  return [width, height].map((side, axis) => {
    const scale = (alignCorners ? side - 1 : side) / 2;
    const shift = (side - 1) / 2;
    const places = new Float32Array(count);
    for (let i = 0; i < count; i++) places[i] = flow[axis * count + i] * scale + shift;
    return places;
  });
}

/** How many garment pixels pass under a person's pixel, along a line, where `mask` shows the garment. */
export function magnification([placesX, placesY], mask, { width, height }) {
  const areas = new Float64Array(width * height);
  let found = 0;
  for (let y = 0; y < height - 1; y++) {
    for (let i = y * width; i < y * width + width - 1; i++) {
      if (mask[i] <= 0.5) continue;
      const acrossX = placesX[i + 1] - placesX[i];
      const acrossY = placesY[i + 1] - placesY[i];
      const downX = placesX[i + width] - placesX[i];
      const downY = placesY[i + width] - placesY[i];
      areas[found++] = Math.abs(acrossX * downY - acrossY * downX);
    }
  }
  if (found <= 8) return 1;
  const middle = areas.subarray(0, found).sort()[(found - 1) >> 1]; // the lower of two, as torch's median
  return Math.min(Math.max(Math.sqrt(middle), 0.1), 10);
}

/**
 * What a garment's window shows, as {values (Float32Array RGBA in 0..1, colours times alpha), width, height}.
 *
 * `garment` is {pixels (RGBA), width, height, mask, window}. It is made smaller by `factor`, or its texture would flicker.
 */
export function garmentTile(garment, factor) {
  const { window } = garment;
  const colours = cut(garment.pixels, garment, 4, window, [0, 0, 0, 0]);
  const alpha = cut(garment.mask, garment, 1, window, [0]);
  for (let i = 0; i < alpha.length; i++) colours[4 * i + 3] = alpha[i];
  let [pixels, width, height] = [colours, window.width, window.height];
  if (factor < 1) {
    const size = { width: Math.max(1, roundEven(width * factor)), height: Math.max(1, roundEven(height * factor)) };
    pixels = unmultiply(resize(multiply(pixels), { width, height, channels: 4 }, size, 'bicubic'));
    ({ width, height } = size);
  }
  return { values: cleanRim(pixels, width, height), width, height };
}

/** Colours times alpha, rounded to 8 bits as Pillow rounds them. */
function multiply(pixels) {
  const result = Uint8ClampedArray.from(pixels);
  for (let i = 0; i < result.length; i++) {
    if (i % 4 === 3) continue;
    const product = pixels[i] * pixels[i | 3] + 128;
    result[i] = ((product >> 8) + product) >> 8;
  }
  return result;
}

function unmultiply(pixels) {
  const result = Uint8ClampedArray.from(pixels);
  for (let i = 0; i < result.length; i++) {
    const alpha = pixels[i | 3];
    if (i % 4 !== 3 && alpha !== 0 && alpha !== 255) result[i] = Math.floor((255 * pixels[i]) / alpha);
  }
  return result;
}

/** Give the soft rim of a garment the colour just inside it, since its own is half that of the background. */
function cleanRim(pixels, width, height) {
  const count = width * height;
  const side = 2 * Math.max(2, roundEven(RIM * Math.min(width, height))) + 1;
  const inner = new Float32Array(count);
  for (let i = 0; i < count; i++) inner[i] = pixels[4 * i + 3] / 255 > OPAQUE ? 1 : 0;
  const weight = blur(inner, width, height, side);
  const spread = [0, 1, 2].map((c) => {
    const plane = new Float32Array(count);
    for (let i = 0; i < count; i++) plane[i] = (inner[i] * pixels[4 * i + c]) / 255;
    return blur(plane, width, height, side);
  });
  const values = new Float32Array(4 * count);
  for (let i = 0; i < count; i++) {
    const alpha = pixels[4 * i + 3] / 255;
    const isRim = !inner[i] && weight[i] > 1e-3;
    for (let c = 0; c < 3; c++) {
      values[4 * i + c] = alpha * (isRim ? spread[c][i] / Math.max(weight[i], 1e-4) : pixels[4 * i + c] / 255);
    }
    values[4 * i + 3] = alpha;
  }
  return values;
}

/**
 * Sample a tile bilinearly at x, y in 0..1 from border to border, nothing beyond it, times `factor`: the colours into `colours` from
 * 3 * `at` on, the alpha into `cover` at `at`.
 */
function sampleTile({ values, width, height }, x, y, factor, colours, cover, at) {
  const left = x * width - 0.5;
  const top = y * height - 0.5;
  const x0 = Math.floor(left);
  const y0 = Math.floor(top);
  let [red, green, blue, alpha] = [0, 0, 0, 0];
  if (factor > 0 && x0 >= -1 && y0 >= -1 && x0 < width && y0 < height) {
    const fx = left - x0;
    const fy = top - y0;
    for (let corner = 0; corner < 4; corner++) {
      const column = x0 + (corner & 1);
      const row = y0 + (corner >> 1);
      if (column < 0 || row < 0 || column >= width || row >= height) continue;
      const weight = factor * (corner & 1 ? fx : 1 - fx) * (corner >> 1 ? fy : 1 - fy);
      const from = 4 * (row * width + column);
      red += weight * values[from];
      green += weight * values[from + 1];
      blue += weight * values[from + 2];
      alpha += weight * values[from + 3];
    }
  }
  colours[3 * at] = red;
  colours[3 * at + 1] = green;
  colours[3 * at + 2] = blue;
  cover[at] = alpha;
}

/** The try-on of one person and garment, at any part of the window that the person was seen through. */
export class Composition {
  /** `size` is that of the network's pictures; `alignCorners` says how its flow is sampled. */
  constructor(result, garment, window, size, alignCorners) {
    const count = size.width * size.height;
    Object.assign(this, { result, window, size });
    const places = garmentPlaces(result.flow, size, alignCorners);
    const step = (magnification(places, result.mask, size) * garment.window.height) / window.height;
    this.tile = this.tileOf(garment, Math.min(1, 1 / step));
    // in pixels; unlike the flow it has no slope to lose at the border
    const [offsetX, offsetY] = places;
    for (let y = 0, i = 0; y < size.height; y++) {
      for (let x = 0; x < size.width; x++, i++) {
        offsetX[i] -= x;
        offsetY[i] -= y;
      }
    }
    this.offset = places;
    this.drawn = [0, 1, 2].map((c) => {
      const plane = result.rendered.slice(c * count, (c + 1) * count);
      for (let i = 0; i < count; i++) {
        plane[i] = (plane[i] + 1) / 2;
        if (result.keep) plane[i] -= (result.keep[i] * (result.person[c * count + i] + 1)) / 2;
      }
      return plane;
    });
  }

  /** The garment's tile, kept with the garment as long as `factor` stays about the same: a camera asks for it at each frame. */
  tileOf(garment, factor) {
    const kept = garment.tile;
    if (!kept || Math.abs(Math.log(kept.factor / factor)) > (garment.tolerance ?? 0)) garment.tile = { factor, ...garmentTile(garment, factor) };
    return garment.tile;
  }

  /**
   * Call `visit(y, layers)` for each row of a box that counts from the window's corner.
   *
   * `layers` is {garment (RGB times cover), cover, drawn (the rendered RGB times what is not kept), keep (null without)}, in 0..1, which the next row reuses.
   */
  rows(box, visit) {
    const { tile, size } = this;
    const { mask, edge, keep } = this.result;
    const wanted = [...this.offset, mask, edge, ...this.drawn, ...(keep ? [keep] : [])];
    const enlarger = new Enlarger(wanted, size, this.window, box);
    const count = box.right - box.left;
    const scale = this.window.height / size.height;
    const garment = new Float32Array(3 * count);
    const cover = new Float32Array(count);
    const drawn = new Float32Array(3 * count);
    const layers = { garment, cover, drawn, keep: keep ? new Float32Array(count) : null };
    for (let y = 0; y < box.bottom - box.top; y++) {
      const [offsetX, offsetY, shownHere, edgeHere, red, green, blue, keepHere] = enlarger.row(y);
      const row = (box.top + y + 0.5) / scale;
      for (let x = 0; x < count; x++) {
        const column = (box.left + x + 0.5) / scale;
        // The mask is that of the network times the small edge; here the sharp edge takes the small one's place.
        const shown = clamp(shownHere[x] / Math.max(edgeHere[x], LEAST_EDGE));
        sampleTile(tile, (column + offsetX[x]) / size.width, (row + offsetY[x]) / size.height, shown, garment, cover, x);
        drawn[3 * x] = clamp(red[x]);
        drawn[3 * x + 1] = clamp(green[x]);
        drawn[3 * x + 2] = clamp(blue[x]);
        if (keep) layers.keep[x] = clamp(keepHere[x]);
      }
      visit(y, layers);
    }
  }
}
