/** From a file or a sample to a photograph {pixels (RGBA), width, height, hasAlpha}, upright. */

import { PictureError } from './framing.js';

const MOST_PIXELS = 16e6; // what the canvases of all phones hold

/** Read a picture's pixels; a larger one than canvases hold is made smaller, and `isReduced` says so. */
export async function readPhoto(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { imageOrientation: 'from-image' });
  } catch {
    throw new PictureError('This file is no picture that your browser can read. Give a JPEG, PNG or WebP file.');
  }
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas(width, height).getContext('2d', { willReadFrequently: true });
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  let hasAlpha = false;
  for (let i = 3; i < data.length && !hasAlpha; i += 4) hasAlpha = data[i] !== 255;
  return { pixels: data, width, height, hasAlpha, isReduced: scale < 1 };
}

export function canvas(width, height) {
  return Object.assign(document.createElement('canvas'), { width, height });
}

/** Put pixels on a canvas, which takes their size. */
export function show(target, { pixels, width, height }) {
  if (target.width !== width || target.height !== height) Object.assign(target, { width, height });
  target.getContext('2d').putImageData(new ImageData(pixels, width, height), 0, 0);
}

/** A small picture of a photograph for a button, as a blob's URL. */
export async function thumbnail(photo, longest = 240) {
  const large = canvas(1, 1);
  show(large, photo);
  const scale = Math.min(1, longest / Math.max(photo.width, photo.height));
  const small = canvas(Math.round(photo.width * scale), Math.round(photo.height * scale));
  const context = small.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(large, 0, 0, small.width, small.height);
  return URL.createObjectURL(await new Promise((resolve) => small.toBlob(resolve, 'image/png')));
}

/** Give a canvas to the visitor as a file. */
export async function download(from, name) {
  const blob = await new Promise((resolve) => from.toBlob(resolve, 'image/png'));
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
