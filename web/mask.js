/**
 * Masks made in the page: of a garment before a plain background, and of a person before one.
 *
 * The numbers, and the results but for rounding, are those of photo/garment.py and photo/person.py. A photograph is
 * {pixels (RGBA), width, height, hasAlpha}; its mask holds 0..255 a pixel, 128 and more is inside.
 */

import { border, findBackdrop, standOut } from './backdrop.js';
import { boundingBox, PictureError } from './framing.js';
import { blur, clamp, components, dilate, erode, fill, invert, median, percentile, resize, roundEven, toLab, where } from './raster.js';

const GARMENT_SIDE = 1024; // a longer picture is looked at at this size
export const OPAQUE = 128;
const LEAST_FILL = 0.02;
const MOST_FILL = 0.97;
const LEAST_PART = 0.02; // of the largest part: what is smaller is a speck
const LEAST_HOLE = 0.003; // of the picture: what is smaller is a print
const HOLE_SHARE = 0.5; // of the tolerance
const RIM_CONTRAST = 10;
const NECK_SHARE = 0.12;

const PERSON_SIDE = 384;
const LEAST_PERSON = 0.03;
const LARGEST_HOLE = 0.02; // of the person: what is filled
const SILHOUETTE_MARGIN = 3;
const FLAT = 3; // levels of 255: a picture whose colours spread less shows nothing

const GREY = { channels: 1 };

/** One channel of an RGBA picture. */
export function channel(pixels, index) {
  const plane = new Uint8ClampedArray(pixels.length / 4);
  for (let i = 0; i < plane.length; i++) plane[i] = pixels[4 * i + index];
  return plane;
}

/** The photograph made smaller by its area's means so that no side is longer than `longest`: {pixels, width, height}. */
function smaller({ pixels, width, height }, longest, least, channels = 4) {
  const scale = Math.min(1, longest / Math.max(width, height));
  if (scale === 1) return { pixels, width, height };
  const size = { width: Math.max(least, roundEven(width * scale)), height: Math.max(least, roundEven(height * scale)) };
  return { pixels: resize(pixels, { width, height, channels }, size, 'box'), ...size };
}

/** Throw `PictureError` where a garment's mask fills nothing or everything. */
function checkFill(mask) {
  const share = fill(mask);
  if (share < LEAST_FILL) {
    throw new PictureError('No garment stands out from the background. Photograph it larger, or on another colour.');
  }
  if (share > MOST_FILL) throw new PictureError('The garment fills the whole picture. Leave some background around it.');
}

const opaque = (mask) => where(mask.length, (i) => mask[i] >= OPAQUE);

/** The garment's mask of a photograph, soft at its rim; throws `PictureError` where the background is not plain. */
export function garmentMask(photo) {
  if (photo.hasAlpha) {
    const alpha = channel(photo.pixels, 3);
    checkFill(opaque(alpha));
    return alpha;
  }
  const { pixels, width, height } = smaller(photo, GARMENT_SIDE, 1);
  const lab = toLab(pixels, width * height, 4);
  const backdrop = findBackdrop(lab, width, height);
  if (!backdrop.isPlain) {
    throw new PictureError('The background is not plain. Photograph the garment lying on one colour.');
  }
  const seen = standOut(lab, backdrop, width, height);
  let mask = withoutSpecks(seen.mask, width, height);
  checkFill(mask);
  if (!seen.hasPale) mask = pierce(mask, backdrop.distance, seen.tolerance, width, height); // else nothing tells a hole from cloth
  const share = rimAlpha(lab, backdrop, mask, width, height);
  const solid = withoutSpecks(where(share.length, (i) => share[i] >= 0.5), width, height);
  checkFill(solid);
  const near = dilate(solid, width, height, 1);
  const alpha = new Uint8ClampedArray(near.length);
  for (let i = 0; i < near.length; i++) alpha[i] = near[i] ? roundEven(255 * share[i]) : 0;
  return width === photo.width && height === photo.height ? alpha : resize(alpha, { width, height, ...GREY }, photo, 'bicubic');
}

/** A mask without specks. */
function withoutSpecks(mask, width, height) {
  const { labels, parts } = components(mask, width, height, 8);
  const largest = parts.reduce((most, part) => Math.max(most, part ? part.area : 0), 0);
  return where(mask.length, (i) => mask[i] && parts[labels[i]].area >= Math.max(1, LEAST_PART * largest));
}

