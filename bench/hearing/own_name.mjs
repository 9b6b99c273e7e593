// HLS at a name of its own, by node's HTTP/2 and by hls.js in Chromium. The last line is JSON.
//
//   node own_name.mjs PLAYLIST PAGE SECONDS      certificates are checked against NODE_EXTRA_CA_CERTS, in Chromium not at all
//
//   multiplexed: ROUNDS times, STREAMS blocking reloads and the hinted part on one connection: how many were answered, how many different answers there
//   were, and by how much the last came after the first. taken_back: how many requests could be taken back before the server ended the connection, and
//   with which code. chromium: the protocol of each answer, and what the player says of itself after SECONDS.
import http2 from "node:http2";

import { launch } from "./chromium.mjs";

const [playlist, address, seconds] = process.argv.slice(2);
const { origin, pathname } = new URL(playlist);
const STREAMS = 90;
const ROUNDS = 5;

// Names below localhost are this machine (RFC 6761 §6.3); not every resolver knows.
const connect = () =>
  new Promise((resolve, reject) => {
    const session = http2.connect(origin, { lookup: (_, options, done) => (options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4)) });
    session.once("connect", () => resolve(session));
    session.once("error", reject);
  });

const get = (session, path) =>
  new Promise((resolve) => {
    const stream = session.request({ ":path": path });
    const pieces = [];
    let status = 0;
    stream.on("response", (headers) => (status = headers[":status"]));
    stream.on("data", (piece) => pieces.push(piece));
    stream.on("error", (error) => resolve({ status: 0, body: error.message, at: performance.now() }));
    stream.on("close", () => resolve({ status, body: Buffer.concat(pieces).toString("latin1"), at: performance.now() }));
  });

/** The next part that is not listed, and its name. */
function edge(text) {
  const sequence = Number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(text)?.[1] ?? 0);
  const whole = [...text.matchAll(/^[^#\n].*$/gm)].length;
  const after = text.slice(text.lastIndexOf("\n#EXTINF"));
  const parts = [...after.slice(after.indexOf(".m4a\n")).matchAll(/#EXT-X-PART:/g)].length;
  return { msn: sequence + whole, part: parts, hint: /#EXT-X-PRELOAD-HINT:.*URI="([^"]+)"/.exec(text)?.[1] };
}

async function multiplexed() {
  const session = await connect();
  const rounds = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { msn, part, hint } = edge((await get(session, pathname)).body);
    const path = `${pathname}?_HLS_msn=${msn}&_HLS_part=${part}`;
    const began = performance.now();
    const all = [...Array(STREAMS)].map(() => get(session, path));
    const hinted = get(session, new URL(hint, playlist).pathname);
    const init = await get(session, new URL("init.mp4", playlist).pathname);
    const answers = await Promise.all(all);
    const times = answers.map((answer) => answer.at);
    rounds.push({
      answered: answers.filter((answer) => answer.status === 200).length,
      different: new Set(answers.map((answer) => answer.body)).size,
      hinted: (await hinted).status,
      // Who asks for what is there does not wait for those who wait.
      init_ms: Math.round(init.at - began),
      held_ms: Math.round(Math.min(...times) - began),
      spread_ms: Math.round(Math.max(...times) - Math.min(...times)),
    });
  }
  session.close();
  return rounds;
}

async function takenBack() {
  const session = await connect();
  const { msn, part } = edge((await get(session, pathname)).body);
  let code = null;
  session.on("goaway", (told) => (code = told));
  session.on("error", () => {});
  let count = 0;
  for (; count < 10_000 && code === null && !session.destroyed && !session.closed; count++) {
    const stream = session.request({ ":path": `${pathname}?_HLS_msn=${msn}&_HLS_part=${part}` });
    stream.on("error", () => {});
    // Once it is on its way.
    await new Promise((done) => setTimeout(done, 2));
    stream.close(http2.constants.NGHTTP2_CANCEL);
  }
  await new Promise((done) => setTimeout(done, 200));
  session.destroy();
  const next = await connect();
  const { status } = await get(next, pathname);
  next.close();
  return { count, code, next: status };
}

async function chromium() {
  const browser = await launch("/dev/null");
  const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
  const network = await page.context().newCDPSession(page);
  const protocols = {};
  network.on("Network.responseReceived", ({ response }) => {
    if (response.url.startsWith(origin)) protocols[`${response.protocol} ${response.status}`] = (protocols[`${response.protocol} ${response.status}`] ?? 0) + 1;
  });
  await network.send("Network.enable");
  await page.goto(address);
  await page.click("#press");
  await new Promise((done) => setTimeout(done, 1000 * Number(seconds)));
  const facts = await page.evaluate(() => globalThis.player.facts());
  await browser.close();
  return { protocols, ...facts };
}

const told = { multiplexed: await multiplexed(), taken_back: await takenBack(), chromium: await chromium() };
process.stdout.write(JSON.stringify(told) + "\n");
