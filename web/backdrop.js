/**
 * A plain background: what colour it has behind every pixel, and what stands out from it.
 *
 * The numbers, and the results but for rounding, are those of photo/backdrop.py. Colours are CIE Lab, distances Euclidean in it.
 */

import { blur, components, dilate, erode, fill, gaussian, invert, median, roundEven, slope, where } from './raster.js';

const RING = 0.025; // of the shorter side: the border from which the background is told
const AGREES = 10; // a pixel of the border this near to the middle one may be background
const LEAST_SHARE = 0.6; // of the border that a plain background takes
const MOST_NOISE = 3.5; // distance of the typical pixel from the fitted colour
const LEAST_TOLERANCE = 1.3;
const MOST_TOLERANCE = 8;
const NOISE_FACTOR = 3.5;
const CONTRAST_SHARE = 0.07; // of the contrast nearby that shadows and the halos of JPEG may have
const PALE = [1.5, 12]; // distances of pale cloth
const PALE_SHARE = 0.06;
const PALE_TOLERANCE = 3;
const SHADOW_SIDE = 384; // only photographs are large enough to tell a shadow's soft rim from an edge of cloth
const SHADOW_BLUR = 2;
const SHADOW_SLOPE = 0.8;
const DARKEST_SHADOW = 30;
const LARGEST_CORNER = 0.002; // of the picture
const CUT_OUT = 99.5; // a brighter background was made white by hand, without shadows
const MOST_SHADOW = 0.25; // of what stands out

/** Where the border is: Uint8Array. Without `bottom` the lower third is left out, since people reach down to it. */
export function border(width, height, bottom = true) {
  const rim = Math.max(2, roundEven(RING * Math.min(width, height)));
  const last = bottom ? height : height - Math.floor(height / 3);
  const ring = new Uint8Array(width * height);
  for (let y = 0; y < last; y++) {
    for (let x = 0; x < width; x++) {
      const isInner = y >= rim && y < height - rim && x >= rim && x < width - rim;
      ring[y * width + x] = isInner ? 0 : 1;
    }
  }
  return ring;
}

/** Solve a system of three equations for three right sides each: matrix [3][3], right [3][3]. */
function solve(matrix, right) {
  const rows = matrix.map((row, i) => [...row, ...right[i]]);
  for (let i = 0; i < 3; i++) {
    let pivot = i;
    for (let j = i + 1; j < 3; j++) if (Math.abs(rows[j][i]) > Math.abs(rows[pivot][i])) pivot = j;
    [rows[i], rows[pivot]] = [rows[pivot], rows[i]];
    for (let j = 0; j < 3; j++) {
      if (j === i || !rows[i][i]) continue;
      const factor = rows[j][i] / rows[i][i];
      for (let k = i; k < 6; k++) rows[j][k] -= factor * rows[i][k];
    }
  }
  return rows.map((row, i) => row.slice(3).map((value) => (row[i] ? value / row[i] : 0)));
}

/** The plane in each channel that fits the samples best: [3 terms][3 channels]. */
function fitPlane(samples, inside) {
  const matrix = [0, 1, 2].map(() => [0, 0, 0]);
  const right = [0, 1, 2].map(() => [0, 0, 0]);
  samples.forEach(({ terms, values }, index) => {
    if (!inside[index]) return;
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        matrix[i][j] += terms[i] * terms[j];
        right[i][j] += terms[i] * values[j];
      }
    }
  });
  return solve(matrix, right);
}

const at = (plane, terms, channel) => terms[0] * plane[0][channel] + terms[1] * plane[1][channel] + terms[2] * plane[2][channel];

const length = (a, b, c) => Math.sqrt(a * a + b * b + c * c);

/**
 * Fit a colour that changes evenly over the picture to its border; `lab` is three planes.
 *
 * Returns {distance, colour (three planes), noise, share, isPlain}.
 */
export function findBackdrop(lab, width, height, bottom = true) {
  const ring = border(width, height, bottom);
  const termsAt = (x, y) => [1, (2 * x) / (width - 1) - 1, (2 * y) / (height - 1) - 1];
  const samples = [];
  for (let i = 0; i < ring.length; i++) {
    if (ring[i]) samples.push({ terms: termsAt(i % width, Math.floor(i / width)), values: lab.map((plane) => plane[i]) });
  }
  const middle = [0, 1, 2].map((channel) => median(samples.map(({ values }) => values[channel])));
  let plane = [middle, [0, 0, 0], [0, 0, 0]];
  const residuals = () =>
    samples.map(({ terms, values }) => length(...values.map((value, channel) => value - at(plane, terms, channel))));
  let residual = residuals();
  let limit = AGREES;
  for (let round = 0; round < 4; round++) {
    const inside = residual.map((value) => value < limit);
    if (inside.filter(Boolean).length < 0.1 * samples.length) break;
    plane = fitPlane(samples, inside);
    residual = residuals();
    limit = Math.max(4, 4 * median(residual.filter((_, i) => inside[i])));
  }
  const near = residual.filter((value) => value < Math.max(limit, LEAST_TOLERANCE));
  const noise = near.length ? median(near) : Infinity;
  const colour = [0, 1, 2].map(() => new Float32Array(width * height));
  const distance = new Float32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const terms = termsAt(x, y);
      for (let channel = 0; channel < 3; channel++) colour[channel][i] = at(plane, terms, channel);
      distance[i] = length(lab[0][i] - colour[0][i], lab[1][i] - colour[1][i], lab[2][i] - colour[2][i]);
    }
  }
  const share = near.length / samples.length;
  return { distance, colour, noise, share, isPlain: share >= LEAST_SHARE && noise <= MOST_NOISE };
}

