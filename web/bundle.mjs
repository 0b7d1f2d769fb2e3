/**
 * Write the page and ONNX Runtime Web into a folder: `npm run bundle -- FOLDER`.
 *
 * The runtime comes three times, of which a visitor loads one: for the processor; for graphics cards where WebAssembly can wait
 * for promises (jspi); and for graphics cards elsewhere. engines.json says which files are whose.
 */

import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';

const ENGINES = {
  wasm: { entry: 'onnxruntime-web/wasm', files: 'ort-wasm-simd-threaded' },
  jspi: { entry: 'onnxruntime-web/jspi', files: 'ort-wasm-simd-threaded.jspi' },
  webgpu: { entry: 'onnxruntime-web/webgpu', files: 'ort-wasm-simd-threaded.asyncify' },
};
const PLAIN = ['index.html', 'style.css', 'check.js', 'icon.svg', 'sw.js', '_headers'];
const TARGET = ['chrome91', 'firefox114', 'safari16.4'];

const here = fileURLToPath(new URL('.', import.meta.url));
const out = process.argv[2];
if (!out) throw new Error('give a folder: npm run bundle -- FOLDER');
const options = { bundle: true, format: 'esm', minify: true, target: TARGET, legalComments: 'linked', absWorkingDir: here, logLevel: 'error' };

mkdirSync(join(out, 'runtime'), { recursive: true });
for (const file of PLAIN) copyFileSync(join(here, file), join(out, file));
await build({ ...options, entryPoints: ['page.js'], outfile: join(out, 'page.js') });

const engines = {};
for (const [name, { entry, files }] of Object.entries(ENGINES)) {
  const paths = { worker: `runtime/worker-${name}.js`, wasm: `runtime/${files}.wasm.gz.bin`, loader: `runtime/${files}.mjs` };
  await build({
    ...options,
    entryPoints: ['worker.js'],
    outfile: join(out, paths.worker),
    alias: { 'onnxruntime-web': entry },
    conditions: ['onnxruntime-web-use-extern-wasm'],
  });
  const runtime = join(here, 'node_modules', 'onnxruntime-web', 'dist', files);
  copyFileSync(`${runtime}.mjs`, join(out, paths.loader));
  writeFileSync(join(out, paths.wasm), gzipSync(readFileSync(`${runtime}.wasm`), { level: 9 }));
  const bytes = [paths.worker, paths.wasm].reduce((sum, path) => sum + statSync(join(out, path)).size, 0);
  engines[name] = { ...paths, bytes };
}
writeFileSync(join(out, 'engines.json'), `${JSON.stringify(engines, null, 1)}\n`);
