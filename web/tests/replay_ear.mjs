// Listening afterwards: turns of speakers, speed, a link to a moment, a clip that plays; and the same conversation on a page of another origin, by the element and
// by the frame that oEmbed gives, replayed and live.
import assert from "node:assert/strict";
import { agree, CREATE, elsewhere, fine, hostUntilStage, launch, ORIGIN, page as open, position, pressAndHear, until } from "./browser.mjs";

const WORDS = {
  ar: { title: "حديث بفصول", host: "ليلى", guest: "Omar", play: "استمع", pause: "إيقاف مؤقت", live: "مباشر", replay: "تسجيل" },
  en: { title: "A talk in turns", host: "Layla", guest: "عمر", play: "Listen", pause: "Pause", live: "Live", replay: "Recording" },
};
/** Longer than an interjection. */
const TURN_MS = 7_000;
const SPACE = process.env.HIWAR_SPACE ?? "demo";

assert.ok(CREATE, "HIWAR_HOST_LINK is the link that the server printed");
const browser = await launch();

/** Waits until this one was heard for so long. */
async function speaks(id, name) {
  let since = null;
  await until(`${name} has the word`, async () => {
    const { speakers } = await (await fetch(`${ORIGIN}/api/spaces/v1/spaces/${id}`)).json();
    const speaking = speakers.find((one) => one.speaking)?.name;
    if (speaking !== name) since = null;
    else since ??= performance.now();
    return since !== null && performance.now() - since > TURN_MS;
  }, 40_000);
}

/** A conversation of three turns: host, guest, host. Its id, when it is posted. */
async function talk(lang) {
  const words = WORDS[lang];
  const host = await open(browser, { lang });
  await hostUntilStage(host.page, { lang, title: words.title, name: words.host });
  const id = new URL(await host.page.inputValue("#share-listen")).pathname.split("/").at(-1);
  const guest = await open(browser, { lang });
  await guest.page.goto((await host.page.inputValue("#share-speak")).replace("/#", `/?lang=${lang}#`));
  await guest.page.fill("#speaker-name", words.guest);
  await guest.page.click("button[type=submit]");
  await agree(guest.page);
  await guest.page.click("#mic-allow");
  await guest.page.click("#mic-go");
  await guest.page.waitForSelector("#mute");
  await host.page.click("#start");
  await guest.page.waitForSelector(".sentence.air");
  await guest.page.click("#mute");
  await speaks(id, words.host);
  await host.page.click("#mute");
  await guest.page.click("#mute");
  await speaks(id, words.guest);
  await guest.page.click("#mute");
  await host.page.click("#mute");
  await speaks(id, words.host);
  await host.page.click("#end");
  await host.page.click("#end-yes");
  await until("it is posted", async () => (await (await fetch(`${ORIGIN}/api/spaces/v1/spaces/${id}`)).json()).state === "posted", 25_000);
  await Promise.all([host.close(), guest.close()]);
  return id;
}

const near = (what, found, due, most) => assert.ok(Math.abs(found - due) <= most, `${what}: ${found}, not ${due}`);

/** One after the other: a browser's pages have one clipboard together. */
let clipboard = Promise.resolve();
function copies(page, button, text) {
  clipboard = clipboard.then(async () => {
    await page.click(button);
    await until("it is copied", async () => (await page.evaluate(() => navigator.clipboard.readText())) === text);
  });
  return clipboard;
}

