// A stage through its whole life, in Arabic and in English, with four people who each have a browser and a voice of their own: a host, a co-host, an
// invited guest, and a listener who asks for the word. Planned, postponed and cancelled; doors, the start at its second, a raised hand, a call,
// mutes, the way back to the audience, another host, a removal, the end, the replay. At each step every ear is asked by spectrum whom it hears, and
// nobody hears themselves.
import assert from "node:assert/strict";
import { agree, api, CREATE, fine, launch, ORIGIN, page as open, pitches, pressAndHear, space, until } from "./browser.mjs";

/** In Hz: no pitch is near a harmonic of another. */
const PITCH = { host: 290, cohost: 410, guest: 530, asker: 670 };
const ALL = Object.keys(PITCH);
/** A voice that is heard is far above the first, one that is not is far below the second: what codecs add to others is there. In dB. */
const [HEARD_DB, SILENT_DB] = [-45, -57];
/**
 * In so large a part of all looks it is no louder: a voice with its pauses is there in a quarter at the least. What codecs add to three others is above -57 in a few of a hundred, and
 * in none as loud as a voice that is heard.
 */
const PARTS = [0.75, 0.9, 1];
const isHeard = ([most]) => most > HEARD_DB;
const isSilent = ([, most, loudest]) => most < SILENT_DB && loudest < HEARD_DB;
/** Longer than the pauses of a voice, and than what is in hand of the sound of a moment ago. */
const LISTEN_MS = 2_500;
/** Everybody gathers before the start, however long that takes on a busy machine; then it is moved to so soon. */
const SOON_S = 15;

const WORDS = {
  ar: {
    title: "مجلس عن الأنهار", planned: "موعد سيتغير", host: "ليلى", cohost: "سلمى", guest: "Omar", asker: "يوسف", reason: "تأخر القطار",
    live: "مباشر", open: "لم يبدأ بعد", scheduled: "له موعد", cancelled: "أُلغي", hostRole: "المضيف", cohostRole: "مضيف مشارك",
  },
  en: {
    title: "A talk about rivers", planned: "A time that will change", host: "Layla", cohost: "Salma", guest: "عمر", asker: "Joseph", reason: "The train is late",
    live: "Live", open: "Not started yet", scheduled: "Planned", cancelled: "Cancelled", hostRole: "host", cohostRole: "co-host",
  },
};

assert.ok(CREATE, "HIWAR_HOST_LINK is the link that the server printed");
const browsers = Object.fromEntries(await Promise.all(ALL.map(async (who) => [who, await launch(PITCH[who])])));
const measured = {};

/** Every ear hears these voices and no others, within half a minute: a listener is a little behind the stage, and on a busy machine more. */
async function ears(what, wanted) {
  const listen = async ([who, page, voices]) => {
    let last;
    for (const end = Date.now() + 30_000; Date.now() < end; ) {
      const levels = await pitches(page, ALL.map((name) => PITCH[name]), LISTEN_MS, PARTS);
      last = Object.fromEntries(ALL.map((name, i) => [name, levels[i]]));
      if (ALL.every((name) => (voices.includes(name) ? isHeard : isSilent)(last[name]))) return [who, last];
    }
    const element = await page.evaluate(() => {
      const { paused, currentTime, readyState, muted, srcObject } = document.querySelector("audio");
      const tracks = srcObject?.getAudioTracks().map((track) => track.readyState + (track.muted ? " muted" : ""));
      return { paused, currentTime, readyState, muted, tracks, says: (document.querySelector("#notice, .sentence") ?? document.body).textContent.slice(0, 200) };
    });
    throw new Error(`${what}: ${who} should hear ${voices.join(", ") || "nobody"} and hears ${JSON.stringify(last)} from ${JSON.stringify(element)}`);
  };
  return Object.fromEntries(await Promise.all(wanted.map(listen)));
}

/** Everybody on the stage hears all others on it but themselves. */
const others = (pages, on, heard = on) => on.map((who) => [who, pages[who].page, heard.filter((name) => name !== who)]);

/** From a link onto the stage: as whom, agreeing, the microphone. */
async function come(page, link, lang, name) {
  await page.goto(link.replace("/#", `/?lang=${lang}#`));
  if (name) {
    await page.fill("#speaker-name", name);
    await page.click("button[type=submit]");
    await page.waitForSelector("#agree");
  }
  await agree(page);
  await page.click("#mic-allow");
  await page.click("#mic-go");
  await page.waitForSelector("#mute");
}

