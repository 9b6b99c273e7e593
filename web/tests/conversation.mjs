// One whole conversation, in Arabic and in English: a host creates, checks the microphone, starts and talks; a listener with the default
// autoplay policy presses once and hears within two seconds; a speaker comes by link and agrees to be recorded; before the start the stage hears
// itself and nobody else does; a muted microphone is silence, and seen; the host ends;
// the replay plays. Every screen on the way is read at three widths.
import assert from "node:assert/strict";
import { agree, CREATE, fine, launch, levelNow, loudest, ORIGIN, page as open, position, pressAndHear, until } from "./browser.mjs";

const WORDS = {
  ar: { title: "حديث المساء عن الإنصات", host: "ليلى", guest: "Omar", live: "مباشر", open: "لم يبدأ بعد" },
  en: { title: "An evening about listening", host: "Layla", guest: "عمر", live: "Live", open: "Not started yet" },
};
/** Sound of a conversation that the replay must have, in seconds. */
const REPLAY_S_MIN = 5;

assert.ok(CREATE, "HIWAR_HOST_LINK is the link that the server printed");
const browser = await launch();
const measured = {};

async function conversation(lang) {
  const words = WORDS[lang];
  const seen = (measured[lang] = {});

  // The host makes a space and checks the microphone.
  const host = await open(browser, { lang });
  await host.page.goto(`${ORIGIN}/?lang=${lang}#/host?token=${CREATE}`);
  await host.page.waitForSelector("#title");
  assert.ok(!host.page.url().includes("token"), "the token left the address bar");
  await fine(host.page, lang, "host");
  await host.page.click("button[type=submit]");
  await host.page.waitForSelector("#title[aria-invalid=true]");
  await host.page.fill("#title", words.title);
  await host.page.fill("#name", words.host);
  await host.page.click("button[type=submit]");
  await agree(host.page);
  await fine(host.page, lang, "microphone-ask");
  await host.page.click("#mic-allow");
  await host.page.waitForSelector(".verdict.heard", { timeout: 10_000 });
  await fine(host.page, lang, "microphone");
  await host.page.click("#mic-go");
  await host.page.waitForSelector("#start:enabled");
  await fine(host.page, lang, "stage-before");
  const listen = await host.page.inputValue("#share-listen");
  const speak = await host.page.inputValue("#share-speak");

  // A listener and a speaker are there before the start: the stage hears itself, the audience does not.
  const ear = await open(browser, { lang, width: 390, height: 844 });
  await ear.page.goto(`${listen}?lang=${lang}`);
  assert.equal(await ear.page.textContent("#state-text"), words.open);
  await fine(ear.page, lang, "page-before");
  const guest = await open(browser, { lang, scheme: "dark" });
  await guest.page.goto(speak.replace("/#", `/?lang=${lang}#`));
  await guest.page.waitForSelector("#speaker-name");
  await fine(guest.page, lang, "invited-speaker");
  await guest.page.fill("#speaker-name", words.guest);
  await guest.page.click("button[type=submit]");
  await guest.page.waitForSelector("#agree");
  await fine(guest.page, lang, "consent");
  assert.ok(await agree(guest.page), "whoever speaks agrees to be recorded first");
  await guest.page.click("#mic-allow");
  await guest.page.click("#mic-go");
  await guest.page.waitForSelector(".green");
  await until("the speaker is connected", () => guest.page.evaluate(() => !!document.querySelector("audio").srcObject));
  await fine(guest.page, lang, "stage-waiting");
  assert.ok((await loudest(guest.page, 4_000)) > 0.003, "the speaker hears the host before the start");

  // The start brings both on the air.
  const started = Date.now();
  await host.page.click("#start");
  await host.page.waitForSelector(".sentence.air");
  seen.start_to_on_air_ms = Date.now() - started;
  await guest.page.waitForSelector(".sentence.air");
  await until("the host sees the speaker", async () => (await host.page.textContent(".stage")).includes(words.guest));
  assert.ok((await loudest(guest.page, 4_000)) > 0.003, "the speaker hears the host");

  // One press is enough, and the page of a space that began meanwhile says so by itself.
  seen.press_to_sound_ms = await pressAndHear(ear.page, "#press");
  assert.ok(seen.press_to_sound_ms <= 2_000, `sound ${seen.press_to_sound_ms} ms after the press`);
  await until("the page says live", async () => (await ear.page.textContent("#state-text")) === words.live);
  await until("the listener sees both", async () => {
    const stage = await ear.page.textContent("#stage");
    return stage.includes(words.host) && stage.includes(words.guest);
  });
  await until("somebody is shown speaking", () => ear.page.locator("#stage .speaking").count());
  await until("the lateness is told", async () => /[\d٠-٩]/.test(await ear.page.textContent("#late")));
  seen.lateness = (await ear.page.textContent("#late")).trim();
  await fine(ear.page, lang, "page-listening");
  await fine(host.page, lang, "stage");

  // Muted microphones are silence at the ear, shown to whoever muted and to the others; by the key M and by the button.
  await guest.page.keyboard.press("m");
  assert.equal(await guest.page.getAttribute("#mute", "aria-pressed"), "true");
  await host.page.click("#mute");
  assert.equal(await host.page.getAttribute("#mute", "aria-pressed"), "true");
  await quiet(ear.page);
  await fine(guest.page, lang, "stage-muted");
  const says = lang === "ar" ? "مكتوم" : "muted";
  await until("the host sees that the speaker is muted", async () => (await host.page.locator(".here li", { hasText: words.guest }).textContent()).includes(says));
  await until("listeners see that both are muted", async () => (await ear.page.textContent("#stage")).split(says).length === 3);
  await host.page.click("#mute");
  await until("the host is heard again", async () => (await levelNow(ear.page)) > 0.003);

  // The sound goes on while the listener changes the language, and nothing is repeated.
  const other = lang === "ar" ? "en" : "ar";
  const before = await position(ear.page);
  await ear.page.click("#lang");
  assert.equal(await ear.page.getAttribute("html", "lang"), other);
  await until("the sound goes on", async () => (await position(ear.page)) > before + 1);
  await ear.page.click("#lang");

  // The host ends; the replay comes by itself and plays.
  await host.page.click("#end");
  await fine(host.page, lang, "stage-end-question");
  await host.page.click("#end-yes");
  const ended = Date.now();
  await host.page.waitForSelector(`a.primary[href^="/s/"]`);
  await fine(host.page, lang, "stage-ended");
  await ear.page.waitForSelector("#replay:not([hidden])", { timeout: 25_000 });
  seen.end_to_replay_shown_ms = Date.now() - ended;
  await until("the duration is known", () => ear.page.evaluate(() => Number.isFinite(document.querySelector("audio").duration)));
  seen.replay_s = await ear.page.evaluate(() => document.querySelector("audio").duration);
  assert.ok(seen.replay_s > REPLAY_S_MIN, `the whole conversation is in the replay, not ${seen.replay_s} s`);
  seen.replay_press_to_sound_ms = await pressAndHear(ear.page, "#replay-press");
  const sought = await ear.page.evaluate(() => {
    const [seek, audio] = [document.querySelector("#seek"), document.querySelector("audio")];
    // Where it is not about to come by itself.
    const to = audio.currentTime < 2 ? 4 : 1;
    seek.value = String(to);
    seek.dispatchEvent(new Event("input", { bubbles: true }));
    return { to, at: audio.currentTime };
  });
  assert.ok(Math.abs(sought.at - sought.to) < 0.2, `the replay is where it was sought: ${JSON.stringify(sought)}`);
  await until("the replay goes on from there", async () => (await position(ear.page)) > sought.to + 0.3);
  await fine(ear.page, lang, "replay");

  for (const person of [host, ear, guest]) {
    assert.deepEqual(person.errors, [], lang);
    await person.close();
  }
}

/** Silence for a second and a half on end: longer than the pauses of the voice in the fake microphone, 0.8 s. */
async function quiet(page) {
  let since = null;
  await until("silence", async () => {
    if ((await levelNow(page)) > 0.0005) since = null;
    else since ??= Date.now();
    return since !== null && Date.now() - since > 1_500;
  });
}

try {
  // Both at once: they wait more than they work.
  await Promise.all(["ar", "en"].map(conversation));
} finally {
  await browser.close();
}
console.log(JSON.stringify({ test: "conversation", ...measured }));