/** A mask with its borders repeated `radius` pixels outwards. */
function widen(mask, width, height, radius) {
  const wide = width + 2 * radius;
  const result = new Uint8Array(wide * (height + 2 * radius));
  for (let y = 0; y < height + 2 * radius; y++) {
    const from = Math.min(Math.max(y - radius, 0), height - 1) * width;
    for (let x = 0; x < wide; x++) result[y * wide + x] = mask[from + Math.min(Math.max(x - radius, 0), width - 1)];
  }
  return result;
}

/** What a round thing of `radius` pixels can reach of `free` from `start`; it passes no gap narrower than itself. */
export function flood(free, start, width, height, radius) {
  const wide = width + 2 * radius;
  const eroded = erode(widen(free, width, height, radius), wide, height + 2 * radius, radius); // beyond there is background, too
  const passable = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    passable.set(eroded.subarray((y + radius) * wide + radius, (y + radius) * wide + radius + width), y * width);
  }
  const reached = new Uint8Array(width * height);
  const stack = [];
  const visit = (place) => {
    if (!passable[place] || reached[place]) return;
    reached[place] = 1;
    stack.push(place);
  };
  for (let i = 0; i < start.length; i++) if (start[i]) visit(i);
  while (stack.length) {
    const place = stack.pop();
    const x = place % width;
    if (x > 0) visit(place - 1);
    if (x < width - 1) visit(place + 1);
    if (place >= width) visit(place - width);
    if (place < width * (height - 1)) visit(place + width);
  }
  const around = dilate(reached, width, height, radius);
  return where(free.length, (i) => around[i] && free[i]);
}

/** `around` and the small parts of `free` beside it: corners too narrow for the flood. */
function intoCorners(free, around, width, height) {
  const { labels, parts } = components(where(free.length, (i) => free[i] && !around[i]), width, height, 4);
  const near = dilate(around, width, height, 1);
  const beside = new Set();
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] && near[i] && parts[labels[i]].area < LARGEST_CORNER * free.length) beside.add(labels[i]);
  }
  return where(free.length, (i) => around[i] || beside.has(labels[i]));
}

/**
 * What the flood from the border does not reach: {mask, tolerance (a plane), hasPale}.
 *
 * The tolerance is what the background's noise asks for, and more near things that differ much from it.
 */
export function standOut(lab, backdrop, width, height, bottom = true) {
  const { distance, noise } = backdrop;
  const scale = Math.min(width, height) / 192;
  const radius = Math.max(1, roundEven(scale));
  const start = border(width, height, bottom);
  const least = Math.min(Math.max(NOISE_FACTOR * noise, LEAST_TOLERANCE), MOST_TOLERANCE);
  const reach = (test) => flood(where(distance.length, test), start, width, height, radius);
  const first = invert(reach((i) => distance[i] < least));
  const hasPale = paleShare(lab, backdrop, first, width, height) > PALE_SHARE;
  const most = Math.max(least, hasPale ? PALE_TOLERANCE : MOST_TOLERANCE);
  const side = 2 * roundEven(16 * scale) + 1;
  const strong = distance.map((value, i) => value * first[i]);
  const squares = blur(strong.map((value) => value * value), width, height, side);
  const sums = blur(strong, width, height, side);
  const tolerance = squares.map((value, i) =>
    Math.min(Math.max((CONTRAST_SHARE * value) / Math.max(sums[i], 1e-3), least), most),
  );
  const free = where(distance.length, (i) => distance[i] < tolerance[i]);
  const around = flood(free, start, width, height, radius);
  let mask = invert(hasPale ? around : intoCorners(free, around, width, height));
  const brightest = backdrop.colour[0].reduce((most, value) => Math.max(most, value), -Infinity);
  if (Math.min(width, height) >= SHADOW_SIDE && brightest < CUT_OUT) {
    const shadow = mayBeShadow(lab, backdrop, tolerance, width, height);
    const lit = invert(reach((i) => distance[i] < tolerance[i] || shadow[i]));
    if (fill(lit) > (1 - MOST_SHADOW) * fill(mask)) mask = lit;
  }
  return { mask, tolerance, hasPale };
}

/** Where the background may lie in shadow: darker, of the same hue, and nowhere changing at once. */
function mayBeShadow(lab, { colour }, tolerance, width, height) {
  const even = lab.map((plane) => gaussian(plane, width, height, SHADOW_BLUR));
  const change = slope(even[0], width, height);
  return where(tolerance.length, (i) => {
    const darker = colour[0][i] - even[0][i];
    const hue = length(0, colour[1][i] - even[1][i], colour[2][i] - even[2][i]);
    return darker > 0 && darker < DARKEST_SHADOW && hue < Math.max(tolerance[i], 0.3 * darker) && change[i] < SHADOW_SLOPE;
  });
}

/** Share of a mask whose colour is near the background's but not it. */
function paleShare(lab, { distance, colour }, mask, width, height) {
  const scale = Math.min(width, height) / 192;
  const side = 2 * roundEven(2 * scale) + 1;
  const evened = lab.map((plane, c) => blur(plane.map((value, i) => value - colour[c][i]), width, height, side));
  const [low, high] = PALE;
  const strong = where(distance.length, (i) => distance[i] > 1.25 * high);
  const beside = dilate(strong, width, height, Math.max(1, roundEven(3 * scale)));
  let [pale, total] = [0, 0];
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    total++;
    const away = length(evened[0][i], evened[1][i], evened[2][i]);
    if (away > low && away < high && !beside[i]) pale++;
  }
  return pale / Math.max(1, total);
}

