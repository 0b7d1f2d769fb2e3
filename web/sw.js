/*
 * Keeps the page for visitors who are offline, and isolates it from other origins, which lets the networks use several threads.
 *
 * Servers that send the headers themselves need it for neither; without it, on the first visit, the page works with one thread.
 */
const CACHE = 'try-on';
const HEADERS = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

/** The same answer with HEADERS. */
function isolated(response) {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

/** Files with a version never change; of all others the newest is wanted, and the last one does where there is no connection. */
async function answer(request) {
  const cache = await caches.open(CACHE);
  const version = new URL(request.url).searchParams.get('v');
  if (version) {
    const kept = await cache.match(request);
    if (kept) return isolated(kept);
  }
  let response;
  try {
    response = await fetch(request, version ? undefined : { cache: 'no-cache' });
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: !version });
    if (kept) return isolated(kept);
    throw error;
  }
  if (response.status === 200) {
    await cache.put(request, response.clone());
    if (version) await forgetOthers(cache, version);
  }
  return isolated(response);
}

/** Drop the files of other versions. */
async function forgetOthers(cache, version) {
  for (const request of await cache.keys()) {
    const other = new URL(request.url).searchParams.get('v');
    if (other && other !== version) await cache.delete(request);
  }
}

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method === 'GET' && new URL(request.url).origin === location.origin) event.respondWith(answer(request));
});
