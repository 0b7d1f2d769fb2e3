/**
 * Paste-back: the try-on goes into the photograph only where the clothes or newly visible skin are.
 *
 * Numbers and results are those of photo/changes.py and photo/paste.py.
 */

import { Enlarger } from './composition.js';
import { boundingBox, partOf } from './framing.js';
import { blur, components, dilate, erode, percentile, roundEven, where } from './raster.js';

const SHOWN = 0.5; // composite mask from which the garment certainly is there
const TOUCHED = 0.05; // composite mask from which there may be some of it
const CHANGE = 0.07; // difference of the try-on to the person, of 1: what may be a change
const MOST_CHANGE = 0.25; // and what must be one
const HEAD_PERCENTILE = 95;
const LEAST_HEAD = 0.03; // of the rows: fewer above the garment tell nothing
const LEAST_PART = 0.05; // of the largest part

/**
 * How much of the try-on is taken at each pixel of the network's picture: Float32Array in 0..1, soft at the rim.
 *
 * `person` and `image` are [3, h, w] in [-1, 1], what the network saw and returned; `mask` is [h, w].
 */
export function changeWeight(person, image, mask, { width, height }) {
  const count = width * height;
  let change = new Float32Array(count);
  for (let c = 0; c < 3; c++) {
    for (let i = 0, from = c * count; i < count; i++, from++) {
      const difference = Math.abs(image[from] - person[from]) / 2;
      if (difference > change[i]) change[i] = difference;
    }
  }
  change = blur(change, width, height, 3); // one pixel of noise is no change
  const wide = Math.max(1, roundEven(Math.min(width, height) / 192));
  let seeds = where(count, (i) => mask[i] > SHOWN);
  if (!seeds.includes(1)) seeds = where(count, (i) => change[i] > MOST_CHANGE);
  const top = Math.max(0, Math.floor(seeds.indexOf(1) / width));
  const error = top >= LEAST_HEAD * height ? percentile(change.subarray(0, top * width), HEAD_PERCENTILE) : 0;
  const limit = Math.min(Math.max(error, CHANGE), MOST_CHANGE);
  let changed = where(count, (i) => change[i] > limit);
  // Thin bridges, such as the outline of a chin, lead to places that did not change.
  const opened = dilate(erode(changed, width, height, wide), width, height, wide);
  changed = where(count, (i) => opened[i] || mask[i] > TOUCHED);
  changed = seeded(changed, seeds, width, height);
  changed = erode(dilate(changed, width, height, 2 * wide), width, height, 2 * wide);
  changed = dilate(changed, width, height, wide);
  return blur(changed, width, height, 2 * wide + 1, 'replicate');
}

/** The connected parts of a mask that hold a seed, but for specks. */
function seeded(changed, seeds, width, height) {
  const { labels, parts } = components(changed, width, height, 8);
  const wanted = new Set();
  for (let i = 0; i < labels.length; i++) if (seeds[i] && labels[i]) wanted.add(labels[i]);
  const largest = Math.max(0, ...[...wanted].map((label) => parts[label].area));
  return where(changed.length, (i) => wanted.has(labels[i]) && parts[labels[i]].area >= LEAST_PART * largest);
}

/** The box of the photograph that a weight reaches, counted from the window's corner; null where it reaches nothing. */
export function reach(weight, size, window, photo) {
  const box = boundingBox(weight, size.width, size.height);
  if (!box) return null;
  const scale = window.height / size.height;
  const part = partOf(window, photo);
  const result = {
    left: Math.max(Math.trunc((box.left - 1) * scale), part.left - window.left),
    top: Math.max(Math.trunc((box.top - 1) * scale), part.top - window.top),
    right: Math.min(Math.trunc((box.right + 1) * scale) + 1, part.right - window.left),
    bottom: Math.min(Math.trunc((box.bottom + 1) * scale) + 1, part.bottom - window.top),
  };
  return result.left < result.right && result.top < result.bottom ? result : null;
}

/**
 * Put a composition into a photograph {pixels (RGBA), width, height} in place, by `weight`; returns whether anything changed.
 *
 * What is rendered stays within `silhouette` (0..255 a pixel), where that is known. Pixels away from the change stay as they are.
 */
export function paste(photo, composition, weight, silhouette = null) {
  const { window, size } = composition;
  const box = reach(weight, size, window, photo);
  if (!box) return false;
  const shares = new Enlarger([weight], size, window, box, false);
  const { pixels } = photo;
  let changed = false;
  composition.rows(box, (y, { garment, cover, drawn, keep }) => {
    const [share] = shares.row(y);
    const start = (box.top + y + window.top) * photo.width + box.left + window.left;
    for (let x = 0; x < share.length; x++) {
      if (share[x] === 0) continue;
      const place = start + x;
      const free = silhouette ? (share[x] * silhouette[place]) / 255 : share[x];
      const anew = keep ? 1 - keep[x] : 1;
      const level = 255 * Math.max(free * anew, share[x] * cover[x]);
      if (level <= 0.5) continue; // rounded, it is none
      changed = true;
      for (let c = 0; c < 3; c++) {
        const old = pixels[4 * place + c] / 255;
        const ground = old + free * (drawn[3 * x + c] - anew * old);
        // an array of a canvas rounds, half to even, and limits what is put into it
        pixels[4 * place + c] = 255 * (share[x] * garment[3 * x + c] + (1 - share[x] * cover[x]) * ground);
      }
      pixels[4 * place + 3] = Math.max(pixels[4 * place + 3], level);
    }
  });
  return changed;
}
