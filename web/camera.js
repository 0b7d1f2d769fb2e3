/** The visitor's camera, frame by frame. */

import { canvas } from './pictures.js';

const LONGEST = 640; // pixels of a frame's longer side: more than the network sees, and quick to paste into
const REMEMBERED = 9; // intervals between frames that tell the pace

/** Why there is no camera, in words to show. */
export class CameraError extends Error {}

const REASONS = {
  NotAllowedError: 'The camera was refused. Allow it in your browser’s address bar and start it again.',
  NotFoundError: 'No camera was found on this device. You can use a photograph instead.',
  NotReadableError: 'Another program holds the camera. Close it there and start it again.',
};

export class Camera {
  /** `video` plays what the camera sees; `onGone` is called when it goes away by itself. */
  constructor(video, onGone) {
    Object.assign(this, { video, onGone, stream: null, canvas: canvas(1, 1), facing: 'user' });
  }

  /** Ask for the camera that looks at the visitor or away. Throws `CameraError`. */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new CameraError('This page may not use a camera here: browsers allow it on https addresses only.');
    }
    const wanted = { facingMode: this.facing, width: { ideal: 640 }, height: { ideal: 480 } };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    } catch (error) {
      throw new CameraError(REASONS[error.name] ?? `The camera did not start (${error.name}). You can use a photograph instead.`);
    }
    const { stream } = this;
    stream.getVideoTracks()[0].addEventListener('ended', () => {
      if (this.stream !== stream) return;
      this.stop();
      this.onGone();
    });
    this.video.srcObject = stream;
    await this.video.play();
  }

  get isOn() {
    return this.stream !== null;
  }

  /** The newest frame: {pixels, width, height}; null while there is none. */
  frame() {
    const { videoWidth, videoHeight } = this.video;
    if (!videoWidth) return null;
    const scale = Math.min(1, LONGEST / Math.max(videoWidth, videoHeight));
    const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(this.video, 0, 0, width, height);
    return { pixels: context.getImageData(0, 0, width, height).data, width, height };
  }

  stop() {
    const { stream } = this;
    this.stream = null;
    stream?.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
  }
}

/** How many frames a second pass: the middle one of the last intervals. */
export class Pace {
  intervals = [];

  tick(now) {
    if (this.last !== undefined) this.intervals = [...this.intervals, now - this.last].slice(-REMEMBERED);
    this.last = now;
    const sorted = [...this.intervals].sort((a, b) => a - b);
    return sorted.length ? 1000 / sorted[sorted.length >> 1] : 0;
  }
}
