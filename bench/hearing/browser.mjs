// Chromium as a publisher and as an ear, in one browser with the default autoplay policy. Commands and events are lines of JSON:
//
//   node browser.mjs FOLDER MICROPHONE.wav
//   {"do":"publish","url","token","origin"}   microphone → WHIP, nothing processed; {"event":"publishing","opened"}
//   {"do":"listen","url"}                     the page of a space and one real press; {"event":"listening"}
//   {"do":"restart"}                          ICE anew for the published stream; {"event":"restarted","before","after","ufrag"}
//   {"do":"play","name","url"}                a page of players.py and one real press, recorded as NAME; {"event":"playing","name"}
//   {"do":"stop"}                             {"event":"stopped","errors","players"}
//
// Samples go to FOLDER/{mouth,mse,NAME}.s16 (48 kHz), their times to FOLDER/{mouth,mse,NAME}.points: "sample seconds", seconds of CLOCK_MONOTONIC.
// The mouth is the stream that the encoder is given, tapped at the moment when it is processed; the ear is what the page's
// media element plays, at the time at which the sound card plays it (AudioContext.getOutputTimestamp).
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { launch } from "./chromium.mjs";

const [folder, microphone] = process.argv.slice(2);
const tell = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const monotonic = () => Number(process.hrtime.bigint()) / 1e9;

// Runs in the page. A recorder of what goes into it, in an AudioWorklet: the main thread may be late, the samples are not.
function prepare() {
  const worklet = `registerProcessor("recorder", class extends AudioWorkletProcessor {
    constructor() { super(); this.samples = new Float32Array(4800 + 128); this.count = 0; this.frame = 0; this.wall = 0; }
    process([input]) {
      if (this.count === 0) { this.frame = currentFrame; this.wall = Date.now(); }
      if (input[0]) this.samples.set(input[0], this.count);
      else this.samples.fill(0, this.count, this.count + 128);
      this.count += 128;
      if (this.count >= 4800) {
        this.port.postMessage({ frame: this.frame, wall: this.wall, samples: this.samples.slice(0, this.count) });
        this.count = 0;
      }
      return true;
    }
  });`;
  globalThis.measure = {
    context: () => new AudioContext({ sampleRate: 48000, latencyHint: "interactive" }),
    async record(context, source, name) {
      await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: "text/javascript" })));
      const recorder = new AudioWorkletNode(context, "recorder", { channelCount: 1, channelCountMode: "explicit", numberOfOutputs: 1 });
      source.connect(recorder);
      const silent = context.createGain();
      silent.gain.value = 0;
      recorder.connect(silent).connect(context.destination);
      let first = null;
      recorder.port.onmessage = ({ data: { frame, wall, samples } }) => {
        first ??= frame;
        const pcm = new Int16Array(samples.length);
        for (let i = 0; i < pcm.length; i++) pcm[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32767)));
        const bytes = new Uint8Array(pcm.buffer);
        let text = "";
        for (let i = 0; i < bytes.length; i++) text += String.fromCharCode(bytes[i]);
        const output = context.getOutputTimestamp();
        globalThis.recorded({
          name,
          at: frame - first,
          pcm: btoa(text),
          // Milliseconds of this page's performance.now(): when the frame was processed, and which sample is being played when.
          processed: wall + 0.5 - measure.epoch(),
          output: { sample: output.contextTime * context.sampleRate - first, when: output.performanceTime },
        });
      };
    },
    // Date.now() minus performance.now(): Date is cut down to whole milliseconds, so the largest of many is nearest.
    epoch() {
      let most = -Infinity;
      for (let i = 0; i < 50; i++) most = Math.max(most, Date.now() - performance.now());
      measure.offset = measure.offset === undefined ? most : Math.max(most, measure.offset - 0.01);
      return measure.offset + 0.5;
    },
    async publish(url, token) {
      const wanted = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      const opening = performance.now();
      const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
      const opened = (opening + performance.now()) / 2;
      const context = measure.context();
      await context.resume();
      await measure.record(context, context.createMediaStreamSource(stream), "mouth");
      const peer = new RTCPeerConnection();
      globalThis.kept = [stream, peer, context];
      for (const track of stream.getTracks()) peer.addTrack(track, stream);
      await peer.setLocalDescription(await peer.createOffer());
      const headers = { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` };
      const answer = await fetch(url, { method: "POST", headers, body: peer.localDescription.sdp });
      if (answer.status !== 201) throw new Error(`WHIP: ${answer.status} ${await answer.text()}`);
      globalThis.session = new URL(answer.headers.get("location"), url).href;
      globalThis.etag = answer.headers.get("etag");
      await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
      await measure.connected(peer);
      return opened;
    },
    async connected(peer) {
      for (let i = 0; peer.connectionState !== "connected"; i++) {
        if (i > 200 || peer.connectionState === "failed") throw new Error(`not connected: ${peer.connectionState}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    // RFC 9725 §4.3.3: new credentials in a PATCH, the server's in its answer; the rest of the session stays.
    async restart(token) {
      const peer = globalThis.kept[1];
      const remote = peer.remoteDescription.sdp;
      await peer.setLocalDescription(await peer.createOffer({ iceRestart: true }));
      const line = (sdp, name) => sdp.match(new RegExp(`^a=${name}:.*$`, "m"))[0];
      const offer = peer.localDescription.sdp;
      const fragment = [line(offer, "ice-ufrag"), line(offer, "ice-pwd"), offer.match(/^m=.*$/m)[0], line(offer, "mid"), ""].join("\r\n");
      const headers = { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": globalThis.etag, Authorization: `Bearer ${token}` };
      const answer = await fetch(globalThis.session, { method: "PATCH", headers, body: fragment });
      if (answer.status !== 200) throw new Error(`restart: ${answer.status} ${await answer.text()}`);
      const theirs = await answer.text();
      let sdp = remote;
      for (const name of ["ice-ufrag", "ice-pwd"]) sdp = sdp.replace(line(sdp, name), line(theirs, name));
      await peer.setRemoteDescription({ type: "answer", sdp });
      await measure.connected(peer);
      const before = globalThis.etag;
      globalThis.etag = answer.headers.get("etag");
      return { before, after: globalThis.etag, ufrag: [line(remote, "ice-ufrag"), line(theirs, "ice-ufrag")] };
    },
    // In the click itself, so that the context may sound under the default policy.
    tapAtPress(selector, name) {
      document.querySelector(selector).addEventListener("click", () => {
        const context = measure.context();
        const tap = context.createMediaElementSource(document.querySelector("audio"));
        tap.connect(context.destination);
        globalThis.kept = [context, tap];
        globalThis.tapped = measure.record(context, tap, name);
      }, { once: true, capture: true });
    },
  };
}

const files = {};
function file(name) {
  return (files[name] ??= { sound: openSync(join(folder, `${name}.s16`), "w"), points: openSync(join(folder, `${name}.points`), "w"), samples: 0, hole: 0 });
}

const browser = await launch(`${microphone}%noloop`);
const errors = [];

/** A page whose clock is known: `toMonotonic` takes milliseconds of its performance.now(). */
async function open(url) {
  // The measuring worklet is not part of the page and its policy.
  const context = await browser.newContext({ bypassCSP: true, permissions: ["microphone"] });
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push(String(error)));
  let offset = 0;
  const toMonotonic = (ms) => offset + ms / 1000;
  await page.exposeFunction("recorded", ({ name, at, pcm, processed, output }) => {
    const to = file(name);
    const bytes = Buffer.from(pcm, "base64");
    writeSync(to.sound, bytes, 0, bytes.length, at * 2);
    const [sample, when] = name === "mouth" ? [at, processed] : [output.sample, output.when];
    if (when > 0) writeSync(to.points, `${sample.toFixed(1)} ${toMonotonic(when).toFixed(6)}\n`);
    to.samples = at + bytes.length / 2;
  });
  await page.addInitScript(prepare);
  await page.goto(url, { waitUntil: "load" });
  // The quickest of many questions is the least wrong one.
  let best = Infinity;
  for (let i = 0; i < 30; i++) {
    const before = monotonic();
    const inside = await page.evaluate(() => performance.now());
    const after = monotonic();
    if (after - before < best) [best, offset] = [after - before, (before + after) / 2 - inside / 1000];
  }
  return { page, toMonotonic, clock_error_ms: 500 * best };
}