/** Turns, speed, a moment, a clip, on our own page. */
async function ours(lang, id) {
  const words = WORDS[lang];
  const { page, errors, close } = await open(browser, { lang, width: 390, height: 844 });
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"], { origin: ORIGIN });
  await page.goto(`${ORIGIN}/s/${id}?lang=${lang}`);
  await page.waitForSelector("#replay:not([hidden])");
  const turns = page.locator("#chapters button");
  await until("three turns are listed", async () => (await turns.count()) === 3);
  const { chapters } = await (await fetch(`${ORIGIN}/replay/${id}/chapters.json`)).json();
  assert.deepEqual(chapters.map((chapter) => chapter.title), [words.host, words.guest, words.host]);
  for (const [n, { title }] of chapters.entries()) {
    assert.match(await turns.nth(n).textContent(), new RegExp(`^[\\d٠-٩]+:[\\d٠-٩]{2} ${title}$`));
  }
  await fine(page, lang, "replay-turns");

  // By the list, and by the buttons.
  await pressAndHear(page, "#replay-press");
  await turns.nth(1).click();
  near("the second turn", await position(page), chapters[1].startTime, 1);
  await until("it is marked", async () => (await turns.nth(1).getAttribute("aria-current")) === "true");
  await page.click("#next");
  near("the third turn", await position(page), chapters[2].startTime, 1);
  await page.click("#previous");
  near("right after its beginning, the one before", await position(page), chapters[1].startTime, 1);
  await until("it goes on", async () => (await position(page)) > chapters[1].startTime + 3.2);
  await page.click("#previous");
  near("later in a turn, its beginning", await position(page), chapters[1].startTime, 1);

  // Faster, and at the same pitch.
  await turns.nth(0).click();
  await page.selectOption("#speed", "1.5");
  const [pace, pitch] = await page.evaluate(async () => {
    const audio = document.querySelector("audio");
    await new Promise((resolve) => setTimeout(resolve, 300));
    const [at, clock] = [audio.currentTime, performance.now()];
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    return [(audio.currentTime - at) / ((performance.now() - clock) / 1000), audio.preservesPitch];
  });
  near("one and a half times as fast", pace, 1.5, 0.15);
  assert.equal(pitch, true);
  await page.selectOption("#speed", "1");

  // A moment: whoever opens its link begins there, at the first press.
  await page.click("#replay-press");
  await turns.nth(1).click();
  await page.click("#moment-of summary");
  const moment = await until("the link", () => page.inputValue("#moment input"));
  assert.equal(moment, `${ORIGIN}/s/${id}#t=${Math.floor(chapters[1].startTime)}`);
  await copies(page, "#moment button", moment);
  await until("and said to be", async () => (await page.textContent("#moment [role=status]")).length > 3);
  const guest = await open(browser, { lang });
  await guest.page.goto(moment);
  await guest.page.waitForSelector("#replay:not([hidden])");
  await until("it stands there", async () => Math.abs((await position(guest.page)) - Math.floor(chapters[1].startTime)) < 0.1);
  await pressAndHear(guest.page, "#replay-press");
  const at = await position(guest.page);
  assert.ok(at >= Math.floor(chapters[1].startTime) && at < chapters[1].startTime + 8, `it plays at ${at}`);
  await guest.page.evaluate(() => (location.hash = "#t=1"));
  await until("another moment of the same page", async () => (await position(guest.page)) < 8);
  assert.deepEqual(guest.errors, []);
  await guest.close();

  // A clip: from and to as they are written, and what is too long gives way.
  await page.click("#clip-of summary");
  await page.waitForSelector("#clip-form:visible");
  await page.fill("#clip-from", lang === "ar" ? "٠:٠٢" : "0:02");
  await page.fill("#clip-to", "0:06.5");
  await page.press("#clip-to", "Tab");
  const clip = await page.inputValue("#clip-link input");
  assert.equal(clip, `${ORIGIN}/replay/${id}/clip.mp4?from=2&to=6.5`);
  assert.equal(await page.getAttribute("#clip-open", "href"), clip);
  await page.fill("#clip-from", "nonsense");
  await page.press("#clip-from", "Tab");
  assert.match(await page.inputValue("#clip-from"), /^[0٠]:[0٠][2٢]$/);
  await copies(page, "#clip-link button", clip);
  await fine(page, lang, "replay-clip");
  for (const link of [clip, clip.replace(".mp4", ".ogg")]) {
    const [duration, heard, said] = await page.evaluate(async (link) => {
      const audio = new Audio(link);
      await new Promise((resolve, reject) => ([audio.onloadedmetadata, audio.onerror] = [resolve, () => reject(audio.error)]));
      const context = new AudioContext();
      const bytes = await (await fetch(link)).arrayBuffer();
      const sound = await context.decodeAudioData(bytes);
      await audio.play();
      await new Promise((resolve) => (audio.onended = resolve));
      return [sound.duration, Math.max(...sound.getChannelData(0).subarray(0, 100_000)), audio.duration];
    }, link);
    near(`${link} is as long as was asked`, duration, 4.5, 0.03);
    // Chromium counts what an Ogg file has to be dropped at its beginning, and does drop it.
    near(`${link} says so`, said, link.includes(".ogg") ? 4.7 : 4.5, 0.03);
    assert.ok(heard > 0.01, `${link}: silence`);
  }
  const refused = await fetch(clip.replace("to=6.5", "to=600"), { headers: { "Accept-Language": lang } });
  assert.deepEqual([refused.status, (await refused.json()).lang], [400, lang]);
  assert.deepEqual(errors, []);
  await close();
}

/** What plays in the element, and how far. */
const inside = (frame) =>
  frame.evaluate(() => {
    const audio = document.querySelector("hiwar-player").shadowRoot.querySelector("audio");
    return { at: audio.currentTime, paused: audio.paused };
  });

