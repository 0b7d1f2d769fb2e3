/** The numbers that tests/web/make_numbers.py wrote, and what compares with them. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';

export const numbers = JSON.parse(readFileSync(new URL('numbers.json', import.meta.url), 'utf-8'));

/** The values of a packed array, as a Uint8Array or Float32Array. */
export function unpack({ type, data }) {
  const bytes = Uint8Array.from(inflateSync(Buffer.from(data, 'base64')));
  return type === 'uint8' ? bytes : new Float32Array(bytes.buffer);
}

/** A packed picture [H, W, 3] as a photograph. */
export function photograph(packed) {
  const [height, width] = packed.shape;
  const values = unpack(packed);
  const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) pixels[4 * i + c] = values[3 * i + c];
  return { pixels, width, height, hasAlpha: false };
}

/** Fail where values differ by more than `most`. */
export function assertNear(got, wanted, most, what = 'values') {
  assert.equal(got.length, wanted.length, `${what}: length`);
  let worst = 0;
  for (let i = 0; i < got.length; i++) worst = Math.max(worst, Math.abs(got[i] - wanted[i]) || (Number.isNaN(got[i]) ? Infinity : 0));
  assert.ok(worst <= most, `${what}: off by ${worst}, at most ${most}`);
}

/** The mean difference of two masks of 0..255, of 1. */
export function meanDifference(got, wanted) {
  assert.equal(got.length, wanted.length);
  let sum = 0;
  for (let i = 0; i < got.length; i++) sum += Math.abs(got[i] - wanted[i]);
  return sum / got.length / 255;
}
