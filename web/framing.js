/**
 * Which part of a photograph the network sees: windows of its pictures' shape, so that nothing is ever stretched.
 *
 * The numbers and results are those of photo/framing.py. Sizes are {width, height}, boxes {left, top, right, bottom}, windows
 * {left, top, width, height}; all in pixels.
 */

import { median, roundEven } from './raster.js';

const GARMENT_MARGINS = { height: 7 / 256, width: 7 / 192 };
const HEAD_MARGIN = 0.02;
const FULL_LENGTH_SHARE = 0.6; // of a body with feet: from the crown to the middle of the thigh
const SIDE_MARGIN = 1.1; // times the person's width
const CROP_FROM = 1.35; // a window this many times as high as the person would need is clearly too large
const LARGEST_ASPECT = 3;
const LARGEST_GARMENT_ASPECT = 4;
const SMALLEST_SIDE = 64;

/** What a visitor's picture lacks, in words to show. */
export class PictureError extends Error {
  name = 'PictureError';
}

/** The box around what is set in a mask; null where nothing is. */
export function boundingBox(mask, width, height) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!mask[y * width + x]) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = y + 1;
    }
  }
  return right ? { left, top, right, bottom } : null;
}

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

/** The smallest {width, height} of exactly the shape of `size` that is not below `least`. */
function shape(least, size) {
  const unit = divisor(size.width, size.height);
  const wide = size.width / unit;
  const high = size.height / unit;
  const count = Math.max(1, Math.ceil(Math.max(least.height / high, least.width / wide) - 1e-9));
  return { width: count * wide, height: count * high };
}

/** The window that shows a garment in the middle, with the margins of VITON. */
export function frameGarment(box, size) {
  const { width, height } = shape(
    {
      width: (box.right - box.left) / (1 - 2 * GARMENT_MARGINS.width),
      height: (box.bottom - box.top) / (1 - 2 * GARMENT_MARGINS.height),
    },
    size,
  );
  const left = Math.floor((box.left + box.right - width) / 2);
  return { left, top: Math.floor((box.top + box.bottom - height) / 2), width, height };
}

/** Move a stretch into 0..whole where it fits. */
const inside = (start, length, whole) => (length > whole ? start : Math.min(Math.max(start, 0), whole - length));

/**
 * The window that shows a person from the head to the hips; `box` is where the person is in `photo`, null where nobody knows.
 *
 * Unknown people in photographs wider than high are cropped at both sides.
 */
export function framePerson(photo, size, box = null) {
  const full = shape(photo, size);
  const whole = { left: Math.floor((photo.width - full.width) / 2), top: photo.height - full.height, ...full };
  if (!box) {
    if (photo.width <= photo.height) return whole;
    const narrow = shape({ width: 1, height: photo.height }, size);
    return { left: Math.floor((photo.width - narrow.width) / 2), top: photo.height - narrow.height, ...narrow };
  }
  const reachesDown = box.bottom >= 0.98 * photo.height;
  const shown = reachesDown ? photo.height - box.top : (box.bottom - box.top) * FULL_LENGTH_SHARE;
  const near = shape({ width: (box.right - box.left) * SIDE_MARGIN, height: shown * (1 + HEAD_MARGIN) }, size);
  if (whole.height < CROP_FROM * near.height) return whole;
  const left = inside(Math.floor((box.left + box.right - near.width) / 2), near.width, photo.width);
  // whoever is cut by the photograph's lower rim stays cut by the picture's
  const top = reachesDown ? photo.height - near.height : Math.max(0, box.top - roundEven(HEAD_MARGIN * near.height));
  return { left, top, ...near };
}

/** The part of a photograph that a window shows, as a box. */
export function partOf(window, photo) {
  return {
    left: Math.max(window.left, 0),
    top: Math.max(window.top, 0),
    right: Math.min(window.left + window.width, photo.width),
    bottom: Math.min(window.top + window.height, photo.height),
  };
}

/** Whether the whole window lies in a photograph. */
export function isWithin(window, photo) {
  const { left, top, right, bottom } = partOf(window, photo);
  return left === window.left && top === window.top && right === left + window.width && bottom === top + window.height;
}

/** What the window shows of a picture of `channels`, with the colour `ground` beyond its borders. */
export function cut(pixels, photo, channels, window, ground) {
  const view = new Uint8ClampedArray(window.width * window.height * channels);
  if (!isWithin(window, photo)) for (let i = 0; i < view.length; i++) view[i] = ground[i % channels];
  const part = partOf(window, photo);
  for (let y = part.top; y < part.bottom && part.left < part.right; y++) {
    const row = pixels.subarray((y * photo.width + part.left) * channels, (y * photo.width + part.right) * channels);
    view.set(row, ((y - window.top) * window.width + part.left - window.left) * channels);
  }
  return view;
}

/** The middle colour of a picture's upper and side borders, the first three of its channels. */
export function borderColour(pixels, { width, height }, channels) {
  const rim = Math.max(1, roundEven(0.02 * Math.min(width, height)));
  const high = Math.max(1, Math.floor((2 * height) / 3));
  const parts = [[0, 0, width, rim], [0, 0, rim, high], [width - rim, 0, width, high]];
  return [0, 1, 2].map((channel) => {
    const values = [];
    for (const [left, top, right, bottom] of parts) {
      for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) values.push(pixels[(y * width + x) * channels + channel]);
      }
    }
    return roundEven(median(values));
  });
}

/** Throw `PictureError` for a picture that is too small, or too narrow for a person. */
export function checkPerson({ width, height }) {
  checkSides({ width, height });
  if (Math.max(width, height) > LARGEST_ASPECT * Math.min(width, height)) {
    throw new PictureError('This picture is too narrow a strip for a person. Crop it to about 3 wide by 4 high.');
  }
}

/** Throw `PictureError` for a picture that is too small. */
export function checkSides({ width, height }) {
  if (Math.min(width, height) < SMALLEST_SIDE) {
    throw new PictureError(`This picture has ${width} × ${height} pixels. Give one of at least ${SMALLEST_SIDE} a side.`);
  }
}

/** Throw `PictureError` for a garment that is much too long or too wide for a top. */
export function checkGarmentBox(box) {
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  if (Math.max(width, height) > LARGEST_GARMENT_ASPECT * Math.min(width, height)) {
    throw new PictureError('What stands out from the background has not the shape of a top. Give one garment that lies flat.');
  }
}
