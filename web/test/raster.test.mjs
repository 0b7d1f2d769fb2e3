import assert from 'node:assert/strict';
import test from 'node:test';

import * as raster from '../raster.js';
import { assertNear, numbers, unpack } from './numbers.mjs';

const { raster: expected } = numbers;

test('pictures are resized as Pillow resizes them', () => {
  const [height, width] = expected.picture.shape;
  for (const { filter, size, values } of expected.resized) {
    const [wide, high] = size;
    const got = raster.resize(unpack(expected.picture), { width, height, channels: 3 }, { width: wide, height: high }, filter);
    assertNear(got, unpack(values), 0, `${filter} to ${size}`);
  }
});

test('colours in Lab are those of OpenCV', () => {
  const count = expected.lab.colours.shape[1];
  const planes = raster.toLab(unpack(expected.lab.colours), count, 3);
  const values = unpack(expected.lab.values);
  for (let c = 0; c < 3; c++) assertNear(planes[c], values.filter((_, i) => i % 3 === c), 0.25, 'Lab'); // it interpolates in a table
});

test('brushes are those of OpenCV', () => {
  for (const [radius, halves] of Object.entries(expected.brushes)) assert.deepEqual(raster.disk(Number(radius)), halves);
});

test('a brush grows and shrinks a mask, and nothing comes in from beyond the border', () => {
  const mask = new Uint8Array(49);
  mask[24] = 1;
  const grown = raster.dilate(mask, 7, 7, 2);
  assert.equal(grown.reduce((sum, value) => sum + value, 0), 17);
  assert.deepEqual(raster.erode(grown, 7, 7, 2), mask);
  assert.deepEqual(raster.erode(new Uint8Array(49).fill(1), 7, 7, 2), new Uint8Array(49).fill(1));
});

test('means over squares are those of a slow loop, borders mirrored', () => {
  const plane = Float32Array.from({ length: 30 }, (_, i) => (i * 37) % 11);
  const mirror = (place, length) => (place < 0 ? -place : place >= length ? 2 * (length - 1) - place : place);
  const slow = plane.map((_, i) => {
    let sum = 0;
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) sum += plane[mirror(Math.floor(i / 6) + dy, 5) * 6 + mirror((i % 6) + dx, 6)];
    }
    return sum / 9;
  });
  assertNear(raster.blur(plane, 6, 5, 3), slow, 1e-5);
});

test('parts that touch at a corner are one of eight neighbours and two of four', () => {
  const mask = Uint8Array.from([1, 0, 0, 0, 1, 1, 0, 0, 0]);
  assert.equal(raster.components(mask, 3, 3, 8).parts.length, 2);
  const { parts } = raster.components(mask, 3, 3, 4);
  assert.deepEqual(parts[2], { area: 2, left: 1, top: 1, width: 2, height: 1 });
});

test('percentiles are interpolated, and halves go to even numbers', () => {
  assert.equal(raster.percentile([4, 1, 3, 2], 50), 2.5);
  assert.equal(raster.percentile([0, 10], 95), 9.5);
  assert.deepEqual([0.5, 1.5, 2.5, -1.5, 2.4].map(raster.roundEven), [0, 2, 2, -2, 2]);
});
