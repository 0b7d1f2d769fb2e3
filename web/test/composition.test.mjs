import assert from 'node:assert/strict';
import test from 'node:test';

import { Composition, enlarging } from '../composition.js';
import { changeWeight, paste } from '../paste.js';
import { assertNear, meanDifference, numbers, photograph, unpack } from './numbers.mjs';

const { composition: expected } = numbers;
const [height, width] = expected.size;
const size = { width, height };
const maps = Object.fromEntries(Object.entries(expected.maps).map(([name, packed]) => [name, unpack(packed)]));
const result = { ...maps, edge: maps.warped_edge, keep: undefined };
const asWindow = ([left, top, wide, high]) => ({ left, top, width: wide, height: high });
const window = asWindow(expected.window);

const garment = () => ({
  ...photograph(expected.garment.picture),
  mask: unpack(expected.garment.mask),
  window: asWindow(expected.garment.window),
});

/** The dense matrix [rows, count] of weights. */
function dense({ taps, places, weights }, count) {
  const matrix = new Float32Array((places.length / taps) * count);
  for (let i = 0; i < places.length; i++) matrix[Math.floor(i / taps) * count + places[i]] += weights[i];
  return matrix;
}

test('lines are enlarged as by the Python code', () => {
  assertNear(dense(enlarging(6, 2.5, -1, 16), 6), unpack(expected.enlarging.cubic), 1e-6);
  assertNear(dense(enlarging(6, 2.5, 2, 9, false), 6), unpack(expected.enlarging.linear), 1e-6);
});

test('the garment that is sampled is that of the Python code', () => {
  const { tile } = new Composition(result, garment(), window, size, true);
  assert.deepEqual([tile.height, tile.width, 4], expected.tile.shape);
  assertNear(tile.values, unpack(expected.tile), 1e-3);
});

test('layers are those of the Python code', () => {
  const [left, top, right, bottom] = expected.box;
  const parts = { garment: [], cover: [], drawn: [] };
  new Composition(result, garment(), window, size, true).rows({ left, top, right, bottom }, (_, layers) => {
    for (const [name, values] of Object.entries(parts)) values.push(...layers[name]);
  });
  for (const [name, values] of Object.entries(parts)) assertNear(values, unpack(expected.layers[name]), 1e-3, name);
});

test('what changed is what the Python code says', () => {
  assertNear(changeWeight(maps.person, maps.image, maps.mask, size), unpack(expected.weight), 1e-3);
});

for (const [name, keep] of [['pasted', undefined], ['pasted_kept', maps.keep]]) {
  test(`the picture '${name}' is that of the Python code, and everything else stays`, () => {
    const photo = photograph(expected.photo);
    const before = Uint8ClampedArray.from(photo.pixels);
    const composition = new Composition({ ...result, keep }, garment(), window, size, true);
    assert.ok(paste(photo, composition, unpack(expected.weight), unpack(expected.silhouette)));
    const wanted = photograph(expected[name]).pixels;
    assertNear(photo.pixels, wanted, 1, 'levels');
    assert.ok(meanDifference(photo.pixels, wanted) <= 1e-3);
    const changed = photo.pixels.filter((value, i) => wanted[i] === before[i] && value !== before[i]).length;
    assert.ok(changed < 1e-3 * wanted.length);
  });
}

test('what the network keeps is not drawn anew', () => {
  const photo = photograph(expected.photo);
  const before = Uint8ClampedArray.from(photo.pixels);
  const nothing = new Float32Array(width * height);
  const kept = { ...result, rendered: maps.person, mask: nothing, edge: nothing, keep: new Float32Array(width * height).fill(1) };
  assert.equal(paste(photo, new Composition(kept, garment(), window, size, true), new Float32Array(width * height).fill(1)), false);
  assert.deepEqual(photo.pixels, before);
});

test('a weight of nothing changes nothing', () => {
  const photo = photograph(expected.photo);
  assert.equal(paste(photo, new Composition(result, garment(), window, size, true), new Float32Array(width * height)), false);
});