/** Opens a page with one `audio` element and presses its button; returns when it plays. */
async function press(url, name) {
  const { page, clock_error_ms } = await open(url);
  await page.waitForSelector("#press");
  await page.evaluate((name) => measure.tapAtPress("#press", name), name);
  const pressed = monotonic();
  await page.click("#press");
  await page.evaluate(() => globalThis.tapped);
  await page.waitForFunction(() => {
    const audio = document.querySelector("audio");
    return !audio.paused && audio.currentTime > 0 && audio.readyState > 2;
  }, null, { timeout: 30_000 }).catch(async (error) => {
    throw new Error(`${name} does not play: ${JSON.stringify(await page.evaluate(() => globalThis.player?.facts()))}`, { cause: error });
  });
  return { page, after_ms: Math.round(1000 * (monotonic() - pressed)), clock_error_ms };
}

const players = {};
const commands = {
  async publish({ url, token, origin }) {
    const { page, toMonotonic, clock_error_ms } = await open(`${origin}/healthz`);
    const opened = await page.evaluate(([url, token]) => measure.publish(url, token), [url, token]);
    publisher = { page, token };
    tell({ event: "publishing", opened: toMonotonic(opened), clock_error_ms });
  },
  async restart() {
    tell({ event: "restarted", ...(await publisher.page.evaluate((token) => measure.restart(token), publisher.token)) });
  },
  async listen({ url }) {
    const { page, after_ms, clock_error_ms } = await press(url, "mse");
    listener = page;
    tell({ event: "listening", after_ms, clock_error_ms });
  },
  async play({ name, url }) {
    const { page, after_ms, clock_error_ms } = await press(url, name);
    players[name] = page;
    tell({ event: "playing", name, after_ms, clock_error_ms });
  },
  async stop() {
    const state = await listener?.evaluate(() => {
      const audio = document.querySelector("audio");
      return { late: document.querySelector("#late")?.textContent, played: audio.currentTime, buffered: audio.buffered.length ? audio.buffered.end(audio.buffered.length - 1) - audio.currentTime : null };
    });
    const facts = {};
    for (const [name, page] of Object.entries(players)) facts[name] = await page.evaluate(() => globalThis.player.facts());
    await publisher?.page.evaluate(([token]) => fetch(globalThis.session, { method: "DELETE", headers: { Authorization: `Bearer ${token}` } }).then(() => {}, () => {}), [publisher.token]);
    await browser.close();
    for (const { sound, points } of Object.values(files)) {
      closeSync(sound);
      closeSync(points);
    }
    tell({ event: "stopped", errors, page: state ?? null, players: facts });
    process.exit(0);
  },
};
let publisher, listener;

tell({ event: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    await commands[command.do](command);
  } catch (error) {
    tell({ event: "failed", why: String(error.stack ?? error) });
  }
}
await browser.close();
