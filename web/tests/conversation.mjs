// One whole conversation, in Arabic and in English: a host creates, checks the microphone, starts and talks; a listener with the default
// autoplay policy presses once and hears within two seconds; a speaker comes by link; the host ends; the replay plays.
//
//   HIWAR_ORIGIN=http://127.0.0.1:8080 HIWAR_HOST_LINK='http://127.0.0.1:8080/#/host?token=…' node tests/conversation.mjs
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { accessibility, HOST_LINK, launch, loudest, ORIGIN, page as open, pressAndHear, reading, until } from "./browser.mjs";

const PICTURES = process.env.HIWAR_PICTURES;
const WORDS = {
  ar: { title: "حديث المساء عن الإنصات", host: "ليلى", guest: "Omar", live: "مباشر", listen: "استمع" },
  en: { title: "An evening about listening", host: "Layla", guest: "عمر", live: "Live", listen: "Listen" },
};

assert.ok(HOST_LINK, "HIWAR_HOST_LINK is the link that the server printed");
const token = new URLSearchParams(HOST_LINK.split("?").at(-1)).get("token");
const browser = await launch();
const measured = {};

async function picture(page, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
}

/** A page must be readable in its language and by everyone. */
async function fine(page, lang, name) {
  await picture(page, `${lang}-${name}`);
  assert.deepEqual(await reading(page, lang), [], `${lang} ${name}`);
  assert.deepEqual(await accessibility(page), [], `${lang} ${name}`);
}

async function conversation(lang) {
  const words = WORDS[lang];
  const seen = (measured[lang] = {});

  // The host makes a space and goes on its stage.
  const host = await open(browser, { lang });
  await host.page.goto(`${ORIGIN}/?lang=${lang}#/host?token=${token}`);
  await host.page.waitForSelector("#title");
  assert.ok(!host.page.url().includes("token"), "the token left the address bar");
  await fine(host.page, lang, "host");
  await host.page.fill("#title", words.title);
  await host.page.fill("#name", words.host);
  await host.page.click("button[type=submit]");
  await host.page.click("#mic-allow");
  await host.page.waitForSelector(".verdict.heard", { timeout: 10_000 });
  await fine(host.page, lang, "microphone");
  await host.page.click("#mic-go");
  await host.page.waitForSelector("#start:enabled", { timeout: 15_000 });
  await fine(host.page, lang, "stage-before");
  const listen = await host.page.inputValue("#share-listen");
  const speak = await host.page.inputValue("#share-speak");
  await host.page.click("#start");
  await host.page.waitForSelector("#end");

  // A listener: nothing sounds before the press, everything after it.
  const ear = await open(browser, { lang, width: 390, height: 844 });
  await ear.page.goto(`${listen}${listen.includes("?") ? "&" : "?"}lang=${lang}`);
  await until("the page says live", async () => (await ear.page.textContent("#state-text")) === words.live || (await ear.page.reload(), false));
  await fine(ear.page, lang, "page");
  const without = await ear.page.evaluate((id) => {
    const audio = new Audio(`/listen/${id}.mp4`);
    return audio.play().then(() => "played", (error) => error.name);
  }, new URL(listen).pathname.split("/").at(-1));
  assert.equal(without, "NotAllowedError", "the autoplay policy is the default one");
  seen.press_to_sound_ms = await pressAndHear(ear.page, "#press");
  await until("the listener sees who speaks", async () => (await ear.page.textContent("#stage")).includes(words.host));
  await until("somebody is shown speaking", () => ear.page.locator("#stage .speaking").count());
  await until("the lateness is told", async () => /[\d٠-٩]/.test(await ear.page.textContent("#late")));
  seen.lateness = (await ear.page.textContent("#late")).trim();
  await fine(ear.page, lang, "page-listening");

  // A speaker comes by link, is seen, hears the host, mutes by key.
  const guest = await open(browser, { lang, scheme: "dark" });
  await guest.page.goto(speak.replace("/#", `/?lang=${lang}#`));
  await guest.page.fill("#speaker-name", words.guest);
  await fine(guest.page, lang, "invited");
  await guest.page.click("button[type=submit]");
  await guest.page.click("#mic-allow");
  await guest.page.click("#mic-go");
  await guest.page.waitForSelector("#mute", { timeout: 15_000 });
  await until("the host sees the speaker", async () => (await host.page.textContent(".stage")).includes(words.guest), 15_000);
  await until("the listener sees the speaker", async () => (await ear.page.textContent("#stage")).includes(words.guest), 15_000);
  assert.ok((await loudest(guest.page, 4_000)) > 0.003, "the speaker hears the host");
  await guest.page.keyboard.press("m");
  assert.equal(await guest.page.getAttribute("#mute", "aria-pressed"), "true");
  await fine(host.page, lang, "stage");
  await fine(guest.page, lang, "stage-speaker");

  // The sound goes on while the listener changes the language, and nothing is repeated.
  const other = lang === "ar" ? "en" : "ar";
  const before = await ear.page.evaluate(() => document.querySelector("audio").currentTime);
  await ear.page.click("#lang");
  assert.equal(await ear.page.getAttribute("html", "lang"), other);
  await until("the sound goes on", () => ear.page.evaluate((t) => document.querySelector("audio").currentTime > t + 1, before));
  await ear.page.click("#lang");

  // The host ends; the replay comes by itself and plays.
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  await host.page.click("#end");
  await host.page.click("#end-yes");
  const ended = Date.now();
  await host.page.waitForSelector(`a[href^="/s/"]`);
  await fine(host.page, lang, "stage-ended");
  await ear.page.waitForSelector("#replay:not([hidden])", { timeout: 25_000 });
  seen.end_to_replay_shown_ms = Date.now() - ended;
  await until("the duration is known", () => ear.page.evaluate(() => Number.isFinite(document.querySelector("audio").duration)));
  seen.replay_press_to_sound_ms = await pressAndHear(ear.page, "#replay-press");
  seen.replay_s = await ear.page.evaluate(() => document.querySelector("audio").duration);
  assert.ok(seen.replay_s > 8, "the whole conversation is in the replay");
  await ear.page.evaluate(() => {
    const seek = document.querySelector("#seek");
    seek.value = "5";
    seek.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await until("the replay goes on from there", () => ear.page.evaluate(() => document.querySelector("audio").currentTime > 5.3));
  await fine(ear.page, lang, "replay");

  for (const person of [host, ear, guest]) {
    assert.deepEqual(person.errors, [], lang);
    await person.close();
  }
  assert.ok(seen.press_to_sound_ms <= 2_000, `sound ${seen.press_to_sound_ms} ms after the press`);
}

try {
  for (const lang of ["ar", "en"]) await conversation(lang);
} finally {
  await browser.close();
}
console.log(JSON.stringify({ test: "conversation", ...measured }));
