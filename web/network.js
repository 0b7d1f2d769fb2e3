/** The two graphs of the try-on, run by ONNX Runtime Web: a garment to its code, a person and a code to the try-on. */

import * as ort from 'onnxruntime-web';

/** How many threads may work: those of the processor, which only pages that are isolated from other origins may use. */
function threads() {
  return globalThis.crossOriginIsolated ? Math.min(4, Math.max(1, navigator.hardwareConcurrency || 1)) : 1;
}

/** A picture [3, h, w] in [-1, 1] from the colours of RGBA pixels. */
export function pictureTensor(pixels, { width, height }) {
  const count = width * height;
  const values = new Float32Array(3 * count);
  for (let i = 0; i < count; i++) for (let c = 0; c < 3; c++) values[c * count + i] = (pixels[4 * i + c] / 255 - 0.5) / 0.5;
  return values;
}

/** The networks behind the page. */
export class Network {
  /**
   * Make ready to run: `site` is what site.json says, `files` {wasm, garment, try_on} are bytes, `loader` is the URL of the
   * runtime's own script, `provider` 'wasm' or 'webgpu'.
   */
  static async create(site, files, loader, provider) {
    ort.env.logLevel = 'error';
    ort.env.wasm.numThreads = threads();
    ort.env.wasm.wasmPaths = { mjs: loader };
    ort.env.wasm.wasmBinary = files.wasm;
    const options = { executionProviders: [provider], graphOptimizationLevel: 'all' };
    const garment = await ort.InferenceSession.create(files.garment, options);
    const tryOn = await ort.InferenceSession.create(files.try_on, options);
    return new Network(site, garment, tryOn);
  }

  constructor(site, garment, tryOn) {
    Object.assign(this, { size: site.size, alignCorners: site.align_corners, garment, tryOn });
  }

  tensor(values) {
    const { width, height } = this.size;
    return new ort.Tensor('float32', values, [1, values.length / (width * height), height, width]);
  }

  /** A garment's code from its picture [3, h, w] in [-1, 1] and its mask [h, w] in [0, 1]. */
  encode(cloth, edge) {
    return this.garment.run({ cloth: this.tensor(cloth), edge: this.tensor(edge) });
  }

  /** What `Composition` reads, and `image` [3, h, w], of a person [3, h, w] in [-1, 1] in the garment of a code. */
  async dress(person, code) {
    const outputs = await this.tryOn.run({ person: this.tensor(person), ...code });
    const { image, rendered, mask, warped_edge: edge, flow, keep } = outputs;
    const result = { person, image: image.data, rendered: rendered.data, mask: mask.data, edge: edge.data, flow: flow.data };
    return keep ? { ...result, keep: keep.data } : result;
  }
}