/** Opens the menu of a row, chooses, and says yes where it is asked twice. */
async function rule(page, name, action, twice = false) {
  await page.locator(".stage li", { hasText: name }).locator(".more").click();
  await page.click(`#person-${action}`);
  if (twice) await page.click("#person-yes");
  await page.waitForSelector("#person-sheet", { state: "detached" });
}

/** A time is said, moved with a reason, and taken back: by form, by sheets. */
async function plan(lang) {
  const words = WORDS[lang];
  const host = await open(browsers.host, { lang, width: 390, height: 844 });
  await host.page.goto(`${ORIGIN}/?lang=${lang}#/host?token=${CREATE}`);
  await host.page.fill("#title", words.planned);
  await host.page.fill("#name", words.host);
  await host.page.check("input[value=planned]");
  await host.page.fill("#starts", "2020-01-01T10:00");
  await host.page.click("button[type=submit]");
  assert.equal(await host.page.getAttribute("#starts", "aria-invalid"), "true", "the past is no time to begin");
  const day = new Date(Date.now() + 26 * 3600_000);
  day.setSeconds(0, 0);
  const local = (at) => new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  await host.page.fill("#starts", local(day));
  assert.match(await host.page.textContent("#starts-said"), /[\d٠-٩]/);
  await fine(host.page, lang, "host-planned");
  await host.page.click("button[type=submit]");
  await host.page.waitForSelector("#postpone");
  const id = /\/s\/([a-z0-9-]+)\/stage/.exec(host.page.url())[1];
  const made = await one(id);
  assert.equal(made.state, "scheduled");
  assert.equal(Date.parse(made.starts_at), day.getTime());
  await fine(host.page, lang, "stage-planned");

  // The page says when, and offers nothing to press; the first page lists it.
  const ear = await open(browsers.asker, { lang, width: 390, height: 844 });
  await ear.page.goto(`${ORIGIN}/s/${id}?lang=${lang}`);
  assert.equal(await ear.page.textContent("#state-text"), words.scheduled);
  assert.match(await ear.page.textContent("#when"), /[\d٠-٩]/);
  assert.ok(!(await ear.page.isVisible("#press")), "the doors are shut");
  assert.ok(!(await ear.page.isVisible("#to-stage")), "and nobody asks yet");
  await fine(ear.page, lang, "page-planned");
  await ear.page.goto(`${ORIGIN}/?lang=${lang}`);
  await ear.page.waitForSelector(`a[href="/s/${id}"]`);
  await fine(ear.page, lang, "home-planned");

  // Postponed, with a reason.
  await host.page.click("#postpone");
  await host.page.fill("#new-starts", local(new Date(day.getTime() + 3600_000)));
  await host.page.fill("#reason", words.reason);
  await fine(host.page, lang, "postpone");
  await host.page.click("#postpone-yes");
  await until("the host sees the reason", async () => (await host.page.textContent(".when")).includes(words.reason));
  await fine(host.page, lang, "stage-postponed");
  await until("the page tells the reason", async () => {
    await ear.page.goto(`${ORIGIN}/s/${id}?lang=${lang}`);
    return (await ear.page.textContent("#when")).includes(words.reason);
  });
  await fine(ear.page, lang, "page-postponed");

  // Cancelled for good.
  await host.page.click("#cancel");
  await host.page.fill("#reason", words.reason);
  await fine(host.page, lang, "cancel");
  await host.page.click("#cancel-yes");
  await until("the host is told", async () => (await host.page.textContent("main")).includes(words.cancelled));
  await fine(host.page, lang, "stage-cancelled");
  await until("the page says so", async () => {
    await ear.page.goto(`${ORIGIN}/s/${id}?lang=${lang}`);
    return (await ear.page.textContent("#state-text")) === words.cancelled;
  });
  assert.ok((await ear.page.textContent("#when")).includes(words.reason));
  await fine(ear.page, lang, "page-cancelled");
  assert.deepEqual([...host.errors, ...ear.errors], []);
  await host.close();
  await ear.close();
}

