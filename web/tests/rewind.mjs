// Going back in a live conversation: what was said then is heard and shown again, the way to live is a press or a faster pace, and on that
// way nothing is left out. On the demo, whose two voices are never the same for long.
import assert from "node:assert/strict";
import { fine, launch, ORIGIN, page as open, position, pressAndHear, space, until } from "./browser.mjs";

const SPACE = process.env.HIWAR_SPACE ?? "demo";
const browser = await launch();

/** Writes down every 40 ms where the needle is, how loud it is there, and who is said to speak. */
const observe = (page) =>
  page.evaluate(() => {
    const audio = document.querySelector("audio");
    globalThis.seen = [];
    globalThis.dry = [];
    const seek = document.querySelector("#past-seek");
    // A browser on a busy machine also waits for its own decoder: here, for what we have not brought.
    audio.addEventListener("waiting", () => {
      const { buffered, currentTime } = audio;
      const held = Array.from(buffered, (_, i) => i).some((i) => buffered.start(i) <= currentTime && buffered.end(i) > currentTime + 0.5);
      if (!held) globalThis.dry.push([seek.max - seek.value, currentTime]);
    });
    setInterval(() => globalThis.seen.push([audio.currentTime, globalThis.level(), document.querySelector("#now").textContent, performance.now()]), 40);
  });
const seen = (page) => page.evaluate(() => globalThis.seen);
const forget = (page) => page.evaluate(() => [globalThis.seen, globalThis.dry] = [[], []]);
const dry = (page) => page.evaluate(() => globalThis.dry);

/** Counts the fragments that are given to the browser a second time, and how many of them are not the same as at first. Runs in the page. */
function remember() {
  const append = SourceBuffer.prototype.appendBuffer;
  const known = new Map();
  globalThis.again = { same: 0, other: 0 };
  SourceBuffer.prototype.appendBuffer = function (bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let start = null;
    for (let at = 0; at + 8 <= bytes.length; at += view.getUint32(at)) {
      const [size, type] = [view.getUint32(at), String.fromCharCode(...bytes.subarray(at + 4, at + 8))];
      if (type === "moof") for (let i = at; i < at + size; i++) if (view.getUint32(i) === 0x74666474) start = view.getBigUint64(i + 8);
      if (type !== "mdat") continue;
      const sound = bytes.subarray(at, at + size).join();
      if (known.has(start)) globalThis.again[known.get(start) === sound ? "same" : "other"] += 1;
      known.set(start, sound);
    }
    return append.call(this, bytes);
  };
}

/** Loudness by tenths of a second of media time, from `from` to `to`, each with its neighbours. */
function profile(samples, from, to) {
  const bins = Array.from({ length: Math.round((to - from) * 10) }, () => []);
  for (const [at, level] of samples) for (const i of [-1, 0, 1]) bins[Math.floor((at - from) * 10) + i]?.push(level);
  return bins.map((levels) => (levels.length ? levels.reduce((sum, x) => sum + x, 0) / levels.length : 0));
}

/** How alike the sound of `one` from `from` to `to` is to that of `other`, from -1 to 1, if the ear may be 0.3 s late. */
function alike(one, other, from, to) {
  const mine = profile(one, from, to);
  return Math.max(...[-3, -2, -1, 0, 1, 2, 3].map((lag) => correlation(mine, profile(other, from + lag / 10, to + lag / 10))));
}

function correlation(one, other) {
  const mean = (values) => values.reduce((sum, x) => sum + x, 0) / values.length;
  const [mx, my] = [mean(one), mean(other)];
  const sum = (f) => one.reduce((total, x, i) => total + f(x - mx, other[i] - my), 0);
  return sum((x, y) => x * y) / Math.sqrt(sum((x) => x * x) * sum((_, y) => y * y));
}

/** Who was said to speak at the media times of `samples`, by tenths. */
const names = (samples) => new Map(samples.map(([at, , name]) => [Math.floor(at * 10), name]));

const behind = async (page) => Number(await page.evaluate(() => { const seek = document.querySelector("#past-seek"); return seek.max - seek.value; }));
const isLive = (page) => page.evaluate(() => document.querySelector("#past").hidden);
/** Text with digits of either script as a number: the lateness. */
const lateness = async (page) => {
  const text = (await page.textContent("#late")).replace(/[٠-٩]/g, (d) => "٠١٢٣٤٥٦٧٨٩".indexOf(d)).replace("٫", ".");
  return Number(/\d+(\.\d+)?/.exec(text)?.[0] ?? NaN);
};

