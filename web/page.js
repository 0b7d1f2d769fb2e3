/** The page: what the visitor chooses, what is shown, and what is said. */

import { Camera, CameraError, Pace } from './camera.js';
import { Engine, LoadError } from './engine.js';
import { PictureError } from './framing.js';
import { download, readPhoto, show, thumbnail } from './pictures.js';

const find = (id) => document.getElementById(id);
const NAMES = ['First', 'Second', 'Third', 'Fourth', 'Fifth', 'Sixth', 'Seventh', 'Eighth', 'Ninth', 'Tenth', 'Eleventh', 'Twelfth'];
const RAN_ON = { wasm: 'processor', jspi: 'graphics card', webgpu: 'graphics card' };

/** Photographs to choose from, as radio buttons with pictures; each is decoded when it is first chosen. */
class Choice {
  constructor(fieldset, name, onChange) {
    Object.assign(this, { strip: fieldset.querySelector('.strip'), name, onChange, sources: new Map(), selected: null });
    this.strip.addEventListener('change', ({ target }) => {
      if (target.type === 'radio') this.choose(target.value);
    });
  }

  /** Add one, at the end or first, with a picture of it; `source` is a photograph, or a function that promises it. Returns the picture. */
  add(id, source, url, label, first = false) {
    this.sources.set(id, source);
    const input = Object.assign(document.createElement('input'), { type: 'radio', name: this.name, value: id });
    const image = Object.assign(document.createElement('img'), { alt: label, decoding: 'async' });
    if (url) image.src = url;
    const item = document.createElement('label');
    item.append(input, image);
    if (first) this.strip.querySelector('.add').after(item);
    else this.strip.append(item);
    return image;
  }

  /** Add a file of this site. It comes once, for its button and to be dressed, and so is here when the visitor goes offline. */
  addFile(id, url, label) {
    const image = this.add(id, null, null, label);
    const load = async () => {
      const blob = await fetchBlob(url);
      image.src = URL.createObjectURL(blob);
      return blob;
    };
    const first = load().catch(() => null); // tried again, and told, when it is chosen
    this.sources.set(id, async () => readPhoto((await first) ?? (await load())));
  }

  choose(id) {
    this.selected = id;
    this.strip.querySelector(`input[value="${id}"]`).checked = true;
    this.onChange();
  }

  /** The chosen one: {id, photo}. */
  async current() {
    const id = this.selected;
    const source = this.sources.get(id);
    if (typeof source === 'function') this.sources.set(id, await source());
    return { id, photo: this.sources.get(id) };
  }
}

async function fetchBlob(url) {
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) throw new LoadError('This picture could not be loaded. Are you offline?');
  return response.blob();
}

function say(text, isWrong = false) {
  find('status').textContent = text;
  find('status').classList.toggle('wrong', isWrong);
}

/** What went wrong, in words to show. */
function explain(error) {
  const isOurs = [PictureError, CameraError, LoadError].some((kind) => error instanceof kind);
  if (!isOurs) console.error(error);
  return isOurs ? error.message : `Something went wrong (${error.message}). Reload the page, or choose another picture.`;
}

class Page {
  constructor(site) {
    this.site = site;
    this.engine = null;
    this.wanted = 0; // counts what was asked for: only the newest is shown
    this.working = false;
    this.mode = 'photo';
    this.refusal = ''; // why a visitor's picture was not taken: it stays until something is chosen
    this.garments = new Choice(find('garments'), 'garment', () => this.chosen());
    this.people = new Choice(find('people'), 'person', () => this.chosen());
    this.camera = new Camera(find('video'), () => this.cameraGone());
    this.fill('people', this.people, 'person');
    this.fill('garments', this.garments, 'garment');
    this.listen();
  }

  fill(kind, choice, what) {
    this.site.samples[kind].forEach((file, index) => {
      const url = `samples/${file}?v=${this.site.version}`;
      choice.addFile(`sample-${index}`, url, `${NAMES[index] ?? index + 1} drawn ${what}`);
    });
    choice.choose('sample-0');
  }

