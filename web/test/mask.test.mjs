import assert from 'node:assert/strict';
import test from 'node:test';

import { findBackdrop } from '../backdrop.js';
import { PictureError } from '../framing.js';
import { garmentMask, personMask, silhouette } from '../mask.js';
import { toLab } from '../raster.js';
import { assertNear, meanDifference, numbers, photograph, unpack } from './numbers.mjs';

const { mask: expected } = numbers;

const painted = (width, height, paint) => {
  const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) pixels.set(paint(x, y), 4 * (y * width + x));
  return { pixels, width, height, hasAlpha: false };
};

for (const [name, { picture, mask }] of Object.entries(expected.garments)) {
  test(`the mask of the garment '${name}' is that of the Python code`, () => {
    const difference = meanDifference(garmentMask(photograph(picture)), unpack(mask));
    assert.ok(difference <= 1e-3, `off by ${difference} on average`);
  });
}

test('a background is told from the border as the Python code tells it', () => {
  const photo = photograph(expected.garments.noisy.picture);
  const backdrop = findBackdrop(toLab(photo.pixels, photo.width * photo.height, 4), photo.width, photo.height);
  const { noise, share, colour } = expected.noisy_backdrop;
  assertNear([backdrop.noise, backdrop.share], [noise, share], 1e-2); // Lab itself differs by that
  assertNear(backdrop.colour.map((plane) => plane[0]), colour, 0.25);
});

test('the mask of a person, and where they may be drawn anew, are those of the Python code', () => {
  const photo = photograph(expected.person.picture);
  const mask = personMask(photo);
  assert.ok(meanDifference(mask, unpack(expected.person.mask)) <= 1e-3);
  assert.ok(meanDifference(silhouette(mask, photo), unpack(expected.person.silhouette)) <= 1e-3);
});

test('transparent pictures bring their own mask', () => {
  const photo = painted(80, 80, (x) => [10, 20, 30, x > 40 ? 200 : 0]);
  assert.deepEqual([...new Set(garmentMask({ ...photo, hasAlpha: true }))], [0, 200]);
});

test('pictures that show nothing are refused with a reason', () => {
  const noise = painted(80, 80, (x, y) => [(x * 71 + y * 37) % 256, (x * 13 + y * 97) % 256, (x * y) % 256, 255]);
  assert.throws(() => garmentMask(noise), /background is not plain/);
  assert.equal(personMask(noise), null);
  const blank = painted(80, 80, () => [200, 200, 200, 255]);
  assert.throws(() => garmentMask(blank), PictureError);
  assert.throws(() => personMask(blank), /one colour/);
  const speck = painted(80, 100, (x, y) => (x < 8 && y > 30 && y < 39 ? [20, 20, 20, 255] : [200, 200, 200, 255]));
  assert.throws(() => personMask(speck), /Nobody is seen/);
});
