/** The studio in a thread of its own, so that the page stays awake: answers {number, call, request} with {number, value} or {number, error}. */

import { Network } from './network.js';
import { Studio } from './studio.js';

let studio;

const calls = {
  async open({ site, files, loader, provider }) {
    studio = new Studio(await Network.create(site, files, loader, provider));
    if (provider === 'wasm') return; // works, once it has loaded
    const blank = new Float32Array(3 * site.size.width * site.size.height);
    const edge = blank.slice(0, blank.length / 3).fill(1);
    await studio.network.dress(blank, await studio.network.encode(blank, edge)); // shows whether the graphics card can
  },
  prepareGarment: ({ id, photo }) => studio.prepareGarment(id, photo),
  forgetGarment: ({ id }) => void studio.garments.delete(id),
  preparePerson: ({ id, photo }) => studio.preparePerson(id, photo),
  dress: ({ garment }) => studio.dress(garment),
  dressFrame: ({ frame, garment }) => studio.dressFrame(frame, garment),
};

self.onmessage = async ({ data: { number, call, request } }) => {
  try {
    const value = await calls[call](request);
    self.postMessage({ number, value }, value ? [value.pixels.buffer] : []);
  } catch (error) {
    self.postMessage({ number, error: { message: error.message, isPicture: error.name === 'PictureError' } });
  }
};