/** How much of each pixel is garment, 0..1: fractional only near the outline, by projection onto the line of both colours. */
export function rimAlpha(lab, backdrop, mask, width, height) {
  const rim = Math.max(1, roundEven(Math.min(width, height) / 192));
  const inner = erode(mask, width, height, rim + 1);
  const near = dilate(mask, width, height, 1);
  const side = 2 * (3 * rim + 1) + 1;
  const weight = blur(inner, width, height, side);
  const cloth = lab.map((plane) => blur(plane.map((value, i) => value * inner[i]), width, height, side));
  const usableLength = (4 + 4 * backdrop.noise) ** 2;
  const share = new Float32Array(mask);
  for (let i = 0; i < share.length; i++) {
    if (!near[i] || inner[i] || weight[i] <= 1e-3) continue;
    let [along, squared] = [0, 0];
    for (let c = 0; c < 3; c++) {
      const line = cloth[c][i] / Math.max(weight[i], 1e-4) - backdrop.colour[c][i];
      along += (lab[c][i] - backdrop.colour[c][i]) * line;
      squared += line * line;
    }
    if (squared > usableLength) share[i] = clamp(along / squared);
  }
  return share;
}

/** Open the holes through which the background is seen: between a sleeve and the body, or under a strap. */
function pierce(mask, distance, tolerance, width, height) {
  const radius = Math.max(1, roundEven(Math.min(width, height) / 192));
  const ring = border(width, height);
  const pale = where(mask.length, (i) => mask[i] && distance[i] < tolerance[i] && !ring[i]);
  const { labels, parts } = components(pale, width, height, 4);
  const box = boundingBox(mask, width, height);
  const middle = (box.left + box.right - 1) / 2;
  const neck = box.top + NECK_SHARE * (box.bottom - 1 - box.top);
  const result = Uint8Array.from(mask);
  parts.forEach((part, label) => {
    if (!part || part.area < LEAST_HOLE * mask.length) return;
    const isAside = part.left > middle || part.left + part.width < middle;
    if (!isAside && part.top >= neck) return;
    const hole = where(labels.length, (i) => labels[i] === label);
    const near = dilate(hole, width, height, radius);
    const far = dilate(dilate(near, width, height, radius), width, height, radius);
    const pick = (plane, test) => Array.from(plane).filter((_, i) => test(i));
    const around = pick(distance, (i) => far[i] && !near[i]);
    if (!(percentile(around, 15) > RIM_CONTRAST)) return;
    const isHole = (i) => hole[i];
    if (median(pick(distance, isHole)) > HOLE_SHARE * median(pick(tolerance, isHole))) return;
    for (let i = 0; i < result.length; i++) if (hole[i]) result[i] = 0;
  });
  return result;
}

/**
 * The mask of whoever stands before a plain background; null where the background is not plain.
 *
 * Throws `PictureError` where it is plain and next to nothing stands out from it.
 */
export function personMask(photo) {
  checkSomebody(photo);
  const { pixels, width, height } = smaller(photo, PERSON_SIDE, 8);
  const lab = toLab(pixels, width * height, 4);
  const backdrop = findBackdrop(lab, width, height, false);
  if (!backdrop.isPlain) return null;
  const mask = largest(standOut(lab, backdrop, width, height, false).mask, width, height);
  if (fill(mask) < LEAST_PERSON) {
    throw new PictureError('Nobody is seen in this picture. Give a photograph of one person, upright, head to hips.');
  }
  return fullSize(mask.map((value) => 255 * value), { width, height }, photo);
}

/** Throw `PictureError` for a picture of one colour. */
function checkSomebody(photo) {
  const pixels = resize(photo.pixels, { ...photo, channels: 4 }, { width: 64, height: 64 }, 'box');
  const spreads = [0, 1, 2].map((index) => {
    const plane = channel(pixels, index);
    const mean = plane.reduce((sum, value) => sum + value, 0) / plane.length;
    return Math.sqrt(plane.reduce((sum, value) => sum + (value - mean) ** 2, 0) / plane.length);
  });
  if (Math.max(...spreads) < FLAT) {
    throw new PictureError('This picture has one colour only. Give a photograph of one person, upright, head to hips.');
  }
}

/** Where somebody whose mask is known may be drawn anew: a little beyond it and in small holes, soft at the rim; 0..255. */
export function silhouette(mask, photo) {
  const small = smaller({ pixels: mask, width: photo.width, height: photo.height }, PERSON_SIDE, 8, 1);
  const { width, height } = small;
  const wide = dilate(fillHoles(opaque(small.pixels), width, height), width, height, SILHOUETTE_MARGIN);
  const soft = blur(wide, width, height, 3).map((value) => roundEven(255 * value));
  return fullSize(soft, { width, height }, photo);
}

/** The largest connected part of a mask. */
function largest(mask, width, height) {
  const { labels, parts } = components(mask, width, height, 8);
  let best = 1;
  parts.forEach((part, label) => {
    if (part && part.area > parts[best].area) best = label;
  });
  return where(mask.length, (i) => mask[i] && labels[i] === best);
}

/** A mask without small holes. */
function fillHoles(mask, width, height) {
  const total = fill(mask) * mask.length;
  const { labels, parts } = components(invert(mask), width, height, 4);
  return where(mask.length, (i) => mask[i] || parts[labels[i]].area < LARGEST_HOLE * total);
}

function fullSize(plane, from, { width, height }) {
  return resize(Uint8ClampedArray.from(plane), { ...from, ...GREY }, { width, height }, 'bilinear');
}