  listen() {
    find('modes').addEventListener('change', ({ target }) => this.setMode(target.value));
    const own = [['own-garment', this.garments, 'Your own garment'], ['own-person', this.people, 'Your own photograph']];
    for (const [id, choice, label] of own) {
      find(id).addEventListener('change', ({ target }) => {
        const [file] = target.files;
        target.value = '';
        if (file) this.own(file, choice, label);
      });
      this.listenToDrops(find(id).closest('label'), choice, label);
    }
    this.listenToDrops(find('stage'), this.people, 'Your own photograph');
    find('compare').addEventListener('click', () => this.compare(find('before').hidden));
    find('download').addEventListener('click', () => download(find('result'), 'try-on.png'));
    find('start').addEventListener('click', () => this.startCamera());
    find('stop').addEventListener('click', () => this.stopCamera());
    find('flip').addEventListener('click', () => this.flipCamera());
    find('retry').addEventListener('click', () => location.reload());
    document.addEventListener('visibilitychange', () => this.live());
  }

  listenToDrops(target, choice, label) {
    target.addEventListener('dragover', (event) => {
      event.preventDefault();
      target.classList.add('over');
    });
    target.addEventListener('dragleave', () => target.classList.remove('over'));
    target.addEventListener('drop', (event) => {
      event.preventDefault();
      target.classList.remove('over');
      const [file] = event.dataTransfer.files;
      if (file) this.own(file, choice, label);
    });
  }

  /** Take a visitor's own picture; a person's brings the photograph's side of the page. */
  async own(file, choice, label) {
    try {
      const photo = await readPhoto(file);
      const id = `own-${choice.sources.size}`;
      choice.add(id, photo, await thumbnail(photo), `${label} ${choice.sources.size}`, true);
      if (choice === this.people && this.mode === 'camera') this.setMode('photo');
      choice.choose(id);
    } catch (error) {
      this.refusal = explain(error);
      say(this.refusal, true);
    }
  }

  chosen() {
    this.refusal = '';
    this.refresh();
  }

  /** Say how the dressing goes, unless a refusal is still to be read. */
  report(text) {
    if (!this.refusal) say(text);
  }

  /** Load what dresses people, and show the first. */
  async open() {
    const bar = find('bar');
    void Promise.allSettled([this.people.current(), this.garments.current()]); // beside the networks; a failure is told later
    try {
      this.engine = await Engine.open(this.site, (share) => {
        bar.value = share;
        if (share === 1) find('bar-note').textContent = 'Unpacking';
      });
    } catch (error) {
      find('failure-text').textContent = explain(error);
      find('failure').hidden = false;
      find('loading').hidden = true;
      return;
    }
    document.documentElement.dataset.engine = this.engine.name;
    if (this.mode === 'camera') {
      find('loading').hidden = true;
      this.live();
    }
    await this.refresh();
  }

  /** Dress the chosen person in the chosen garment; what is chosen while this works is done after it. */
  async refresh() {
    this.wanted++;
    if (!this.engine || this.working || this.mode === 'camera') return;
    this.working = true;
    find('busy').hidden = false;
    let done;
    do {
      done = this.wanted;
      await this.dress(done).catch((error) => say(explain(error), true));
    } while (done !== this.wanted && this.mode === 'photo');
    this.working = false;
    find('busy').hidden = true;
    find('loading').hidden = true;
  }

  async dress(number) {
    const [person, garment] = [await this.people.current(), await this.garments.current()];
    if (find('loading').hidden) this.report('Dressing …');
    const start = performance.now();
    const picture = await this.engine.dress(person, garment);
    if (number !== this.wanted || this.mode !== 'photo') return;
    const seconds = (performance.now() - start) / 1000;
    this.show(picture);
    this.compare(false);
    this.before = person;
    find('result').setAttribute('aria-label', `The person in the garment, ${picture.width} by ${picture.height} pixels`);
    find('compare').disabled = find('download').disabled = false;
    const notes = [`${picture.width} × ${picture.height} pixels in ${seconds.toFixed(1)} s, on this device’s ${RAN_ON[this.engine.name]}.`];
    if (person.photo.isReduced) notes.push('Your photograph was made smaller: browsers hold no larger one.');
    if (!picture.changed) notes.push('Nothing changed: no place for the garment was found on this picture.');
    this.report(notes.join(' '));
    performance.mark('dressed'); // for whoever measures
  }

