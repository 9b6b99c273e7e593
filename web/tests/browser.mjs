// What all browser tests need: a browser with the default autoplay policy and a voice, an ear that measures, and a reader for axe.
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const ORIGIN = (process.env.HIWAR_ORIGIN ?? "http://127.0.0.1:8080").replace(/\/$/, "");
/** The link that `hiwar serve` prints at its first run: `…/#/host?token=…`. */
export const HOST_LINK = process.env.HIWAR_HOST_LINK ?? "";
/** The pass in it. */
export const CREATE = new URLSearchParams(HOST_LINK.split("?").at(-1)).get("token") ?? "";
/** Process id of the server, if run.mjs started it: only then may a test kill parts of it. */
export const SUPERVISOR = Number(process.env.HIWAR_SUPERVISOR ?? 0);
/** A folder for screenshots; none are taken without it. */
const PICTURES = process.env.HIWAR_PICTURES;

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A browser whose microphone is a file: something like a voice, or one that can be told from others by its pitch in Hz. No autoplay flag: one press must be enough, and nothing less may be. */
export function launch(pitch) {
  const microphone = pitch ? voice(pitch) : (process.env.HIWAR_FAKE_MICROPHONE ?? voice());
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    // Playwright's own defaults keep the autoplay policy as people have it.
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      `--use-file-for-fake-audio-capture=${microphone}`,
    ],
  });
}

/** A page that reports what goes wrong in it. `errors` fills with uncaught errors and refused policies. */
export async function page(browser, { lang, width = 1280, height = 900, scheme = "light" }) {
  const context = await browser.newContext({ viewport: { width, height }, locale: lang, colorScheme: scheme, permissions: ["microphone"] });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error.stack ?? error)));
  page.on("console", (message) => message.type() === "error" && /Content Security|violat/i.test(message.text()) && errors.push(message.text()));
  return { page, errors, close: () => context.close() };
}

/**
 * Ten seconds of something like a voice: harmonics that glide, syllables, pauses. Browsers take steady tones for noise. With a `pitch` it glides
 * by a hundredth only, and its lowest harmonic is the strongest.
 */
function voice(pitch) {
  const rate = 48_000;
  const samples = new Int16Array(rate * 10);
  let phase = 0;
  for (let i = 0; i < samples.length; i++) {
    const t = i / rate;
    const glide = Math.sin(2 * Math.PI * 0.7 * t);
    phase += (2 * Math.PI * (pitch ? pitch * (1 + 0.01 * glide) : 150 + 40 * glide)) / rate;
    let sum = 0;
    if (pitch) for (let h = 1; h <= 6; h++) sum += (2 * Math.sin(phase * h)) / h;
    else for (let h = 1; h <= 16; h++) sum += Math.sin(phase * h) / (1 + ((h - 4 - 2 * Math.sin(9 * t)) / 3) ** 2);
    const syllable = Math.max(0, Math.sin(2 * Math.PI * 3.3 * t)) ** 0.5;
    samples[i] = 2600 * sum * syllable * (t % 5 < 4.2 ? 1 : 0);
  }
  const path = join(mkdtempSync(join(tmpdir(), "hiwar-voice-")), "voice.wav");
  writeFileSync(path, wav(samples, rate, 1));
  return path;
}

/** A WAV file of samples (an Int16Array or an Int32Array, channels interleaved). */
export function wav(samples, rate, channels) {
  const bytes = samples.BYTES_PER_ELEMENT;
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + samples.byteLength, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * channels * bytes, 28);
  head.writeUInt16LE(channels * bytes, 32);
  head.writeUInt16LE(8 * bytes, 34);
  head.write("data", 36);
  head.writeUInt32LE(samples.byteLength, 40);
  return Buffer.concat([head, Buffer.from(samples.buffer)]);
}