/** The element on another origin: told, played by keyboard, stopped. */
async function embedded(lang, id, state) {
  const words = WORDS[lang];
  const blog = await elsewhere(`<script async src="${ORIGIN}/embed.js"></script><hiwar-player space="${id}" lang="${lang}"><a href="x">Listen</a></hiwar-player>`);
  const { page, errors, close } = await open(browser, { lang: "en" });
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(blog.address);
  await page.waitForSelector("hiwar-player #state:visible");
  assert.equal(await page.textContent("hiwar-player #state-text"), state === "live" ? words.live : words.replay);
  assert.equal(await page.getAttribute("hiwar-player section", "dir"), lang === "ar" ? "rtl" : "ltr");
  assert.equal(await page.getAttribute("hiwar-player #title", "href"), `${ORIGIN}/s/${id}`);
  if (state === "replay") assert.equal(await page.textContent("hiwar-player #title"), words.title);
  await fine(page, "en", `embed-${state}-${lang}`);
  await page.focus("hiwar-player #press");
  assert.ok((await page.getAttribute("hiwar-player #press", "aria-label")).startsWith(words.play));
  await page.keyboard.press("Enter");
  await until("it plays", async () => (await inside(page)).at > 1.5, 20_000);
  assert.ok((await page.getAttribute("hiwar-player #press", "aria-label")).startsWith(words.pause));
  if (state === "replay") {
    await page.evaluate(() => {
      const seek = document.querySelector("hiwar-player").shadowRoot.querySelector("input");
      seek.value = "8";
      seek.dispatchEvent(new Event("input"));
    });
    const said = await until("it plays there", () =>
      page.evaluate(() => {
        const { shadowRoot } = document.querySelector("hiwar-player");
        return shadowRoot.querySelector("audio").currentTime > 8.3 && shadowRoot.querySelector("input").getAttribute("aria-valuetext");
      }),
    );
    assert.match(said, /[8-9٨٩]/);
  }
  await page.keyboard.press("Space");
  await until("it stops", async () => (await inside(page)).paused);
  const strangers = asked.filter((url) => ![ORIGIN, new URL(blog.address).origin].includes(new URL(url).origin));
  assert.deepEqual(strangers, [], "nobody else is asked");
  assert.deepEqual(await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]), ["", 0, 0]);
  assert.deepEqual(errors, []);
  await close();
  blog.close();
}

/** The frame that oEmbed gives; and no other document of ours in a frame. */
async function framed(lang, id) {
  const words = WORDS[lang];
  const told = await (await fetch(`${ORIGIN}/oembed?format=json&maxwidth=400&url=${encodeURIComponent(`${ORIGIN}/s/${id}#t=9`)}`)).json();
  assert.deepEqual([told.version, told.type, told.title, told.width], ["1.0", "rich", words.title, 400]);
  const blog = await elsewhere(told.html);
  const { page, errors, close } = await open(browser, { lang });
  await page.goto(blog.address);
  const frame = await until("the frame", () => page.frames().find((one) => one.url().startsWith(`${ORIGIN}/embed.html`)));
  await frame.waitForSelector("hiwar-player #seek:visible");
  assert.equal(await frame.getAttribute("html", "lang"), lang);
  const box = await frame.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]);
  assert.ok(box[0] <= told.width && box[1] <= told.height, `${box} in ${told.width}×${told.height}`);
  await frame.click("hiwar-player #press");
  await until("it plays from there", async () => (await inside(frame)).at > 9.5);
  assert.deepEqual(errors, []);
  for (const path of [`/s/${id}`, "/"]) {
    const other = await elsewhere(`<iframe src="${ORIGIN}${path}"></iframe>`);
    await page.goto(other.address);
    const content = await page.frames()[1]?.evaluate(() => document.body.innerHTML).catch(() => "");
    assert.ok(!content?.includes("Hiwar"), `${path} is in a frame`);
    other.close();
  }
  await close();
  blog.close();
}

/** What cannot be shown elsewhere says so. */
async function unshown() {
  const blog = await elsewhere(`<script src="${ORIGIN}/embed.js"></script><hiwar-player space="nosuchspace"></hiwar-player>`);
  const { page, errors, close } = await open(browser, { lang: "en" });
  await page.goto(blog.address);
  await until("it says so", async () => /no such/.test(await page.textContent("hiwar-player #notice")));
  assert.equal(await page.isDisabled("hiwar-player #press"), true);
  assert.deepEqual(errors, []);
  await close();
  blog.close();
}

try {
  const all = async (lang) => {
    const id = await talk(lang);
    await ours(lang, id);
    await embedded(lang, id, "replay");
    await framed(lang, id);
    await embedded(lang, SPACE, "live");
  };
  await Promise.all([all("ar"), all("en"), unshown()]);
  console.log(JSON.stringify({ test: "replay_ear" }));
} finally {
  await browser.close();
}