  /** Show a picture, and give the stage its shape. */
  show(picture) {
    show(find('result'), picture);
    find('stage').style.setProperty('--aspect', picture.width / picture.height);
  }

  /** Show the photograph as it was, or the try-on. */
  async compare(isBefore) {
    const before = find('before');
    if (isBefore && before.dataset.id !== this.before.id) {
      before.src = await thumbnail(this.before.photo, 2000);
      before.dataset.id = this.before.id;
    }
    before.hidden = !isBefore;
    before.alt = isBefore ? 'The photograph as it was' : '';
    find('result').hidden = isBefore;
    find('compare').setAttribute('aria-pressed', isBefore);
  }

  setMode(mode) {
    this.mode = mode;
    document.querySelector(`input[name="mode"][value="${mode}"]`).checked = true;
    const isCamera = mode === 'camera';
    find('people').hidden = find('compare').hidden = isCamera;
    this.compare(false);
    this.stopCamera();
    this.refusal = '';
    say('');
    if (!isCamera) this.refresh();
  }

  async startCamera() {
    const hadFocus = document.activeElement === find('start'); // which a button loses that is disabled or hidden
    find('start').disabled = true;
    try {
      await this.camera.start();
      if (this.mode !== 'camera') this.camera.stop();
      find('result').classList.toggle('mirrored', this.camera.facing === 'user');
    } catch (error) {
      say(explain(error), true);
    }
    find('start').disabled = false;
    const { isOn } = this.camera;
    find('camera-start').hidden = isOn || this.mode !== 'camera';
    find('stop').hidden = find('flip').hidden = !isOn;
    if (hadFocus) find(isOn ? 'stop' : 'start').focus();
    this.live();
  }

  stopCamera() {
    const hadFocus = find('actions').contains(document.activeElement);
    this.camera.stop();
    find('result').classList.remove('mirrored');
    find('stop').hidden = find('flip').hidden = find('pace').hidden = true;
    find('camera-start').hidden = this.mode !== 'camera';
    if (this.mode !== 'camera') return;
    find('download').disabled = true; // what lies under the curtain is not offered
    if (hadFocus) find('start').focus();
  }

  async flipCamera() {
    this.camera.stop();
    this.camera.facing = this.camera.facing === 'user' ? 'environment' : 'user';
    await this.startCamera();
  }

  cameraGone() {
    this.stopCamera();
    if (this.mode === 'camera') say('The camera went away. Connect it, or start it again.', true);
  }

  /** Dress the newest frame, then the newest after that, as long as the camera is on and the page is seen. */
  async live() {
    if (this.isLive) return;
    this.isLive = true;
    const pace = new Pace();
    while (this.camera.isOn && this.engine && !document.hidden) {
      const frame = this.camera.frame();
      if (!frame) {
        await new Promise(requestAnimationFrame);
        continue;
      }
      try {
        await this.dressFrame(frame, pace);
      } catch (error) {
        if (this.camera.isOn) say(explain(error), true);
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
    this.isLive = false;
  }

  async dressFrame(frame, pace) {
    const start = performance.now();
    const picture = await this.engine.dressFrame(frame, await this.garments.current());
    if (!this.camera.isOn) return;
    this.show(picture);
    find('result').setAttribute('aria-label', 'You, in the garment');
    const now = performance.now();
    const perSecond = pace.tick(now);
    find('pace').hidden = !perSecond;
    find('pace').textContent = `${perSecond.toFixed(perSecond < 10 ? 1 : 0)} frames/s · ${Math.round(now - start)} ms`;
    find('download').disabled = false;
    this.report('');
  }
}

async function begin() {
  if (!window.isAble) return;
  find('main').hidden = false;
  if ('serviceWorker' in navigator && window.isSecureContext) navigator.serviceWorker.register('sw.js').catch(() => null);
  try {
    const response = await fetch('site.json');
    if (!response.ok) throw new LoadError(`A part of this page is missing on its server (${response.status}).`);
    const site = await response.json();
    find('about').textContent = site.about;
    await new Page(site).open();
  } catch (error) {
    find('loading').hidden = true;
    find('failure').hidden = false;
    find('failure-text').textContent = error instanceof TypeError ? 'The page could not be loaded. Are you offline?' : explain(error);
  }
}

begin();
