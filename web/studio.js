/** From photographs to try-ons, as photo/dressing.py goes about it: what is computed of a garment or a person alone is kept. */

import { Composition } from './composition.js';
import { borderColour, boundingBox, checkGarmentBox, checkPerson, checkSides, cut, frameGarment, framePerson, isWithin } from './framing.js';
import { channel, garmentMask, OPAQUE, personMask, silhouette } from './mask.js';
import { pictureTensor } from './network.js';
import { changeWeight, paste } from './paste.js';
import { resize, where } from './raster.js';

const GROUND = 237; // the wall of VITON's photographs, about; what transparent people stand before
const WHITE = 255;
const STEADY = 0.1; // of the logarithm of a garment's size on the person: less is no reason to make its picture anew

/** A photograph without its transparency, on a ground of one grey. */
function flatten(photo, grey) {
  if (!photo.hasAlpha) return photo.pixels;
  const pixels = Uint8ClampedArray.from(photo.pixels);
  for (let i = 0; i < pixels.length; i += 4) {
    const share = pixels[i + 3] / 255;
    for (let c = 0; c < 3; c++) pixels[i + c] = share * pixels[i + c] + (1 - share) * grey;
    pixels[i + 3] = 255;
  }
  return pixels;
}

/** Dresses people by a `Network`. */
export class Studio {
  constructor(network) {
    Object.assign(this, { network, garments: new Map(), person: null });
  }

  /** What the network sees through a window, [3, h, w]. */
  view(pixels, photo, window, ground) {
    const { size } = this.network;
    const view = cut(pixels, photo, 4, window, [...ground, 255]);
    return pictureTensor(resize(view, { ...window, channels: 4 }, size, 'bicubic'), size);
  }

  /** Make a garment's photograph ready, under a name. Throws `PictureError` where it shows no garment on a plain background. */
  async prepareGarment(id, photo) {
    const { size } = this.network;
    checkSides(photo);
    const mask = garmentMask(photo);
    const box = boundingBox(where(mask.length, (i) => mask[i] >= OPAQUE), photo.width, photo.height);
    checkGarmentBox(box);
    const window = frameGarment(box, size);
    const cloth = this.view(flatten(photo, WHITE), photo, window, [WHITE, WHITE, WHITE]);
    const small = resize(cut(mask, photo, 1, window, [0]), { ...window, channels: 1 }, size, 'box');
    const edge = Float32Array.from(small, (value) => value / 255);
    const code = await this.network.encode(cloth, edge);
    this.garments.set(id, { ...photo, mask, window, code });
  }

  /** Make a person's photograph ready, under a name. Throws `PictureError` where nobody is in it. */
  preparePerson(id, photo) {
    checkPerson(photo);
    const mask = photo.hasAlpha ? channel(photo.pixels, 3) : personMask(photo);
    const box = mask && boundingBox(where(mask.length, (i) => mask[i] >= OPAQUE), photo.width, photo.height);
    const pixels = flatten(photo, GROUND);
    const window = framePerson(photo, this.network.size, box);
    const tensor = this.view(pixels, photo, window, borderColour(pixels, photo, 4));
    this.person = { id, photo, window, tensor, silhouette: mask && silhouette(mask, photo) };
  }

  /** The prepared person in a prepared garment: {pixels, width, height, changed}. */
  async dress(garmentId) {
    const { photo, window, tensor, silhouette: outline } = this.person;
    return this.compose({ ...photo, pixels: Uint8ClampedArray.from(photo.pixels) }, window, tensor, garmentId, outline, 0);
  }

  /** A camera's frame in a prepared garment, in place. Its window stays where it is, whatever the person does. */
  async dressFrame(frame, garmentId) {
    const window = framePerson(frame, this.network.size);
    // The colour takes long: it is found only where something of it is seen.
    const ground = isWithin(window, frame) ? [0, 0, 0] : borderColour(frame.pixels, frame, 4);
    const tensor = this.view(frame.pixels, frame, window, ground);
    return this.compose(frame, window, tensor, garmentId, null, STEADY);
  }

  async compose(photo, window, tensor, garmentId, outline, tolerance) {
    const { size, alignCorners } = this.network;
    const garment = this.garments.get(garmentId);
    garment.tolerance = tolerance;
    const result = await this.network.dress(tensor, garment.code);
    const weight = changeWeight(tensor, result.image, result.mask, size);
    const changed = paste(photo, new Composition(result, garment, window, size, alignCorners), weight, outline);
    return { pixels: photo.pixels, width: photo.width, height: photo.height, changed };
  }
}
