import assert from 'node:assert/strict';
import test from 'node:test';

import * as framing from '../framing.js';
import { numbers, photograph } from './numbers.mjs';

const SIZE = { width: 192, height: 256 };
const asBox = (values) => values && { left: values[0], top: values[1], right: values[2], bottom: values[3] };

test('windows are those of the Python code', () => {
  for (const { kind, photo, box, window } of numbers.framing) {
    const got =
      kind === 'person'
        ? framing.framePerson({ width: photo[0], height: photo[1] }, SIZE, asBox(box))
        : framing.frameGarment(asBox(box), SIZE);
    assert.deepEqual([got.left, got.top, got.width, got.height], window, JSON.stringify({ kind, photo, box }));
  }
});

test('the colour beyond the borders is that of the Python code', () => {
  const photo = photograph(numbers.composition.photo);
  assert.deepEqual(framing.borderColour(photo.pixels, photo, 4), numbers.composition.border);
});

test('a window that reaches beyond a picture is filled up', () => {
  const view = framing.cut(Uint8ClampedArray.from([1, 2, 3, 4]), { width: 2, height: 2 }, 1, { left: -1, top: 1, width: 3, height: 2 }, [9]);
  assert.deepEqual([...view], [9, 3, 4, 9, 9, 9]);
});

test('the box of a mask ends after its last pixel', () => {
  assert.deepEqual(framing.boundingBox([0, 0, 0, 1, 0, 1], 2, 3), { left: 1, top: 1, right: 2, bottom: 3 });
  assert.equal(framing.boundingBox([0, 0], 2, 1), null);
});

test('strips and specks are refused', () => {
  assert.throws(() => framing.checkPerson({ width: 100, height: 400 }), framing.PictureError);
  assert.throws(() => framing.checkPerson({ width: 50, height: 60 }), /at least 64/);
  framing.checkPerson({ width: 300, height: 400 });
  assert.throws(() => framing.checkGarmentBox({ left: 0, top: 0, right: 10, bottom: 90 }), framing.PictureError);
});

test('a window knows whether anything beyond the photograph is seen', () => {
  const photo = { width: 640, height: 480 };
  const within = (left, top) => framing.isWithin({ left, top, width: 360, height: 480 }, photo);
  assert.deepEqual([[140, 0], [280, 0], [-1, 0], [281, 0], [0, -1], [0, 1]].map((at) => within(...at)), [true, true, false, false, false, false]);
});