async function listener(lang, look) {
  const { page, errors, close } = await open(browser, { lang, ...look });
  await page.addInitScript(remember);
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.goto(`${ORIGIN}/s/${SPACE}?lang=${lang}`);
  await page.waitForSelector("#press");
  assert.ok(!(await page.isVisible("#steps")), "nobody goes back who hears nothing");
  await pressAndHear(page, "#press");
  await page.waitForSelector("#steps:visible");
  await observe(page);
  const joined = await position(page);
  await until("half a minute was heard live", async () => (await position(page)) > joined + 31, 45_000);
  assert.ok(!asked.some((path) => path.includes("rewind")), "no list before someone goes back");
  const live = await seen(page);

  // Twice fifteen seconds back, by key and by button; what is heard and shown there is what was heard and shown live.
  await forget(page);
  const before = await position(page);
  await page.focus("body");
  await page.keyboard.press("KeyJ");
  await until("fifteen seconds back", async () => Math.abs((await position(page)) - (before - 15)) < 3);
  await page.click("#step-back");
  await until("thirty seconds back", async () => (await position(page)) < before - 22);
  assert.ok(!(await isLive(page)));
  const back = await position(page);
  await forget(page);
  await until("ten seconds of it are heard", async () => (await position(page)) > back + 11, 20_000);
  const past = await seen(page);
  const [from, to] = [back + 1, back + 10];
  const same = alike(past, live, from, to);
  const other = Math.max(...[3, 5, 7].map((later) => alike(past, live.map(([at, level]) => [at - later, level]), from, to)));
  // An ear on a busy machine is not exact, so it need only tell that time from others; to the byte it is the same.
  assert.ok(same > 0.4 && same > other + 0.15, `the sound of then, ${same}, and of no other time, ${other}`);
  const again = await page.evaluate(() => globalThis.again);
  assert.ok(again.same > 50 && again.other === 0, `what was heard live: ${JSON.stringify(again)}`);
  const then = names(live);
  const shown = [...names(past)].filter(([at]) => at > from * 10 && at < to * 10 && then.has(at));
  const right = shown.filter(([at, name]) => then.get(at) === name).length / shown.length;
  assert.ok(shown.length > 40 && right > 0.8, `who spoke then: ${right} of ${shown.length}`);
  assert.match(await page.getAttribute("#past-seek", "aria-valuetext"), /[\d٠-٩].*[\d٠-٩]/);
  await fine(page, lang, "rewound");

  // Twice as fast until live: nothing is jumped over, and there is no silence on the way.
  await forget(page);
  await page.selectOption("#past-speed", "2");
  await until("live is reached", () => isLive(page), 60_000);
  const way = await seen(page);
  // At live itself a machine that is busy may be late, for this listener as for all.
  assert.deepEqual((await dry(page)).filter(([behind]) => behind > 3), [], "it never ran dry on the way");
  for (const [i, [at, , , clock]] of way.entries()) {
    const [at0, , , clock0] = way[Math.max(0, i - 1)];
    assert.ok(at - at0 > -0.01 && at - at0 < ((clock - clock0) / 1000) * 2 + 0.25, `from ${at0} to ${at} in ${clock - clock0} ms`);
  }
  await until("as near to live as everyone", async () => (await lateness(page)) < 1.6);
  assert.equal(await page.evaluate(() => document.querySelector("audio").playbackRate <= 1.05), true);

  // To the oldest sound there is, and by one press to live.
  await page.click("#step-far");
  await until("back again", async () => !(await isLive(page)));
  await page.focus("#past-seek");
  const begin = await page.evaluate(() => document.querySelector("audio").currentTime - document.querySelector("#past-seek").value);
  await page.keyboard.press("Home");
  // By the needle, not by the slider: that is there at once, before the sound is.
  await until("at the beginning", async () => (await position(page)) < begin + 6, 20_000);
  const oldest = await position(page);
  await until("it goes on there", async () => (await position(page)) > oldest + 2);
  const pressed = performance.now();
  await page.click("#to-live");
  await until("live again", () => isLive(page));
  await until("as near to live as at first", async () => (await lateness(page)) < 1.6);
  const back_ms = Math.round(performance.now() - pressed);
  const at = await position(page);
  await until("it goes on", async () => (await position(page)) > at + 2);
  assert.equal(await page.evaluate(() => document.activeElement.id), "press");
  assert.deepEqual(errors, []);
  await close();
  return { lang, same: Number(same.toFixed(3)), other: Number(other.toFixed(3)), names_right: Number(right.toFixed(3)), live_by_press_ms: back_ms };
}

/** A conversation ends while someone is behind: they hear the rest of it before the page says so. */
async function end() {
  const made = await space({ title: "A short one" }, { start: true });
  const { page, errors, close } = await open(browser, { lang: "en" });
  await page.goto(`${ORIGIN}/s/${made.space.id}`);
  await page.click("#press");
  await page.waitForSelector("#steps:visible");
  const joined = await position(page);
  await until("twenty seconds of it", async () => (await position(page)) > joined + 20, 30_000);
  await page.click("#step-back");
  await until("behind", async () => !(await isLive(page)));
  const last = (await position(page)) + (await behind(page));
  const ending = await fetch(`${ORIGIN}/api/spaces/v1/spaces/${made.space.id}/end`, { method: "POST", headers: { Authorization: `Bearer ${made.host_pass}` } });
  assert.ok(ending.ok, String(ending.status));
  let heard = 0;
  await until("the rest was heard", async () => {
    const [over, at] = await page.evaluate(() => [!document.querySelector("#over").hidden, document.querySelector("audio").currentTime]);
    if (!over) heard = at;
    return over;
  }, 40_000);
  assert.ok(heard > last - 2, `heard to ${heard} of ${last}`);
  assert.deepEqual(errors, []);
  await close();
  return { heard_of_the_rest_s: Number((heard - last + 15).toFixed(1)) };
}

try {
  const measured = await Promise.all([listener("en", { width: 1280, height: 900 }), listener("ar", { width: 390, height: 844, scheme: "dark" }), end()]);
  console.log(JSON.stringify({ test: "rewind", measured }));
} finally {
  await browser.close();
}