/** Presses `selector` and answers after how many milliseconds the page's audio element gave non-silent sound. */
export async function pressAndHear(page, selector, { limit = 8_000, element = "audio" } = {}) {
  await page.evaluate(({ selector, element, limit }) => {
    globalThis.heard = new Promise((resolve, reject) => {
      document.querySelector(selector).addEventListener("click", () => {
        const began = performance.now();
        // A copy of what goes to the loudspeaker: the element plays as it does for people, by the rules for people.
        const audio = document.querySelector(element);
        const context = new AudioContext();
        const analyser = context.createAnalyser();
        analyser.fftSize = 1024;
        const samples = new Float32Array(analyser.fftSize);
        const stream = audio.captureStream();
        const listened = new Set();
        const timer = setInterval(() => {
          for (const track of stream.getAudioTracks()) {
            if (listened.has(track)) continue;
            listened.add(track);
            context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
          }
          analyser.getFloatTimeDomainData(samples);
          const level = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
          const elapsed = performance.now() - began;
          if (level > 0.003 && !audio.paused) {
            clearInterval(timer);
            globalThis.level = () => {
              analyser.getFloatTimeDomainData(samples);
              return Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
            };
            resolve(Math.round(elapsed));
          } else if (elapsed > limit) {
            clearInterval(timer);
            reject(new Error(`silence for ${limit} ms (paused ${audio.paused}, at ${audio.currentTime}, ready ${audio.readyState}, level ${level})`));
          }
        }, 20);
      }, { once: true, capture: true });
    });
    globalThis.heard.catch(() => {});
  }, { selector, element, limit });
  await page.click(selector);
  return page.evaluate(() => globalThis.heard);
}

/** The level that the ear of the last `pressAndHear` has now. */
export const levelNow = (page) => page.evaluate(() => globalThis.level());

/** Where the needle is, in seconds. */
export const position = (page) => page.evaluate(() => document.querySelector("audio").currentTime);

/** Asks the API; answers with the server's own words, and throws at a refusal. */
export async function api(method, path, token, body) {
  const headers = { ...(token ? { Authorization: `Bearer ${token}` } : {}), "Content-Type": "application/json" };
  const response = await fetch(`${ORIGIN}/api/spaces/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json().catch(() => null);
}

/** Makes a space and starts it if `start`. */
export async function space(wish, { start = false } = {}) {
  const made = await api("POST", "/spaces", CREATE, { host_name: "Layla", audience: "public", ...wish });
  if (start) await api("POST", `/spaces/${made.space.id}/start`, made.host_pass);
  return made;
}

/** To the microphone's check, agreeing to be recorded where that is asked; whether it was. */
export async function agree(page) {
  await page.waitForSelector("#agree, #mic-allow");
  const asked = await page.locator("#agree").count();
  if (asked) await page.click("#agree");
  await page.waitForSelector("#mic-allow");
  return asked > 0;
}

/** From the host's form onto the stage, all agreed, pressed and filled. */
export async function hostUntilStage(page, { lang, title, name, audience = "public" }) {
  await page.goto(`${ORIGIN}/?lang=${lang}#/host?token=${CREATE}`);
  await page.fill("#title", title);
  await page.fill("#name", name);
  await page.check(`input[value=${audience}]`);
  await page.click("button[type=submit]");
  await agree(page);
  await page.click("#mic-allow");
  await page.click("#mic-go");
  await page.waitForSelector("#start:enabled");
}

/** Level (root mean square) of a stream given to the page's audio element by WebRTC, the loudest of `ms`. */
export function loudest(page, ms) {
  return page.evaluate(async (ms) => {
    const audio = document.querySelector("audio");
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(audio.srcObject).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let most = 0;
    for (const end = performance.now() + ms; performance.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      analyser.getFloatTimeDomainData(samples);
      most = Math.max(most, Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length));
    }
    await context.close();
    return most;
  }, ms);
}

/**
 * How loud each of several pitches is in what the page's audio element plays, in dB: how loud they are no louder than in so large a part
 * of all looks within `ms`, for each of those parts; the loudest, if none is named. From a fetched stream, or from one of WebRTC.
 */
export async function pitches(page, all, ms, parts) {
  const looks = await page.evaluate(async ({ all, ms }) => {
    const audio = document.querySelector("audio");
    // One of each for a page: elements and browsers do not bear many.
    const context = (globalThis.pitchContext ??= new AudioContext());
    const captured = (globalThis.pitchCaptured ??= new Map());
    if (!audio.srcObject && !captured.has(audio)) captured.set(audio, audio.captureStream());
    const stream = audio.srcObject ?? captured.get(audio);
    const analyser = context.createAnalyser();
    // Windows of a sixth of a second, with 6 Hz between two bins.
    analyser.fftSize = 8192;
    analyser.smoothingTimeConstant = 0;
    const sources = new Map();
    const bins = new Float32Array(analyser.frequencyBinCount);
    const step = context.sampleRate / analyser.fftSize;
    const looks = all.map(() => []);
    for (const end = performance.now() + ms; performance.now() < end; ) {
      for (const track of stream.getAudioTracks()) {
        if (sources.has(track)) continue;
        sources.set(track, context.createMediaStreamSource(new MediaStream([track])));
        sources.get(track).connect(analyser);
      }
      await new Promise((resolve) => setTimeout(resolve, 80));
      analyser.getFloatFrequencyData(bins);
      all.forEach((pitch, i) => {
        const near = bins.subarray(Math.floor((pitch * 0.98) / step), Math.ceil((pitch * 1.02) / step) + 1);
        looks[i].push(Math.max(-150, ...near));
      });
    }
    for (const source of sources.values()) source.disconnect();
    return looks.map((levels) => levels.sort((a, b) => a - b));
  }, { all, ms });
  const of = (levels, part) => Math.round(levels[Math.ceil(part * levels.length) - 1] ?? -150);
  return looks.map((levels) => (parts ? parts.map((part) => of(levels, part)) : of(levels, 1)));
}

