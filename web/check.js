/* Says what an old browser lacks; written so that old browsers can read it. */
(function () {
  'use strict';
  // a function that makes a vector of 16 bytes, by an instruction that came with SIMD
  var simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
  var missing = [];
  var scripts = 'noModule' in document.createElement('script');
  if (!scripts) missing.push('JavaScript modules');
  if (typeof WebAssembly !== 'object') missing.push('WebAssembly');
  else if (!WebAssembly.validate(new Uint8Array(simd))) missing.push('WebAssembly with SIMD');
  if (typeof DecompressionStream !== 'function') missing.push('unpacking of streams');
  if (typeof createImageBitmap !== 'function') missing.push('reading of pictures');
  if (typeof Worker !== 'function') missing.push('workers');
  window.isAble = missing.length === 0;
  if (window.isAble) return;
  document.addEventListener('DOMContentLoaded', function () {
    var old = document.getElementById('old');
    old.textContent =
      'This browser is too old for this page. It lacks: ' + missing.join(', ') +
      '. Take Chrome or Edge 91, Firefox 114, Safari 16.4 or anything newer.';
    old.removeAttribute('hidden');
  });
})();
