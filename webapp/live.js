// The live tab: the camera's newest frame goes to the server, the dressed one comes back onto a canvas.
// At most three frames are under way: one that the networks see, one that is finished, one that waits for its turn. A frame that
// comes meanwhile is dropped, so nothing ever queues up.
(() => {
  const WIDTH = 640, HEIGHT = 480;   // what is asked of the camera
  const LONGEST_SIDE = 640;          // of what is sent
  const UNDER_WAY = 3;               // frames sent and not yet answered
  const QUALITY = 0.8;               // of the JPEG that is sent
  const AGAIN = [500, 1000, 2000, 4000];  // milliseconds before the connection is tried anew
  const PROBLEMS = {
    NotAllowedError: 'The camera was refused: allow it beside the address of this page, then start again.',
    NotFoundError: 'No camera was found: plug one in, then start again.',
    NotReadableError: 'The camera is in use by another program: close that, then start again.',
    OverconstrainedError: 'The camera shows no picture that fits: choose another one, then start again.',
  };
  const live = { garment: '', stream: null, socket: null, video: null, frames: null, sent: new Map(), next: 0, shown: [], tries: 0 };
  const find = (name) => document.getElementById(`live_${name}`);

  function say(text) {
    const note = find('note');
    if (note && note.textContent !== text) { note.textContent = text; note.hidden = !text; }
  }

  function showButton() {
    const button = find('start');
    if (button) button.textContent = live.stream ? 'Stop the camera' : 'Start the camera';
  }

  async function start() {
    if (!navigator.mediaDevices) {
      say('A browser gives the camera to https pages and to localhost only.');
      return;
    }
    say('Waiting for the camera…');
    try {
      const wanted = { width: { ideal: WIDTH }, height: { ideal: HEIGHT }, frameRate: { ideal: 30 } };
      live.stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
    } catch (error) {
      say(PROBLEMS[error.name] || `The camera cannot be used (${error.name}).`);
      return;
    }
    const track = live.stream.getVideoTracks()[0];
    track.addEventListener('ended', () => stop('The camera went away: plug it in, then start again.'));
    live.video = Object.assign(document.createElement('video'), { muted: true, playsInline: true, srcObject: live.stream });
    await live.video.play();
    live.tries = 0;
    connect();
    watch();
    showButton();
  }

  function stop(text) {
    if (live.stream) live.stream.getTracks().forEach((track) => track.stop());
    if (live.socket) live.socket.close();
    Object.assign(live, { stream: null, socket: null, video: null, shown: [] });
    live.sent.clear();
    say(text);
    showButton();
  }

  function connect() {
    const socket = new WebSocket(new URL('live', document.baseURI).href.replace(/^http/, 'ws'));
    socket.binaryType = 'arraybuffer';
    live.socket = socket;
    socket.onopen = () => { live.sent.clear(); socket.send(live.garment || '-'); };
    socket.onmessage = (event) => {
      if (typeof event.data === 'string') say(JSON.parse(event.data).problem);
      else show(event.data);
      live.tries = 0;
    };
    socket.onclose = () => {
      if (!live.stream || live.socket !== socket) return;
      say('The connection was lost; trying again…');
      setTimeout(() => live.stream && connect(), AGAIN[Math.min(live.tries++, AGAIN.length - 1)]);
    };
  }

  function watch() {
    const video = live.video;
    if (!video) return;
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(() => { send(); watch(); });
    else requestAnimationFrame(() => { send(); watch(); });
  }

  async function send() {
    const { video, socket, sent } = live;
    if (!socket || socket.readyState !== WebSocket.OPEN || !video.videoWidth || sent.size >= UNDER_WAY) return;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(video.videoWidth, video.videoHeight));
    const width = Math.round(video.videoWidth * scale), height = Math.round(video.videoHeight * scale);
    if (!live.frames || live.frames.width !== width || live.frames.height !== height) {
      live.frames = new OffscreenCanvas(width, height);
      const context = live.frames.getContext('2d', { willReadFrequently: true, alpha: false });
      context.imageSmoothingEnabled = scale < 1;
      context.setTransform(-1, 0, 0, 1, width, 0);  // as in a mirror; prints stay readable, since they come later
    }
    const number = live.next++ >>> 0;
    sent.set(number, performance.now());
    live.frames.getContext('2d').drawImage(video, 0, 0, width, height);
    const picture = await live.frames.convertToBlob({ type: 'image/jpeg', quality: QUALITY });
    if (socket.readyState === WebSocket.OPEN) socket.send(new Blob([new Uint32Array([number]), picture]));
  }

  async function show(data) {
    const [number] = new Uint32Array(data, 0, 1);
    const since = live.sent.get(number);
    // Frames that were dropped on the way are not waited for.
    for (const other of [...live.sent.keys()]) if (other <= number) live.sent.delete(other);
    if (data.byteLength <= 8 || since === undefined) return;
    const picture = await createImageBitmap(new Blob([new Uint8Array(data, 8)], { type: 'image/jpeg' }));
    const view = find('view');
    if (view && live.stream) {
      if (view.width !== picture.width || view.height !== picture.height) Object.assign(view, { width: picture.width, height: picture.height });
      view.getContext('bitmaprenderer', { alpha: false }).transferFromImageBitmap(picture);
      view.dataset.frames = 1 + Number(view.dataset.frames || 0);
      pace(performance.now(), since);
    }
    picture.close();
  }

  function pace(now, since) {
    live.shown.push({ now, delay: now - since });
    while (live.shown.length > 4 && live.shown[0].now < now - 2000) live.shown.shift();
    if (live.shown.length < 4 || now - (live.told || 0) < 500) return;
    live.told = now;
    const seconds = (now - live.shown[0].now) / 1000;
    const delays = live.shown.map((frame) => frame.delay).sort((a, b) => a - b);
    const fps = find('fps'), delay = find('delay');
    if (fps) fps.textContent = ((live.shown.length - 1) / seconds).toFixed(1);
    if (delay) delay.textContent = delays[delays.length >> 1].toFixed(0);
  }

  window.wearLive = (ticket) => {
    live.garment = ticket;
    if (live.socket && live.socket.readyState === WebSocket.OPEN) live.socket.send(ticket || '-');
  };
  document.addEventListener('click', (event) => {
    if (!event.target.closest || !event.target.closest('#live_start')) return;
    if (live.stream) stop('The camera is off.');
    else start();
  });
})();