/** What axe finds against WCAG 2.2 A and AA, one line each. */
async function accessibility(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const result = await axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
    return result.violations.map((v) => `${v.id} (${v.impact}): ${v.nodes.map((n) => n.target.join(" ")).join(" · ")}`);
  });
  return found;
}

/** Widths that every screen must bear: the narrowest (WCAG 2.2, 1.4.10), a phone, a desk. The last one stays. */
const SIZES = [[320, 640], [390, 844], [1280, 900]];

/** A page must be readable in its language, by everyone, at every width. */
export async function fine(page, lang, name) {
  const before = page.viewportSize();
  for (const [width, height] of SIZES) {
    await page.setViewportSize({ width, height });
    const wrong = await reading(page, lang);
    if (width > 320) wrong.push(...(await accessibility(page)));
    if (wrong.length > 0) throw new Error(`${name}, ${lang}, ${width} px wide:\n  ${wrong.join("\n  ")}`);
    if (PICTURES && width > 320) {
      mkdirSync(PICTURES, { recursive: true });
      await page.screenshot({ path: `${PICTURES}/${lang}-${width > 500 ? "desk" : "phone"}-${name}.png`, fullPage: true });
    }
  }
  await page.setViewportSize(before);
}

/** What is wrong with a page in `lang`: direction, unresolved messages, sideways scrolling, small targets. */
function reading(page, lang) {
  return page.evaluate((lang) => {
    const wrong = [];
    const root = document.documentElement;
    if (root.lang !== lang || root.dir !== (lang === "ar" ? "rtl" : "ltr")) wrong.push(`lang=${root.lang} dir=${root.dir}`);
    if (root.scrollWidth > innerWidth + 1) wrong.push(`scrolls sideways: ${root.scrollWidth} > ${innerWidth}`);
    const key = /^(brand|tagline|(page|player|ear|embed|home|host|mic|stage|share|problem|ask|consent|hands|person|plan|review|sheet|time|tools|watch)-[a-z-]+)$/;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const said = walker.currentNode.nodeValue.trim();
      if (key.test(said) || /[{}]|undefined|NaN/.test(said) && !walker.currentNode.parentElement.closest("script, noscript, style")) wrong.push(`unresolved: ${said.slice(0, 60)}`);
    }
    // Links inside sentences are excepted by WCAG 2.2, 2.5.8; a radio's or a box's label is its target.
    for (const target of document.querySelectorAll("button, select, input, summary, a[href]")) {
      if (target.matches("p a:not(.button, .quiet)") && target.parentElement.textContent.trim() !== target.textContent.trim()) continue;
      const box = (target.matches("input[type=radio], input[type=checkbox]") ? target.closest("label") : target).getBoundingClientRect();
      if (box.width > 0 && (box.height < 43.5 || box.width < 43.5)) wrong.push(`small target: ${target.id || target.textContent.trim()} ${Math.round(box.width)}×${Math.round(box.height)}`);
    }
    return wrong;
  }, lang);
}

/** Waits until `ask` answers with something true, at most `ms`; the last answer is named in the failure. */
export async function until(what, ask, ms = 10_000) {
  const end = Date.now() + ms;
  let last;
  while (Date.now() < end) {
    last = await ask();
    if (last) return last;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what}: not within ${ms} ms (last: ${JSON.stringify(last)})`);
}

/** A page of somebody else, with what they put there. */
export async function elsewhere(body) {
  const server = createServer((_, answer) => {
    answer.setHeader("Content-Type", "text/html; charset=utf-8");
    answer.end(`<!doctype html><html lang="en" dir="ltr"><title>A blog</title><main><h1>A blog</h1>${body}</main></html>`);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  // Another host, not only another port.
  return { address: `http://localhost:${server.address().port}/`, close: () => server.close() };
}