/** The page of a space whose doors are shut comes again when they open, and waits for the host, who is late. */
async function doors(lang) {
  const words = WORDS[lang];
  // Not a whole second, of which alone the page is told. And far enough for a busy machine to see the page before.
  const starts = Math.ceil(Date.now() / 1_000 + 15) * 1_000 + 500;
  const made = await space({ title: words.planned, language: lang, audience: "unlisted", starts_at: new Date(starts).toISOString(), doors_minutes: 0 });
  const ear = await open(browsers.asker, { lang, width: 390, height: 844 });
  await ear.page.goto(`${ORIGIN}/s/${made.space.id}?lang=${lang}`);
  assert.equal(await ear.page.textContent("#state-text"), words.scheduled);
  await until("the page is open", async () => (await ear.page.textContent("#state-text").catch(() => "")) === words.open, starts - Date.now() + 22_000);
  (measured.doors_seen_after_ms ??= []).push(Date.now() - starts);
  const { awaits_host } = await one(made.space.id);
  assert.ok(awaits_host, "it waits for the host");
  await ear.page.waitForSelector("#press:visible");
  await fine(ear.page, lang, "page-waiting");
  const host = await open(browsers.host, { lang });
  await come(host.page, made.host_link, lang);
  await host.page.waitForSelector(".sentence.air");
  (measured.begins_with_the_host ??= []).push((await one(made.space.id)).state);
  assert.deepEqual([...host.errors, ...ear.errors], []);
  await host.close();
  await ear.close();
}

const one = async (id) => {
  const answer = await api("GET", `/spaces/${id}`);
  return answer.space ?? answer;
};

