// A recording that its host hears first: the form offers it, listeners are told so, the host hears, cuts both ends with the keyboard and by the needle, changes
// their mind about deleting, and posts; then everybody hears what was left.
import assert from "node:assert/strict";
import { agree, api, CREATE, fine, launch, ORIGIN, page as open, pressAndHear, until } from "./browser.mjs";

const WORDS = {
  ar: { title: "حديث يُراجَع", host: "ليلى", later: "يراجعه المضيف" },
  en: { title: "A talk to review", host: "Layla", later: "after the host has heard it" },
};
/** So much is said. */
const TALK_MS = 6_000;

assert.ok(CREATE, "HIWAR_HOST_LINK is the link that the server printed");
const browser = await launch();

async function reviewed(lang) {
  const words = WORDS[lang];
  const host = await open(browser, { lang, width: 390, height: 844 });
  await host.page.goto(`${ORIGIN}/?lang=${lang}#/host?token=${CREATE}`);
  await host.page.fill("#title", words.title);
  await host.page.fill("#name", words.host);
  assert.ok(await host.page.isChecked("input[value=at_once]"), "posted at once, unless it is said otherwise");
  assert.ok(!(await host.page.isChecked("#tracks")) && (await host.page.isChecked("#clips")));
  await host.page.uncheck("#recording");
  assert.equal(await host.page.locator("#tracks, #clips, input[name=posting]").count(), 0, "without a recording there is nothing to say of it");
  await host.page.check("#recording");
  await host.page.check("input[value=after_review]");
  await host.page.check("#tracks");
  await host.page.uncheck("#clips");
  await fine(host.page, lang, "host-recording");
  await host.page.click("button[type=submit]");
  await agree(host.page);
  await host.page.click("#mic-allow");
  await host.page.click("#mic-go");
  await host.page.waitForSelector("#start:enabled");
  const id = /\/s\/([a-z0-9-]+)\/stage/.exec(host.page.url())[1];
  const view = () => api("GET", `/spaces/${id}`);
  assert.equal((await view()).posting, "after_review");

  const ear = await open(browser, { lang, width: 390, height: 844 });
  await host.page.click("#start");
  await host.page.waitForSelector(".sentence.air");
  await ear.page.goto(`${ORIGIN}/s/${id}?lang=${lang}`);
  await pressAndHear(ear.page, "#press");
  await new Promise((resolve) => setTimeout(resolve, TALK_MS));
  await host.page.click("#end");
  await host.page.click("#end-yes");

  // Whoever listened is told, and gets nothing. So is who comes later.
  const told = async () => (await ear.page.textContent("#replay-notice")).includes(words.later);
  await until("listeners are told", told, 15_000);
  await host.page.waitForSelector("#review-audio", { timeout: 25_000 });
  assert.equal((await fetch(`${ORIGIN}/replay/${id}.mp4`, { method: "HEAD" })).status, 404);
  await ear.page.reload();
  await until("who comes later is told", told);
  await fine(ear.page, lang, "page-review");

  // The host hears it, and cuts a second off its beginning and what is after the needle.
  await fine(host.page, lang, "review");
  await pressAndHear(host.page, "#review-start-hear", { element: "#review-audio" });
  const length = await host.page.evaluate(() => document.querySelector("#review-audio").duration);
  await host.page.focus("#review-start");
  for (let i = 0; i < 5; i++) await host.page.keyboard.press("ArrowUp");
  assert.equal(Number(await host.page.inputValue("#review-start")), 1);
  assert.match(await host.page.getAttribute("#review-start", "aria-valuetext"), lang === "ar" ? /ثانية/ : /1 second/);
  // It stands still, for it would go on until the press is there.
  await host.page.evaluate((at) => {
    const audio = document.querySelector("#review-audio");
    audio.pause();
    audio.currentTime = at;
  }, length - 1);
  await host.page.click("#review-end-here");
  const end = Number(await host.page.inputValue("#review-end"));
  assert.ok(Math.abs(end - (length - 1)) < 0.3, `${end} of ${length}`);
  // Nothing would be left.
  await host.page.focus("#review-start");
  await host.page.keyboard.press("End");
  assert.ok(await host.page.isDisabled("#review-post"));
  assert.equal(await host.page.getAttribute("#review-start", "aria-invalid"), "true");
  await fine(host.page, lang, "review-nothing-left");
  await host.page.keyboard.press("Home");
  for (let i = 0; i < 5; i++) await host.page.keyboard.press("ArrowUp");

  // Deleting is asked twice.
  await host.page.click("#review-delete");
  await host.page.waitForSelector("#review-delete-yes");
  await fine(host.page, lang, "review-delete");
  await host.page.click("#review-sheet .back");
  await host.page.waitForSelector("#review-sheet", { state: "detached" });

  await host.page.click("#review-post");
  await host.page.waitForSelector("#review-audio", { state: "detached" });
  await until("it is posted", async () => (await view()).state === "posted", 25_000);
  await host.page.waitForSelector(`.bye a[href="/s/${id}"]`);
  await fine(host.page, lang, "review-posted");
  const { duration, clips } = (await view()).replay;
  assert.ok(duration > end - 1 - 0.45 && duration <= end - 1 + 0.01, `${duration} s of ${end - 1}`);
  assert.equal(clips, false);
  await ear.page.reload();
  await ear.page.waitForSelector("#replay:not([hidden])");
  await pressAndHear(ear.page, "#replay-press");
  assert.deepEqual([...host.errors, ...ear.errors], []);
  await Promise.all([host.close(), ear.close()]);
}

try {
  await Promise.all([reviewed("ar"), reviewed("en")]);
} finally {
  await browser.close();
}
console.log(JSON.stringify({ test: "review" }));
