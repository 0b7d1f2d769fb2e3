/** Loads the networks and what runs them, with progress, and talks to the worker. */

import { PictureError } from './framing.js';

const KEPT = 24; // garments that the worker remembers

/** Somebody's network connection or server failed. */
export class LoadError extends Error {}

/** The bytes of a file of this site; `onBytes` hears how many more have come. */
async function fetchBytes(url, onBytes) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new LoadError(navigator.onLine === false ? 'You are offline, and this page is not all here yet.' : 'The connection broke.');
  }
  if (!response.ok) throw new LoadError(`A part of this page is missing on its server (${response.status}).`);
  const reader = response.body.getReader();
  const parts = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    onBytes(value.length);
  }
  return new Blob(parts).arrayBuffer();
}

/** Unpack gzip; a server may have done it already. */
async function unpack(buffer) {
  const [first, second] = new Uint8Array(buffer, 0, 2);
  if (first !== 0x1f || second !== 0x8b) return buffer;
  return new Response(new Blob([buffer]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
}

/** Which of the site's engines this browser can use, the best first. */
async function candidates(engines) {
  const wanted = new URLSearchParams(location.search).get('engine');
  if (wanted in engines) return [wanted];
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  const isSoftware = !adapter || adapter.isFallbackAdapter || adapter.info?.isFallbackAdapter;
  if (isSoftware) return ['wasm'];
  return 'Suspending' in WebAssembly ? ['jspi', 'wasm'] : ['webgpu', 'wasm'];
}

/** The worker that dresses people. */
export class Engine {
  /** Load everything; `onProgress` hears a share from 0 to 1. Throws `LoadError`. */
  static async open(site, onProgress) {
    let lastError;
    for (const name of await candidates(site.engines)) {
      try {
        return await Engine.start(name, site, onProgress);
      } catch (error) {
        if (error instanceof LoadError) throw error;
        lastError = error; // a graphics card that cannot: the processor can
      }
    }
    throw lastError;
  }

  static async start(name, site, onProgress) {
    const engine = site.engines[name];
    const versioned = (path) => new URL(`${path}?v=${site.version}`, document.baseURI).href;
    const graphs = site.graphs;
    const total = engine.bytes + graphs.garment.bytes + graphs.try_on.bytes;
    let come = 0;
    const load = (path) => fetchBytes(versioned(path), (bytes) => onProgress(Math.min(1, (come += bytes) / total)));
    const [script, packed, garment, tryOn] = await Promise.all([
      load(engine.worker),
      load(engine.wasm),
      load(`networks/${graphs.garment.file}`),
      load(`networks/${graphs.try_on.file}`),
    ]);
    // A worker from a blob keeps the page's content security policy; one from a URL would have its own.
    const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
    const self = new Engine(name, new Worker(url, { type: 'module' }));
    const files = { wasm: await unpack(packed), garment, try_on: tryOn };
    const provider = name === 'wasm' ? 'wasm' : 'webgpu';
    try {
      await self.call('open', { site, files, loader: versioned(engine.loader), provider }, Object.values(files));
    } catch (error) {
      self.worker.terminate();
      throw error;
    } finally {
      URL.revokeObjectURL(url);
    }
    return self;
  }

  constructor(name, worker) {
    Object.assign(this, { name, worker, waiting: new Map(), count: 0, garments: new Set(), person: null });
    worker.onmessage = ({ data: { number, value, error } }) => {
      const { resolve, reject } = this.waiting.get(number);
      this.waiting.delete(number);
      if (error) reject(error.isPicture ? new PictureError(error.message) : new Error(error.message));
      else resolve(value);
    };
    worker.onerror = (event) => {
      event.preventDefault?.();
      for (const { reject } of this.waiting.values()) reject(new Error(event.message || 'the worker did not start'));
      this.waiting.clear();
    };
  }

  call(call, request, transfer = []) {
    const number = ++this.count;
    return new Promise((resolve, reject) => {
      this.waiting.set(number, { resolve, reject });
      this.worker.postMessage({ number, call, request }, transfer);
    });
  }

  /** Give a garment {id, photo} to the worker, once; throws `PictureError` where it is none. */
  async prepare(garment) {
    if (this.garments.delete(garment.id)) {
      this.garments.add(garment.id); // the latest last
      return;
    }
    await this.call('prepareGarment', garment);
    this.garments.add(garment.id);
    const [oldest] = this.garments;
    if (this.garments.size > KEPT && this.garments.delete(oldest)) await this.call('forgetGarment', { id: oldest });
  }

  /** A person in a garment, each {id, photo}: {pixels, width, height, changed}. */
  async dress(person, garment) {
    await this.prepare(garment);
    if (this.person !== person.id) {
      this.person = null;
      await this.call('preparePerson', person);
      this.person = person.id;
    }
    return this.call('dress', { garment: garment.id });
  }

  /** A frame {pixels, width, height} in a garment {id, photo}; the frame's pixels are given away. */
  async dressFrame(frame, garment) {
    await this.prepare(garment);
    return this.call('dressFrame', { frame, garment: garment.id }, [frame.pixels.buffer]);
  }
}
