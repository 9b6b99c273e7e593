// What breaks while somebody listens: the line, a crowd worker, the house. The listener presses once; the sound comes back by itself.
// A small relay in front of HIWAR_ORIGIN cuts the line; the processes are killed for real where run.mjs started the server.
import assert from "node:assert/strict";
import { fine, launch, levelNow, ORIGIN, page as open, position, pressAndHear, SUPERVISOR, until } from "./browser.mjs";
import { Relay } from "./relay.mjs";
import { house, workers } from "./server.mjs";

const SPACE = process.env.HIWAR_SPACE ?? "demo";
/** How long the line is refused. */
const REFUSED_MS = 2_000;
const browser = await launch();
const measured = {};

/** A listener who hears, and counts the page's connections for sound: a worker that has just started may ask for patience first. */
async function listener(origin, lang) {
  const who = await open(browser, { lang });
  who.connected = 0;
  who.page.on("response", (response) => response.url().includes("/listen/") && response.ok() && (who.connected += 1));
  await who.page.goto(`${origin}/s/${SPACE}?lang=${lang}`);
  await pressAndHear(who.page, "#press");
  await until("the sound runs", async () => (await position(who.page)) > 0.5);
  return who;
}

/** New sound: the needle has gone past what was in hand at the break, and there is a voice. */
async function back(who, from, what, ms = 15_000) {
  await until(`${what}: the sound is back`, async () => (await position(who.page)) > from + 3, ms);
  await until(`${what}: somebody is heard`, async () => (await levelNow(who.page)) > 0.003);
  await until(`${what}: nothing more is said`, async () => (await who.page.textContent("#notice")) === "");
  await until(`${what}: it is live again`, async () => Number(/\d+[.٫]\d/.exec(await who.page.textContent("#late"))?.[0] ?? 99) < 2);
  assert.deepEqual(who.errors, [], what);
}

async function line() {
  const relay = await Relay.before(ORIGIN);
  try {
    const who = await listener(relay.origin, "en");
    relay.cut();
    const from = await position(who.page);
    const broke = Date.now();
    const says = async () => (await who.page.textContent("#notice")).includes("by itself");
    await until("it says so", says);
    // Also once what was in hand is heard, when the next attempt may be seconds away.
    await until("nothing is left to be heard", () => who.page.evaluate(() => document.querySelector("audio").readyState < HTMLMediaElement.HAVE_FUTURE_DATA));
    await until("it says so still", says, 500);
    await fine(who.page, "en", "page-reconnecting");
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, broke + REFUSED_MS - Date.now())));
    const attempts = relay.refused;
    relay.mend();
    const mended = Date.now();
    // It asks again the later the longer it was refused, which is longer than was meant where that picture took its time.
    await back(who, from, "line", 15_000 + 2 * Math.max(0, mended - broke - REFUSED_MS));
    measured.line = { attempts_while_refused: attempts, refused_ms: mended - broke };
    assert.ok(attempts <= 16, `${attempts} attempts is a storm`);
    await who.close();
  } finally {
    relay.close();
  }
}

async function worker() {
  const who = await listener(ORIGIN, "ar");
  const killed = workers(SUPERVISOR, Number(new URL(ORIGIN).port));
  assert.ok(killed.length > 0, "a worker has the listener's connection");
  const from = await position(who.page);
  for (const pid of killed) process.kill(pid, "SIGKILL");
  const at = Date.now();
  await until("it is connected again", () => who.connected === 2);
  await until("it plays new sound", async () => (await position(who.page)) > from + 1);
  measured.worker = { killed: killed.length, one_more_second_heard_after_ms: Date.now() - at };
  await back(who, from, "worker");
  assert.equal(who.connected, 2, "one connection lost, one made");
  await who.close();
}

async function houseDies() {
  const who = await listener(ORIGIN, "en");
  const before = house(SUPERVISOR);
  assert.ok(before, "the house is a child of the supervisor");
  process.kill(before, "SIGKILL");
  const killed = Date.now();
  const from = await position(who.page);
  await until("another house", () => (house(SUPERVISOR) ?? before) !== before);
  const restarted = Date.now() - killed;
  await back(who, from, "house");
  measured.house = { restarted_ms: restarted, live_again_ms: Date.now() - killed };
  assert.equal(who.connected, 1, "the listener kept the one connection");
  await who.close();
}

try {
  await line();
  if (SUPERVISOR) {
    await worker();
    await houseDies();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify({ test: "recovery", ...measured }));