async function life(lang) {
  const words = WORDS[lang];
  const seen = (measured[lang] = {});
  const later = new Date(Date.now() + 9 * 60_000).toISOString();
  const made = await space({ title: words.title, host_name: words.host, language: lang, recording: "on", starts_at: later });
  const { id } = made.space;
  await until("the doors are open, ten minutes before", async () => (await one(id)).state === "open");

  // The green room: the stage gathers and hears itself. The host is on a phone.
  const pages = {
    host: await open(browsers.host, { lang, width: 390, height: 844 }),
    cohost: await open(browsers.cohost, { lang }),
    guest: await open(browsers.guest, { lang, width: 390, height: 844, scheme: "dark" }),
    asker: await open(browsers.asker, { lang, width: 390, height: 844 }),
  };
  const { host, cohost, guest, asker } = pages;
  await Promise.all([
    come(host.page, made.host_link, lang),
    come(cohost.page, made.speaker_link, lang, words.cohost),
    come(guest.page, made.speaker_link, lang, words.guest),
  ]);
  await until("the host sees both", async () => (await host.page.locator(".here li").count()) === 3);
  const ear = await open(browsers.asker, { lang });
  await ear.page.goto(`${ORIGIN}/s/${id}?lang=${lang}`);
  assert.equal(await ear.page.textContent("#state-text"), words.open);
  await fine(ear.page, lang, "page-preroll");
  const first = pressAndHear(ear.page, "#press", { limit: 240_000 }).then(() => Date.now());
  // Whatever fails before it is what went wrong.
  first.catch(() => {});
  const room = ["host", "cohost", "guest"];
  seen.green = await ears("green room", others(pages, room));
  await fine(host.page, lang, "green-host");
  await fine(guest.page, lang, "green-guest");
  assert.ok(await ear.page.isHidden("#live .speaking"), "nobody is shown speaking to the audience");
  assert.equal((await one(id)).state, "open");

  // Another time, which everybody who is there is told with its reason.
  const starts = Math.ceil(Date.now() / 1000 + SOON_S) * 1000;
  const onAir = Promise.all(
    room.map((who) =>
      pages[who].page.evaluate(
        () =>
          new Promise((resolve) => {
            const look = () => (document.querySelector(".sentence.air") ? resolve(Date.now()) : setTimeout(look, 50));
            look();
          }),
      ),
    ),
  );
  onAir.catch(() => {});
  await api("POST", `/spaces/${id}/postpone`, made.host_pass, { starts_at: new Date(starts).toISOString(), reason: words.reason });
  const moved = Date.now();
  await Promise.all([
    until("the stage is told", async () => (await guest.page.textContent(".green")).includes(words.reason)),
    until("the audience is told", async () => (await ear.page.textContent("#when")).includes(words.reason)),
  ]);
  seen.postponed_told_ms = Date.now() - moved;

  // It begins by itself, at its second, for everybody at once. By each page's own clock: this one is late where many are drawn.
  await Promise.all(room.map((who) => pages[who].page.waitForSelector(".sentence.air", { timeout: Math.max(0, starts - Date.now()) + 30_000 })));
  seen.on_air_after_start_ms = Math.max(...(await onAir)) - starts;
  seen.first_sound_after_start_ms = (await first) - starts;
  assert.ok(seen.first_sound_after_start_ms > -300, "the audience heard nothing before");
  assert.ok(seen.on_air_after_start_ms < 3_000, `on air ${seen.on_air_after_start_ms} ms after its second`);
  assert.equal(Math.round(Date.parse((await one(id)).started_at) / 1000), starts / 1000);
  await until("the page says live", async () => (await ear.page.textContent("#state-text")) === words.live);
  await until("listeners see who hosts", async () => (await ear.page.textContent("#stage")).includes(words.hostRole));
  seen.live = await ears("live", [...others(pages, room), ["ear", ear.page, room]]);
  await fine(host.page, lang, "live-host");
  await fine(ear.page, lang, "live-ear");

  // A co-host is made, who then rules as well.
  await host.page.locator(".stage li", { hasText: words.cohost }).locator(".more").click();
  await fine(host.page, lang, "menu");
  await host.page.keyboard.press("Escape");
  assert.equal(await host.page.evaluate(() => document.activeElement.className.includes("more")), true, "the focus is back where it was");
  await rule(host.page, words.cohost, "make-co-host");
  await cohost.page.waitForSelector("#hands");
  await until("listeners see the co-host", async () => (await ear.page.textContent("#stage")).includes(words.cohostRole));

  // A listener asks from the page, hears on, and is told their place.
  await asker.page.goto(`${ORIGIN}/s/${id}?lang=${lang}`);
  await asker.page.click("#stage-link");
  await asker.page.waitForSelector("#speaker-name");
  await fine(asker.page, lang, "ask");
  await pressAndHear(asker.page, "#listen");
  await asker.page.fill("#speaker-name", words.asker);
  await asker.page.click("button[type=submit]");
  await asker.page.waitForSelector("#place");
  await until("the co-host sees the hand", async () => (await cohost.page.textContent("#hands")).includes(words.asker));
  assert.equal((await one(id)).asks, 1);
  await fine(asker.page, lang, "hand-up");
  await fine(cohost.page, lang, "hands");
  await asker.page.click("#lower");
  await asker.page.waitForSelector("#raise");
  await until("the hand is down", async () => !(await cohost.page.textContent("#hands")).includes(words.asker));
  await asker.page.click("#raise");
  // What the asker's page offers to the house, and whether it opens a microphone.
  const offers = [];
  asker.page.on("request", (request) => request.method() === "POST" && request.url().includes("/whip/") && offers.push(new URL(request.url()).search));
  await asker.page.evaluate(() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    window.opened = 0;
    navigator.mediaDevices.getUserMedia = (wish) => ((window.opened += 1), open(wish));
  });
  await cohost.page.click("#hands .call");
  const called = Date.now();
  await asker.page.waitForSelector("#accept");
  seen.called_ms = Date.now() - called;
  await fine(asker.page, lang, "called");
  seen.waiting = await ears("called", [["asker", asker.page, room]]);
  await asker.page.click("#accept");
  await asker.page.waitForSelector("#agree");
  await fine(asker.page, lang, "called-consent");
  assert.deepEqual(offers, ["?at=wings"], "whoever is called is connected before they say a word");
  assert.equal(await asker.page.evaluate(() => window.opened), 0, "no microphone is opened before they agree");
  assert.equal((await one(id)).speakers.length, room.length, "nobody sees who waits");
  assert.ok(await agree(asker.page));
  await asker.page.click("#mic-allow");
  await asker.page.click("#mic-go");
  await asker.page.waitForSelector(".sentence.air");
  assert.deepEqual(offers, ["?at=wings"], "they come on by the connection that waited");
  seen.spoken = await ears("the listener speaks", [...others(pages, ALL), ["ear", ear.page, ALL]]);
  await fine(asker.page, lang, "speaker");

  // The co-host mutes the guest; only the guest opens the microphone again.
  await rule(cohost.page, words.guest, "mute");
  const notGuest = ALL.filter((who) => who !== "guest");
  await until("the guest is told", async () => (await guest.page.getAttribute("#mute", "aria-pressed")) === "true");
  seen.muted = await ears("the guest is muted", [...others(pages, ALL, notGuest), ["ear", ear.page, notGuest]]);
  await fine(guest.page, lang, "muted-by-other");
  assert.ok(!(await cohost.page.locator(".here li", { hasText: words.guest }).locator(".more").click().then(() => cohost.page.isVisible("#person-unmute"))));
  await cohost.page.keyboard.press("Escape");
  await guest.page.click("#mute");
  seen.opened = await ears("the guest opens again", [["host", host.page, notGuest.filter((who) => who !== "host").concat("guest")], ["ear", ear.page, ALL]]);

  // The host mutes everybody else.
  await host.page.click("#mute-all");
  seen.all_muted = await ears("everybody else is muted", [["cohost", cohost.page, ["host"]], ["host", host.page, []], ["ear", ear.page, ["host"]]]);
  for (const who of ["cohost", "guest", "asker"]) {
    await until(`${who} is muted`, async () => (await pages[who].page.getAttribute("#mute", "aria-pressed")) === "true");
    await pages[who].page.click("#mute");
  }

  // Back to the audience: the microphone is let go, and the same page asks again.
  await rule(host.page, words.asker, "send-back", true);
  await asker.page.waitForSelector("#raise");
  seen.sent_back = await ears("the listener is back in the audience", [...others(pages, room), ["ear", ear.page, room]]);
  await fine(asker.page, lang, "sent-back");

  // Another host. The one who was host is a co-host.
  await host.page.locator(".stage li", { hasText: words.cohost }).locator(".more").click();
  await host.page.click("#person-hand-over");
  await fine(host.page, lang, "hand-over-question");
  await host.page.click("#person-yes");
  await cohost.page.waitForSelector("#end");
  await until("the old host rules less", async () => (await host.page.locator("#end").count()) === 0);
  seen.handed_over = await ears("handed over", [...others(pages, room), ["ear", ear.page, room]]);
  await fine(cohost.page, lang, "new-host");

  // Removed: silent, told, and not asked to come again.
  await rule(cohost.page, words.guest, "remove", true);
  const removed = Date.now();
  await guest.page.waitForSelector("#mute", { state: "detached" });
  seen.removed_ms = Date.now() - removed;
  seen.removed = await ears("the guest is removed", [...others(pages, ["host", "cohost"]), ["ear", ear.page, ["host", "cohost"]]]);
  await fine(guest.page, lang, "removed");
  await fine(cohost.page, lang, "after-removal");

  // The end for all, and the replay.
  await cohost.page.click("#end");
  await fine(cohost.page, lang, "end-question");
  await cohost.page.click("#end-yes");
  await Promise.all([host, cohost].map(({ page }) => page.waitForSelector(`a.primary[href="/s/${id}"]`)));
  await ear.page.waitForSelector("#replay:not([hidden])", { timeout: 25_000 });
  // Heard by whoever comes later: what listens to the page's sound was tied to the live one.
  await ear.page.reload();
  await ear.page.waitForSelector("#replay:not([hidden])");
  await pressAndHear(ear.page, "#replay-press");
  seen.replay = await ears("the replay", [["ear", ear.page, room]]);
  await fine(ear.page, lang, "replay");
  const { chapters } = await (await fetch(`${ORIGIN}/replay/${id}/chapters.json`)).json();
  assert.equal(await ear.page.locator("#chapters button").count(), chapters.length);
  assert.ok(chapters.length > 0 && chapters.every(({ title }) => Object.values(words).includes(title)), JSON.stringify(chapters));
  const clip = await fetch(`${ORIGIN}/replay/${id}/clip.mp4?from=1&to=4`);
  assert.deepEqual([clip.status, clip.headers.get("content-type")], [200, "audio/mp4"]);
  for (const person of [...Object.values(pages), ear]) {
    assert.deepEqual(person.errors, [], lang);
    await person.close();
  }
}

try {
  // Both languages at once: they wait more than they work.
  await Promise.all(["ar", "en"].map(life));
  await Promise.all(["ar", "en"].flatMap((lang) => [plan(lang), doors(lang)]));
} finally {
  await Promise.all(Object.values(browsers).map((browser) => browser.close()));
}
console.log(JSON.stringify({ test: "stage", ...measured }));
